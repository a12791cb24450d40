"""Where the marks of a picture go."""

import pytest

from scripts.latency_charts import HEIGHT, MOST_DOTS, TOP, Release, chart


def drawn(*milliseconds: list[float], budget: float = 50):  # type: ignore[no-untyped-def]
    return chart([Release(f"v{n}", "", values, 1) for n, values in enumerate(milliseconds, 1)], budget)


def test_a_column_shows_the_distribution() -> None:
    (column,) = drawn([float(value) for value in range(1, 101)]).columns
    assert column.figures == {"p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99, "max": 100}
    assert column.high < column.box_top < column.middle < column.box_bottom < column.low
    assert len(column.dots) == 100


def test_releases_share_one_scale_from_left_to_right() -> None:
    first, second = drawn([10.0], [20.0]).columns
    assert first.x < second.x
    bottom = TOP + HEIGHT
    assert bottom - second.middle == pytest.approx(2 * (bottom - first.middle), abs=0.2)


def test_a_budget_far_above_everything_does_not_press_the_picture_flat() -> None:
    assert drawn([3.0, 4.0], budget=50).budget_y is None
    near = drawn([30.0, 40.0], budget=50)
    assert near.budget_y is not None
    assert TOP <= near.budget_y < near.columns[0].middle


def test_stragglers_are_counted_above_the_scale() -> None:
    (column,) = drawn([*[5.0] * 99, 4000.0]).columns
    assert (column.above, column.figures["max"], len(column.dots)) == (1, 4000.0, 99)
    assert all(TOP <= y <= TOP + HEIGHT for _, y in column.dots)


def test_many_dots_are_thinned_and_keep_the_extremes() -> None:
    few = drawn([float(value) for value in range(1, 1001)])
    (column,) = few.columns
    assert len(column.dots) == MOST_DOTS
    assert (min(y for _, y in column.dots), max(y for _, y in column.dots)) == (column.dots[-1][1], column.dots[0][1])


@pytest.mark.parametrize("values", [[0.0], [0.01, 0.02], [7.0] * 50, [1e6, 2e6]])
def test_any_figures_can_be_drawn(values: list[float]) -> None:
    picture = drawn(values)
    assert 2 <= len(picture.ticks) <= 8
    assert picture.ticks[0] == (picture.baseline, "0")
