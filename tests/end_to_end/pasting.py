"""Commands that our own tell a person to paste, as they stand."""

import os
import stat
import sys
from pathlib import Path

from tests.end_to_end.checkout import Checkout, Ended

# What they ask of AWS's command line, which need not be installed.
_AWS = f"""#!{sys.executable}
import re, sys, boto3
service, operation, *arguments = sys.argv[1:]
waiter = arguments.pop(0) if operation == "wait" else ""
pairs = zip(arguments[::2], arguments[1::2], strict=True)
options = {{re.sub("-(.)", lambda match: match[1].upper(), name[1:]): value for name, value in pairs}}
client = boto3.client(service, region_name=options.pop("Region", None))
if waiter:
    client.get_waiter(waiter.replace("-", "_")).wait(**options)
else:
    print(getattr(client, operation.replace("-", "_"))(**options))
"""


def paste(checkout: Checkout, commands: str, folder: Path) -> Ended:
    """What a shell in the checkout says to them; `folder` gets the `aws` that they find."""
    command_line = folder / "aws"
    command_line.write_text(_AWS)
    command_line.chmod(stat.S_IRWXU)
    return checkout.run("bash", "-euc", commands, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")
