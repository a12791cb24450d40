"""What Lambda wrote to a function's log group, as text or as JSON: reports of invocations, and errors."""

import itertools
import json
import re
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from scripts import aws

# For CloudWatch Logs: lines that can be reports in either of Lambda's log formats.
REPORTS_ONLY = '?"REPORT RequestId" ?"platform.report"'
_REPORT = re.compile(r"^REPORT RequestId: (?P<request_id>\S+)\s+Duration: (?P<duration>[\d.]+) ms")
_INIT = re.compile(r"Init Duration: ([\d.]+) ms|Restore Duration: ([\d.]+) ms")
# What the runtime itself writes when an invocation dies; our own lines are JSON with a level.
_RUNTIME_ERROR = re.compile(r"^\[ERROR\]|Task timed out after|Runtime\.\w+|^Traceback |LAMBDA_WARNING|errorType")
_MEMORY = re.compile(r"Memory Size: (\d+) MB\s+Max Memory Used: (\d+) MB")
_ERROR_LEVELS, _WARNING_LEVELS = ("ERROR", "CRITICAL", "FATAL"), ("WARN", "WARNING")
_PIECES = 16


class Report(NamedTuple):
    """How one invocation went. `init_milliseconds` is None for a warm one; 0 MB where the line does not say."""

    request_id: str
    milliseconds: float
    init_milliseconds: float | None
    memory_megabytes: int = 0
    used_megabytes: int = 0


def events(
    log_group: str, since_milliseconds: int, filter_pattern: str = "", until_milliseconds: int | None = None
) -> Iterator[dict[str, Any]]:
    """The group's events since then, oldest first: `timestamp` (epoch ms), `message`, `logStreamName`, `eventId`.

    `until_milliseconds` is the last moment that counts.
    """
    pages = aws.client("logs").get_paginator("filter_log_events")
    wanted: dict[str, Any] = {"filterPattern": filter_pattern} if filter_pattern else {}
    if until_milliseconds is not None:
        wanted["endTime"] = until_milliseconds
    for page in pages.paginate(logGroupName=log_group, startTime=since_milliseconds, interleaved=True, **wanted):
        yield from page["events"]


def newest(
    log_group: str, began_milliseconds: int, now_milliseconds: int, most: int, seconds: float
) -> tuple[list[dict[str, Any]], int]:
    """The events of a span, oldest first, and since when they are complete.

    The newest are fetched first, in growing pieces: after about `most` events or `seconds` the older ones are left out.
    """
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + seconds
    end, piece = now_milliseconds, max(60_000, (now_milliseconds - began_milliseconds) // _PIECES)
    while end > began_milliseconds:
        start = max(began_milliseconds, end - piece)
        part = list(itertools.islice(events(log_group, start, until_milliseconds=end - 1), most - len(found)))
        found[:0] = part
        if len(found) >= most:
            # the last piece is not whole: it holds its oldest events
            return found, end
        end, piece = start, piece * 2
        if time.monotonic() > deadline:
            break
    return found, end


def reports(log_events: Iterable[dict[str, Any]]) -> dict[str, Report]:
    """The reports by request id."""
    found = (_report(event["message"]) for event in log_events)
    return {report.request_id: report for report in found if report}


def error_message(message: str, *, longest: int = 200, warnings: bool = False) -> str | None:
    """The error that a log line tells of, cut to `longest` characters; None for any other line.

    `warnings`: also what a line of level WARN says of an error.
    """
    entry = entry_of(message)
    if str(entry.get("type", "")).startswith("platform."):
        record = entry.get("record", {})
        failed = record.get("status", "success") != "success"
        return f"{entry['type']}: {record.get('errorType') or record['status']}"[:longest] if failed else None
    if "level" in entry:
        level = str(entry["level"]).upper()
        wrong = level in _ERROR_LEVELS or (warnings and level in _WARNING_LEVELS and "error" in entry)
        return str(entry.get("message") or entry.get("error") or message)[:longest] if wrong else None
    return message.strip()[:longest] if _RUNTIME_ERROR.search(message) else None


def _report(message: str) -> Report | None:
    if line := _REPORT.match(message):
        init = _INIT.search(message)
        memory = _MEMORY.search(message)
        size, used = (int(memory[1]), int(memory[2])) if memory else (0, 0)
        milliseconds = float(init[1] or init[2]) if init else None
        return Report(line["request_id"], float(line["duration"]), milliseconds, size, used)
    entry = entry_of(message)
    if entry.get("type") != "platform.report":
        return None
    record = entry["record"]
    metrics = record["metrics"]
    return Report(
        record["requestId"],
        metrics["durationMs"],
        metrics.get("initDurationMs", metrics.get("restoreDurationMs")),
        metrics.get("memorySizeMB", 0),
        metrics.get("maxMemoryUsedMB", 0),
    )


def entry_of(message: str) -> dict[str, Any]:
    """A line of JSON; empty for any other."""
    if not message.startswith("{"):
        return {}
    try:
        entry = json.loads(message)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
