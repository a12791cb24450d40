"""Deployed code on disk: each zip extracted once, read-only, in a folder named by its SHA-256."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path


def remove_tree(path: Path) -> None:
    """Removes a folder, read-only ones too."""
    for folder, _, _ in os.walk(path):
        Path(folder).chmod(0o755)
    shutil.rmtree(path, ignore_errors=True)


def _make_read_only(path: Path) -> None:
    for folder, _, files in os.walk(path, topdown=False):
        for name in files:
            file = Path(folder) / name
            file.chmod(0o555 if os.access(file, os.X_OK) else 0o444)
        Path(folder).chmod(0o555)


class CodeStore:
    """`folder(zips)` gives the folder that holds what the zips contain, later ones over earlier ones."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        remove_tree(root)  # left by one that was killed
        root.mkdir(parents=True)

    def remove(self) -> None:
        """Read-only folders are a nuisance to whoever deletes the build folder."""
        remove_tree(self._root)

    def folder(self, zips: Sequence[bytes]) -> Path:
        digest = hashlib.sha256()
        for content in zips:
            digest.update(hashlib.sha256(content).digest())
        target = self._root / digest.hexdigest()
        with self._lock:
            if not target.exists():
                staging = Path(tempfile.mkdtemp(prefix="extract-", dir=self._root))
                try:
                    for content in zips:
                        with zipfile.ZipFile(io.BytesIO(content)) as archive:
                            archive.extractall(staging)
                    _make_read_only(staging)
                    staging.rename(target)
                except BaseException:
                    remove_tree(staging)
                    raise
        return target
