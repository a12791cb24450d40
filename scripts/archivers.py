"""Archives made beside the caller's work, each in a process of its own: Python computes in one thread at a time."""

import marshal
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from scripts import deterministic_zip


class Archivers:
    """As many at once as there are processors."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def start(self, files: Mapping[str, bytes]) -> Future[bytes]:
        return self._threads.submit(_archive_elsewhere, files)


def _archive_elsewhere(files: Mapping[str, bytes]) -> bytes:
    # Neither forked, since the caller may have threads, nor by multiprocessing, which would load the caller's program.
    command = [sys.executable, "-I", "-S", deterministic_zip.__file__]
    return subprocess.run(command, input=marshal.dumps(dict(files)), capture_output=True, check=True).stdout
