"""The verifications of an environment, one line of JSON each, the oldest first: what shows how releases differ.

They lie in the environment's build folder: a verification changes nothing in the account that a later one could read.
Where each run begins with an empty folder, as in a pipeline, the files are kept as artifacts and gathered by hand.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scripts import rendering

FILE = "verifications.jsonl"
MOST = 200  # of some 20 KB each

Verification = dict[str, Any]


def append(build_dir: Path, verification: Verification) -> None:
    """Adds one as its last line; beyond MOST the oldest are forgotten."""
    file = build_dir / FILE
    lines = file.read_text().splitlines() if file.exists() else []
    kept = [*lines[-(MOST - 1) :], json.dumps(verification)]
    rendering.write(file, "\n".join(kept) + "\n")


def read(environment: str, folders: Iterable[Path]) -> list[Verification]:
    """Those of the environment in all files of that name in the folders and below, the oldest first, each once."""
    files = [file for folder in folders for file in sorted(folder.rglob(FILE))]
    found: dict[tuple[str, str], Verification] = {}
    for line in (line for file in files for line in file.read_text(errors="replace").splitlines()):
        try:
            one = json.loads(line)
            if one["environment"] == environment and {"passed", "checks"} <= one.keys():
                found[one["began_at"], one["account_id"]] = one
        except (ValueError, LookupError, TypeError, AttributeError):
            continue  # no verification, or half of one
    return [found[key] for key in sorted(found)]
