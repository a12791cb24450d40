"""Lambda's Runtime API, for one execution environment.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

Each environment has a port of its own, because a runtime client says nowhere who it is. One thread reads; the answer
to `next` is written by whoever has an invocation, so that a warm invocation crosses one thread only.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Mapping

from scripts.local_aws.settings import HOST

MAX_RESPONSE = 6_291_556  # 6 MB and some, as Lambda's own message has it
_ACCEPTED = b'{"status":"OK"}\n'
_PREFIX = "/2018-06-01/runtime/"

Report = Callable[[str, Mapping[str, str], bytes], None]


def _answer(status: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class _Connection:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    def read_request(self) -> tuple[str, str, dict[str, str], bytes] | None:
        """Method, path, lower-cased headers, body; None when the client has gone."""
        while b"\r\n\r\n" not in self.buffer:
            if not self._fill():
                return None
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        request_line, *header_lines = head.decode("latin-1").split("\r\n")
        method, path, _ = request_line.split(" ", 2)
        headers = {}
        for line in header_lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        self.buffer = rest
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return method, path, headers, self._read_chunks()
        length = int(headers.get("content-length", "0"))
        body = self._take(length)
        return method, path, headers, body

    def _fill(self) -> bool:
        data = self.sock.recv(1 << 18)
        self.buffer += data
        return bool(data)

    def _take(self, length: int) -> bytes:
        parts, have = [self.buffer], len(self.buffer)
        while have < length:
            data = self.sock.recv(1 << 18)
            if not data:
                raise ConnectionError("the runtime closed the connection in the middle of a body")
            parts.append(data)
            have += len(data)
        whole = b"".join(parts)
        self.buffer = whole[length:]
        return whole[:length]

    def _read_line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            if not self._fill():
                raise ConnectionError("the runtime closed the connection in the middle of a chunk")
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def _read_chunks(self) -> bytes:
        chunks = []
        while size := int(self._read_line().split(b";")[0], 16):
            chunks.append(self._take(size))
            self._read_line()
        self._read_line()
        return b"".join(chunks)


class RuntimeApi:
    """Serves one environment and reports what its runtime says, by `report(event, headers, body)`.

    Events: "next" (ready for work), "response", "error", "too-large" (a response over 6 MB), "init-error".
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._listener = socket.create_server((HOST, 0))
        self.address = f"{HOST}:{self._listener.getsockname()[1]}"
        self._waiting: socket.socket | None = None
        self._connections: dict[socket.socket, _Connection] = {}
        self._closed = False
        threading.Thread(target=self._serve, name=f"runtime-api-{self.address}", daemon=True).start()

    def send(self, headers: Mapping[str, str], payload: bytes) -> None:
        """Hands an invocation to the runtime that waits in `next`; ConnectionError when there is none."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            raise ConnectionError("no runtime waits for an invocation")
        waiting.sendall(_answer("200 OK", payload, headers))

    def close(self) -> None:
        self._closed = True
        for sock in [self._listener, *list(self._connections)]:
            # shutdown wakes the reading thread; close alone does not
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                sock.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._closed:
                try:
                    ready = selector.select()
                    for key, _ in ready:
                        if key.fileobj is self._listener:
                            self._accept(selector)
                        else:
                            self._read(selector, key.fileobj)  # type: ignore[arg-type]
                except (OSError, ValueError, KeyError):
                    if self._closed:
                        return

    def _accept(self, selector: selectors.BaseSelector) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[sock] = _Connection(sock)
        selector.register(sock, selectors.EVENT_READ)

    def _read(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        try:
            request = self._connections[sock].read_request()
        except (OSError, ValueError):
            request = None
        if request is None:
            selector.unregister(sock)
            self._connections.pop(sock, None)
            if self._waiting is sock:
                self._waiting = None
            sock.close()
            return
        self._handle(sock, *request)

    def _handle(self, sock: socket.socket, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        action = path.removeprefix(_PREFIX)
        if method == "GET" and action == "invocation/next":
            self._waiting = sock
            self._report("next", headers, b"")
        elif method == "POST" and action.startswith("invocation/") and action.endswith("/response"):
            if len(body) > MAX_RESPONSE:
                self._report("too-large", headers, b"")
                message = (
                    b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
                    b'"errorType":"RequestEntityTooLarge"}'
                )
                sock.sendall(_answer("413 Payload Too Large", message))
                return
            self._report("response", headers, body)
            sock.sendall(_answer("202 Accepted", _ACCEPTED))
        elif method == "POST" and action.startswith("invocation/") and action.endswith("/error"):
            self._report("error", headers, body)
            sock.sendall(_answer("202 Accepted", _ACCEPTED))
        elif method == "POST" and action == "init/error":
            self._report("init-error", headers, body)
            sock.sendall(_answer("202 Accepted", _ACCEPTED))
        else:
            sock.sendall(_answer("404 Not Found", b'{"errorMessage":"unknown path","errorType":"NotFound"}'))
