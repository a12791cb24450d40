"""Calls to a service that is not trusted to end: its answer is bounded in time and in bytes."""

from __future__ import annotations

import io
import time

from common.http_connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from typing import Any

# Head of the answer, and the lengths of its chunks
_ENVELOPE_BYTES = 65_536


class BoundedConnection(Connection):
    """One connection a call: between two calls an execution environment may be frozen for long."""

    def __init__(self, url: str, most: int) -> None:
        super().__init__(url)
        self._most = most

    def call(self, headers: Mapping[str, str], body: bytes, seconds: float) -> tuple[int, dict[str, str], bytes]:
        """POST, and the answer's status, headers (lower case) and body.

        `seconds` hold for the whole call, however slowly the answer trickles in. OSError where it fails.
        """
        deadline = time.monotonic() + seconds
        try:
            self.open(seconds)
            connected = self._socket
            if connected is not None:
                self._reader = _Reader(_Incoming(connected, deadline, self._most + _ENVELOPE_BYTES), self._most)
            return self.exchange(
                "POST", {**headers, "connection": "close"}, body, max(0.001, deadline - time.monotonic())
            )
        finally:
            self.close()


class _Incoming(io.RawIOBase):
    """What arrives until a deadline: a socket's own timeout begins anew with each byte."""

    def __init__(self, connected: socket.socket, deadline: float, most: int) -> None:
        self._socket = connected
        self._deadline = deadline
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("the answer did not arrive in time")
        self._socket.settimeout(remaining)
        count = self._socket.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise _too_long()
        return count


class _Reader(io.BufferedReader):
    """Refuses a length before there is memory for it."""

    def __init__(self, incoming: _Incoming, most: int) -> None:
        super().__init__(incoming)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._most:
            raise _too_long()
        return super().read(size)


def _too_long() -> ConnectionError:
    return ConnectionError("the answer is longer than it may be")
