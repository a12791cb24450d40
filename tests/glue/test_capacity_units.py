"""Sizes and units by DynamoDB's documented rules; tests/local_aws/test_consumed_capacity.py asks real engines."""

from typing import Any

import pytest

from scripts import capacity_units
from scripts.capacity_units import Index

BY_CITY = Index("by-city", ("city",), frozenset({"id", "city"}))
EVERYTHING = Index("everything", ("city",), None)


def item(city: str | None = None, note: int = 0) -> dict[str, Any]:
    return {
        "id": {"S": "1"},
        **({"city": {"S": city}} if city else {}),
        **({"note": {"S": "z" * note}} if note else {}),
    }


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "ü"}, 2),
        ({"N": "0"}, 1),
        ({"N": "249.99"}, 4),
        ({"N": "-12"}, 3),
        ({"N": "1e10"}, 2),
        ({"N": "12345678901234567890123456789012345678"}, 20),
        ({"BOOL": False}, 1),
        ({"NULL": True}, 1),
        ({"B": b"abc"}, 3),
        ({"B": "YWJj"}, 3),
        ({"L": []}, 3),
        ({"M": {"k": {"S": "a"}}}, 3 + 1 + 1 + 1),
        ({"L": [{"S": "a"}, {"N": "1"}]}, 3 + (1 + 1) + (1 + 2)),
        ({"SS": ["ab", "c"]}, 3),
    ],
)
def test_sizes(value: dict[str, Any], size: int) -> None:
    assert capacity_units.value_bytes(value) == size
    assert capacity_units.item_bytes({"name": value}) == 4 + size


def test_reads_count_4_kb_half_for_eventual_and_double_in_transactions() -> None:
    assert [capacity_units.read_units(size, consistent=True) for size in (0, 4096, 4097)] == [1, 1, 2]
    assert [capacity_units.read_units(size, consistent=False) for size in (0, 4096, 4097)] == [0.5, 0.5, 1]
    assert capacity_units.read_units(4097, consistent=True, transactional=True) == 4


def test_writes_count_1_kb_of_the_larger_item_and_double_in_transactions() -> None:
    assert [capacity_units.write_units(size) for size in (0, 1024, 1025)] == [1, 1, 2]
    large = item(note=3000)
    assert capacity_units.change_units(large, item()) == capacity_units.change_units(item(), large) == 3
    assert capacity_units.change_units(large, None, transactional=True) == 6


@pytest.mark.parametrize(
    ("before", "after", "units"),
    [
        (None, item(), 0),  # not in the index
        (None, item("Oslo"), 1),
        (item("Oslo"), item("Oslo"), 0),
        (item("Oslo"), item("Oslo", note=9), 0),  # what the index does not hold
        (item("Oslo"), item("Berlin"), 2),  # the moved key: out at one place, in at another
        (item("Oslo"), item(), 1),
        (item("Oslo"), None, 1),
    ],
)
def test_indexes_count_what_changes_of_them(before: Any, after: Any, units: float) -> None:
    assert capacity_units.index_units(BY_CITY, before, after) == units


def test_an_index_of_everything_counts_the_size_of_its_entries() -> None:
    large = item("Oslo", note=3000)
    assert capacity_units.index_units(EVERYTHING, large, item("Berlin", note=3000)) == 3 + 3
    assert capacity_units.index_units(EVERYTHING, large, item("Oslo")) == 3
