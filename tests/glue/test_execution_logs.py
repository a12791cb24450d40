"""REPORT lines and errors are told apart in what Lambda writes."""

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


def test_reports_are_read_by_request_id() -> None:
    found = execution_logs.reports([{"message": "START RequestId: 1b6c"}, {"message": COLD}, {"message": WARM}])
    assert found["1b6c"] == ("1b6c", 12.34, 71.5)
    assert found["2c7d"] == ("2c7d", 2.01, None)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ('{"level": "INFO", "message": "GET /agents", "status": 404}', None),
        ('{"level": "ERROR", "message": "boom"}', "boom"),
        ("2026-01-01T00:00:00Z 1b6c Task timed out after 3.00 seconds", True),
        ("[ERROR] KeyError: 'x'", True),
        ("Error: Runtime.ExitError", True),
        ("Traceback (most recent call last):", True),
        (WARM, None),
        ("START RequestId: 1b6c Version: 3", None),
    ],
)
def test_errors_are_seen_and_nothing_else(message: str, error: str | bool | None) -> None:
    found = execution_logs.error_message(message)
    assert found == error if not isinstance(error, bool) else found


def test_percentiles_are_of_the_values_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, q) for q in (50, 95, 99, 100)] == [50, 95, 99, 100]
    assert percentile([7.0], 99) == 7.0
