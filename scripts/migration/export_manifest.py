"""What an export says of itself, in a file within its folder that no reader of records takes for one."""

import json
from pathlib import Path
from typing import Any

FILE = "export.manifest"


def read(folder: Path) -> dict[str, Any]:
    """Empty where there is none."""
    try:
        found = json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def form_of(source: Path) -> str:
    """`records` or `items` for the folder of an export, or a file in it; "" for others."""
    folder = source if source.is_dir() else source.parent
    return str(read(folder).get("form", ""))
