"""Stops the embedded AWS: `python -m scripts.down`."""

from typing import Annotated

import typer

from scripts import aws, up
from scripts.console import out, run


def main(
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Stop the embedded AWS and its functions. What it held is gone; `make up` starts from nothing."""
    was_running = aws.stop_embedded()
    up.apply_marker().unlink(missing_ok=True)
    if json_output:
        out.print_json(data={"was_running": was_running})
        return
    out.print("stopped" if was_running else "the embedded AWS was not running")


if __name__ == "__main__":
    run(main)
