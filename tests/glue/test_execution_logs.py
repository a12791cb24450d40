"""Reports and errors are told apart in what Lambda writes, in both of its log formats."""

import json
from typing import Any

import pytest

from scripts import execution_logs
from scripts.verification import percentile

COLD = (
    "REPORT RequestId: 1b6c\tDuration: 12.34 ms\tBilled Duration: 90 ms\tMemory Size: 512 MB\t"
    "Max Memory Used: 31 MB\tInit Duration: 71.50 ms\t\n"
)
WARM = (
    "REPORT RequestId: 2c7d\tDuration: 2.01 ms\tBilled Duration: 3 ms\tMemory Size: 512 MB\tMax Memory Used: 31 MB\t\n"
)


def platform_event(kind: str, **record: Any) -> str:
    """As Lambda writes it with the JSON log format."""
    return json.dumps({"time": "2026-11-21T08:00:00.123Z", "type": f"platform.{kind}", "record": record})


def platform_report(request_id: str, status: str = "success", **metrics: float) -> str:
    return platform_event(
        "report",
        requestId=request_id,
        metrics={"durationMs": 12.34, "billedDurationMs": 90, "memorySizeMB": 512, "maxMemoryUsedMB": 31, **metrics},
        status=status,
    )


def test_reports_are_read_by_request_id() -> None:
    found = execution_logs.reports([{"message": "START RequestId: 1b6c"}, {"message": COLD}, {"message": WARM}])
    assert found["1b6c"] == ("1b6c", 12.34, 71.5, 512, 31)
    assert found["2c7d"] == ("2c7d", 2.01, None, 512, 31)


def test_reports_of_the_json_format_are_read_as_well() -> None:
    lines = [
        platform_event("start", requestId="1b6c", version="3"),
        '{"level": "INFO", "request_id": "1b6c", "type": "of something else"}',
        "[1, 2]",
        "{not JSON",
        platform_report("1b6c", initDurationMs=71.5),
        platform_report("2c7d"),
        platform_report("3d8e", restoreDurationMs=51.5),
    ]
    assert execution_logs.reports({"message": line} for line in lines) == {
        "1b6c": ("1b6c", 12.34, 71.5, 512, 31),
        "2c7d": ("2c7d", 12.34, None, 512, 31),
        "3d8e": ("3d8e", 12.34, 51.5, 512, 31),
    }


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('{"level": "INFO", "message": "GET /agents", "status": 404}', None),
        ('{"level": "INFO", "message": "a name holds Runtime.ExitError"}', None),
        ('{"level": "ERROR", "message": "boom"}', "boom"),
        ('{"level": "FATAL", "error": "boom"}', "boom"),
        ("2026-01-01T00:00:00Z 1b6c Task timed out after 3.00 seconds", True),
        ("[ERROR] KeyError: 'x'", True),
        ("Error: Runtime.ExitError", True),
        ("Traceback (most recent call last):", True),
        (WARM, None),
        ("START RequestId: 1b6c Version: 3", None),
        (platform_report("1b6c"), None),
        (platform_event("start", requestId="1b6c"), None),
        (platform_report("1b6c", "timeout"), "platform.report: timeout"),
        (platform_event("initReport", status="error", errorType="Runtime.ExitError"), True),
    ],
)
def test_errors_are_seen_and_nothing_else(message: str, error: str | bool | None) -> None:
    found = execution_logs.error_message(message)
    assert found == error if not isinstance(error, bool) else found


def test_percentiles_are_of_the_values_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, q) for q in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 99) == 7.0
