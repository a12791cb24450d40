"""Calls to DynamoDB: signed, over one connection, retried within the time that the invocation has left."""

from __future__ import annotations

import json
import os
import time
from binascii import crc32

from common.change import Usage
from common.credentials import CredentialSource
from common.errors import TableError, Unavailable
from common.http_connection import Connection
from common.signature import signed_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

CONNECT_SECONDS = 1.0
READ_SECONDS = 3.0
FIRST_PAUSE_SECONDS = 0.025
LONGEST_PAUSE_SECONDS = 1.0
MAXIMUM_ATTEMPTS = 10
# For callers outside an invocation, such as tests
DEFAULT_SECONDS = 10.0

# What json.dumps and json.loads do before they come here takes as long as a small request or answer itself
_written = json.JSONEncoder(separators=(",", ":")).encode
_read = json.JSONDecoder().raw_decode

# By how a region's name begins; everywhere else it is amazonaws.com
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def endpoint(environment: Mapping[str, str], service: str) -> tuple[str, str]:
    """The region, and where the service answers there; AWS_ENDPOINT_URL_<SERVICE> or AWS_ENDPOINT_URL overrides."""
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region:
        raise RuntimeError("AWS_REGION is not set: Lambda sets it; elsewhere name the tables' region in it")
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if region.startswith(prefix)), "amazonaws.com")
    given = environment.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environment.get("AWS_ENDPOINT_URL")
    return region, given or f"https://{service}.{region}.{suffix}"


class _Again(Exception):  # noqa: N818
    """An attempt that is worth another; `cause` is what is raised if there is none."""

    def __init__(self, cause: TableError, *, unsure: bool = False, at_once: bool = False) -> None:
        self.cause = cause
        self.unsure = unsure
        self.at_once = at_once


class DynamoDBClient:
    """One client an execution environment; it serves one invocation at a time, as Lambda does."""

    read_seconds = READ_SECONDS

    def __init__(self, environment: Mapping[str, str], sleep: Callable[[float], None] = time.sleep) -> None:
        self._region, url = endpoint(environment, "dynamodb")
        self._connection = Connection(url)
        self._connection.path = "/"
        self._credentials = CredentialSource(environment)
        self._sleep = sleep
        self._skew = 0.0
        self._deadline: float | None = None
        self.usage = Usage()

    def begin(self, deadline: float | None) -> None:
        """A new invocation, with the time.monotonic() by which its last attempt must have ended."""
        self._deadline = deadline
        self.usage = Usage()

    def warm(self) -> None:
        """Connect ahead of the first call: init runs with a full CPU whatever the function's memory is."""
        try:
            self._connection.open(CONNECT_SECONDS)
        except OSError:
            self._connection.close()  # the first call tries again, and reports

    def forget(self) -> None:
        """Drop what must not outlive a snapshot: the connection, the credentials and what was learned of the clock."""
        self._connection.close()
        self._credentials.forget()
        self._skew = 0.0

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """DynamoDB's answer. Raises ServiceError, or Throttled or Unavailable when the time or the attempts run out."""
        body = _written(payload).encode()
        deadline = self._deadline or time.monotonic() + DEFAULT_SECONDS
        unsure = False
        for attempt in range(MAXIMUM_ATTEMPTS):
            try:
                return self._attempt(operation, body, deadline, unsure)
            except _Again as again:
                if attempt == MAXIMUM_ATTEMPTS - 1:
                    raise again.cause from again
                unsure = unsure or again.unsure
                if not again.at_once:
                    self.pause(attempt, again.cause)
            self.usage.retries += 1
        raise AssertionError("unreachable: the last attempt returns or raises")

    def pause(self, attempt: int, cause: TableError) -> None:
        """Wait before another attempt (capped exponential backoff, full jitter); raises `cause` when time is up."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**attempt)
        # os.urandom, since environments restored from one snapshot share the state of a seeded generator
        seconds = longest * int.from_bytes(os.urandom(4), "big") / 2**32
        if self._deadline is not None and time.monotonic() + seconds >= self._deadline:
            raise cause
        self._sleep(seconds)

    def _attempt(self, operation: str, body: bytes, deadline: float, unsure: bool) -> dict[str, Any]:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise Unavailable("no time left for a call to DynamoDB")
        connection = self._connection
        headers = signed_headers(
            connection.authority, self._region, self._credentials.get(), operation, body, time.time() + self._skew
        )
        self.usage.calls += 1
        try:
            connection.open(min(CONNECT_SECONDS, remaining))
        except OSError as error:
            raise _Again(Unavailable(f"can't connect to {connection.authority}: {error!r}")) from error
        remaining = max(0.001, deadline - time.monotonic())  # connecting may have taken its time
        try:
            status, received, content = connection.exchange("POST", headers, body, min(self.read_seconds, remaining))
            answer = self._checked(received, content)
        except (OSError, ValueError) as error:
            raise _Again(Unavailable(f"no answer to {operation}: {error!r}"), unsure=True) from error
        if status == 200:
            self._count(operation, answer.get("ConsumedCapacity"))
            return answer
        raise self._error(status, received, answer, unsure)

    def _checked(self, received: Mapping[str, str], content: bytes) -> dict[str, Any]:
        checksum = received.get("x-amz-crc32")
        if checksum and crc32(content) != int(checksum):
            raise ValueError("checksum of the answer does not match")
        text = (content or b"{}").strip().decode()
        answer, end = _read(text)
        if end != len(text) or not isinstance(answer, dict):
            raise ValueError("the answer is no JSON object")
        return answer

    def _error(
        self, status: int, received: Mapping[str, str], answer: Mapping[str, Any], unsure: bool
    ) -> TableError | _Again:
        from common import dynamodb_failures as failures

        error = failures.service_error(status, answer, unsure)
        if cause := failures.passing(error, status):
            return _Again(cause, unsure=status >= 500)
        if error.code in failures.CLOCK:
            skew = failures.clock_skew(received.get("date", ""))
            # within half a minute the clocks agree: then the signature is wrong, not the time
            if abs(skew - self._skew) > 30:
                self._skew = skew
                return _Again(error, at_once=True)
        if error.code in failures.CREDENTIALS and self._credentials.renew():
            return _Again(error, at_once=True)
        return error

    def _count(self, operation: str, consumed: Any) -> None:
        units = sum(one["CapacityUnits"] for one in ([consumed] if isinstance(consumed, dict) else consumed or ()))
        if operation in ("GetItem", "BatchGetItem", "Query", "Scan"):
            self.usage.read_units += units
        else:
            self.usage.write_units += units
