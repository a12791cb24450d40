"""Measures this repository beside what people would use instead: `python -m scripts.bench`.

Every figure is of one run on one machine, and every comparison of the same moments: parts measure what they compare in
turns. Results: .build/bench/benchmarks.json, .md and .svg; with --record also docs/benchmarks.* and the README's table.
"""

import importlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from scripts import paths, rendering
from scripts.benchmarks import engine_at_hand, pages
from scripts.benchmarks.parts import Options, Part
from scripts.console import EXIT_FAILED, CommandError, err, out, run

# In this order: what must not be disturbed by what another part leaves running or filled comes first.
PARTS = ("functions", "build", "capacity", "concurrent_writers", "migration", "whole_stack")
RESULTS = paths.BUILD / "bench" / pages.RECORDED.name


def main(
    only: Annotated[str, typer.Option(help=f"Some parts, with commas between: {', '.join(PARTS)}.")] = "",
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each is measured; a part knows its own.")] = None,
    records: Annotated[int | None, typer.Option(min=100, help="How many records are migrated; 10,000.")] = None,
    record: Annotated[bool, typer.Option("--record", help="Show these results in the README and in docs/.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure beside boto3, Powertools, pip, Terraform alone and the designs of before; exit 1 if a goal is missed."""
    names = _chosen(only)
    if record and (only or rounds or records):
        raise CommandError("RECORD goes with all parts, as long as they take.", "Leave ONLY, ROUNDS and RECORDS out.")
    engine = engine_at_hand.at_hand()
    if engine is None:
        err.print(
            "no DynamoDB engine is at hand: units are computed from item sizes. To have them counted: "
            f"{engine_at_hand.HOW_TO_GET_ONE}; or DYNAMODB_ENDPOINT=http://… names one that runs.",
            markup=False,
        )
    results: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count()},
        "versions": _versions(),
        "engine": engine or "none",
        "parts": {},
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for name in names:
        results["parts"][name] = _measure(name, Options(rounds, records))
        # What was measured is not lost when a later part fails.
        _write(results)
    if record:
        shutil.copyfile(RESULTS, pages.RECORDED)
        for file, text in pages.shown(results).items():
            rendering.write(file, text)
    if json_output:
        print(RESULTS.read_text())
    else:
        _show(results)
    if missed := [row.what for row in pages.rows(results) if not row.is_met]:
        raise CommandError(f"{len(missed)} goals are missed: {'; '.join(missed)}.", exit_code=EXIT_FAILED)


def _chosen(only: str) -> list[str]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := sorted(set(names) - set(PARTS)):
        raise CommandError(f"there is no part {', '.join(unknown)}.", f"There are: {', '.join(PARTS)}.")
    return [name for name in PARTS if not names or name in names]


def _versions() -> dict[str, str]:
    packages = ("awslambdaric", "boto3", "aws-lambda-powertools")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def _measure(name: str, options: Options) -> dict[str, Any]:
    """A part as JSON; each has an engine of its own, so that none is slowed by what another left there."""
    module, began = importlib.import_module(f"scripts.benchmarks.{name}"), time.monotonic()
    with engine_at_hand.running() as engine:
        part: Part = module.measure(options._replace(engine_url=engine.url))
    return {
        "seconds": round(time.monotonic() - began),
        "rows": [row._asdict() for row in part.rows],
        "tables": [table._asdict() for table in part.tables],
        "charts": [chart._asdict() for chart in part.charts],
        "data": part.data,
    }


def _write(results: dict[str, Any]) -> None:
    rendering.write(RESULTS, json.dumps(results, indent=1, default=dict) + "\n")
    for file, text in pages.shown(json.loads(RESULTS.read_text()), RESULTS).items():
        rendering.write(file, text)


def _show(results: dict[str, Any]) -> None:
    for part in results["parts"].values():
        for detail in part["tables"]:
            _print(detail["title"], detail["columns"], detail["rows"])
    found = [
        [row.what, row.against, row.figure, row.goal_text, "[green]met[/green]" if row.is_met else "[red]NOT met[/red]"]
        for row in pages.rows(results)
    ]
    _print("", ["what", "against", "figure", "goal", ""], found)
    out.print(f"{RESULTS.relative_to(paths.ROOT)}, {RESULTS.with_suffix('.svg').relative_to(paths.ROOT)}")


def _print(title: str, columns: list[str], rows: list[list[str]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for number, column in enumerate(columns):
        is_numeric = number and all(row[number][:2].strip("≤≥ ")[:1].isdigit() or not row[number] for row in rows)
        table.add_column(column, justify="right" if is_numeric else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    out.print()


if __name__ == "__main__":
    run(main)
