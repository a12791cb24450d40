"""Writes a page about an environment for people to look at: `python -m scripts.report --env NAME`.

What is on disk (verifications) is shown whatever happens; what is read from the account (costs, tables, alarms) as far
as it can be. The page needs nothing but itself.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table

from scripts import (
    applied_state,
    aws,
    consumption,
    cost_model,
    declared_tables,
    durations,
    environments,
    latency_charts,
    paths,
    price_list,
    rendering,
    table_policy,
    verification_history,
)
from scripts.applied_state import AppliedState
from scripts.console import CommandError, Progress, err, one_line, out, run, step
from scripts.environments import Environment
from scripts.latency_charts import Chart, Release
from scripts.table_policy import Cell
from scripts.verification import FAILED, PASSED, SKIPPED
from scripts.verification_history import Verification

SHOWN_RUNS = 40
SHOWN_RELEASES = 12
_ALARM_BATCH = 100  # names that CloudWatch takes at once
_ALARM_ORDER = ("ALARM", "MISSING", "INSUFFICIENT_DATA", "OK")
# What a cost is for, in words; others are called as they are.
_COST_KINDS = {"recovery": "PITR", "function": "Lambda", "api": "API"}
# The samples of which check show what, and the budget that it is held against.
_KINDS = {
    "warm": ("warm queries", "query_milliseconds", "query_milliseconds"),
    "cold": ("survives a cold start", "cold_start_milliseconds", "cold_start_milliseconds"),
}


class TableRow(NamedTuple):
    """One table: the systems that use it (none for extra tables), and how it compares."""

    name: str
    systems: list[str]
    cells: dict[str, Cell]
    verdict: str


class Alarm(NamedTuple):
    """One alarm as CloudWatch has it. `watches`: the table, function or API among its dimensions."""

    name: str
    state: str
    since: str
    reason: str
    description: str
    watches: str


class Latency(NamedTuple):
    system: str
    kind: str  # "warm" or "cold"
    chart: Chart


class SystemCost(NamedTuple):
    """US dollars a month of one system, by what they are for."""

    system: str
    kinds: dict[str, float]
    calls: float
    million_calls: float | None  # None without calls

    @property
    def month(self) -> float:
        return sum(self.kinds.values())


class Costs(NamedTuple):
    title: str
    source: str  # of the prices
    kinds: list[str]
    systems: list[SystemCost]
    notes: list[str]

    @property
    def total(self) -> float:
        return sum(one.month for one in self.systems)

    @property
    def highest(self) -> float:
        return max((one.month for one in self.systems), default=0.0)


class Report(NamedTuple):
    environment: str
    region: str
    account_id: str  # "" where there was no way to it
    made_at: str
    runs: list[Verification]
    latencies: list[Latency]
    costs: Costs | None
    tables: list[TableRow] | None
    alarms: list[Alarm] | None
    missing: list[str]

    @property
    def latest(self) -> Verification | None:
        return self.runs[-1] if self.runs else None

    @property
    def slowest(self) -> Latency | None:
        """The system whose newest release has the highest p95 of warm queries."""
        warm = [one for one in self.latencies if one.kind == "warm"]
        return max(warm, key=lambda one: one.chart.columns[-1].figures["p95"], default=None)

    def as_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment,
            "region": self.region,
            "account_id": self.account_id,
            "made_at": self.made_at,
            "verifications": [_short(one) for one in self.runs],
            "latencies": [
                {
                    "system": one.system,
                    "kind": one.kind,
                    "budget_milliseconds": one.chart.budget,
                    "releases": [
                        {"release": column.release.label, "runs": column.release.runs, "milliseconds": column.figures}
                        for column in one.chart.columns
                    ],
                }
                for one in self.latencies
            ],
            "costs": self.costs
            and {
                "month_usd": self.costs.total,
                "systems": {
                    one.system: {"month_usd": one.month, "calls": one.calls, "million_calls_usd": one.million_calls}
                    for one in self.costs.systems
                },
            },
            "tables": self.tables
            and [
                {
                    "name": row.name,
                    "systems": row.systems,
                    "verdict": row.verdict,
                    "settings": {column: cell._asdict() for column, cell in row.cells.items()},
                }
                for row in self.tables
            ],
            "alarms": self.alarms and [alarm._asdict() for alarm in self.alarms],
            "missing": self.missing,
        }


def gather(environment: Environment, folders: Iterable[Path], since: str, progress: Progress) -> Report:
    """Reads all that the page tells, and notes what could not be read."""
    made_at = _utc(datetime.now(UTC))
    runs = verification_history.read(environment.name, folders)
    account_id, costs, tables, alarms = "", None, None, None
    missing: list[str] = []
    applied: AppliedState | None = None
    with _noting("costs, tables and alarms", missing):
        aws.use(environment)
        account_id = aws.account_id(environment)
        applied = applied_state.read(environments.state_bucket(environment, account_id), environment.state_key)
    if applied and not applied.verification:
        missing.append(f"costs, tables and alarms: nothing is applied. Run `make apply ENV={environment.name}` first.")
    elif applied:
        progress.update("alarms")
        with _noting("alarms", missing):
            alarms = read_alarms(applied)
        progress.update("tables")
        with _noting("tables", missing):
            tables = read_tables(applied, alarms)
        progress.update("costs")
        with _noting("costs", missing):
            costs = read_costs(environment.region, applied, since, progress)
    return Report(
        environment=environment.name,
        region=environment.region,
        account_id=account_id,
        made_at=made_at,
        runs=runs[-SHOWN_RUNS:],
        latencies=latencies(runs),
        costs=costs,
        tables=tables,
        alarms=alarms,
        missing=missing,
    )


@contextmanager
def _noting(what: str, missing: list[str]) -> Iterator[None]:
    """What can't be read is missing on the page, which is made all the same."""
    try:
        yield
    except (CommandError, BotoCoreError, ClientError) as error:
        missing.append(f"{what}: {_said(error)}")


