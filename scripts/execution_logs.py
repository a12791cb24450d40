"""What Lambda wrote to a function's log group: REPORT lines and errors."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from scripts import aws

_REPORT = re.compile(r"^REPORT RequestId: (?P<request_id>\S+)\s+Duration: (?P<duration>[\d.]+) ms")
_INIT = re.compile(r"Init Duration: ([\d.]+) ms|Restore Duration: ([\d.]+) ms")
# What the runtime itself writes when an invocation dies; our own lines are JSON with a level.
_RUNTIME_ERROR = re.compile(r"^\[ERROR\]|Task timed out after|Runtime\.\w+|^Traceback |LAMBDA_WARNING|errorType")


class Report(NamedTuple):
    """One REPORT line. `init_milliseconds` is None for a warm invocation."""

    request_id: str
    milliseconds: float
    init_milliseconds: float | None


def events(log_group: str, since_milliseconds: int) -> Iterator[dict[str, Any]]:
    """The group's events since then, oldest first: `timestamp` (epoch ms), `message`, `logStreamName`, `eventId`."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    for page in pages.paginate(logGroupName=log_group, startTime=since_milliseconds, interleaved=True):
        yield from page["events"]


def reports(log_events: list[dict[str, Any]]) -> dict[str, Report]:
    """The REPORT lines by request id."""
    found = {}
    for event in log_events:
        if line := _REPORT.match(event["message"]):
            init = _INIT.search(event["message"])
            found[line["request_id"]] = Report(
                line["request_id"], float(line["duration"]), float(init[1] or init[2]) if init else None
            )
    return found


def error_message(message: str) -> str | None:
    """The error that a log line tells of, in one short line; None for any other line."""
    if message.startswith("{"):
        try:
            entry = json.loads(message)
        except ValueError:
            entry = {}
        if str(entry.get("level", "")).upper() in ("ERROR", "CRITICAL"):
            return str(entry.get("message") or entry.get("error") or message)[:200]
    return message.strip()[:200] if _RUNTIME_ERROR.search(message) else None
