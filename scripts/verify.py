"""Verifies an applied environment: `python -m scripts.verify --env NAME`."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from xml.etree import ElementTree

import typer
from rich.table import Table

from scripts import aws, paths, plan_bundle, rendering, stack, verification, verification_history
from scripts.build_lambdas import MANIFEST
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.rollback_marks import Rollback
from scripts.stack import Stack
from scripts.verification import FAILED, PASSED, SKIPPED, Check

_SHOWN = {
    PASSED: "[green]passed[/green]",
    FAILED: "[red]FAILED[/red]",
    SKIPPED: "[yellow]skipped[/yellow]",
}


def verify(applied: Stack, outputs: Mapping[str, Any], only: str = "", *, is_planned: bool = False) -> list[Check]:
    """Runs every check. Leaves verification.json and verification.junit.xml in the environment's build folder, and adds
    to the history of verifications there.

    `is_planned`: the caller's own plan of a moment ago found nothing to change, and nothing was applied since.
    """
    declared = outputs["verification"]
    if only and only not in declared["systems"]:
        raise CommandError(
            f"system {only!r} is not applied in {applied.environment.name!r}.",
            f"Applied: {', '.join(sorted(declared['systems']))}.",
        )
    manifest = json.loads((paths.LAMBDA_BUILD / MANIFEST).read_text())
    began = datetime.now(UTC)
    systems = {name: settings for name, settings in declared["systems"].items() if only in ("", name)}
    rolled_back = {name: applied.marks.rollbacks[name] for name in applied.pinned_versions}
    what = ", ".join(systems) or "nothing: every system is off"
    with step(f"verify {what}{'' if is_planned else ', and the next plan'}") as progress:

        def next_plan() -> Check:
            return verification.no_changes(
                lambda: not is_planned and stack.plan(applied, part_of=progress), lambda: stack.summary(applied)
            )

        # The plan beside what takes no figures: most of its time it computes, and asks AWS for nothing.
        with aws.kept_clients():
            checks = verification.verify_systems(systems, declared, manifest, rolled_back, progress, next_plan)
    applied.plan_file.unlink(missing_ok=True)
    directory = applied.environment.build_dir
    releases = {name: _release(settings, rolled_back.get(name)) for name, settings in systems.items()}
    report = as_json(applied, declared, releases, checks, began)
    rendering.write(directory / "verification.json", json.dumps(report, indent=2) + "\n")
    verification_history.append(directory, report)
    _junit(applied.environment.name, checks).write(
        directory / "verification.junit.xml", encoding="utf-8", xml_declaration=True
    )
    return checks


def as_json(
    applied: Stack,
    declared: dict[str, Any],
    releases: dict[str, dict[str, str]],
    checks: list[Check],
    began: datetime,
) -> dict[str, Any]:
    return {
        "environment": applied.environment.name,
        "account_id": applied.account_id,
        "region": applied.environment.region,
        "began_at": began.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        **plan_bundle.commit_facts(),
        "budgets": declared["budgets"],
        "releases": releases,
        "passed": all(check.status != FAILED for check in checks),
        "checks": [check._asdict() for check in checks],
    }


def _release(declared: dict[str, Any], mark: Rollback | None) -> dict[str, str]:
    """What callers of a system get: the version, and its code as Lambda tells it."""
    if mark:
        return {"function_version": mark.to_version, "code_sha256": mark.to_code_sha256}
    return {name: str(declared[name]) for name in ("function_version", "code_sha256")}


def show(checks: list[Check]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("system", "check", "", "detail"):
        table.add_column(column, overflow="fold")
    for check in checks:
        table.add_row(check.system, check.name, _SHOWN[check.status], check.detail)
    out.print(table)


def require_passed(checks: list[Check]) -> None:
    """Ends the command with exit code 1 and the failed checks' names."""
    if failed := [f"{check.system}: {check.name}" for check in checks if check.status == FAILED]:
        raise CommandError(f"verification failed: {'; '.join(failed)}.", exit_code=EXIT_FAILED)


def _junit(environment: str, checks: list[Check]) -> "ElementTree.ElementTree[ElementTree.Element]":
    count = {status: str(sum(check.status == status for check in checks)) for status in _SHOWN}
    suite = ElementTree.Element(
        "testsuite",
        name=f"verify {environment}",
        tests=str(len(checks)),
        failures=count[FAILED],
        skipped=count[SKIPPED],
        time=f"{sum(check.seconds for check in checks):.3f}",
    )
    for check in checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=check.system, name=check.name, time=f"{check.seconds:.3f}"
        )
        if check.status == FAILED:
            ElementTree.SubElement(case, "failure", message=check.detail)
        elif check.status == SKIPPED:
            ElementTree.SubElement(case, "skipped", message=check.detail)
        else:
            ElementTree.SubElement(case, "system-out").text = check.detail
    return ElementTree.ElementTree(suite)


def main(
    env: Annotated[str, typer.Option(help="The environment to verify.")],
    system: Annotated[str, typer.Option(help="Verify only this system.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    junit: Annotated[Path | None, typer.Option(help="Also write the JUnit XML to this file.")] = None,
) -> None:
    """Prove that what is applied is as declared, works, and keeps its state through a cold start."""
    started = time.monotonic()
    with stack.exclusive(env):
        stack.build()
        applied = stack.open_stack(env)
        stack.initialise(applied)
        outputs = stack.applied_outputs(applied)
        checks = verify(applied, outputs, system)
    if junit:
        junit.parent.mkdir(parents=True, exist_ok=True)
        junit.write_bytes((applied.environment.build_dir / "verification.junit.xml").read_bytes())
    if json_output:
        out.print_json((applied.environment.build_dir / "verification.json").read_text())
    else:
        show(checks)
        out.print(f"{len(checks)} checks in {time.monotonic() - started:.0f} s")
    require_passed(checks)


if __name__ == "__main__":
    run(main)
