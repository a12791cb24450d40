"""Archives made beside the caller's work, in processes of their own: Python computes in one thread at a time."""

import marshal
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import IO, Self

from scripts import deterministic_zip
from scripts.console import EXIT_FAILED, CommandError


class Archivers:
    """As many at once as there are processors; each process packs what begins like an archive before it sooner.

    `archives`: how many there will be at most.
    """

    def __init__(self, archives: int) -> None:
        # Neither forked, since the caller may have threads, nor by multiprocessing, which would load the caller's
        # program. In groups of their own, since they end when nobody asks any more, by Ctrl-C too.
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-I", "-S", deterministic_zip.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
            )
            for _ in range(min(archives, os.cpu_count() or 1))
        ]
        self._idle: SimpleQueue[tuple[IO[bytes], IO[bytes]]] = SimpleQueue()
        for process in self._processes:
            self._idle.put((process.stdin, process.stdout))  # type: ignore[arg-type]  # both are pipes
        self._threads = ThreadPoolExecutor(max(1, len(self._processes)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.communicate()

    def start(self, files: Mapping[str, bytes]) -> Future[bytes]:
        return self._threads.submit(self._archive, dict(files))

    def _archive(self, files: dict[str, bytes]) -> bytes:
        question, answer = pipes = self._idle.get()
        try:
            marshal.dump(files, question)
            question.flush()
            packed: bytes = marshal.load(answer)  # noqa: S302  what the process beside us wrote
            return packed
        except (EOFError, OSError) as error:
            raise CommandError(
                "a process that packs zips ended before its work did.", "Is memory short? Run this again.", EXIT_FAILED
            ) from error
        finally:
            self._idle.put(pipes)