def _said(error: Exception) -> str:
    if isinstance(error, CommandError):
        return one_line(f"{error.message} {error.next_step}")
    return one_line(str(error))


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- latencies -----------------------------------------------------------------------------------------------------


def latencies(runs: Sequence[Verification]) -> list[Latency]:
    """A picture for each system and kind of which anything was measured, over the last releases of the system."""
    systems = dict.fromkeys(system for one in runs for system in one.get("releases", {}))
    found = []
    for system in systems:
        for kind, (check, sample, budget) in _KINDS.items():
            releases = _releases(runs, system, check, sample)[-SHOWN_RELEASES:]
            budgets = [one["budgets"][budget] for one in runs if budget in one.get("budgets", {})]
            if releases and budgets:
                found.append(Latency(system, kind, latency_charts.chart(releases, budgets[-1])))
    return found


def _releases(runs: Sequence[Verification], system: str, check: str, sample: str) -> list[Release]:
    """What was measured by release, the one that was verified first at the left."""
    measured: dict[tuple[str, str], list[tuple[Verification, list[float]]]] = {}
    for one in runs:
        release = one.get("releases", {}).get(system)
        checks = {found["name"]: found for found in one["checks"] if found["system"] == system}
        # Where other code ran than was to be verified, nobody knows what was measured.
        known = release and checks.get("deployed code", {}).get("status") != FAILED
        values = checks.get(check, {}).get("samples", {}).get(sample, [])
        if known and values:
            measured.setdefault((release["function_version"], release["code_sha256"]), []).append((one, values))
    return [
        Release(
            label=f"v{version}",
            note=_commit(taken[-1][0]) or code[:7],
            milliseconds=[value for _, values in taken for value in values],
            runs=len(taken),
        )
        for (version, code), taken in measured.items()
    ]


def _commit(one: Verification) -> str:
    """The commit that it was run from, short; marked where the tree differed from it."""
    commit = one.get("commit")
    return f"{commit[:7]}{'+' if one.get('dirty') else ''}" if commit else ""


# --- verifications -------------------------------------------------------------------------------------------------


def grid(one: Verification) -> dict[str, dict[str, str]]:
    """The outcome by system and kind of check; a system's tables are one kind, as bad as the worst of them."""
    found: dict[str, dict[str, str]] = {}
    for check in one["checks"]:
        kind = "tables" if check["name"].startswith("table ") else check["name"]
        outcomes = found.setdefault(check["system"], {})
        outcomes[kind] = min(check["status"], outcomes.get(kind, check["status"]), key=(FAILED, SKIPPED, PASSED).index)
    return found


