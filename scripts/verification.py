"""The checks of `make verify`: what was applied is as declared, works, and keeps its state through a cold start.

A check returns its detail, or raises CommandError (or AWS's own error) with the
reason. Checks of one system depend on each other in their order: after a failed write nothing can be read.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from threading import Barrier
from types import MappingProxyType
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from scripts import aws, execution_logs
from scripts.api_client import Answer, ApiClient
from scripts.console import EXIT_FAILED, CommandError, Progress
from scripts.probes import Record

WARM_QUERIES = 100
# A burst of other work on a shared machine is not the function's: only a budget missed in every round is missed.
ROUNDS = 3
# Simultaneous reads, growing until Lambda starts an execution environment that was not there before.
# Small steps, so that few start at once and each is measured by itself.
COLD_START_WAVES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
LOG_DEADLINE_SECONDS = 90  # CloudWatch Logs shows lines after some seconds
INDEX_DEADLINE_SECONDS = 30  # an index follows its table after a moment
POLL_SECONDS = 0.5

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Check(NamedTuple):
    """One check's outcome. `figures` are numbers for machines, in milliseconds where the name says so."""

    system: str
    name: str
    status: str
    detail: str
    seconds: float
    figures: dict[str, float]


class Outcome(NamedTuple):
    detail: str
    figures: Mapping[str, float] = MappingProxyType({})


class _Skip(Exception):  # noqa: N818  an outcome, not an error
    """The check does not apply; the text says why."""


def verify_system(
    system: str, declared: dict[str, Any], verification: dict[str, Any], manifest: dict[str, Any], progress: Progress
) -> list[Check]:
    """All checks of one system; `declared` is its part of the output `verification`."""
    began = int(time.time() * 1000)
    api = ApiClient(verification["api"]["url"], verification["api"]["auth"], verification["region"])
    probe = import_module(f"scripts.probes.{system}")
    checks: list[Check] = []
    record: Record | None = None
    seen: set[str] = set()

    def check(name: str, action: Callable[[], Outcome]) -> bool:
        progress.update(f"{system}: {name}")
        checks.append(_run(system, name, action))
        return checks[-1].status != FAILED

    for table in declared["tables"].values():
        check(f"table {table['name']}", lambda table=table: _table_as_declared(table))  # type: ignore[misc]
    check("deployed code", lambda: _deployed_code(system, declared, manifest))

    def write() -> Outcome:
        nonlocal record
        record = probe.write(api)
        return Outcome(f"wrote {_key_text(record.key)} through the API")

    try:
        if check("write through the API", write) and record:
            written = record
            check("item in DynamoDB", lambda: _item_in_dynamodb(declared, written))
            check("index", lambda: _listed(api, written, seen))
            check("warm queries", lambda: _warm_queries(api, written, declared, verification, began, seen))
            check("survives a cold start", lambda: _cold_start(api, written, declared, verification, began, seen))
    finally:
        if record:
            removed = record
            check("clean-up", lambda: _remove(api, removed))
    check("logs without errors", lambda: _logs_without_errors(declared["log_group_name"], began))
    return checks


def no_changes(plan: Callable[[], bool], summary: Callable[[], dict[str, int]]) -> Check:
    def action() -> Outcome:
        if plan():
            counts = ", ".join(f"{count} to {verb}" for verb, count in summary().items() if count)
            raise CommandError(f"the plan shows changes: {counts or 'outputs only'}")
        return Outcome("no changes")

    return _run("stack", "next plan", action)


def _run(system: str, name: str, action: Callable[[], Outcome]) -> Check:
    started = time.monotonic()
    try:
        outcome, status = action(), PASSED
    except _Skip as skip:
        outcome, status = Outcome(str(skip)), SKIPPED
    except CommandError as error:
        outcome, status = Outcome(f"{error.message} {error.next_step}".strip()), FAILED
    except (BotoCoreError, ClientError) as error:
        outcome, status = Outcome(str(error)), FAILED
    return Check(system, name, status, outcome.detail, time.monotonic() - started, dict(outcome.figures))


def _failed(message: str) -> CommandError:
    return CommandError(message, exit_code=EXIT_FAILED)


def _table_as_declared(declared: dict[str, Any]) -> Outcome:
    actual = _actual_table(declared["name"])
    wrong = [
        f"{setting} is {actual[setting]!r}, declared {wanted!r}"
        for setting, wanted in declared.items()
        if setting in actual and actual[setting] != wanted
    ]
    inactive = [f"{name} is {status}" for name, status in actual["statuses"].items() if status != "ACTIVE"]
    if wrong or inactive:
        raise _failed("; ".join(inactive + wrong))
    window = declared["point_in_time_recovery_days"]
    indexes = f", {len(declared['indexes'])} index{'' if len(declared['indexes']) == 1 else 'es'}"
    return Outcome(
        f"ACTIVE as declared: {declared['billing_mode']}{indexes}, PITR {f'{window} d' if window else 'off'}"
    )


