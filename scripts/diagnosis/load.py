"""Throttles and slow answers, as CloudWatch counts them: of tables, indexes, functions."""

from collections.abc import Iterator

from scripts import metrics
from scripts.alarm_dimensions import OPERATIONS
from scripts.diagnosis import fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import Finding, finding
from scripts.metrics import Metric, metric

_KINDS = {"ReadThrottleEvents": "reads", "WriteThrottleEvents": "writes"}
_FEW = 5  # single calls may be slow


def throttles(examined: Examined) -> Iterator[Finding]:
    """Of the window, one finding for each table, index or function."""
    users = {table["name"]: (system, table) for system, table in examined.declared_tables()}
    functions = {made["function_name"]: system for system, made in examined.systems.items()}
    wanted: list[Metric] = []
    for name, (_, table) in users.items():
        for place in ({}, *({"GlobalSecondaryIndexName": index} for index in table["indexes"])):
            wanted += [metric("AWS/DynamoDB", kind, {"TableName": name, **place}) for kind in _KINDS]
    wanted += [metric("AWS/Lambda", "Throttles", {"FunctionName": name}) for name in functions]
    by_place: dict[tuple[str, str], list[str]] = {}
    for one, count in metrics.sums(wanted, examined.began, examined.now):
        if one.namespace == "AWS/Lambda":
            yield _function(examined, one.dimension("FunctionName"), functions, count)
        else:
            key = (one.dimension("TableName"), one.dimension("GlobalSecondaryIndexName"))
            by_place.setdefault(key, []).append(f"{count:.0f} {_KINDS[one.name]}")
    for (name, index), counts in by_place.items():
        system, table = users[name]
        what = f"index {index} of table {name}" if index else f"table {name}"
        yield finding(
            "table-throttled",
            f"{name}/{index}" if index else name,
            f"DynamoDB throttled {' and '.join(counts)} of {what}",
            _capacity(table, index),
            fixes.edit_and_apply(examined.environment),
            system=system,
        )


def _capacity(table: dict[str, object], index: str) -> str:
    hint = "; a throttled index also holds up writes to the table" if index else ""
    if table.get("billing_mode") == "PROVISIONED":
        return (
            "more is asked than its provisioned units (or one key's partition) can bear: more of them, autoscaling, or "
            f'billing_mode = "PAY_PER_REQUEST" in tables."<system>.<table>"{hint}'
        )
    return (
        "on-demand capacity follows a rise within minutes, up to on_demand_throughput; else one key's partition is at "
        f'its end: contributor_insights = true in tables."<system>.<table>" shows which{hint}'
    )


def _function(examined: Examined, name: str, functions: dict[str, str], count: float) -> Finding:
    system = functions[name]
    reserved = examined.function(system).get("reserved_concurrent_executions", -1)
    return finding(
        "function-throttled",
        name,
        f"Lambda refused {count:.0f} calls of {name}",
        f"it may run {reserved} times at once (functions.{system}.reserved_concurrency)"
        if reserved >= 0
        else f"the account's concurrency is used up; functions.{system}.reserved_concurrency would keep some for it",
        fixes.edit_and_apply(examined.environment),
        system=system,
    )


def slow_tables(examined: Examined) -> Iterator[Finding]:
    """Operations that DynamoDB itself takes longer for than a whole query may, on the average of most periods."""
    budget = examined.state.verification["budgets"]["query_milliseconds"]
    users = {table["name"]: system for system, table in examined.declared_tables()}
    wanted = [
        metric("AWS/DynamoDB", "SuccessfulRequestLatency", {"TableName": name, "Operation": operation}, "Average")
        for name in users
        for operation in sorted(OPERATIONS - {"Scan"})  # no function scans; reports may take their time
    ]
    for one, averages in metrics.values(wanted, examined.began, examined.now).items():
        late = sorted(averages)[len(averages) // 2]
        if len(averages) >= _FEW and late > budget:
            name, operation = one.dimension("TableName"), one.dimension("Operation")
            yield finding(
                "slow-table",
                name,
                f"DynamoDB takes {late:.0f} ms for {operation} on table {name}; the budget of a query is {budget} ms",
                "large items or large pages, or a partition at its end; the AWS Health Dashboard tells of faults",
                fixes.edit_and_apply(examined.environment),
                system=users[name],
            )
