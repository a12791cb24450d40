"""Reads whole tables in parallel segments, no faster than told: for a table in use, nobody may be throttled."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Full, Queue
from typing import Any

from botocore.exceptions import ClientError

from scripts import aws

Items = list[dict[str, Any]]

SEGMENTS = 4
# Below so many units a second, segments side by side would only take turns.
SLOW_UNITS_PER_SECOND = 50.0
# Of a table that is read slowly: how large its items are shows only then, and one takes up to 100 units.
_FIRST_PAGE_ITEMS = 8
_GROWTH = 8
_THROTTLED = ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded")
_ATTEMPTS = 8
_LONGEST_WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1


class ReadLimit:
    """Read units a second for all threads that share it; None for no limit."""

    def __init__(self, units_per_second: float | None) -> None:
        self.units_per_second = units_per_second
        self._lock = threading.Lock()
        self._free_at = time.monotonic()

    def pause_seconds(self, units: float) -> float:
        """How long to wait after having consumed so many units."""
        if self.units_per_second is None:
            return 0.0
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + units / self.units_per_second
            return self._free_at - now


def pages(table: str, limit: ReadLimit) -> Iterator[Items]:
    """The table's items as boto3's client has them, by strongly consistent reads, in no order.

    Throttled, it waits and goes on. Raises AWS's error when that has lasted for minutes, and any other at once.
    """
    rate = limit.units_per_second
    segments = 1 if rate is not None and rate < SLOW_UNITS_PER_SECOND else SEGMENTS
    found: Queue[Items | BaseException | None] = Queue(maxsize=2 * segments)
    stopped = threading.Event()
    with ThreadPoolExecutor(segments) as pool:
        for segment in range(segments):
            pool.submit(_read, table, segment, segments, limit, found, stopped)
        try:
            reading = segments
            while reading:
                page = found.get()
                if page is None:
                    reading -= 1
                elif isinstance(page, BaseException):
                    raise page
                else:
                    yield page
        finally:
            stopped.set()


def _read(
    table: str,
    segment: int,
    segments: int,
    limit: ReadLimit,
    found: "Queue[Items | BaseException | None]",
    stopped: threading.Event,
) -> None:
    """One segment into the queue; then None, or the error that ended it."""
    try:
        dynamodb, rate = aws.client("dynamodb"), limit.units_per_second
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
            "Segment": segment,
            "TotalSegments": segments,
        }
        if rate is not None:
            request["Limit"] = _FIRST_PAGE_ITEMS
        while not stopped.is_set():
            page = _page(dynamodb, request, stopped)
            _put(found, page["Items"], stopped)
            if "LastEvaluatedKey" not in page:
                break
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
            units = page["ConsumedCapacity"]["CapacityUnits"]
            if rate is not None:
                # As much as may be consumed in a second.
                fitting = int(page["ScannedCount"] * (rate / segments) / max(units, 0.5))
                request["Limit"] = max(1, min(fitting, request["Limit"] * _GROWTH))
            stopped.wait(limit.pause_seconds(units))
    except BaseException as error:  # noqa: BLE001 - raised again by whoever reads the queue
        _put(found, error, stopped)
    else:
        _put(found, None, stopped)


def _page(dynamodb: Any, request: dict[str, Any], stopped: threading.Event) -> dict[str, Any]:
    wait_seconds = 1.0
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            page: dict[str, Any] = dynamodb.scan(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THROTTLED or attempt == _ATTEMPTS or stopped.is_set():
                raise
            stopped.wait(wait_seconds)
            wait_seconds = min(wait_seconds * 2, _LONGEST_WAIT_SECONDS)
        else:
            return page
    raise AssertionError


def _put(found: "Queue[Any]", value: Any, stopped: threading.Event) -> None:
    """Waits while the reader is behind, unless it has gone."""
    while not stopped.is_set():
        try:
            found.put(value, timeout=_POLL_SECONDS)
        except Full:
            continue
        return
