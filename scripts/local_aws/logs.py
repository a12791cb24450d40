"""What functions and APIs write, in CloudWatch Logs."""

from __future__ import annotations

import datetime
import sys
import threading
import time
import uuid
from collections.abc import Callable

from scripts.local_aws import metrics

EVENT_OVERHEAD_BYTES = 26
MAX_EVENT_BYTES = 262_144 - EVENT_OVERHEAD_BYTES
TAIL_BYTES = 4096


def now_ms() -> int:
    return int(time.time() * 1000)


def stream_name(version: str) -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y/%m/%d}/[{version}]{uuid.uuid4().hex}"


class LogStream:
    """One log stream. Lines gather here and reach CloudWatch Logs at `flush`.

    `permitted` says whether the writer's role may do a logs action on an ARN: like Lambda, without permission the
    lines are lost.
    """

    def __init__(
        self, account_id: str, region: str, group: str, name: str, permitted: Callable[[str, str], bool] | None = None
    ) -> None:
        self._account_id, self._region = account_id, region
        self.group, self.name = group, name
        self._permitted = permitted or (lambda _action, _resource: True)
        self._pending: list[dict[str, object]] = []
        self._tail = bytearray()
        self._lock = threading.Lock()
        self._last = 0

    def add(self, message: str, *, in_tail: bool = True) -> None:
        message = message.replace("\r", "\n")
        if len(message) > MAX_EVENT_BYTES // 4:
            message = message.encode()[:MAX_EVENT_BYTES].decode(errors="ignore")
        with self._lock:
            # CloudWatch Logs wants the events of a call in order, whatever the clock does
            self._last = max(self._last, now_ms())
            self._pending.append({"timestamp": self._last, "message": message})
            if in_tail:
                self._tail += message.encode() + b"\n"
                if len(self._tail) > 4 * TAIL_BYTES:
                    del self._tail[:-TAIL_BYTES]

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def take_tail(self) -> bytes:
        """The last 4 KB since the last call."""
        with self._lock:
            tail, self._tail = bytes(self._tail[-TAIL_BYTES:]), bytearray()
        return tail

    def flush(self) -> None:
        with self._lock:
            if self._pending:
                events, self._pending = self._pending, []
                self._write(events)

    def _write(self, events: list[dict[str, object]]) -> None:
        from moto.logs.models import logs_backends

        backend = logs_backends[self._account_id][self._region]
        group_arn = f"arn:{backend.partition}:logs:{self._region}:{self._account_id}:log-group:{self.group}"
        stream_arn = f"{group_arn}:log-stream:{self.name}"
        if self.group not in backend.groups:
            if not self._permitted("logs:CreateLogGroup", f"{group_arn}:*"):
                self._lost(f"log group {self.group} does not exist and the role may not create it")
                return
            backend.ensure_log_group(self.group)
        # somebody may have deleted it meanwhile, alone or with its group
        if self.name not in backend.groups[self.group].streams:
            if not self._permitted("logs:CreateLogStream", stream_arn):
                self._lost(f"the role may not logs:CreateLogStream in {self.group}")
                return
            backend.create_log_stream(self.group, self.name)
        if not self._permitted("logs:PutLogEvents", stream_arn):
            self._lost(f"the role may not logs:PutLogEvents in {self.group}")
            return
        backend.put_log_events(self.group, self.name, events)
        where = (("LogGroupName", self.group),)
        size = sum(len(str(event["message"]).encode()) + EVENT_OVERHEAD_BYTES for event in events)
        metrics.add(self._region, "AWS/Logs", "IncomingBytes", where, size, "Bytes")
        metrics.add(self._region, "AWS/Logs", "IncomingLogEvents", where, len(events))

    def _lost(self, reason: str) -> None:
        print(f"log lines of {self.name} are lost, as on AWS: {reason}", file=sys.stderr, flush=True)
