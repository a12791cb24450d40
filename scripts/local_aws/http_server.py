"""The HTTP server under both ports: threaded, loopback only, keep-alive, every answer in one send."""

from __future__ import annotations

import socket
import sys
import traceback
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil

from scripts.local_aws.errors import LocalAwsError
from scripts.local_aws.settings import HOST

MAX_LINE = 65536
REASONS = {status.value: status.phrase for status in HTTPStatus}


class BodyTooLargeError(Exception):
    """The body is longer than this server takes; it was read and thrown away, so the connection stays usable."""


def holder_of(port: int) -> str:
    """The process that listens on a port, as text, or an empty string when the system does not tell."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and connection.pid and local and local.port == port:
                process = psutil.Process(connection.pid)
                command = " ".join(process.cmdline()[:4]) or process.name()
                return f"process {connection.pid} ({command})"
    except (OSError, psutil.Error):
        pass  # macOS tells root only
    return ""


class Server(ThreadingHTTPServer):
    """A listening server. Binding happens here, so that a taken port is known before anything else starts."""

    daemon_threads = True
    request_queue_size = 256
    # Attributes that werkzeug's request handler looks up on its server.
    ssl_context = None
    multithread = True
    multiprocess = False
    passthrough_errors = False
    _server_version = "local-aws"

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], option: str) -> None:
        try:
            super().__init__((HOST, port), handler)
        except OSError as error:
            holder = holder_of(port)
            raise LocalAwsError(
                f"Port {port} is taken{f' by {holder}' if holder else ''}.",
                f"Stop that process or choose another port with {option}.",
            ) from error

    def server_bind(self) -> None:
        # HTTPServer's own version looks the host's name up, which can take seconds.
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Reads a whole request, answers it in one send."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    max_body: int | None = None

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(MAX_LINE + 1)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if len(self.raw_requestline) > MAX_LINE:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            return
        if self.parse_request():
            self.handle_request()

    def handle_request(self) -> None:
        raise NotImplementedError

    def read_body(self) -> bytes:
        """The whole body; raises BodyTooLargeError over max_body, ValueError when its length is malformed."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            body = self._read_chunks()
        else:
            length = int(self.headers.get("Content-Length") or 0)
            if length < 0:
                raise ValueError("negative Content-Length")
            if self.max_body is not None and length > self.max_body:
                self._discard(length)
                raise BodyTooLargeError
            body = self.rfile.read(length) if length else b""
        if self.max_body is not None and len(body) > self.max_body:
            raise BodyTooLargeError
        return body

    def _discard(self, length: int) -> None:
        while length > 0:
            chunk = self.rfile.read(min(length, 1 << 20))
            if not chunk:
                break
            length -= len(chunk)

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        while True:
            size = int(self.rfile.readline(MAX_LINE).split(b";")[0].strip(), 16)
            if size == 0:
                while self.rfile.readline(MAX_LINE).strip():
                    pass
                return b"".join(chunks)
            chunks.append(self.rfile.read(size))
            self.rfile.readline(MAX_LINE)

    def respond(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        names = {name.lower() for name, _ in headers}
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if "date" not in names:
            lines.append(f"Date: {formatdate(usegmt=True)}")
        bodyless = status in (204, 304) or 100 <= status < 200
        if "content-length" not in names and not bodyless:
            lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        self.wfile.write(head if bodyless or self.command == "HEAD" else head + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Requests are not logged: the log file is for what went wrong."""
