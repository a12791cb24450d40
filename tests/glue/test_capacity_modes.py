"""On-demand against provisioned capacity, reckoned by hand from the price file."""

import pytest

from scripts import capacity_modes, price_list
from scripts.capacity_modes import Demand

PRICES = price_list.load("us-east-1")
MONTH_SECONDS = 730 * 3600
HOURS = 730


def compare(*demands: Demand, periods: int = HOURS) -> capacity_modes.Comparison:
    return capacity_modes.compare(demands, PRICES, window_seconds=MONTH_SECONDS, period_seconds=MONTH_SECONDS / periods)


def test_todays_prices() -> None:
    assert PRICES.by_use["on_demand_writes_million"] == 0.625
    assert PRICES.by_use["on_demand_reads_million"] == 0.125
    assert PRICES.by_use["storage_gigabyte_month"] == 0.25
    assert (PRICES.region, PRICES.price_region) == ("us-east-1", "us-east-1")


def test_a_region_without_prices_gets_others_and_is_told_so() -> None:
    prices = price_list.load("mars-north-1")
    assert prices.price_region == "us-east-1"
    assert "which are not those of mars-north-1" in prices.source()
    assert "copy scripts/prices/us-east-1.toml" in prices.next_step()


@pytest.mark.parametrize("kind", ["read", "write"])
def test_break_even_is_where_a_unit_costs_what_its_requests_cost(kind: str) -> None:
    used = capacity_modes.break_even_utilisation(PRICES, kind)
    hourly = {"read": 0.00013, "write": 0.00065}[kind]
    million = {"read": 0.125, "write": 0.625}[kind]
    assert used == pytest.approx(hourly / (3600 * million / 1e6))
    assert used == pytest.approx(0.2889, abs=1e-4)


def test_steady_traffic_is_cheaper_provisioned() -> None:
    """70 writes a second in each hour need 100 units."""
    found = compare(Demand("write", [70 * 3600.0] * HOURS))
    assert found.on_demand == pytest.approx(70 * MONTH_SECONDS * 0.625 / 1e6)
    assert found.provisioned == found.for_peak == pytest.approx(100 * 730 * 0.00065)
    assert found.utilisation == pytest.approx(0.7)
    assert found.cheapest == "provisioned"


def test_one_busy_hour_a_month_is_cheaper_on_demand() -> None:
    found = compare(Demand("write", [70 * 3600.0]))
    assert found.on_demand == pytest.approx(70 * 3600 * 0.625 / 1e6)
    assert found.for_peak == pytest.approx(100 * 730 * 0.00065)
    assert found.provisioned == pytest.approx((100 + 729) * 0.00065)
    assert found.cheapest == "on-demand"


def test_a_table_that_nobody_uses_costs_a_unit_provisioned_and_nothing_on_demand() -> None:
    found = compare(Demand("write", []), Demand("read", []))
    assert (found.on_demand, found.break_even_factor, found.cheapest) == (0, None, "on-demand")
    assert found.provisioned == pytest.approx(730 * (0.00065 + 0.00013))


def test_the_break_even_is_where_both_cost_the_same() -> None:
    units = [3600.0 * 0.01] * HOURS
    factor = compare(Demand("write", units)).break_even_factor
    assert factor is not None
    meeting = compare(Demand("write", [one * factor for one in units]))
    assert meeting.on_demand == pytest.approx(meeting.provisioned, rel=0.01)
    # one unit's price buys so many writes on demand
    assert sum(units) * factor == pytest.approx(730 * 0.00065 / 0.625 * 1e6, rel=0.01)


def test_infrequent_access_has_its_own_prices() -> None:
    suffix = capacity_modes.class_suffix(infrequent_access=True)
    assert capacity_modes.on_demand(PRICES, "write", 1e6, suffix) == 0.78


def test_a_day_is_shaped_with_its_mean_and_its_peak() -> None:
    day = capacity_modes.shaped(10, 3, 24)
    assert (sum(day), max(day), len(day)) == (pytest.approx(240), 30, 24)