def _actual_table(name: str) -> dict[str, Any]:
    """The table's settings in the words of the output `verification`, with `statuses` of table and indexes."""
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    stream = table.get("StreamSpecification", {})
    indexes = table.get("GlobalSecondaryIndexes", [])
    recovering = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    return {
        "name": table["TableName"],
        **_keys(table["KeySchema"]),
        "billing_mode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "point_in_time_recovery_days": recovery.get("RecoveryPeriodInDays", 35) if recovering else 0,
        "ttl_attribute": ttl.get("AttributeName") if ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING") else None,
        "deletion_protection": table.get("DeletionProtectionEnabled", False),
        "encryption": _encryption(table.get("SSEDescription", {})),
        "stream_view_type": stream.get("StreamViewType") if stream.get("StreamEnabled") else None,
        "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "indexes": {
            index["IndexName"]: {
                **_keys(index["KeySchema"]),
                "projection_type": index["Projection"]["ProjectionType"],
            }
            for index in indexes
        },
        "statuses": {
            table["TableName"]: table["TableStatus"],
            **{f"{table['TableName']}/{index['IndexName']}": index["IndexStatus"] for index in indexes},
        },
    }


def _keys(schema: list[dict[str, str]]) -> dict[str, str | None]:
    by_type = {key["KeyType"]: key["AttributeName"] for key in schema}
    return {"hash_key": by_type["HASH"], "range_key": by_type.get("RANGE")}


def _encryption(description: dict[str, Any]) -> str:
    if description.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
        return "AWS_OWNED"
    try:
        key = aws.client("kms").describe_key(KeyId=description["KMSMasterKeyArn"])["KeyMetadata"]
    except (ClientError, KeyError):  # without kms:DescribeKey only the customer's own policy could tell
        return "AWS_MANAGED"
    return "CUSTOMER_MANAGED" if key["KeyManager"] == "CUSTOMER" else "AWS_MANAGED"


def _deployed_code(system: str, declared: dict[str, Any], manifest: dict[str, Any]) -> Outcome:
    deployed = aws.client("lambda").get_function_configuration(
        FunctionName=declared["function_name"], Qualifier=declared["alias_name"]
    )
    built = manifest["functions"][system]["source_code_hash"]
    if deployed["CodeSha256"] != built:
        raise _failed(
            f"{declared['function_name']} runs code {deployed['CodeSha256'][:12]}…, the manifest says {built[:12]}…: "
            "apply again, or build the commit that is deployed"
        )
    return Outcome(f"version {deployed['Version']} runs the code of the manifest ({deployed['CodeSha256'][:12]}…)")


def _item_in_dynamodb(declared: dict[str, Any], record: Record) -> Outcome:
    if declared["persistence"] == "memory":
        raise _Skip("persistence is memory: nothing is stored")
    table = declared["tables"][record.table]["name"]
    item = aws.client("dynamodb").get_item(TableName=table, Key=record.key, ConsistentRead=True).get("Item")
    if item is None:
        raise _failed(f"{_key_text(record.key)} is not in {table}, although the API took it")
    wrong = [name for name, value in record.attributes.items() if item.get(name) != value]
    if wrong:
        raise _failed(f"{_key_text(record.key)} in {table} differs from what was written in {', '.join(wrong)}")
    return Outcome(f"{_key_text(record.key)} read straight from {table}")


def _listed(api: ApiClient, record: Record, seen: set[str]) -> Outcome:
    deadline = time.monotonic() + INDEX_DEADLINE_SECONDS
    while True:
        answer = api.send("GET", record.query_path).expect(200)
        seen.add(answer.environment_id)
        if record.lists_it(answer.body):
            return Outcome("found by query")
        if time.monotonic() > deadline:
            raise _failed(f"{record.query_path} does not list the record after {INDEX_DEADLINE_SECONDS} s")
        time.sleep(POLL_SECONDS)


