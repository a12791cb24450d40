"""A copy of this checkout, in which a benchmark may build and apply without touching what is here."""

import shutil
from pathlib import Path

from scripts import paths

_PARTS = ("lambda_src", "scripts", "terraform", "pyproject.toml")


def copy_checkout(target: Path) -> Path:
    target.mkdir(parents=True)
    leave_out = shutil.ignore_patterns("__pycache__", ".terraform", "*.tfstate*")
    for name in _PARTS:
        source = paths.ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=leave_out)
        else:
            shutil.copy(source, target / name)
    return target
