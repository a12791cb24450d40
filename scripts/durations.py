"""Spans of time as people type them."""

import re

from scripts.console import CommandError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Nothing that these commands read is kept for ten years; and a date can be too early for Python.
_LONGEST = 3650 * 86400


def seconds(text: str, name: str = "SINCE") -> int:
    """`30s`, `10m`, `2h` or `7d`. Raises CommandError, which calls the text `name`."""
    match = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    length = int(match[1]) * _UNITS[match[2]] if match else None
    if length is None or length > _LONGEST:
        what = "is not a time" if length is None else "is more than ten years"
        raise CommandError(f"{name}={text!r} {what}.", "Write for example 30s, 10m, 2h or 7d.")
    return length


def text(seconds: float) -> str:
    """As a person says it: `45 seconds`, `10 minutes`, `36 hours`, `7 days`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}s"
    return f"{seconds:.0f} seconds"
