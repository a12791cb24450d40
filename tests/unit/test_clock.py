import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import clock

DAY = 86_400_000_000
MICROSECONDS = st.integers(0, 4_000_000_000_000_000)


def test_a_whole_second_keeps_its_microseconds() -> None:
    assert clock.text(1_795_232_832_000_000) == "2026-11-21T03:47:12.000000Z"


@given(MICROSECONDS, MICROSECONDS)
def test_the_order_of_texts_is_the_order_of_times(one: int, other: int) -> None:
    assert (clock.text(one) < clock.text(other)) == (one < other)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", clock.text(one))


@given(MICROSECONDS)
def test_a_ttl_is_never_before_the_end(end: int) -> None:
    assert 0 <= clock.seconds_up(end) * 1_000_000 - end < 1_000_000


@pytest.mark.parametrize(("ttl", "is_past"), [(99, True), (100, True), (101, False), (None, False), ("1", False)])
def test_an_item_is_gone_at_its_ttl(ttl: object, is_past: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 100_000_000)
    assert clock.is_past(ttl) is is_past


@pytest.mark.parametrize(
    ("read", "told"),
    [
        ([100, 100, 100], [100, 101, 102]),
        ([100, 95, 99, 103], [100, 101, 102, 103]),
        ([100, 100 + DAY, 100 + DAY + 1], [100, 100 + DAY, 100 + DAY + 1]),
        ([100 + DAY, 100, 101], [100 + DAY, 100, 101]),
    ],
    ids=["standing still", "a little back", "forward", "far back: what was told was wrong"],
)
def test_each_time_is_later_than_the_one_before(
    read: list[int], told: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(read)
    monkeypatch.setattr(clock, "_last", 0)
    monkeypatch.setattr(clock, "time", SimpleNamespace(time_ns=lambda: (next(times) + DAY) * 1000))
    assert [clock.now() - DAY for _ in read] == told
