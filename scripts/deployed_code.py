"""Finds and puts back function code that somebody replaced outside Terraform.

The provider uploads a zip when the hash in its state changes; it does not see that Lambda holds other code. It would
even publish that code with the next change of a setting.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from scripts import aws, paths
from scripts.build_lambdas import MANIFEST


def replaced(outputs: dict[str, Any]) -> dict[str, Path]:
    """Functions whose code is not what Terraform deployed, with the zip to put back; not one that is updated anyway."""
    manifest = json.loads((paths.LAMBDA_BUILD / MANIFEST).read_text())["functions"]
    functions = aws.client("lambda")
    found = {}
    for system, declared in outputs.get("verification", {}).get("systems", {}).items():
        if manifest.get(system, {}).get("source_code_hash") != declared["code_sha256"]:
            continue
        name = declared["function_name"]
        for qualifier in ("$LATEST", declared["alias_name"]):
            try:
                deployed = functions.get_function_configuration(FunctionName=name, Qualifier=qualifier)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    break  # Terraform makes it anew
                raise
            if deployed["CodeSha256"] != declared["code_sha256"]:
                found[name] = paths.LAMBDA_BUILD / manifest[system]["zip"]
    return found


def put_back(found: Mapping[str, Path]) -> list[str]:
    """Uploads and publishes the right code; the next plan moves the alias to it. Returns the functions' names."""
    functions = aws.client("lambda")
    for name, zip_file in found.items():
        functions.update_function_code(FunctionName=name, ZipFile=zip_file.read_bytes(), Publish=True)
        functions.get_waiter("function_updated_v2").wait(FunctionName=name)
    return sorted(found)
