"""How results are shown: the part of the README, docs/benchmarks.md, and the picture.

Each is made from the results file alone, so that what is shown can be held against it. Whether a goal is met is told
from figure and goal, here as there.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts import paths, rendering
from scripts.benchmarks import picture
from scripts.benchmarks.parts import Chart, Row

RECORDED = paths.ROOT / "docs" / "benchmarks.json"
README = paths.ROOT / "README.md"
_PART = re.compile(r"(<!-- bench -->\n).*?(<!-- bench:end -->)", flags=re.DOTALL)


def rows(results: Mapping[str, Any]) -> list[Row]:
    """The figures of all parts, in their order."""
    return [Row(**row) for part in results["parts"].values() for row in part["rows"]]


def shown(results: Mapping[str, Any], recorded: Path = RECORDED) -> dict[Path, str]:
    """What each file that shows these results must hold; they lie beside the results file, but for the README."""
    files = {
        recorded.with_suffix(".svg"): picture.svg(_charts(results), measured(results)),
        recorded.with_suffix(".md"): rendering.render(
            "benchmarks.md.j2", results=results, measured=measured(results), table=_table(results)
        ),
    }
    if recorded == RECORDED:
        part = f"{measured(results)}\n\n{_table(results)}\n![{picture.ALT}](docs/benchmarks.svg)\n"
        files[README] = _PART.sub(lambda found: found[1] + part + found[2], README.read_text())
    return files


def measured(results: Mapping[str, Any]) -> str:
    """When, on what, with what: one sentence."""
    machine, versions = results["machine"], results["versions"]
    engine = results["engine"]
    units = "computed, for want of an engine" if engine == "none" else f"counted by {engine}"
    return (
        f"Measured {results['measured_at'][:10]} in one run on {machine['cores']} cores ({machine['system']}), "
        f"Python {versions['python']}, boto3 {versions['boto3']}; units {units}."
    )


def _charts(results: Mapping[str, Any]) -> list[Chart]:
    return [Chart(**chart) for part in results["parts"].values() for chart in part["charts"]]


def _table(results: Mapping[str, Any]) -> str:
    head = "| what | against | figure | goal | |\n|---|---|---:|---:|---|\n"
    lines = [
        f"| {row.what} | {row.against} | {row.figure} | {row.goal_text} | {'met' if row.is_met else '**not met**'} |\n"
        for row in rows(results)
    ]
    return head + "".join(lines)
