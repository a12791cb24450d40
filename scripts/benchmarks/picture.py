"""The picture of the results: horizontal bars, ours in colour, the others in grey; for light and dark pages."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from scripts import rendering
from scripts.benchmarks.parts import Chart

ALT = "Bars: what each costs or takes with this repository, and with what people would use instead"
OURS = "ours"
WIDTH, COLUMNS, GAP = 920, 2, 36
BAR, BAR_GAP, GROUP_GAP, HEAD, LABEL, FIGURE = 11, 3, 17, 46, 168, 74


def svg(charts: Sequence[Chart], caption: str) -> str:
    """Charts in two columns, each put where the shorter one ends."""
    width = (WIDTH - GAP * (COLUMNS - 1)) // COLUMNS
    ends = [0.0] * COLUMNS
    placed = []
    for chart in charts:
        column = ends.index(min(ends))
        height = _height(chart)
        placed.append(
            {"x": column * (width + GAP), "y": ends[column], "title": _title(chart), "bars": list(_bars(chart, width))}
        )
        ends[column] += height + GAP
    return rendering.render(
        "benchmarks.svg.j2", alt=ALT, charts=placed, width=WIDTH, height=max(ends) + 18, caption=caption
    )


def _title(chart: Chart) -> str:
    aim = "lower is better" if chart.lower_is_better else "higher is better"
    return f"{chart.title} ({chart.unit}{', logarithmic' if chart.is_logarithmic else ''}; {aim})"


def _height(chart: Chart) -> float:
    return HEAD + sum(len(series) * (BAR + BAR_GAP) + GROUP_GAP for series in chart.values.values())


def _bars(chart: Chart, width: float) -> Iterator[dict[str, Any]]:
    """Text and rectangles of a chart, relative to its corner."""
    room = width - LABEL - FIGURE
    every = [value for series in chart.values.values() for value in series.values()]
    most, least = max(every), min(value for value in every if value > 0)
    y = float(HEAD)
    for category, series in chart.values.items():
        for number, (name, value) in enumerate(series.items()):
            share = value / most
            if chart.is_logarithmic and value > 0:
                # A decade below the least one, so that it still has a bar
                low = math.log10(least) - 1
                share = (math.log10(value) - low) / (math.log10(most) - low)
            yield {
                "y": y,
                "category": category if number == 0 else "",
                "name": name,
                "is_ours": name == OURS,
                "x": LABEL,
                "length": round(max(1.0, share * room), 1),
                "figure": _figure(value),
            }
            y += BAR + BAR_GAP
        y += GROUP_GAP


def _figure(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"
