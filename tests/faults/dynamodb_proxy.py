"""A proxy between a client and a DynamoDB engine, over real HTTP, that does to any call what networks and services do.

`plan` is asked about each call that comes in, and gives the fault that befalls it, or None. What is injected says
whether the engine carries the call out (`committed`); what the client sees of that is another matter.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zlib import crc32

HOST = "127.0.0.1"
_BATCHES = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}
# Longer than any test waits for a client to turn away
_PATIENCE_SECONDS = 120.0
_TRICKLE_SECONDS = 0.02


class Call:
    """One request on its way, and what can be done with it."""

    def __init__(self, number: int, head: bytes, body: bytes, client: socket.socket, upstream: "_Upstream") -> None:
        self.number = number
        self.body = body
        self.is_over = self.is_held = False
        self._head = head
        self._client = client
        self._upstream = upstream
        found = re.search(rb"x-amz-target: *[\w]+\.(\w+)", head, re.IGNORECASE)
        self.operation = found[1].decode() if found else ""

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)  # type: ignore[no-any-return]

    @property
    def header(self) -> dict[str, str]:
        lines = [line.partition(":") for line in self._head.decode("latin-1").split("\r\n")[1:]]
        return {name.lower(): value.strip() for name, _, value in lines if name}

    def carried_out(self, body: bytes | None = None) -> tuple[int, bytes]:
        """The engine's answer to it, or to another body."""
        return self._upstream.exchange(self._head, self.body if body is None else body)

    def answer(self, status: int, body: bytes, checksum: int | None = None, **headers: str) -> None:
        self.send(answer(status, body, checksum, **headers))

    def send(self, content: bytes) -> None:
        with suppress(OSError):  # the client has turned away
            self._client.sendall(content)

    def cut(self, *, reset: bool = False) -> None:
        """The connection ends: in good order, or by a reset."""
        if reset:
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_over = True

    def wait_for_the_client_to_leave(self) -> None:
        self.is_held = True
        self._client.settimeout(_PATIENCE_SECONDS)
        with suppress(OSError):
            while self._client.recv(1 << 16):
                pass
        self.is_over = True

    def trickle(self, content: bytes) -> None:
        """A byte at a time, for as long as the client stays."""
        self._client.settimeout(_TRICKLE_SECONDS)
        for place in range(len(content)):
            try:
                self._client.sendall(content[place : place + 1])
                if not self._client.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.is_over = True


class Fault(NamedTuple):
    """`befall` treats the call; `committed` tells whether the engine has carried it out, None for in part."""

    name: str
    befall: Callable[[Call], None]
    committed: bool | None
    operations: tuple[str, ...] = ()

    def fits(self, operation: str) -> bool:
        return not self.operations or operation in self.operations


