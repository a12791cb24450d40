"""Asynchronous invocation: a queue with retries, and what happens to events that fail.

https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

from __future__ import annotations

import dataclasses
import datetime
import heapq
import itertools
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from scripts.local_aws.settings import ACCOUNT_ID

if TYPE_CHECKING:
    from scripts.local_aws.invocation import Result

_DEFAULT_MAX_AGE = 6 * 3600
_THROTTLE_DELAY = 0.2


@dataclasses.dataclass
class EventRecord:
    """An event on its way. `config` is the function's event invoke configuration."""

    arn: str
    region: str
    payload: bytes
    request_id: str
    config: dict[str, Any]
    accepted: float = dataclasses.field(default_factory=time.time)
    attempts: int = 0

    @property
    def max_retries(self) -> int:
        value = self.config.get("MaximumRetryAttempts")
        return 2 if value is None else int(value)

    @property
    def expired(self) -> bool:
        return time.time() - self.accepted > int(self.config.get("MaximumEventAgeInSeconds") or _DEFAULT_MAX_AGE)


class AsyncQueue:
    """Runs events one thread each; retries what fails after the given delays."""

    def __init__(
        self,
        run: Callable[[EventRecord], Result],
        finished: Callable[[EventRecord, Result | None, str], None],
        delays: Sequence[float],
    ) -> None:
        self._run = run
        self._finished = finished
        self._delays = list(delays) or [0.0]
        self._due: list[tuple[float, int, EventRecord]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._serve, name="async-invocations", daemon=True).start()

    def put(self, record: EventRecord, delay: float = 0.0) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay, next(self._order), record))
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._due or self._due[0][0] > time.monotonic()):
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                if self._closed:
                    return
                record = heapq.heappop(self._due)[2]
            threading.Thread(target=self._attempt, args=(record,), daemon=True).start()

    def _attempt(self, record: EventRecord) -> None:
        from scripts.local_aws.invocation import InvokeError

        try:
            if record.expired:
                self._finished(record, None, "EventAgeExceeded")
                return
            try:
                result = self._run(record)
            except InvokeError as error:
                if error.status == 429:
                    self.put(record, _THROTTLE_DELAY)
                else:
                    print(
                        f"event {record.request_id} for {record.arn} is dropped: {error}", file=sys.stderr, flush=True
                    )
                return
            record.attempts += 1
            if result.function_error is None:
                self._finished(record, result, "Success")
            elif record.attempts > record.max_retries:
                self._finished(record, result, "RetriesExhausted")
            else:
                self.put(record, self._delays[min(record.attempts, len(self._delays)) - 1])
        except Exception:  # noqa: BLE001 - a thread's last resort: say it, lose nothing else
            traceback.print_exc()


def _json(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


def _destination_record(record: EventRecord, result: Result | None, condition: str) -> str:
    now = datetime.datetime.now(datetime.UTC)
    body: dict[str, object] = {
        "version": "1.0",
        "timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z",
        "requestContext": {
            "requestId": record.request_id,
            "functionArn": record.arn if record.arn.count(":") > 6 else f"{record.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": record.attempts,
        },
        "requestPayload": _json(record.payload),
    }
    if result is not None:
        context: dict[str, object] = {"statusCode": 200, "executedVersion": result.version}
        if result.function_error:
            context["functionError"] = result.function_error
        body |= {"responseContext": context, "responsePayload": _json(result.payload)}
    return json.dumps(body)


def _send(arn: str, message: str, attributes: dict[str, str]) -> None:
    service, region, name = arn.split(":")[2], arn.split(":")[3], arn.split(":")[-1]
    typed = {key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()}
    if service == "sqs":
        from moto.sqs.models import sqs_backends

        sqs_backends[ACCOUNT_ID][region].send_message(name, message, message_attributes=typed)
    elif service == "sns":
        from moto.sns.models import sns_backends

        flat = {key: {"Type": "String", "Value": value} for key, value in attributes.items()}
        sns_backends[ACCOUNT_ID][region].publish(message, arn=arn, message_attributes=flat)
    else:
        print(f"a destination of {service} is not supported here: {arn} got nothing", file=sys.stderr, flush=True)


def deliver(record: EventRecord, result: Result | None, condition: str) -> None:
    """Sends an event's end to its destination and, when it failed, to the dead-letter queue."""
    succeeded = condition == "Success"
    destinations = record.config.get("DestinationConfig") or {}
    arn = (destinations.get("OnSuccess" if succeeded else "OnFailure") or {}).get("Destination")
    if arn:
        _send(arn, _destination_record(record, result, condition), {})
    dead_letters = record.config.get("DeadLetterArn")
    if dead_letters and not succeeded:
        error = _json(result.payload) if result else {}
        message = str(error.get("errorMessage", "")) if isinstance(error, dict) else ""
        attributes = {"RequestID": record.request_id, "ErrorCode": "200", "ErrorMessage": message[:1024] or condition}
        _send(dead_letters, record.payload.decode(errors="replace"), attributes)
