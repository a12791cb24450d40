"""A service at the other end of a socket that throttles, breaks off and loses answers on command."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from common import dynamodb_client
from tests.unit.http_events import Context

# A plan's steps. What follows the last step is served well.
CUT = "the connection ends without an answer, nothing was done"
LOSE = "what was asked is done, then the connection ends"
HALF = "half of the answer arrives"
SILENT = "no answer comes"


def fails(code: str, status: int = 400, message: str = "", **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}


def cancelled(*codes: str) -> tuple[int, dict[str, Any]]:
    return fails("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


class FakeService:
    """`serve` does what is asked and gives status and body; `plan` is what happens to the next requests instead."""

    def __init__(self, serve: Callable[[str, Any], tuple[int, Any]] = lambda *_: (200, {})) -> None:
        self.serve = serve
        self.plan: list[Any] = []
        self.requests: list[tuple[str, Any, dict[str, str]]] = []
        self.headers: dict[str, str] = {}
        self.connections = 0
        self.released = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _, _ in self.requests]


@contextmanager
def served(service: FakeService) -> Iterator[FakeService]:
    thread = threading.Thread(target=service.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        service.server.shutdown()
        service.server.server_close()


def _handler(service: FakeService) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one send an answer

        def setup(self) -> None:
            service.connections += 1
            super().setup()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            payload = json.loads(body or b"null")
            operation = self.headers.get("x-amz-target", self.path).rpartition(".")[2]
            service.requests.append((operation, payload, {name.lower(): v for name, v in self.headers.items()}))
            step = service.plan.pop(0) if service.plan else None
            if step in (CUT, SILENT):
                if step == SILENT:
                    service.released.wait()
                self.close_connection = True
                return
            status, answer = step if isinstance(step, tuple) else service.serve(operation, payload)
            if step == LOSE:
                self.close_connection = True
                return
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **service.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if step == HALF else content)
            self.close_connection = self.close_connection or step == HALF

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# Time for three pauses, and so for four attempts.
PAUSE_SECONDS, TIME_FOR_FOUR_SECONDS = 100.0, 350.0


def time_passes_in_pauses_only(client: dynamodb_client.DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pause takes PAUSE_SECONDS by the client's clock, and nothing else takes any, however busy the machine is."""
    began, pauses = time.monotonic(), list[float]()
    clock = SimpleNamespace(time=time.time, monotonic=lambda: began + sum(pauses))
    monkeypatch.setattr(dynamodb_client, "time", clock)
    monkeypatch.setattr(dynamodb_client, "os", SimpleNamespace(urandom=lambda size: b"\xff" * size))
    monkeypatch.setattr(dynamodb_client, "FIRST_PAUSE_SECONDS", PAUSE_SECONDS)
    monkeypatch.setattr(dynamodb_client, "LONGEST_PAUSE_SECONDS", PAUSE_SECONDS)
    monkeypatch.setattr(client, "_sleep", pauses.append)


def limited(client: dynamodb_client.DynamoDBClient, trouble: object, monkeypatch: pytest.MonkeyPatch) -> Context:
    """The context of a call that meets `trouble` until its time is up, which depends on no machine's speed."""
    if trouble == SILENT:
        return Context(milliseconds=300)
    time_passes_in_pauses_only(client, monkeypatch)
    return Context(milliseconds=int(TIME_FOR_FOUR_SECONDS * 1000))
