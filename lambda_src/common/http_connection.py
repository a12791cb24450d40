"""One kept-alive HTTP/1.1 connection over a socket.

Not http.client: that imports the email package and ssl, which together cost more than everything else
a cold start does here. What DynamoDB and the credentials endpoint need of HTTP is little. Nor the module socket, which
spends 3 ms on enumerations of its constants, but what is underneath; behind https, ssl loads it all the same.
"""

from __future__ import annotations

import _socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

# A connection that was idle for longer is looked at before it is used again
_TRUSTED_IDLE_SECONDS = 5.0
# Of a head, and received at a time
_MOST_BYTES = 65_536


class Connection:
    """Every method raises OSError when the network fails; the connection is then closed and may be opened again."""

    def __init__(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        if scheme not in ("http", "https") or not authority or "@" in authority:
            raise ValueError(f"{url} is no http or https address; it looks like https://host:port")
        host, colon, port = authority.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = authority, ""
        self.secure = scheme == "https"
        self.host = host.strip("[]")
        self.port = int(port or (443 if self.secure else 80))
        self.path = "/" + path
        self.authority = host if self.port == (443 if self.secure else 80) else authority
        self._socket: _socket.socket | None = None
        self._incoming: Incoming | None = None
        self._context: SSLContext | None = None
        self._trusts_few = False
        self._used_at = 0.0

    def open(self, timeout: float) -> None:
        """Connect unless there is a connection that looks alive."""
        if self._socket is not None:
            if time.monotonic() - self._used_at < _TRUSTED_IDLE_SECONDS or _is_silent(self._socket):
                return
            self.close()
        plain = _connected(self.host, self.port, timeout)
        try:
            plain.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            self._socket = self._wrap(plain) if self.secure else plain
        except BaseException as error:
            plain.close()
            if not (self._trusts_few and type(error).__name__ == "SSLCertVerificationError"):
                raise
            import ssl

            self._context, self._trusts_few = ssl.create_default_context(), False
            self.open(timeout)
            return
        self._incoming = Incoming(self._socket)
        self._used_at = time.monotonic()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._incoming = self._socket = None

    def exchange(
        self, method: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request on the open connection and read its answer: status, headers (lower case), body.

        `timeout` holds for all of it, however slowly the answer trickles in.
        """
        if self._socket is None or self._incoming is None:
            raise ConnectionError("the connection is not open")
        lines = [f"{method} {self.path} HTTP/1.1"]
        if "host" not in headers:
            lines.append(f"host: {self.authority}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append(f"content-length: {len(body)}\r\n\r\n")
        try:
            self._incoming.deadline = time.monotonic() + timeout
            self._socket.settimeout(timeout)
            # in one send: a body in a packet of its own waits for the delayed acknowledgement of the first
            self._socket.sendall("\r\n".join(lines).encode("latin-1") + body)
            status, received, keep = _head(self._incoming)
            content = _body(self._incoming, status, received)
        except BaseException as error:
            self.close()
            if isinstance(error, ValueError):
                raise ConnectionError(f"an answer that is not HTTP: {error}") from error
            raise
        if not keep or ("content-length" not in received and "transfer-encoding" not in received):
            self.close()
        self._used_at = time.monotonic()
        return status, received, content

    def _wrap(self, plain: _socket.socket) -> _socket.socket:
        import socket

        if self._context is None:
            from common import trusted_roots

            self._context, self._trusts_few = trusted_roots.context(self.host)
        timeout = plain.gettimeout()
        connected = socket.socket(fileno=plain.detach())
        connected.settimeout(timeout)
        return self._context.wrap_socket(connected, server_hostname=self.host)


class Incoming:
    """What arrives until `deadline`: a socket's own timeout begins anew with each byte."""

    deadline = 0.0

    def __init__(self, connected: _socket.socket) -> None:
        self._connected = connected
        self._unread = bytearray()

    def until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is passed over."""
        while (end := self._unread.find(mark, 0, _MOST_BYTES)) < 0:
            if len(self._unread) >= _MOST_BYTES:
                raise ConnectionError("the head of an answer does not end")
            self._more()
        found = self.exactly(end + len(mark))
        return found[:end]

    def exactly(self, size: int) -> bytes:
        if size < 0:
            raise ValueError(size)
        while len(self._unread) < size:
            self._more()
        found = bytes(self._unread[:size])
        del self._unread[:size]
        return found

    def rest(self) -> bytes:
        while received := self.receive():
            self._unread += received
        return bytes(self._unread)

    def receive(self) -> bytes:
        """None at the end."""
        # ValueError when it is over
        self._connected.settimeout(self.deadline - time.monotonic())
        return self._connected.recv(_MOST_BYTES)

    def _more(self) -> None:
        received = self.receive()
        if not received:
            raise ConnectionError("the connection ended within an answer")
        self._unread += received


def _head(incoming: Incoming) -> tuple[int, dict[str, str], bool]:
    """Status, headers, and whether the connection may be kept."""
    while True:
        first, *lines = incoming.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        status = int(rest[:3])
        if status >= 200:
            headers = {}
            for line in lines:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            return status, headers, version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"


def _body(incoming: Incoming, status: int, headers: Mapping[str, str]) -> bytes:
    if status in (204, 304):
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        chunks = []
        while size := int(incoming.until(b"\r\n").partition(b";")[0], 16):
            chunks.append(incoming.exactly(size))
            incoming.until(b"\r\n")
        while incoming.until(b"\r\n"):
            pass
        return b"".join(chunks)
    if "content-length" in headers:
        return incoming.exactly(int(headers["content-length"]))
    return incoming.rest()


def _connected(host: str, port: int, timeout: float) -> _socket.socket:
    """As socket.create_connection."""
    error: OSError | None = None
    # as bytes: a text would be encoded by the idna codec, 2 ms to import
    for family, kind, protocol, _, address in _socket.getaddrinfo(host.encode("ascii"), port, 0, _socket.SOCK_STREAM):
        made = _socket.socket(family, kind, protocol)
        try:
            made.settimeout(timeout)
            made.connect(address)
            return made
        except OSError as failed:
            made.close()
            error = failed
    raise error or OSError(f"{host} has no address")


def _is_silent(connected: _socket.socket) -> bool:
    """False when the other side has closed: an idle connection has nothing to read but its end."""
    import select

    return not select.select([connected], [], [], 0)[0]
