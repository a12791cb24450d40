"""What the functions and the API have logged: errors by their cause, writes that reach no table, slow answers."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import execution_logs
from scripts.diagnosis import fixes, symptoms
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import STACK, Finding, finding
from scripts.verification import ROUNDS, percentile

MOST_LINES, MOST_SECONDS = 100_000, 60.0
FEW_QUERIES = 20  # below, a percentile says nothing
FULL = 0.9  # of the memory
_LONGEST = 2000


class Request(NamedTuple):
    """A function's own line about one answer."""

    request_id: str
    method: str
    route: str
    status: int
    milliseconds: float
    calls: int
    retries: int
    units: float


class Group(NamedTuple):
    """Errors of one cause. Times are epoch milliseconds."""

    finding: Finding
    times: int
    first: int
    last: int


def look(examined: Examined, system: str) -> Iterator[Finding]:
    """Of one system's function."""
    made, environment = examined.state.systems[system], examined.environment
    group = made["log_group_name"]
    try:
        events, since = _events(examined, group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield finding(
            "log-group-missing",
            group,
            f"there is no log group {group}",
            "somebody deleted it outside Terraform: what the function writes is lost, since its role may make none",
            fixes.apply(environment),
            system=system,
        )
        return
    yield from _not_whole(examined, system, group, since)
    yield from errors(examined, system, made["function_name"], group, events)
    reports = execution_logs.reports(events)
    answered = list(requests(events))
    yield from not_persisting(examined, system, answered)
    yield from slow(examined, system, answered, reports)
    yield from memory(examined, system, reports.values())


def _events(examined: Examined, group: str) -> tuple[list[dict[str, Any]], int]:
    began, now = _milliseconds(examined.began), _milliseconds(examined.now)
    return execution_logs.newest(group, began, now, MOST_LINES, MOST_SECONDS)


def _not_whole(examined: Examined, system: str, group: str, since: int) -> Iterator[Finding]:
    if since > _milliseconds(examined.began):
        yield finding(
            "could-not-look",
            group,
            f"only the newest {MOST_LINES} lines of {group} were read, or what {MOST_SECONDS:.0f} s allow",
            "there is a lot in it; a shorter SINCE reads all of its window",
            f"{fixes.make(examined.environment, 'doctor')} SINCE=5m",
            system=system,
            severity="info",
        )


def errors(
    examined: Examined, system: str, subject: str, log_group: str, events: Iterable[dict[str, Any]]
) -> Iterator[Finding]:
    """One finding for each cause, with how often and when."""
    groups: dict[tuple[str, str], Group] = {}
    for event in events:
        text = execution_logs.error_message(event["message"], longest=_LONGEST, warnings=True)
        if text is None:
            continue
        found = symptoms.recognise(text, examined.environment, system=system, subject=subject) or symptoms.unknown(
            text, examined.environment, system=system, subject=subject, log_group=log_group
        )
        key, at = (found.code, found.what), event["timestamp"]
        before = groups.get(key) or Group(found, 0, at, at)
        # the first one's text stays as the evidence
        groups[key] = Group(before.finding, before.times + 1, min(before.first, at), max(before.last, at))
    for group in sorted(groups.values(), key=lambda each: -each.times):
        times = " to ".join(dict.fromkeys((_time(group.first), _time(group.last))))
        yield group.finding._replace(what=f"{_often(group.times)} in the log ({times} UTC): {group.finding.what}")


def requests(events: Iterable[dict[str, Any]]) -> Iterator[Request]:
    """The lines that the functions write about each answer."""
    for event in events:
        entry = execution_logs.entry_of(event["message"])
        if "route" in entry and "status" in entry and "duration_ms" in entry:
            yield Request(
                str(entry.get("request_id", "")),
                str(entry.get("method", "")),
                str(entry["route"]),
                int(entry["status"]),
                float(entry["duration_ms"]),
                int(entry.get("calls", 0)),
                int(entry.get("retries", 0)),
                float(entry.get("read_units", 0)) + float(entry.get("write_units", 0)),
            )


def not_persisting(examined: Examined, system: str, answered: Iterable[Request]) -> Iterator[Finding]:
    """Writes that were taken and cost nothing, as no call to DynamoDB does: the raw symptom of a store that forgets."""
    made = examined.state.systems[system]
    if made["persistence"] == "memory":
        return  # as configured
    lost = [one for one in answered if one.method in ("POST", "PUT", "DELETE") and 200 <= one.status < 300]
    lost = [one for one in lost if not one.units]
    if lost:
        routes = ", ".join(sorted({f"{one.method} {one.route}" for one in lost}))
        yield finding(
            "not-persisting",
            made["function_name"],
            f"{len(lost)} write{'s were' if len(lost) > 1 else ' was'} answered with success and used nothing of "
            f"DynamoDB ({routes})",
            "the function runs with PERSISTENCE=memory although dynamodb was applied: callers get another version, or "
            "its environment was changed",
            fixes.apply(examined.environment),
            system=system,
        )


def slow(
    examined: Examined, system: str, answered: Iterable[Request], reports: dict[str, execution_logs.Report]
) -> Iterator[Finding]:
    """Warm queries and cold starts against their budgets, as verification takes them: one good round is enough."""
    budgets = examined.state.verification["budgets"]
    cold = {name: report for name, report in reports.items() if report.init_milliseconds is not None}
    queries = [one for one in answered if one.method == "GET" and one.status < 500 and one.request_id not in cold]
    budget = budgets["query_milliseconds"]
    if queries:
        times = [one.milliseconds for one in queries]
    else:  # the log level leaves the lines out
        times = [report.milliseconds for name, report in reports.items() if name not in cold]
    if len(times) >= FEW_QUERIES and all(percentile(part, 95) > budget for part in _rounds(times)):
        yield _slow_queries(examined, system, queries, times, budget)
    totals = [(report.init_milliseconds or 0) + report.milliseconds for report in cold.values()]
    cold_budget = budgets["cold_start_milliseconds"]
    if totals and min(totals) > cold_budget:
        yield finding(
            "slow-cold-starts",
            examined.state.systems[system]["function_name"],
            f"{len(totals)} cold starts took {min(totals):.0f} to {max(totals):.0f} ms; the budget is {cold_budget} ms",
            f"little memory means little CPU: functions.{system}.memory_megabytes; snap_start or "
            "provisioned_concurrency avoid them",
            fixes.edit_and_apply(examined.environment),
            system=system,
        )


def _rounds(times: list[float]) -> list[list[float]]:
    """A burst of other work is not the function's: what is slow is slow in every part of the window."""
    size = -(-len(times) // ROUNDS)
    return [times[start : start + size] for start in range(0, len(times), size)]


def _slow_queries(
    examined: Examined, system: str, queries: list[Request], times: list[float], budget: float
) -> Finding:
    by_route: dict[str, list[Request]] = {}
    for one in queries:
        by_route.setdefault(one.route, []).append(one)
    late = {route: percentile([one.milliseconds for one in ones], 95) for route, ones in by_route.items()}
    slowest = sorted((route for route in late if late[route] > budget), key=lambda route: -late[route])[:3]
    routes = "; ".join(f"GET {route} {late[route]:.0f} ms" for route in slowest)
    retried = [one for one in queries if one.retries]
    if len(retried) * 2 >= len(queries) > 0:
        cause = "most of them are retried: DynamoDB throttles or fails; raise the table's capacity"
    elif queries and percentile([float(one.calls) for one in queries], 50) > 3:
        cause = "one answer takes several calls to DynamoDB: pages with few hits; a smaller limit, or another index"
    else:
        cause = (
            f"too little CPU (functions.{system}.memory_megabytes), large pages, or DynamoDB itself, of which "
            "SuccessfulRequestLatency tells"
        )
    return finding(
        "slow-queries",
        examined.state.systems[system]["function_name"],
        f"95 % of {len(times)} warm queries took up to {percentile(times, 95):.0f} ms; the budget is {budget} ms"
        + (f" ({routes})" if routes else ""),
        cause,
        fixes.edit_and_apply(examined.environment),
        system=system,
    )


def memory(examined: Examined, system: str, reports: Iterable[execution_logs.Report]) -> Iterator[Finding]:
    fullest = max(reports, key=lambda report: report.used_megabytes, default=None)
    if fullest and fullest.memory_megabytes and fullest.used_megabytes >= FULL * fullest.memory_megabytes:
        yield finding(
            "memory-nearly-full",
            examined.state.systems[system]["function_name"],
            f"it used {fullest.used_megabytes} of {fullest.memory_megabytes} MB",
            f"beyond, Lambda ends the invocation: functions.{system}.memory_megabytes",
            fixes.edit_and_apply(examined.environment),
            system=system,
        )


def access(examined: Examined) -> Iterator[Finding]:
    """Of the API's access log: what no function has answered."""
    stated = examined.state.verification.get("api")
    groups = [group["name"] for group in examined.state.of("aws_cloudwatch_log_group") if "http-api" in group["name"]]
    if not stated or not groups:
        return
    try:
        events, _ = _events(examined, groups[0])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return
    entries = [(event["timestamp"], execution_logs.entry_of(event["message"])) for event in events]
    limited = [at for at, entry in entries if str(entry.get("status")) == "429" and not _by_function(entry)]
    if limited:
        yield finding(
            "api-throttled",
            stated["id"],
            f"the API refused {len(limited)} requests with 429 ({_time(limited[0])} to {_time(limited[-1])} UTC)",
            "more requests than api_throttling lets through, in all or in a burst",
            fixes.edit_and_apply(examined.environment),
        )
    failed = [
        {"timestamp": at, "message": json.dumps({"level": "ERROR", "error": entry["integrationError"]})}
        for at, entry in entries
        if entry.get("integrationError") not in (None, "", "-") and str(entry.get("status", "")).startswith("5")
    ]
    yield from errors(examined, STACK, stated["id"], groups[0], failed)


def _by_function(entry: dict[str, Any]) -> bool:
    """The functions answer 429, too, when DynamoDB throttles."""
    return str(entry.get("functionRequestId", "-")) not in ("", "-")


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _time(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%H:%M:%S}"