def _warm_queries(
    api: ApiClient,
    record: Record,
    declared: dict[str, Any],
    verification: dict[str, Any],
    began: int,
    seen: set[str],
) -> Outcome:
    budget = verification["budgets"]["query_milliseconds"]
    for _ in range(ROUNDS):
        answers = [api.send("GET", record.query_path).expect(200) for _ in range(WARM_QUERIES)]
        seen.update(answer.environment_id for answer in answers)
        found = _reports_of(declared["log_group_name"], began, answers)
        warm = [report.milliseconds for report in found.values() if report.init_milliseconds is None]
        far = [answer.milliseconds for answer in answers]
        figures = {
            **{f"query_p{q}_milliseconds": percentile(warm, q) for q in (50, 95, 99)},
            **{f"round_trip_p{q}_milliseconds": percentile(far, q) for q in (50, 95, 99)},
        }
        detail = (
            f"p50/p95/p99 {'/'.join(f'{percentile(warm, q):.1f}' for q in (50, 95, 99))} ms in the function, "
            f"{'/'.join(f'{percentile(far, q):.1f}' for q in (50, 95, 99))} ms from here; budget p95 {budget} ms"
        )
        if figures["query_p95_milliseconds"] <= budget:
            return Outcome(detail, figures)
    raise _failed(f"over budget in {ROUNDS} rounds: {detail}")


def _cold_start(
    api: ApiClient,
    record: Record,
    declared: dict[str, Any],
    verification: dict[str, Any],
    began: int,
    seen: set[str],
) -> Outcome:
    """Reads in growing waves until an execution environment answers that was started for it.

    More simultaneous calls than there are environments make Lambda start new ones, without a change to the account.
    """
    if declared["persistence"] == "memory":
        raise _Skip("persistence is memory: a cold start loses what was written")
    missed: list[str] = []
    for calls in COLD_START_WAVES:
        fresh = [answer for answer in _at_once(api, record.read_path, calls) if answer.environment_id not in seen]
        if not fresh:
            continue
        for answer in fresh:
            answer.expect(200)
        started = [
            report
            for report in _reports_of(declared["log_group_name"], began, fresh).values()
            if report.init_milliseconds is not None
        ]
        if not started:  # environments that somebody else's calls had started
            seen.update(answer.environment_id for answer in fresh)
            continue
        first = min(started, key=lambda report: (report.init_milliseconds or 0) + report.milliseconds)
        total = (first.init_milliseconds or 0) + first.milliseconds
        figures = {"cold_start_milliseconds": total, "init_milliseconds": first.init_milliseconds or 0}
        budget = verification["budgets"]["cold_start_milliseconds"]
        detail = (
            f"read back by a new execution environment: init {first.init_milliseconds:.0f} ms + first answer "
            f"{first.milliseconds:.0f} ms; budget {budget} ms"
        )
        if total <= budget:
            return Outcome(detail, figures)
        missed.append(detail)
        if len(missed) == ROUNDS:
            break
        seen.update(answer.environment_id for answer in fresh)
    if missed:
        raise _failed(f"over budget in {len(missed)} rounds: {missed[-1]}")
    raise _failed(
        f"no new execution environment came up under {COLD_START_WAVES[-1]} simultaneous calls: raise the function's "
        "reserved concurrency, or wait until others leave it some"
    )


def _at_once(api: ApiClient, path: str, calls: int) -> list[Answer]:
    together = Barrier(calls)

    def call(_: int) -> Answer:
        together.wait()
        return api.send("GET", path)

    with ThreadPoolExecutor(calls) as pool:
        answers = list(pool.map(call, range(calls)))
    # What no execution environment answered was throttled and never run; it says nothing about the state.
    return [answer for answer in answers if answer.environment_id]


def _reports_of(log_group: str, since: int, answers: list[Answer]) -> dict[str, execution_logs.Report]:
    """The REPORT lines of these answers, waiting until CloudWatch Logs shows them all."""
    wanted = {answer.request_id for answer in answers}
    deadline = time.monotonic() + LOG_DEADLINE_SECONDS
    while True:
        found = execution_logs.reports(list(execution_logs.events(log_group, since)))
        if wanted <= found.keys():
            return {request_id: found[request_id] for request_id in wanted}
        if time.monotonic() > deadline:
            raise _failed(f"{log_group} shows no REPORT line of {len(wanted - found.keys())} of {len(wanted)} calls")
        time.sleep(POLL_SECONDS)


def _remove(api: ApiClient, record: Record) -> Outcome:
    # With memory persistence another environment may not know the record; it goes with its environment.
    api.send("DELETE", record.delete_path).expect(204, 404)
    api.send("GET", record.read_path).expect(404)
    return Outcome("what was written is removed")


def _logs_without_errors(log_group: str, since: int) -> Outcome:
    messages = [event["message"] for event in execution_logs.events(log_group, since)]
    errors = [error for message in messages if (error := execution_logs.error_message(message))]
    if errors:
        raise _failed(f"{len(errors)} errors in {log_group}, the first: {errors[0]}")
    return Outcome(f"{len(messages)} lines in {log_group}, no error")


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _key_text(key: dict[str, Any]) -> str:
    return " ".join(str(next(iter(value.values()))) for value in key.values())