class Proxy:
    """`calls` are the operations that came in, in order; `injected` the faults that befell some, `befallen` these."""

    def __init__(self, engine_url: str) -> None:
        self.plan: Callable[[Call], Fault | None] = lambda _: None
        self.calls: list[str] = []
        self.injected: list[Fault] = []
        self.befallen: list[Call] = []
        self.late: list[Call] = []
        # seconds by which the service's clock is ahead; None checks no times
        self.clock_ahead: float | None = None
        self._engine = urlsplit(engine_url)
        self._listener = socket.create_server((HOST, 0), backlog=256)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.url = f"http://{HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def deliver_late(self) -> None:
        """What was held until nobody waited for it any more reaches the engine now."""
        for call in self.late:
            with closing(_Upstream(self._engine.hostname or HOST, self._engine.port or 80)) as upstream:
                upstream.exchange(call._head, call.body)
        self.late.clear()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever accepts
        self._listener.close()
        for client in list(self._open):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with closing(_Upstream(self._engine.hostname or HOST, self._engine.port or 80)) as upstream:
            received = client.makefile("rb")
            with suppress(OSError, ValueError), client, received:
                while request := _message(received):
                    with self._lock:
                        call = Call(len(self.calls) + 1, *request, client, upstream)
                        self.calls.append(call.operation)
                        fault = self.plan(call)
                        if fault:
                            self.injected.append(fault)
                            self.befallen.append(call)
                    if fault:
                        if fault is LATE:
                            self.late.append(call)
                        fault.befall(call)
                    elif self.clock_ahead is None or self._is_in_time(call):
                        call.answer(*call.carried_out())
                    if call.is_over:
                        break
        self._open.discard(client)

    def _is_in_time(self, call: Call) -> bool:
        """As AWS: five minutes either way; the answer's Date tells the service's own time."""
        from calendar import timegm
        from time import strptime, time

        now = time() + (self.clock_ahead or 0.0)
        signed_at = timegm(strptime(call.header["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        if abs(signed_at - now) <= 300:
            return True
        body = error(
            "InvalidSignatureException", "Signature expired" if signed_at < now else "Signature not yet current"
        )
        call.answer(400, body, date=formatdate(now, usegmt=True))
        return False


class _Upstream:
    """A kept-alive connection to the engine."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._socket: socket.socket | None = None

    def exchange(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._received = self._socket.makefile("rb")
        head = re.sub(rb"(?i)(content-length: *)\d+", rb"\g<1>%d" % len(body), head)
        self._socket.sendall(head + b"\r\n\r\n" + body)
        answer = _message(self._received)
        if answer is None:
            raise ConnectionError("the engine has closed the connection")
        if answer[0].startswith(b"HTTP/1.0") or re.search(rb"(?i)\r\nconnection: *close", answer[0]):
            self.close()
        return int(answer[0].split(b" ", 2)[1]), answer[1]

    def close(self) -> None:
        if self._socket is not None:
            self._received.close()
            self._socket.close()
            self._socket = None


def _message(received: Any) -> tuple[bytes, bytes] | None:
    """The head and the body of a request or an answer; None at the connection's end."""
    lines = []
    while (line := received.readline()) not in (b"\r\n", b""):
        lines.append(line)
    if not lines:
        return None
    head = b"".join(lines).removesuffix(b"\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    if length:
        return head, received.read(int(length[1]))
    if not re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
        return head, b""
    chunks = []
    while size := int(received.readline().split(b";")[0], 16):
        chunks.append(received.read(size))
        received.readline()
    received.readline()
    return head, b"".join(chunks)


def answer(status: int, body: bytes, checksum: int | None = None, **headers: str) -> bytes:
    """As DynamoDB's: with the checksum of its body, or another."""
    lines = [
        f"HTTP/1.1 {status} x",
        "content-type: application/x-amz-json-1.0",
        f"content-length: {len(body)}",
        f"x-amz-crc32: {crc32(body) if checksum is None else checksum}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def error(code: str, message: str = "injected", **more: Any) -> bytes:
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}).encode()


# --- what may befall a call


def _refused(code: str, status: int = 400) -> Callable[[Call], None]:
    return lambda call: call.answer(status, error(code))


def _cancelled(code: str) -> Callable[[Call], None]:
    def befall(call: Call) -> None:
        reasons = [{"Code": "None"} for _ in call.payload["TransactItems"]]
        reasons[-1] = {"Code": code, "Message": "injected"}
        call.answer(400, error("TransactionCanceledException", CancellationReasons=reasons))

    return befall


def _cut_off(call: Call) -> None:
    call.cut()


def _reset(call: Call) -> None:
    call.cut(reset=True)


def _silent(call: Call) -> None:
    call.wait_for_the_client_to_leave()


def _lost(call: Call) -> None:
    call.carried_out()
    call.cut()


def _half(call: Call) -> None:
    content = answer(*call.carried_out())
    call.send(content[: -1 - len(content) // 4])
    call.cut()


def _half_head(call: Call) -> None:
    call.send(answer(*call.carried_out())[:20])
    call.cut()


def _slow(call: Call) -> None:
    call.carried_out()
    call.wait_for_the_client_to_leave()


def _corrupt(call: Call) -> None:
    status, body = call.carried_out()
    # a digit or a letter becomes another: it is JSON all the same
    damaged = re.sub(rb"[0-8a-y](?=[\"}])", lambda found: bytes([found[0][0] + 1]), body, count=1)
    call.answer(status, damaged if damaged != body else body + b" ", crc32(body))


def _garbage(call: Call) -> None:
    call.carried_out()
    call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 19\r\n\r\n<html>what?</html>\n")


def _gateway(call: Call) -> None:
    call.answer(502, b'{"message": "Bad Gateway"}')


def _failing_after(call: Call) -> None:
    call.carried_out()
    call.answer(500, error("InternalServerError"))


def _closing(call: Call) -> None:
    """The answer arrives whole, but the connection is closed behind it, untold: the next call finds it dead."""
    call.answer(*call.carried_out())
    call.cut()


def _all_unprocessed(call: Call) -> None:
    left = {_BATCHES[call.operation]: call.payload["RequestItems"]}
    call.answer(200, json.dumps({"Responses": {}, **left}).encode())


def _some_unprocessed(call: Call) -> None:
    """Of each table's requests only the first is carried out."""
    wanted = call.payload["RequestItems"]
    is_read = call.operation == "BatchGetItem"

    def part(kept: slice) -> dict[str, Any]:
        parts = {
            table: {**requests, "Keys": requests["Keys"][kept]} if is_read else requests[kept]
            for table, requests in wanted.items()
        }
        return {table: one for table, one in parts.items() if (one["Keys"] if is_read else one)}

    status, body = call.carried_out(json.dumps({**call.payload, "RequestItems": part(slice(1))}).encode())
    found = json.loads(body) | {_BATCHES[call.operation]: part(slice(1, None))}
    call.answer(status, json.dumps(found).encode())


def _trickling(call: Call) -> None:
    status, body = call.carried_out()
    call.trickle(answer(status, body + b" " * 5000))


_TRANSACTION = ("TransactWriteItems",)
_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
LATE = Fault("late: it reaches the engine when nobody waits for it any more", _silent, None)
TRICKLING = Fault("trickling answer", _trickling, True)
FAULTS = (
    *(
        Fault(code, _refused(code), False)
        for code in ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
    ),
    Fault("InternalServerError", _refused("InternalServerError", 500), False),
    Fault("ServiceUnavailable", _refused("ServiceUnavailable", 503), False),
    Fault("502 of a gateway", _gateway, False),
    Fault("InternalServerError after commit", _failing_after, True),
    Fault("TransactionConflictException", _refused("TransactionConflictException"), False, _WRITES),
    Fault("TransactionInProgressException", _refused("TransactionInProgressException"), False, _TRANSACTION),
    *(
        Fault(f"TransactionCanceledException: {code}", _cancelled(code), False, _TRANSACTION)
        for code in ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
    ),
    Fault("cut before it", _cut_off, False),
    Fault("reset before it", _reset, False),
    Fault("no answer", _silent, False),
    LATE,
    Fault("answer lost", _lost, True),
    Fault("cut within the answer's head", _half_head, True),
    Fault("cut within the answer's body", _half, True),
    Fault("answer after the client's timeout", _slow, True),
    Fault("corrupt answer", _corrupt, True),
    Fault("answer that is no JSON", _garbage, True),
    Fault("connection closed behind the answer", _closing, True),
    Fault("nothing of the batch processed", _all_unprocessed, False, tuple(_BATCHES)),
    Fault("part of the batch processed", _some_unprocessed, None, tuple(_BATCHES)),
)
# The client waits for these until its timeout
WAITED_FOR = {"no answer", "answer after the client's timeout", LATE.name}
BY_NAME = {fault.name: fault for fault in FAULTS}


@contextmanager
def proxied(engine_url: str) -> Iterator[Proxy]:
    proxy = Proxy(engine_url)
    try:
        yield proxy
    finally:
        proxy.close()


def at_call(number: int, fault: Fault) -> Callable[[Call], Fault | None]:
    """The plan of one fault: at the call of this number, from 1, counted from now on."""
    left = iter(range(number - 1))
    done = False

    def plan(call: Call) -> Fault | None:
        nonlocal done
        if done or next(left, None) is not None:
            return None
        done = True
        return fault if fault.fits(call.operation) else None

    return plan
