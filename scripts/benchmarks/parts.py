"""What a part of the benchmark is given, and what it leaves."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

AT_MOST, AT_LEAST = "at most", "at least"


class Options(NamedTuple):
    """None: the part's own default. `engine_url`: a real DynamoDB engine; None where there is none at hand."""

    rounds: int | None = None
    records: int | None = None
    engine_url: str | None = None


class Row(NamedTuple):
    """One figure with its goal: the worst of all that it stands for. `unit` as in "x" (a ratio), "s", "KB", "".

    `is_computed`: not counted by an engine, but told from the sizes of items.
    """

    what: str
    against: str
    value: float
    unit: str
    bound: str
    goal: float
    is_computed: bool = False

    @property
    def is_met(self) -> bool:
        return self.value <= self.goal if self.bound == AT_MOST else self.value >= self.goal

    @property
    def figure(self) -> str:
        return f"{_with_unit(self.value, self.unit)}{' (computed)' if self.is_computed else ''}"

    @property
    def goal_text(self) -> str:
        sign = "≤" if self.bound == AT_MOST else "≥"
        return f"{sign} {_with_unit(self.goal, self.unit)}"


class Detail(NamedTuple):
    """A table of single figures, as text."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Chart(NamedTuple):
    """Bars for the picture: of each category one by series. `lower_is_better` tells what to look for."""

    title: str
    unit: str
    values: Mapping[str, Mapping[str, float]]  # category → series → value
    lower_is_better: bool = True
    is_logarithmic: bool = False


class Part(NamedTuple):
    """`data`: all samples and medians, as JSON."""

    rows: list[Row]
    tables: list[Detail]
    data: Mapping[str, Any] = MappingProxyType({})
    charts: tuple[Chart, ...] = ()


def _with_unit(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}".strip()


def _number(value: float) -> str:
    """With as many digits as mean something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
