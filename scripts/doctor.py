"""Finds out what is wrong with an environment, and how to mend it: `python -m scripts.doctor --env NAME`.

It only reads. Exit code 0: nothing is wrong, or nothing that is an error; 1: at least one error.
"""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple, TypeVar

import typer
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from rich.markup import escape
from rich.table import Table

from scripts import aws, build_lambdas, durations, environments, paths, rollback_marks
from scripts.console import EXIT_FAILED, CommandError, Progress, one_line, out, run, step
from scripts.diagnosis import (
    account,
    alarms,
    api,
    applied,
    fixes,
    functions,
    hot_keys,
    load,
    logs,
    permissions,
    refusals,
    symptoms,
    tables,
)
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import ERROR, RESTORE, SEVERITIES, Finding, finding, in_order
from scripts.diagnosis.refusals import Refusal
from scripts.environments import Environment
from scripts.rollback_marks import Marks

AT_ONCE = 8
T = TypeVar("T")
_LONGEST = 300
_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}
_EVERYTHING = "tables, functions, permissions, API, logs, throttles, hot keys, alarms"


class Check(NamedTuple):
    """Something to look at, and how."""

    name: str
    look: Callable[[], Iterator[Finding]]


class Report(NamedTuple):
    """`not_looked_at`: what, and the code of the finding that is in the way."""

    environment: Environment
    account_id: str
    began: datetime
    since: timedelta
    findings: list[Finding]
    not_looked_at: list[dict[str, str]]
    checks: int

    def as_json(self) -> dict[str, Any]:
        return {
            "environment": self.environment.name,
            "account_id": self.account_id or None,
            "region": self.environment.region,
            "began_at": self.began.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "since_seconds": int(self.since.total_seconds()),
            "healthy": not self.findings,
            "findings": [found._asdict() for found in self.findings],
            "not_looked_at": self.not_looked_at,
            "checks": self.checks,
        }


def examine(environment: Environment, since: timedelta, only: str = "") -> Report:
    """Looks at everything that can be looked at."""
    with aws.kept_clients():
        return _examine(environment, since, only)


def _examine(environment: Environment, since: timedelta, only: str) -> Report:
    began = datetime.now(UTC)
    tables.forget()
    refused: set[Refusal] = set()
    with step("look at account and state") as progress:
        progress.update("credentials")
        found, caller = account.look(environment)
        if caller is None:
            return _blocked(Report(environment, "", began, since, found, [], 1), f"state, {_EVERYTHING}")
        progress.update("state")
        trouble, looked = _attempt(
            environment, "state", lambda: applied.look(environment, caller.account_id, caller.now), refused
        )
        more, state = looked or ([], None)
        found += [*trouble, *more]
        if state is None:
            found += refusals.told(environment, caller.arn, refused)
            return _blocked(Report(environment, caller.account_id, began, since, found, [], 2), _EVERYTHING)
        bucket = environments.state_bucket(environment, caller.account_id)
        trouble, marks = _attempt(
            environment, "what is rolled back", lambda: rollback_marks.read(bucket, environment.state_key), refused
        )
        found += trouble
    if only and only not in state.systems:
        raise CommandError(
            f"there is no system {only!r} in environment {environment.name!r}.",
            f"Use SYSTEM={' or SYSTEM='.join(sorted(state.systems)) or '… after an apply'}.",
        )
    built = build_lambdas.read_manifest(paths.LAMBDA_BUILD)
    subject = Examined(environment, state, marks or Marks(), built, caller.now, since, only)
    checks = list(_checks(subject))
    with step(f"look at {len(checks)} parts of {environment.name}") as progress, ThreadPoolExecutor(AT_ONCE) as pool:
        for part, denied in pool.map(lambda check: _looked(environment, check, progress), checks):
            found += part
            refused |= denied
    found += refusals.told(environment, caller.arn, refused)
    findings = in_order(_restored_first(_once(found)))
    return Report(environment, caller.account_id, began, since, findings, [], len(checks) + 2)


def _checks(subject: Examined) -> Iterator[Check]:
    for system, table in (*subject.declared_tables(), *(("stack", table) for table in tables.others(subject))):
        name = table["name"]
        yield Check(f"table {name}", lambda s=system, t=table: tables.look(subject, s, t))  # type: ignore[misc]
        yield Check(f"hot keys of {name}", lambda s=system, t=table: _hot_keys(subject, s, t))  # type: ignore[misc]
    for system in subject.systems:
        for what, look in (
            ("function", functions.look),
            ("permissions", permissions.look),
            ("API's permission", api.permission),
            ("logs", logs.look),
        ):
            yield Check(f"{what} of {system}", lambda s=system, how=look: _of_function(subject, s, how))  # type: ignore[misc]
    yield Check("API", lambda: api.look(subject))
    yield Check("access log", lambda: logs.access(subject))
    yield Check("throttles", lambda: load.throttles(subject))
    yield Check("latencies of tables", lambda: load.slow_tables(subject))
    yield Check("alarms", lambda: alarms.look(subject))


def _hot_keys(subject: Examined, system: str, table: dict[str, Any]) -> Iterator[Finding]:
    """A table or index that is not there has been told."""
    try:
        yield from hot_keys.look(subject, system, table)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _of_function(
    subject: Examined, system: str, look: Callable[[Examined, str], Iterator[Finding]]
) -> Iterator[Finding]:
    try:
        yield from look(subject, system)
    except ClientError as error:
        # a function, alias or log group that is not there has been told
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _looked(environment: Environment, check: Check, progress: Progress) -> tuple[list[Finding], set[Refusal]]:
    """What a check found, also before something came in its way."""
    progress.update(check.name)
    found: list[Finding] = []
    refused: set[Refusal] = set()

    def collect() -> None:
        found.extend(check.look())

    trouble, _ = _attempt(environment, check.name, collect, refused)
    return [*found, *trouble], refused