def when(time: str) -> str:
    """An instant as people read it."""
    try:
        return datetime.fromisoformat(time).astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")
    except ValueError:
        return time


def _short(one: Verification) -> dict[str, Any]:
    return {
        "began_at": one["began_at"],
        "passed": one["passed"],
        "commit": one.get("commit"),
        "checks": counts(one),
        "failed": failures(one),
    }


def counts(one: Verification) -> dict[str, int]:
    return {status: sum(check["status"] == status for check in one["checks"]) for status in (PASSED, FAILED, SKIPPED)}


def failures(one: Verification) -> list[str]:
    return [f"{check['system']}: {check['name']}" for check in one["checks"] if check["status"] == FAILED]


# --- tables --------------------------------------------------------------------------------------------------------


def read_tables(applied: AppliedState, alarms: Sequence[Alarm] | None) -> list[TableRow]:
    """Every table of the stack as it is, beside what is declared and the policy."""
    declared: dict[str, dict[str, Any]] = {}
    users: dict[str, list[str]] = {}
    for system, settings in applied.systems.items():
        for table in settings["tables"].values():
            declared[table["name"]] = table
            users.setdefault(table["name"], []).append(system)
    extra = [table["name"] for table in applied.of("aws_dynamodb_table") if table["name"] not in declared]
    watched = None if alarms is None else [alarm.watches for alarm in alarms]
    scaled = {(one["resource_id"], one["scalable_dimension"]) for one in applied.of("aws_appautoscaling_target")}

    def row(name: str) -> TableRow:
        try:
            actual = declared_tables.actual_table(name)
        except (BotoCoreError, ClientError) as error:
            gone = isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException"
            cells = table_policy.unreadable("there is no such table" if gone else one_line(str(error)))
        else:
            wanted = declared.get(name) or actual | {
                f"{kind.lower()}_capacity": None
                for kind in ("Read", "Write")
                if (f"table/{name}", f"dynamodb:table:{kind}CapacityUnits") in scaled
            }
            cells = table_policy.compare(wanted, actual, None if watched is None else watched.count(f"table {name}"))
        return TableRow(name, sorted(users.get(name, [])), cells, table_policy.verdict(cells.values()))

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(row, [*sorted(declared), *sorted(extra)]))


# --- costs ---------------------------------------------------------------------------------------------------------


def read_costs(region: str, applied: AppliedState, since: str, progress: Progress) -> Costs:
    """What the stack used in that time costs a month, by system."""
    prices = price_list.load(region)
    use, notes = consumption.of_stack(applied.instances, consumption.window(durations.seconds(since)), prices, progress)
    found = cost_model.cost(use, prices)
    systems = [
        SystemCost(
            system,
            {_COST_KINDS.get(kind, kind): amount for kind, amount in kinds.items() if amount},
            found.calls.get(system, 0.0),
            found.million_calls(system),
        )
        for system, kinds in found.by_system.items()
    ]
    shown = [_COST_KINDS.get(kind, kind) for kind in cost_model.KINDS]
    return Costs(
        title=f"What was used in the last {since}, as a month of it",
        source=prices.source(),
        kinds=[kind for kind in shown if any(kind in one.kinds for one in systems)],
        systems=systems,
        notes=[*notes, prices.next_step()] if prices.next_step() else notes,
    )


# --- alarms --------------------------------------------------------------------------------------------------------


def read_alarms(applied: AppliedState) -> list[Alarm]:
    """Every alarm of the stack, those that ring first."""
    made = [*applied.of("aws_cloudwatch_metric_alarm"), *applied.of("aws_cloudwatch_composite_alarm")]
    names = sorted(alarm["alarm_name"] for alarm in made)
    cloudwatch = aws.client("cloudwatch")
    found: dict[str, Alarm] = {}
    for start in range(0, len(names), _ALARM_BATCH):
        pages = cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNames=names[start : start + _ALARM_BATCH], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        for page in pages:
            for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
                found[alarm["AlarmName"]] = _alarm(alarm)
    alarms = [
        found.get(name) or Alarm(name, "MISSING", "", "it is in the state, but not in CloudWatch", "", "")
        for name in names
    ]
    return sorted(alarms, key=lambda alarm: (_ALARM_ORDER.index(alarm.state), alarm.watches, alarm.name))


