"""Stops the embedded AWS: `python -m scripts.down`."""

from scripts import aws, up
from scripts.console import out, run


def main() -> None:
    """Stop the embedded AWS and its functions. What it held is gone; `make up` starts from nothing."""
    was_running = aws.stop_embedded()
    up.apply_marker().unlink(missing_ok=True)
    out.print("stopped" if was_running else "the embedded AWS was not running")


if __name__ == "__main__":
    run(main)