def _attempt(
    environment: Environment, name: str, action: Callable[[], T], refused: set[Refusal]
) -> tuple[list[Finding], T | None]:
    try:
        return [], action()
    except ClientError as error:
        if denied := refusals.of(error):
            refused.add(denied)
            return [], None
        return [_could_not_look(name, error)], None
    except (BotoCoreError, ResponseParserError, CommandError) as error:
        return [_could_not_look(name, error)], None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return [_unexpected(environment, name, error)], None


def _once(found: list[Finding]) -> list[Finding]:
    """What one and the same trouble kept from being looked at is told together."""
    together: dict[str, list[Finding]] = {}
    for one in found:
        if one.code == "could-not-look" and one.evidence:
            together.setdefault(one.evidence, []).append(one)
    merged = []
    for ones in together.values():
        names = ", ".join(one.subject for one in ones)
        merged.append(ones[0]._replace(subject=names, what=f"{names} could not be looked at: {ones[0].evidence}"))
    return [one for one in found if one.code != "could-not-look" or not one.evidence] + merged


def _restored_first(found: list[Finding]) -> list[Finding]:
    """A missing table that can be restored is the cause of what its systems log of it, and has one fix."""
    restores = [one for one in found if RESTORE in one.fix]
    mending = {system: one.fix for one in restores for system in one.system.split(", ")}
    return [
        one._replace(fix=mending.get(one.system, one.fix)) if one.code == "table-not-found" else one for one in found
    ]


def _could_not_look(name: str, error: Exception) -> Finding:
    return finding(
        "could-not-look",
        name,
        f"{name} could not be looked at",
        "the service refused or did not answer; what it would have shown is not known",
        "curl -sS https://health.aws.amazon.com/public/currentevents",
        evidence=one_line(str(error) if isinstance(error, ClientError | BotoCoreError) else repr(error))[:500],
    )


def _unexpected(environment: Environment, name: str, error: Exception) -> Finding:
    """The state, or an answer, has a shape that this version does not know."""
    return _could_not_look(name, error)._replace(
        cause="the state or an answer has another shape than this checkout knows: another version applied it, and "
        "an apply of this one renews it",
        fix=fixes.apply(environment),
    )


def _blocked(report: Report, rest: str) -> Report:
    """A report that ends early: the last finding is what is in the way, and nobody may take that for health."""
    *others, reason = _once(report.findings)
    findings = in_order([*others, reason._replace(severity=ERROR)])
    return report._replace(findings=findings, not_looked_at=[{"what": rest, "because": reason.code}])


def show(report: Report, seconds: float) -> None:
    for found in report.findings:
        show_finding(found)
    if report.findings:
        out.print(_table(report.findings))
    for skipped in report.not_looked_at:
        out.print(f"not looked at, because of {skipped['because']}: {skipped['what']}", markup=False)
    counts = [(sum(one.severity == severity for one in report.findings), severity) for severity in SEVERITIES]
    told = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for count, severity in counts if count)
    parts = f"{report.checks} part{'s' * (report.checks != 1)}"
    out.print(f"{parts} looked at in {seconds:.0f} s: {told or 'nothing is wrong'}")


def show_finding(found: Finding) -> None:
    """In full, in lines that can be pasted."""
    colour = _COLOURS[found.severity]
    out.print(f"[{colour}]{found.severity}[/{colour}] {escape(found.system)}: {escape(found.what)}")
    out.print(f"  cause  {found.cause}", markup=False)
    if found.evidence:
        out.print(f"  seen   {one_line(found.evidence)[:_LONGEST]}", markup=False)
    out.print(f"  fix    {found.fix}\n", markup=False)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("severity", "system", "finding", "subject"):
        table.add_column(column, overflow="fold")
    for found in findings:
        colour = _COLOURS[found.severity]
        table.add_row(f"[{colour}]{found.severity}[/{colour}]", found.system, found.code, escape(found.subject))
    return table


def _explain(environment: Environment, text: str, *, json_output: bool) -> None:
    """What a pasted symptom means, without a look at the account."""
    found = symptoms.pasted(text, environment)
    if json_output:
        out.print_json(data={"environment": environment.name, "findings": [one._asdict() for one in found]})
    for one in () if json_output else found:
        show_finding(one)
    if not found:
        raise CommandError(
            "the doctor knows no such symptom.",
            f"`make doctor ENV={environment.name}` looks at the stack itself.",
            EXIT_FAILED,
        )


def main(
    env: Annotated[str, typer.Option(help="The environment to look at.")],
    since: Annotated[str, typer.Option(help="How far back to look in logs and metrics: 10m, 1h, 1d.")] = "1h",
    system: Annotated[str, typer.Option(help="Look only at this system, and at what all share.")] = "",
    symptom: Annotated[str, typer.Option(help="Only explain this error text; `-` reads it from stdin.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Tell what is wrong, why, and the command that mends it."""
    environment = environments.load(env)
    window = timedelta(seconds=max(60, durations.seconds(since)))
    if symptom:
        _explain(environment, sys.stdin.read() if symptom == "-" else symptom, json_output=json_output)
        return
    started = time.monotonic()
    report = examine(environment, window, system)
    if json_output:
        out.print_json(data=report.as_json())
    else:
        show(report, time.monotonic() - started)
    if any(found.severity == ERROR for found in report.findings):
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    run(main)
