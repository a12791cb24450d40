"""Verification removes what it wrote, trusts no environment that may remember, and says what it can't measure."""

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from scripts import aws, build_lambdas, declared_tables, execution_logs, verification
from scripts.api_client import Answer
from scripts.console import CommandError, Progress
from scripts.execution_logs import Report
from scripts.probes import Record
from scripts.rollback_marks import Rollback
from scripts.verification import FAILED, PASSED, SKIPPED, Check

VARIABLES = {"A_VARIABLE": "of the function"}
DATE = "Sat, 21 Nov 2026 08:00:00 GMT"


class Stack:
    """One system, `things`, with two records. Queries are answered by the environment "warm", reads by those chosen."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.persistence = "dynamodb"
        self.logging: dict[str, str] = {"LogFormat": "Text"}
        self.concurrency: dict[str, int] = {}
        self.rolled_back: dict[str, Rollback] = {}
        self.budgets = {"query_milliseconds": 50, "cold_start_milliseconds": 500}
        self.stores = True
        self.stays = self.write_fails_at = ""
        self.cold_remember = True
        self.reads: list[str] = []
        self.reports: dict[str, Report] = {}
        self.searched: list[tuple[Any, ...]] = []
        self.calls_at_the_plan = -1
        self.plan_outlasts_calls = 0
        self._lock = threading.Lock()

    def environment(self, path: str) -> str:  # noqa: ARG002  a test's own choice may need it
        """Each second read comes to one that was started for it."""
        return f"cold-{len(self.reads)}" if len(self.reads) % 2 else "warm"

    # what AWS answers

    def get_function_configuration(self, **_: str) -> dict[str, Any]:
        metadata = {"HTTPHeaders": {"date": DATE}}
        told = {"Environment": {"Variables": VARIABLES}, "LoggingConfig": self.logging, "ResponseMetadata": metadata}
        return {"CodeSha256": "x", "Version": "1", **told}

    def get_function_concurrency(self, **_: str) -> dict[str, int]:
        return self.concurrency

    def get_item(self, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803  boto3's name
        item = self.items.get(Key["id"]["S"])
        return {"Item": item} if item else {}

    # what the API answers

    def send(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        assert headers == {"x-tenant": "verify"}
        with self._lock:
            environment = "warm"
            if path.startswith("/things/"):
                environment = self.environment(path)
                self.reads.append(path)
            request_id = str(len(self.reports))
            self.reports[request_id] = Report(request_id, 5.0, None if environment == "warm" else 70.0)
        status = 200 if environment == "warm" or self.cold_remember else 404
        answered = {"x-request-id": request_id, "x-execution-environment": environment}
        return Answer(f"{method} {path}", status, answered, {}, 8.0)

    # what a probe does

    def write(self, _api: Any, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:
        assert tables == {"first": "things", "second": "parts"}
        assert environment == VARIABLES
        for table, name in (("first", "a"), ("second", "b")):
            if name == self.write_fails_at:
                raise CommandError(f"POST /{name} answered 503")
            if self.stores:
                self.items[name] = {"id": {"S": name}, "size": {"N": "1"}}
            yield Record(
                table=table,
                key={"id": {"S": name}},
                attributes={"size": {"N": "1"}},
                read_path=f"/things/{name}",
                shows_it=lambda _body: True,
                query_path=f"/all/{name}",
                lists_it=lambda _body: True,
                remove=partial(self.remove, name),
                headers={"x-tenant": "verify"},
            )

    def beside(self) -> Check:
        """The plan. Where it has to outlast calls, it goes on until they were made, and a while longer."""

        def plan() -> bool:
            if self.plan_outlasts_calls:
                deadline = time.monotonic() + 60
                while len(self.reports) < self.plan_outlasts_calls and time.monotonic() < deadline:
                    time.sleep(0.001)
                time.sleep(0.05)
            self.calls_at_the_plan = len(self.reports)
            return False

        return verification.no_changes(plan, dict)

    def remove(self, name: str) -> None:
        if name != self.stays:
            self.items.pop(name, None)

    def verify(self) -> dict[str, Check]:
        declared = {
            "function_name": "things",
            "alias_name": "live",
            "log_group_name": "/aws/lambda/things",
            "persistence": self.persistence,
            "tables": {"first": {"name": "things"}, "second": {"name": "parts"}},
        }
        settings = {
            "api": {"url": "http://api", "auth": "none"},
            "region": "us-east-1",
            "budgets": self.budgets,
        }
        manifest = {"functions": {"things": {"source_code_hash": "x"}}}
        checks = verification.verify_systems(
            {"things": declared}, settings, manifest, self.rolled_back, Progress("verify"), self.beside
        )
        return {check.name: check for check in checks}


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    stack = Stack()

    class Api:
        def __init__(self, *_: object, **__: object) -> None:
            self.environment_ids: set[str] = set()

        def send(self, *arguments: Any, **options: Any) -> Answer:
            answer = stack.send(*arguments, **options)
            self.environment_ids.add(answer.environment_id)
            return answer

    monkeypatch.setattr(aws, "client", lambda _service: stack)
    monkeypatch.setattr(verification, "ApiClient", Api)
    monkeypatch.setattr(verification, "import_module", lambda _name: SimpleNamespace(write=stack.write))
    monkeypatch.setattr(verification, "_table_as_declared", lambda table: verification.Outcome(table["name"]))
    monkeypatch.setattr(execution_logs, "events", lambda *search: stack.searched.append(search) or iter(()))
    monkeypatch.setattr(execution_logs, "reports", lambda _: stack.reports)
    return stack


def test_what_is_proven_is_removed(stack: Stack) -> None:
    checks = stack.verify()
    assert {name: check.status for name, check in checks.items()} == dict.fromkeys(
        (
            "table things",
            "table parts",
            "deployed code",
            "write through the API",
            "item in DynamoDB",
            "index",
            "warm queries",
            "survives a cold start",
            "clean-up",
            "logs without errors",
            "next plan",
        ),
        PASSED,
    )
    assert checks["survives a cold start"].figures == {"cold_start_milliseconds": 75.0, "init_milliseconds": 70.0}
    assert stack.items == {}


def test_no_figure_is_taken_while_the_plan_is_made(stack: Stack) -> None:
    stack.plan_outlasts_calls = 2
    stack.verify()
    assert stack.calls_at_the_plan == 2, "what was written is looked for, once each"


def test_every_measured_call_is_kept_also_of_a_check_that_fails(stack: Stack) -> None:
    checks = stack.verify()
    assert checks["warm queries"].samples["query_milliseconds"] == [5.0] * verification.WARM_QUERIES
    cold = checks["survives a cold start"].samples
    assert set(cold["cold_start_milliseconds"]) == {75.0}
    assert len(cold["cold_start_milliseconds"]) == len(cold["init_milliseconds"]) >= 1
    stack.budgets = {"query_milliseconds": 1, "cold_start_milliseconds": 1}
    for name, sample in (("warm queries", "query_milliseconds"), ("survives a cold start", "init_milliseconds")):
        check = stack.verify()[name]
        assert (check.status, bool(check.samples[sample])) == (FAILED, True)


def test_logs_are_searched_from_when_it_began_by_the_clock_of_aws(stack: Stack) -> None:
    stack.verify()
    began = int(datetime(2026, 11, 21, 8, tzinfo=UTC).timestamp() * 1000)
    assert {search[:2] for search in stack.searched} == {("/aws/lambda/things", began)}
    assert ("/aws/lambda/things", began, execution_logs.REPORTS_ONLY) in stack.searched


def test_what_was_written_before_a_failed_write_is_removed_as_well(stack: Stack) -> None:
    stack.write_fails_at = "b"
    checks = stack.verify()
    assert checks["write through the API"].status == FAILED
    assert "warm queries" not in checks
    assert checks["clean-up"].status == PASSED
    assert stack.items == {}


def test_what_can_not_be_removed_is_named_and_keeps_nothing_else(stack: Stack) -> None:
    stack.stays = "b"
    checks = stack.verify()
    assert checks["clean-up"].status == FAILED
    assert "still in DynamoDB: b" in checks["clean-up"].detail
    assert stack.items.keys() == {"b"}


def test_every_system_has_a_probe() -> None:
    for system in build_lambdas.systems():
        assert callable(import_module(f"scripts.probes.{system}").write)


def test_an_answer_of_another_shape_fails_its_check(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    written = list(stack.write(None, {"first": "things", "second": "parts"}, VARIABLES))
    odd = [record._replace(lists_it=lambda body: bool(body["things"])) for record in written]
    monkeypatch.setattr(verification, "import_module", lambda _: SimpleNamespace(write=lambda *_: iter(odd)))
    check = stack.verify()["index"]
    assert (check.status, "another shape" in check.detail) == (FAILED, True)


def test_an_item_that_is_not_stored_is_missed(stack: Stack) -> None:
    stack.stores = False
    assert "there is no a in things" in stack.verify()["item in DynamoDB"].detail


def test_a_new_environment_that_has_forgotten_fails(stack: Stack) -> None:
    stack.cold_remember = False
    check = stack.verify()["survives a cold start"]
    assert (check.status, "answered 404" in check.detail) == (FAILED, True)


def test_every_record_must_be_read_by_a_new_environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_first(path: str) -> str:
        return f"cold-{len(stack.reads)}" if path == "/things/a" else "warm"

    monkeypatch.setattr(stack, "environment", only_the_first)
    check = stack.verify()["survives a cold start"]
    assert (check.status, "no new execution environment" in check.detail) == (FAILED, True)


def test_reserved_concurrency_bounds_the_calls_at_once(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "environment", lambda _path: "warm")
    stack.concurrency = {"ReservedConcurrentExecutions": 5}
    check = stack.verify()["survives a cold start"]
    assert "under 5 simultaneous calls" in check.detail
    assert len(stack.reads) == 2 + 3 + 4 + 5


def test_without_reports_it_says_why_nothing_is_measured(stack: Stack) -> None:
    stack.logging = {"LogFormat": "JSON", "SystemLogLevel": "WARN"}
    stack.reports.clear()
    checks = stack.verify()
    for name in ("warm queries", "survives a cold start"):
        assert checks[name].status == SKIPPED
        assert "system log level is WARN" in checks[name].detail
    stack.cold_remember = False
    assert stack.verify()["survives a cold start"].status == FAILED


def test_in_memory_only_what_memory_can_do_is_asked(stack: Stack) -> None:
    stack.persistence, stack.stores = "memory", False
    statuses = {name: check.status for name, check in stack.verify().items()}
    assert [name for name, status in statuses.items() if status == SKIPPED] == [
        "item in DynamoDB",
        "survives a cold start",
    ]
    assert FAILED not in statuses.values()


TABLE: dict[str, Any] = {
    "name": "things",
    "hash_key": "id",
    "billing_mode": "PROVISIONED",
    "read_capacity": 10,
    "kms_key_arn": "arn:key/1",
    "statuses": {"things": "ACTIVE"},
    "indexes": {"by-name": {"hash_key": "name", "read_capacity": 5, "non_key_attributes": ["a", "b"]}},
}


@pytest.mark.parametrize(
    ("declared", "index", "says"),
    [
        ({}, {}, None),
        ({"read_capacity": 11}, {}, "read_capacity is 10, declared 11"),
        ({"read_capacity": None}, {"read_capacity": None}, None),  # left to an autoscaler
        ({}, {"read_capacity": 6}, "index by-name: read_capacity is 5, declared 6"),
        ({}, {"non_key_attributes": ["b", "a"]}, None),
        ({}, {"non_key_attributes": ["a"]}, "index by-name: non_key_attributes"),
        ({"kms_key_arn": "arn:key/2"}, {}, "kms_key_arn is 'arn:key/1', declared 'arn:key/2'"),
        ({"kms_key_arn": None}, {}, None),
        ({"hash_key": "other"}, {}, "hash_key is 'id', declared 'other'"),
        ({"indexes": {}}, {}, "indexes are by-name, declared none"),
        ({"of a later version": 1}, {}, None),
    ],
)
def test_a_table_is_compared_with_what_is_declared(
    declared: dict[str, Any], index: dict[str, Any], says: str | None
) -> None:
    whole = TABLE | {"indexes": {"by-name": TABLE["indexes"]["by-name"] | index}} | declared
    found = declared_tables.differences(whole, TABLE)
    assert len(found) == (says is not None)
    assert says is None or says in found[0]


def test_a_table_that_is_not_active_is_told() -> None:
    declared = {name: value for name, value in TABLE.items() if name != "statuses"}
    actual = TABLE | {"statuses": {"things": "ACTIVE", "things/by-name": "CREATING"}}
    found = declared_tables.differences(declared, actual)
    assert found == ["things/by-name is CREATING"]


def test_a_system_that_is_rolled_back_runs_exactly_that_version(stack: Stack) -> None:
    mark = Rollback("2", "built", "1", "x", "2026-11-21T08:00:00Z", "arn:aws:iam::123456789012:user/ann")
    stack.rolled_back = {"things": mark}
    check = stack.verify()["deployed code"]
    assert (check.status, check.detail) == (PASSED, "rolled back to version 1 (x…) since 2026-11-21T08:00:00Z")
    for other in (mark._replace(to_version="3"), mark._replace(to_code_sha256="y")):
        stack.rolled_back = {"things": other}
        check = stack.verify()["deployed code"]
        assert check.status == FAILED
        assert f"is to be rolled back to version {other.to_version}, but version 1 runs" in check.detail
