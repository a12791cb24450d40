"""Calls to a service that is not trusted to end: its answer is bounded in time and in bytes."""

from __future__ import annotations

import time

from common.http_connection import Connection, Incoming

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Mapping

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
                self._incoming = _Bounded(connected, self._most)
            return self.exchange(
                "POST", {**headers, "connection": "close"}, body, max(0.001, deadline - time.monotonic())
            )
        finally:
            self.close()


class _Bounded(Incoming):
    """So many bytes at most."""

    def __init__(self, connected: _socket.socket, most: int) -> None:
        super().__init__(connected)
        self._most = most
        self._left = most + _ENVELOPE_BYTES

    def exactly(self, size: int) -> bytes:
        # before it is waited for
        if size > self._most:
            raise _too_long()
        return super().exactly(size)

    def receive(self) -> bytes:
        received = super().receive()
        self._left -= len(received)
        if self._left < 0:
            raise _too_long()
        return received


def _too_long() -> ConnectionError:
    return ConnectionError("the answer is longer than it may be")
