"""What Lambda wrote to a function's log group, as text or as JSON: reports of invocations, and errors."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from scripts import aws

# For CloudWatch Logs: lines that can be reports in either of Lambda's log formats.
REPORTS_ONLY = '?"REPORT RequestId" ?"platform.report"'
_REPORT = re.compile(r"^REPORT RequestId: (?P<request_id>\S+)\s+Duration: (?P<duration>[\d.]+) ms")
_INIT = re.compile(r"Init Duration: ([\d.]+) ms|Restore Duration: ([\d.]+) ms")
# What the runtime itself writes when an invocation dies; our own lines are JSON with a level.
_RUNTIME_ERROR = re.compile(r"^\[ERROR\]|Task timed out after|Runtime\.\w+|^Traceback |LAMBDA_WARNING|errorType")
_ERROR_LEVELS = ("ERROR", "CRITICAL", "FATAL")


class Report(NamedTuple):
    """How one invocation went. `init_milliseconds` is None for a warm one."""

    request_id: str
    milliseconds: float
    init_milliseconds: float | None


def events(log_group: str, since_milliseconds: int, filter_pattern: str = "") -> Iterator[dict[str, Any]]:
    """The group's events since then, oldest first: `timestamp` (epoch ms), `message`, `logStreamName`, `eventId`."""
    pages = aws.client("logs").get_paginator("filter_log_events")
    wanted = {"filterPattern": filter_pattern} if filter_pattern else {}
    for page in pages.paginate(logGroupName=log_group, startTime=since_milliseconds, interleaved=True, **wanted):
        yield from page["events"]


def reports(log_events: Iterable[dict[str, Any]]) -> dict[str, Report]:
    """The reports by request id."""
    found = (_report(event["message"]) for event in log_events)
    return {report.request_id: report for report in found if report}


def error_message(message: str) -> str | None:
    """The error that a log line tells of, in one short line; None for any other line."""
    entry = _entry(message)
    if str(entry.get("type", "")).startswith("platform."):
        record = entry.get("record", {})
        failed = record.get("status", "success") != "success"
        return f"{entry['type']}: {record.get('errorType') or record['status']}"[:200] if failed else None
    if "level" in entry:
        wrong = str(entry["level"]).upper() in _ERROR_LEVELS
        return str(entry.get("message") or entry.get("error") or message)[:200] if wrong else None
    return message.strip()[:200] if _RUNTIME_ERROR.search(message) else None


def _report(message: str) -> Report | None:
    if line := _REPORT.match(message):
        init = _INIT.search(message)
        return Report(line["request_id"], float(line["duration"]), float(init[1] or init[2]) if init else None)
    entry = _entry(message)
    if entry.get("type") != "platform.report":
        return None
    record = entry["record"]
    metrics = record["metrics"]
    return Report(
        record["requestId"], metrics["durationMs"], metrics.get("initDurationMs", metrics.get("restoreDurationMs"))
    )


def _entry(message: str) -> dict[str, Any]:
    """A line of JSON; empty for any other."""
    if not message.startswith("{"):
        return {}
    try:
        entry = json.loads(message)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
