"""Which partitions get hot at scale, without the options and with them: `python -m scripts.scale [--check]`.

Writes the figures of the simulation into docs/scale.md, and their picture. Exit code 1 when a partition is beyond what
one bears although the options are on, or, with --check, when the page is not what the simulation gives.
"""

import json
import math
import re
from typing import Annotated, Any

import typer
from rich.table import Table

from scripts import paths, rendering
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.simulation import load
from scripts.simulation.load import AGENTS, SYSTEMS, Line, Load, Place, lines

PAGE = paths.ROOT / "docs" / "scale.md"
PICTURE = paths.ROOT / "docs" / "scale.svg"
_PART = re.compile(r"(<!-- scale:figures -->\n).*?(<!-- scale:end -->)", flags=re.DOTALL)


def main(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail where the page differs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The heat of each place, as JSON.")] = False,
) -> None:
    """Simulate the heat of partitions at scale, and write it into docs/scale.md."""
    with step(f"answering {sum(kind.sample for one in SYSTEMS.values() for kind in one.kinds):,} calls twice"):
        found = lines()
    page, picture = written(found, PAGE.read_text())
    if check:
        if page != PAGE.read_text() or not PICTURE.exists() or picture != PICTURE.read_text():
            raise CommandError("docs/scale.md is not what the simulation gives.", "Run `make scale`.", EXIT_FAILED)
    else:
        rendering.write(PAGE, page)
        rendering.write(PICTURE, picture)
    if as_json:
        print(json.dumps([_as_json(line) for line in found]))
    else:
        _print(found)
    if hot := [line for line in found if line.after.share > 1]:
        names = ", ".join(f"{line.system}: {line.place.label}" for line in hot)
        raise CommandError(f"too hot although the options are on: {names}.", "Raise the options.", EXIT_FAILED)


def written(found: list[Line], page: str) -> tuple[str, str]:
    """The page with these figures, and the picture."""
    figures = rendering.render(
        "scale_figures.md.j2",
        systems={
            system: {
                "kinds": one.kinds,
                "options": one.recommended,
                "lines": [line for line in found if line.system == system and max(_shares(line)) >= WORTH_TELLING],
            }
            for system, one in SYSTEMS.items()
        },
        percent=_percent,
        table=_table_name,
        hot_from=_hot_from,
        agents=load.AGENTS,
        tenants=load.TENANTS,
        largest=load.LARGEST_SHARE,
        common=load.COMMON_SHARE,
        peak=load.PEAK_TO_MEAN,
    )
    bars = [line for line in found if max(_shares(line)) >= WORTH_SHOWING]
    picture = rendering.render(
        "scale.svg.j2", bars=[(line, *map(_bar, _shares(line))) for line in bars], ticks=TICKS, bar=_bar,
        percent=_percent, wide=BAR_WIDTH
    )  # fmt: skip
    return _PART.sub(lambda part: part[1] + figures.strip() + "\n" + part[2], page), picture


# Shares of a partition's limit: from which a place stands in the table, and in the picture
WORTH_TELLING, WORTH_SHOWING = 0.05, 0.3
# A bar's length is logarithmic, from 1 % to 2000 % of the limit
BAR_WIDTH, LOWEST, HIGHEST = 460, 0.01, 20.0
TICKS = (0.01, 0.1, 1, 10)


def _bar(share: float) -> float:
    return round(BAR_WIDTH * math.log(max(share, LOWEST) / LOWEST) / math.log(HIGHEST / LOWEST), 1)


def _shares(line: Line) -> tuple[float, float]:
    return line.before.share, line.after.share


def _percent(share: float) -> str:
    return f"{share:,.0%}".replace("%", " %")


def _table_name(place: Place) -> str:
    return f"`{place.table}`" + (
        f", `{place.index_name}{'…' if place.index_name == 'Tenant' else ''}`" if place.index_name else ""
    )


def _hot_from(heat: Load) -> str:
    """So many agents of the same kind of load are what the partition bears, in two digits."""
    agents = AGENTS / heat.share
    digits = len(str(int(agents))) - 2
    return f"{round(agents, -digits) / 1_000_000:,.10g} million"


def _as_json(line: Line) -> dict[str, Any]:
    def heat(one: Load) -> dict[str, Any]:
        return {"key": one.key, "writes": round(one.writes), "reads": round(one.reads), "share": round(one.share, 3)}

    return {"system": line.system, **line.place._asdict(), "before": heat(line.before), "after": heat(line.after)}


def _print(found: list[Line]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("SYSTEM", "PARTITION OF", "WRITES/S", "READS/S", "OF THE LIMIT", "WITH OPTIONS", "VARIABLE"):
        table.add_column(column, justify="left" if column in ("SYSTEM", "PARTITION OF", "VARIABLE") else "right")
    for line in found:
        if max(_shares(line)) >= WORTH_TELLING:
            table.add_row(
                line.system, line.place.label, f"{line.before.writes:,.0f}", f"{line.before.reads:,.0f}",
                _percent(line.before.share), _percent(line.after.share), line.place.variable,
            )  # fmt: skip
    out.print(table)


if __name__ == "__main__":
    run(main)
