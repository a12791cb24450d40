"""A small process that outlives the embedded AWS by a moment, to kill the environments it left behind.

It reads "+<process group>" and "-<process group>" from its standard input. The end of that input means that the
embedded AWS has gone, by whatever way, SIGKILL included; it kills the groups that remain and follows. It works alike
on Linux and macOS, and reaches what a function has started itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


def guard() -> None:
    """The guardian's own life."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        with contextlib.suppress(ValueError):
            groups.add(int(line[1:])) if line[0] == "+" else groups.discard(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


class Guardian:
    """The embedded AWS's end of the line."""

    def __init__(self) -> None:
        # A session of its own: a signal to the caller's process group must not take the guardian along.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - Popen was given a pipe
        with self._lock, contextlib.suppress(OSError, ValueError):
            stdin.write(line.encode())
            stdin.flush()

    def close(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        self._process.wait(timeout=5)


if __name__ == "__main__":
    guard()