def _alarm(alarm: Mapping[str, Any]) -> Alarm:
    changed = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return Alarm(
        name=alarm["AlarmName"],
        state=alarm["StateValue"],
        since=_utc(changed) if changed else "",
        reason=alarm.get("StateReason", ""),
        description=alarm.get("AlarmDescription", ""),
        watches=_watched(alarm),
    )


def _watched(alarm: Mapping[str, Any]) -> str:
    metrics = [alarm, *(query["MetricStat"]["Metric"] for query in alarm.get("Metrics", []) if "MetricStat" in query)]
    dimensions = {one["Name"]: one["Value"] for metric in metrics for one in metric.get("Dimensions", [])}
    for dimension, kind in (("TableName", "table"), ("FunctionName", "function"), ("ApiId", "API")):
        if dimension in dimensions:
            return f"{kind} {dimensions[dimension]}"
    return "account"


# --- the page ------------------------------------------------------------------------------------------------------


def html(report: Report) -> str:
    return rendering.render(
        "report.html.j2",
        report=report,
        latest=report.latest,
        counts=counts,
        failures=failures,
        commit=_commit,
        when=when,
        grid=grid,
        policy=table_policy.POLICY,
        style=(paths.TEMPLATES / "report.css").read_text(),
    )


def summary(report: Report) -> list[tuple[str, str]]:
    """What each part of the page says, in a few words."""
    latest = report.latest
    if latest is None:
        verified = "never verified from here"
    elif latest["passed"]:
        verified = f"passed, {len(latest['checks'])} checks at {latest['began_at'][:16].replace('T', ' ')} UTC"
    else:
        verified = f"FAILED: {'; '.join(failures(latest))}"
    rows = [("verification", verified)]
    releases = {column.release.label for one in report.latencies for column in one.chart.columns}
    rows.append(
        ("latencies", f"{len(report.latencies)} pictures, {len(releases)} releases" if releases else "none measured")
    )
    if report.costs is not None:
        rows.append(("cost", f"{report.costs.total:,.2f} USD a month"))
    if report.tables is not None:
        worst = [row.verdict for row in report.tables]
        rows.append(
            ("tables", f"{len(worst)}: {worst.count('wrong')} not as declared, {worst.count('short')} short of policy")
        )
    if report.alarms is not None:
        states = [alarm.state for alarm in report.alarms]
        rows.append(("alarms", f"{len(states)}: {states.count('ALARM')} in ALARM"))
    return rows


def main(
    env: Annotated[str, typer.Option(help="The environment to report on.")],
    output: Annotated[Path | None, typer.Option(help="Write the page here; else to the build folder.")] = None,
    history: Annotated[Path | None, typer.Option(help="A folder with verifications.jsonl from elsewhere.")] = None,
    since: Annotated[str, typer.Option(help="The time whose use is the cost: 24h, 7d, 30d.")] = "7d",
    json_output: Annotated[bool, typer.Option("--json", help="Print what the page tells as JSON.")] = False,
) -> None:
    """Write one HTML file about an environment: verifications, latencies, costs, tables, alarms. Changes nothing."""
    environment = environments.load(env)
    if history is not None and not history.is_dir():
        raise CommandError(f"there is no folder {history}.", "Name one that holds verifications.jsonl files.")
    consumption.window(durations.seconds(since))  # a wrong one is told before anything is read
    target = output or environment.build_dir / "report.html"
    if target.is_dir():
        raise CommandError(f"{target} is a folder.", "Name a file by OUTPUT.")
    folders = [environment.build_dir, *([history] if history else [])]
    with step(f"report on {env}") as progress:
        report = gather(environment, folders, since, progress)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            rendering.write(target, html(report))
        except OSError as error:
            raise CommandError(
                f"{target} can't be written: {error.strerror}.", "Name another file by OUTPUT."
            ) from error
    for gap in report.missing:
        err.print(f"not in the report: {gap}", markup=False)
    if json_output:
        out.print_json(data={**report.as_json(), "file": str(target)})
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for part, said in summary(report):
        table.add_row(part, said)
    out.print(table)
    out.print(f"{environments.shown(target)}", markup=False)


if __name__ == "__main__":
    run(main)
