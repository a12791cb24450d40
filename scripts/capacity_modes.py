"""What a table's requests cost on demand and with provisioned capacity, and where the one meets the other.

Pure arithmetic on what was consumed in each of equally long periods.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from scripts.price_list import Prices

# AWS's own default for target tracking: what is provisioned is used at this rate.
TARGET_UTILISATION = 0.7
ON_DEMAND, PROVISIONED = "on-demand", "provisioned"
_SECONDS_PER_HOUR = 3600
_LARGEST_FACTOR = 1e12


class Demand(NamedTuple):
    """Units of one kind (`read` or `write`), of a table or of one of its indexes, in each period."""

    kind: str
    units: Sequence[float]


class Comparison(NamedTuple):
    """US dollars a month.

    `provisioned`: scaled in each period to 70 % use, at least one unit; `for_peak`: always what the busiest period
    needs. `break_even_factor`: at so many times this traffic `provisioned` begins to be cheaper; None without traffic.
    `utilisation`: how much of `for_peak` would be used.
    """

    on_demand: float
    provisioned: float
    for_peak: float
    break_even_factor: float | None
    utilisation: float

    @property
    def cheapest(self) -> str:
        return ON_DEMAND if self.on_demand <= self.provisioned else PROVISIONED

    def facts(self) -> dict[str, Any]:
        return {**self._asdict(), "cheapest": self.cheapest}


def class_suffix(*, infrequent_access: bool) -> str:
    """How the names of prices end for a table class."""
    return "_infrequent_access" if infrequent_access else ""


def break_even_utilisation(prices: Prices, kind: str, suffix: str = "") -> float:
    """The use of a provisioned unit at which it costs what its requests cost on demand."""
    hourly = prices.fixed[f"{kind}_unit_hour{suffix}"]
    return hourly / (prices.by_use[f"on_demand_{kind}s_million{suffix}"] / 1_000_000 * _SECONDS_PER_HOUR)


def on_demand(prices: Prices, kind: str, units: float, suffix: str = "") -> float:
    return units * prices.by_use[f"on_demand_{kind}s_million{suffix}"] / 1_000_000


def compare(
    demands: Sequence[Demand], prices: Prices, *, window_seconds: float, period_seconds: float, suffix: str = ""
) -> Comparison:
    """`window_seconds`: of which the periods hold what was consumed; periods without are idle."""
    hours = prices.fixed["hours_per_month"]
    scale = hours * _SECONDS_PER_HOUR / window_seconds
    idle = max(window_seconds / period_seconds, 1.0)

    def asked(factor: float = 1.0) -> float:
        return sum(on_demand(prices, demand.kind, sum(demand.units), suffix) for demand in demands) * scale * factor

    def needed(units: float) -> int:
        return max(1, math.ceil(units / period_seconds / TARGET_UTILISATION - 1e-9))

    def scaled(factor: float = 1.0) -> float:
        total = 0.0
        for demand in demands:
            busy = [needed(units * factor) for units in demand.units if units]
            mean = (sum(busy) + max(idle - len(busy), 0.0)) / max(idle, len(busy))
            total += mean * prices.fixed[f"{demand.kind}_unit_hour{suffix}"] * hours
        return total

    peaks = [needed(max(demand.units, default=0.0)) for demand in demands]
    rates = [prices.fixed[f"{demand.kind}_unit_hour{suffix}"] for demand in demands]
    paid = sum(peak * rate for peak, rate in zip(peaks, rates, strict=True))
    used = sum(sum(demand.units) / window_seconds * rate for demand, rate in zip(demands, rates, strict=True))
    return Comparison(
        on_demand=asked(),
        provisioned=scaled(),
        for_peak=paid * hours,
        break_even_factor=_meeting(asked, scaled) if asked() else None,
        utilisation=used / paid if paid else 0.0,
    )


def shaped(mean_units: float, peak_to_mean: float, periods: int) -> tuple[float, ...]:
    """As many periods with this mean: one at the peak, the others alike."""
    peak = min(peak_to_mean, float(periods))
    others = (periods - peak) / (periods - 1)
    return (mean_units * peak, *[mean_units * others] * (periods - 1))


def total(demands: Iterable[Demand], kind: str) -> float:
    return sum(sum(demand.units) for demand in demands if demand.kind == kind)


def _meeting(asked: Any, scaled: Any) -> float | None:
    """The smallest factor, within a thousandth, at which on-demand costs no less; None if there is none."""
    low, high = 0.0, 1.0
    while asked(high) < scaled(high):
        low, high = high, high * 2
        if high > _LARGEST_FACTOR:
            return None
    while high - low > high / 1000:
        middle = (low + high) / 2
        low, high = (middle, high) if asked(middle) < scaled(middle) else (low, middle)
    return high
