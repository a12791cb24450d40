"""Where the marks of a picture of latencies over releases go: numbers for the report's template, which draws them."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from scripts.verification import percentile

COLUMN, SIDE, TOP, HEIGHT, FOOT = 64.0, 4.0, 22.0, 150.0, 34.0
MOST_DOTS = 120  # of a release: more would be a smear
SPREAD = 20.0  # how far the dots of a column reach to each side


class Release(NamedTuple):
    """What was measured of one release of a system, in any number of verifications. `milliseconds` is never empty."""

    label: str
    note: str
    milliseconds: Sequence[float]
    runs: int


class Column(NamedTuple):
    """One release: places are in the picture's units, figures in milliseconds."""

    release: Release
    x: float
    dots: list[tuple[float, float]]
    low: float  # 5th percentile
    box_top: float  # 75th
    box_bottom: float  # 25th
    middle: float
    high: float  # 95th
    above: int  # how many lie above the scale
    figures: dict[str, float]


class Chart(NamedTuple):
    width: float
    height: float
    baseline: float
    ticks: list[tuple[float, str]]  # place and label
    columns: list[Column]
    budget: float  # milliseconds
    budget_y: float | None  # None where it lies above the scale


def chart(releases: Sequence[Release], budget: float) -> Chart:
    """The picture of these releases, of which there is at least one, from left to right."""
    highest = max(max(release.milliseconds) for release in releases)
    # A few stragglers, or a budget far above everything, would press the picture flat: they are told in words then.
    highest = min(highest, 3 * max(percentile(list(release.milliseconds), 95) for release in releases))
    top = max(highest, budget) if budget <= highest * 2.5 else highest
    step = _step(top)
    scale = step * max(1, math.ceil(top * 1.04 / step))
    baseline = TOP + HEIGHT

    def y(milliseconds: float) -> float:
        return round(baseline - HEIGHT * min(milliseconds, scale) / scale, 1)

    columns = [_column(release, SIDE + COLUMN * (index + 0.5), scale, y) for index, release in enumerate(releases)]
    ticks = [(y(value), f"{value:g}") for value in _multiples(step, scale)]
    return Chart(
        width=SIDE + COLUMN * len(releases) + SIDE,
        height=baseline + FOOT,
        baseline=baseline,
        ticks=ticks,
        columns=columns,
        budget=budget,
        budget_y=y(budget) if budget <= scale else None,
    )


def _column(release: Release, x: float, scale: float, y: Callable[[float], float]) -> Column:
    values = sorted(release.milliseconds)
    figures = {f"p{q}": percentile(values, q) for q in (5, 25, 50, 75, 95, 99)} | {"max": values[-1]}
    return Column(
        release,
        x,
        [(round(x + _aside(index), 1), y(value)) for index, value in enumerate(_thinned(values)) if value <= scale],
        low=y(figures["p5"]),
        box_top=y(figures["p75"]),
        box_bottom=y(figures["p25"]),
        middle=y(figures["p50"]),
        high=y(figures["p95"]),
        above=sum(value > scale for value in values),
        figures=figures,
    )


def _thinned(values: Sequence[float]) -> Iterable[float]:
    """At most MOST_DOTS of the sorted values, evenly over their ranks, the extremes included."""
    if len(values) <= MOST_DOTS:
        return values
    return [values[round(index * (len(values) - 1) / (MOST_DOTS - 1))] for index in range(MOST_DOTS)]


def _aside(index: int) -> float:
    """Aside of the column's middle, so that dots of like height don't hide each other; the same at every run."""
    golden = 0.6180339887498949
    return ((index * golden + 0.5) % 1 - 0.5) * 2 * SPREAD


def _step(top: float) -> float:
    """A round distance of ticks that gives three to six of them."""
    rough = top / 4
    power = 10 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next((power * factor for factor in (1, 2, 2.5, 5) if power * factor >= rough), power * 10)


def _multiples(step: float, scale: float) -> Iterable[float]:
    return [round(step * number, 6) for number in range(round(scale / step) + 1)]
