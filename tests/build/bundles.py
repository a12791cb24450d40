"""What the tests of this folder read out of a function's zip."""

import zipfile
from pathlib import Path

from scripts import function_contents


def modules_of(zip_file: Path) -> dict[str, bytes]:
    """Path and source of each bundled module, in the bundle's order."""
    with zipfile.ZipFile(zip_file) as archive:
        parts = archive.read(function_contents.MODULES_FILE).split(b"\0")
    modules = {path.decode(): source for path, _, source in (part.partition(b"\n") for part in parts)}
    assert len(modules) == len(parts), "none stands there twice"
    return modules
