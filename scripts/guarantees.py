"""Writes the page of the guarantees from what their tests recorded: `python -m scripts.guarantees`.

Exit code 1 when a promise is not held: a test of it failed, or not all of its tests ran.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from scripts import dynamodb_local, guarantee_records, paths, rendering, terraform_cli
from scripts.console import EXIT_FAILED, CommandError, err, out, run
from scripts.guarantee_records import NOT_GUARANTEED, PASSED, SKIPPED, Record

PAGE = paths.ROOT / "docs" / "guarantees.md"
# What can be told of a promise, worst first
BROKEN, NOT_TRIED, UNTOLD, HELD = "broken", "not all its tests ran", "skipped", "held"


def main(
    output: Annotated[Path, typer.Option(help="Where to write the page.")] = PAGE,
    as_json: Annotated[bool, typer.Option("--json", help="Each promise with its tests and figures, as JSON.")] = False,
) -> None:
    """Write the page of the guarantees from the records of the tests."""
    declared, tests = guarantee_records.declaration(), guarantee_records.tests_by_promise()
    records = guarantee_records.records()
    promises = [
        _promise(name, text, tests.get(name, []), records)
        for name, text in guarantee_records.promises(declared).items()
    ]
    told = [record for record in records if any(record.test in names for names in tests.values())]
    output.parent.mkdir(parents=True, exist_ok=True)
    page = rendering.render(
        "guarantees.md.j2",
        runs=_runs(told),
        engines=_engines(),
        promises=[{**promise, "rows": [_row(row) for row in promise["tests"]]} for promise in promises],
        not_guaranteed=declared[NOT_GUARANTEED],
    )
    rendering.write(output, page)
    if as_json:
        print(json.dumps({"page": str(output), "promises": promises}))
    else:
        _print(promises, output)
    if bad := [promise["id"] for promise in promises if promise["state"] in (BROKEN, NOT_TRIED)]:
        raise CommandError(
            f"{len(bad)} of {len(promises)} promises are not held by this run: {', '.join(bad)}.",
            "Run their tests: `make guarantees`.",
            EXIT_FAILED,
        )


def _promise(name: str, text: str, tests: Sequence[str], records: Sequence[Record]) -> dict[str, Any]:
    """A promise with a row for each test, and its state. A record of a test that is no more counts nothing."""
    rows = [_test(name, test, [record for record in records if record.test == test]) for test in tests]
    outcomes = {outcome for row in rows for outcome in row["outcomes"]}
    if outcomes - {PASSED, SKIPPED}:
        state = BROKEN
    elif not rows or not all(row["cases"] for row in rows):
        state = NOT_TRIED
    else:
        state = HELD if PASSED in outcomes else UNTOLD
    return {"id": name, "text": text, "state": state, "tests": rows}


def _test(promise: str, test: str, records: Sequence[Record]) -> dict[str, Any]:
    figures: Counter[str] = Counter()
    for record in records:
        figures.update(record.figures.get(promise, {}))
    return {
        "test": test,
        "cases": len(records),
        "outcomes": dict(Counter(record.outcome for record in records)),
        "reasons": sorted({record.reason for record in records if record.reason}),
        "figures": dict(figures),
    }


def _row(test: dict[str, Any]) -> dict[str, str]:
    """A test as the page shows it."""
    file, _, name = test["test"].partition("::")
    outcomes = test["outcomes"]
    outcome = ", ".join(outcomes if len(outcomes) == 1 else (f"{count} {name}" for name, count in outcomes.items()))
    reasons = "".join(f" ({reason})" for reason in test["reasons"])
    return {
        "file": file.removeprefix("tests/"),
        "link": f"../{file}",
        "name": name.removeprefix("test_").replace("_", " "),
        "cases": str(test["cases"]),
        "outcome": (outcome or "did not run") + reasons.replace("|", "\\|"),
        "figures": "<br>".join(f"{name.replace('_', ' ')}: {value:,}" for name, value in test["figures"].items()),
    }


def _runs(records: Sequence[Record]) -> list[str]:
    """When the tests ran, by the commit that they ran on."""
    by_commit: dict[str, list[str]] = {}
    for record in records:
        commit = f"commit {record.commit[:12]}" if record.commit else "no commit"
        by_commit.setdefault(f"{commit}{' with changes' if record.changed else ''}", []).append(record.began)
    return [
        f"{len(began)} {'test' if len(began) == 1 else 'tests'} on {min(began)[:16].replace('T', ' ')} UTC, {commit}"
        for commit, began in sorted(by_commit.items(), key=lambda told: min(told[1]))
    ]


def _engines() -> list[str]:
    """What the tests ran on, each with its version."""
    found = [f"Python {platform.python_version()}", f"Terraform {terraform_cli.require_terraform()}"]
    found += [f"{name} {importlib.metadata.version(name)}" for name in ("moto", "boto3")]
    if not dynamodb_local.missing():
        found.append(f"DynamoDB Local {_said('java', '-jar', os.environ['DYNAMODB_LOCAL_JAR'], '-version')}")
    if dynoxide := os.environ.get("DYNOXIDE"):
        found.append(_said(dynoxide, "--version"))
    return found


def _said(*command: str) -> str:
    """The last line that a program answers."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return "of an unknown version"
    return (answer.stdout.strip().splitlines() or ["of an unknown version"])[-1]


def _print(promises: Sequence[dict[str, Any]], output: Path) -> None:
    table = Table(box=None)
    for column in ("promise", "state", "tests"):
        table.add_column(column)
    for promise in promises:
        colour = {HELD: "green", UNTOLD: "yellow"}.get(promise["state"], "red")
        table.add_row(promise["id"], f"[{colour}]{promise['state']}[/{colour}]", str(len(promise["tests"])))
    out.print(table)
    for promise in promises:
        for test in promise["tests"]:
            for reason in test["reasons"]:
                err.print(f"[yellow]skipped[/yellow] {escape(test['test'])}: {escape(reason)}")
    out.print(f"wrote {os.path.relpath(output)}", markup=False)


if __name__ == "__main__":
    run(main)
