"""What the logs and metrics tell the doctor: errors by their cause, what is slow, throttled or hot."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from tests.glue.diagnosed import (
    APPLY,
    EDIT,
    HOUR,
    INDEX,
    SYSTEM,
    Diagnosed,
    report_line,
    request,
)


def test_errors_are_grouped_by_their_cause(stack: Diagnosed) -> None:
    """By the function itself: it is asked for what its role may not read, and then for a table that is gone."""
    stack.put_policy(stack.without("Agents"))
    for number in range(3):
        assert stack.invoke("GET", f"/agents/agent-{number}")["statusCode"] == 500
    stack.put_policy(stack.policy)
    denied = stack.only("not-authorised")
    assert denied.what.startswith("3 times in the log (")
    assert f"may not dynamodb:GetItem on {stack.arn('dynamodb', f'table/{stack.table}')}" in denied.what
    assert "is not authorized to perform" in denied.evidence
    stack.client("dynamodb").delete_table(TableName=stack.table)
    assert stack.invoke("GET", "/agents/agent-1")["statusCode"] == 500
    found = stack.found()
    assert set(found) == {"not-authorised", "table-missing", "table-not-found"}
    assert found["table-not-found"].what.startswith("once in the log (")
    assert found["table-not-found"].fix == APPLY


def test_an_error_without_a_name(stack: Diagnosed) -> None:
    ids = ("0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
    stack.logged(
        *({"level": "ERROR", "error": f"ZeroDivisionError: agent {each} after {len(each)} tries"} for each in ids)
    )
    found = stack.only("unknown-error")
    assert found.what.startswith("2 times in the log (")
    assert found.what.endswith("ZeroDivisionError: agent … after … tries")
    assert found.fix == f"make logs ENV=staging SYSTEM={SYSTEM} SINCE=1h FOLLOW=0"


def test_what_is_older_than_the_window_is_left_out(stack: Diagnosed) -> None:
    stack.logged({"level": "ERROR", "error": "ZeroDivisionError"})
    assert stack.examine(timedelta(seconds=20)).findings == []
    assert len(stack.examine(HOUR).findings) == 1


def logged_error(text: str, level: str = "ERROR") -> str:
    """As the functions log it."""
    return json.dumps({"level": level, "error": text})


KINDS = [
    ("2026-11-28T10:00:00.000Z 1b6c Task timed out after 10.00 seconds", "timeout", EDIT),
    ("RequestId: 1b6c Error: Runtime exited with error: signal: killed\nRuntime.ExitError", "out-of-memory", EDIT),
    ("[ERROR] Runtime.ImportModuleError: Unable to import module 'x'", "function-does-not-start", APPLY),
    (logged_error("RuntimeError: the environment variable TABLE is not set; add it"), "setting-missing", APPLY),
    (
        logged_error("ServiceError: ValidationException: The table does not have the specified index: by-name"),
        "index-not-found",
        APPLY,
    ),
    (logged_error("Throttled: ThrottlingException: too much", "WARN"), "table-throttled", EDIT),
    (logged_error("Unavailable: no answer to GetItem: TimeoutError()"), "dynamodb-unavailable", "curl -sS"),
    (
        logged_error("ServiceError: KMSDisabledException: arn:aws:kms:eu-north-1:1:key/k is disabled."),
        "key-unusable",
        "make drift ENV=staging",
    ),
    (logged_error("the agent server did not answer in time: TimeoutError"), "reply-backend-failed", EDIT),
]


def test_errors_of_every_kind(stack: Diagnosed) -> None:
    stack.logged(*(line for line, _, _ in KINDS))
    found = stack.found()
    assert found.keys() == {code for _, code, _ in KINDS}
    for line, code, fix in KINDS:
        said = found[code].fix
        assert fix.fullmatch(said) if isinstance(fix, re.Pattern) else said.startswith(fix), said
        assert (found[code].system, found[code].subject) == (SYSTEM, stack.name)
        assert found[code].evidence[:20] in line


def test_what_is_written_reaches_no_table(stack: Diagnosed) -> None:
    """Callers get a version that keeps everything in memory: it answers as if all were well."""
    stack.callers_get(stack.function_changed(Environment={"Variables": {**stack.variables, "PERSISTENCE": "memory"}}))
    profile = {"id": "a", "name": "A", "endpoint": "https://a.example.com", "capabilities": ["x"]}
    assert stack.invoke("POST", "/agents/register", {"profile": profile})["statusCode"] == 201
    findings = [found for found in stack.examine().findings if found.code == "not-persisting"]
    assert [found.fix for found in findings] == [APPLY] * 2, findings
    whats = " ".join(found.what for found in findings)
    assert "runs with PERSISTENCE='memory', applied was 'dynamodb'" in whats
    assert "1 write was answered with success and used nothing of DynamoDB (POST /agents/register)" in whats


def test_a_system_that_is_to_keep_nothing(stack: Diagnosed) -> None:
    stack.persistence = "memory"
    stack.resources["aws_lambda_function"][0]["environment"] = [
        {"variables": {**stack.variables, "PERSISTENCE": "memory"}}
    ]
    stack.apply()
    stack.callers_get(stack.function_changed(Environment={"Variables": {**stack.variables, "PERSISTENCE": "memory"}}))
    stack.resources["aws_lambda_alias"][0]["function_version"] = "2"
    stack.apply()
    found = stack.only("persistence-is-memory")
    assert found.severity == "info"
    assert found.fix == f"make back-to-dynamodb ENV=staging SYSTEM={SYSTEM}"


def test_slow_queries_name_their_route(stack: Diagnosed) -> None:
    stack.logged(*(request(number, 9000.0 if number % 3 else 2.0) for number in range(60)))
    found = stack.only("slow-queries")
    assert "GET /agents/{id} 9000 ms" in found.what
    assert "memory_megabytes" in found.cause
    assert EDIT.fullmatch(found.fix)


def test_slow_queries_that_are_retried_have_another_cause(stack: Diagnosed) -> None:
    stack.logged(*(request(number, 9000.0, retries=3) for number in range(60)))
    assert "retried" in stack.only("slow-queries").cause


def test_without_the_functions_own_lines_the_reports_tell(stack: Diagnosed) -> None:
    stack.logged(*(report_line(number, 9000.0) for number in range(60)))
    assert "60 warm queries" in stack.only("slow-queries").what


def test_a_burst_of_other_work_is_not_slow(stack: Diagnosed) -> None:
    stack.logged(*(request(number, 9000.0 if number < 30 else 2.0) for number in range(90)))
    assert stack.examine().findings == []


def test_slow_cold_starts(stack: Diagnosed) -> None:
    stack.logged(report_line(1, 900.0, init=30000.0), report_line(2, 700.0, init=25000.0))
    found = stack.only("slow-cold-starts")
    assert "2 cold starts took 25700 to 30900 ms" in found.what
    assert EDIT.fullmatch(found.fix)


def test_memory_that_is_nearly_full(stack: Diagnosed) -> None:
    stack.logged(report_line(1, 9.0, used=250))
    assert "250 of 256 MB" in stack.only("memory-nearly-full").what


def test_a_log_that_is_too_long_is_read_from_its_end(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.diagnosis.logs.MOST_LINES", 5)
    stack.logged(*(request(number, 2.0) for number in range(9)))
    found = stack.only("could-not-look")
    assert (found.severity, found.fix) == ("info", "make doctor ENV=staging SINCE=5m")


def test_a_throttled_table_and_its_index(stack: Diagnosed) -> None:
    stack.counted("AWS/DynamoDB", "ReadThrottleEvents", 7, TableName=stack.table)
    found = stack.only("table-throttled")
    assert f"throttled 7 reads of table {stack.table}" in found.what
    assert EDIT.fullmatch(found.fix)
    stack.counted("AWS/DynamoDB", "WriteThrottleEvents", 3, TableName=stack.table, GlobalSecondaryIndexName=INDEX)
    subjects = {found.subject for found in stack.examine().findings}
    assert subjects == {stack.table, f"{stack.table}/{INDEX}"}


def test_a_throttled_function(stack: Diagnosed) -> None:
    stack.counted("AWS/Lambda", "Throttles", 4, FunctionName=stack.name)
    assert "refused 4 calls" in stack.only("function-throttled").what


def test_a_slow_table(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.diagnosis.load._FEW", 1)
    stack.counted("AWS/DynamoDB", "SuccessfulRequestLatency", 9000, TableName=stack.table, Operation="Query")
    assert "9000 ms for Query" in stack.only("slow-table").what


def test_a_throttled_api(stack: Diagnosed) -> None:
    limited = {"requestId": "a", "status": "429", "functionRequestId": "-", "integrationError": "-"}
    stack.logged(limited, limited, group=stack.access_log)
    assert "refused 2 requests with 429" in stack.only("api-throttled").what


def test_what_api_gateway_itself_failed_at(stack: Diagnosed) -> None:
    error = "The IAM role configured on the integration or API Gateway doesn't have permissions: access denied"
    stack.logged({"status": "500", "functionRequestId": "-", "integrationError": error}, group=stack.access_log)
    assert stack.only("not-authorised").subject == stack.api


def test_a_hot_key(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    dynamodb = stack.client("dynamodb")
    for place in ({}, {"IndexName": INDEX}):
        dynamodb.update_contributor_insights(TableName=stack.table, ContributorInsightsAction="ENABLE", **place)
    for agent in ["busy"] * 8 + ["a", "b"]:
        dynamodb.get_item(TableName=stack.table, Key={"agentId": {"S": agent}})
    assert stack.examine().findings == [], "ten reads are no load"
    monkeypatch.setattr("scripts.diagnosis.hot_keys.SOME_TRAFFIC", 10)
    found = stack.only("hot-key")
    assert (found.severity, found.subject) == ("info", stack.table)
    assert "key 'busy'" in found.what
    assert "gets 80% of all units" in found.what
    monkeypatch.setattr("scripts.diagnosis.hot_keys.PARTITION_UNITS_A_MINUTE", 4)
    assert stack.only("hot-key").severity == "warning"


def test_a_throttled_key(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing throttles in the embedded AWS: here is what CloudWatch reports of one that does."""
    stack.client("dynamodb").update_contributor_insights(TableName=stack.table, ContributorInsightsAction="ENABLE")

    def report(_examined: Any, rule: str) -> dict[str, Any]:
        keys = [{"Keys": ["busy"], "ApproximateAggregateValue": 12.0, "Datapoints": []}] if "-PKT-" in rule else []
        return {"AggregateValue": 12.0, "Contributors": keys}

    monkeypatch.setattr("scripts.diagnosis.hot_keys._report", report)
    found = stack.only("throttled-key")
    assert "'busy' (12 times)" in found.what
    assert EDIT.fullmatch(found.fix)
