"""A partition that is spread over shards reads like one."""

import random
from typing import Any

import pytest

from common import sharded_query, sharding
from common.memory import MemoryDatabase, MemoryTable

KEY = {"partition": "S", "place": "S"}


class Counted:
    """A table of which shards hold what `spread` says, and the queries that it gets."""

    def __init__(self, places: list[str], count: int, spread: Any = sharding.shard_of) -> None:
        database = MemoryDatabase()
        self.table: MemoryTable = database.table("t", KEY)
        for place in places:
            name = sharding.shard_name("p", spread(place, count))
            database.write([self.table.put({"partition": name, "place": place})])
        self.queries: list[int] = []
        real = self.table.query

        def query(partition: Any, **how: Any) -> Any:
            self.queries.append(how["limit"])
            return real(partition, **how)

        self.table.query = query  # type: ignore[method-assign]

    def page(self, count: int, limit: int, after: str | None = None) -> tuple[list[str], bool]:
        start = after and {"partition": "p", "place": after}
        query = sharded_query.reader(self.table, "partition", "place", count)
        items, last = query("p", limit=limit, after=start or None)
        return [item["place"] for item in items], last is not None


def places(chance: random.Random) -> list[str]:
    return sorted(
        {f"{chance.choice(['a', 'Z', 'ü', '~'])}{chance.randrange(10_000)}" for _ in range(60)}, key=str.encode
    )


def in_one(_place: str, count: int) -> int:
    return count - 1


@pytest.mark.parametrize("spread", [sharding.shard_of, in_one], ids=["spread evenly", "all in the last"])
@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("limit", [1, 2, 26, 101, 500])
def test_pages_are_those_of_one_partition(count: int, limit: int, spread: Any) -> None:
    wanted = places(random.Random(count * limit))
    table = Counted(wanted, count, spread)
    found: list[str] = []
    while True:
        page, more = table.page(count, limit, found[-1] if found else None)
        found += page
        if not more:
            break
        assert len(page) == limit
    assert found == wanted


@pytest.mark.parametrize("count", [2, 8, 32])
def test_a_page_costs_a_query_a_shard_and_few_more(count: int) -> None:
    wanted = places(random.Random(1))
    table = Counted(wanted, count)
    table.page(count, 26)
    assert count <= len(table.queries) <= count + 4
    assert sum(table.queries) <= 2 * 26 + 4 * count + 26


def test_a_page_costs_little_more_where_all_is_in_one_shard() -> None:
    """As it is at first, when shards are read but what is stored is still in none."""
    table = Counted(places(random.Random(2)), 16, lambda _place, _count: 0)
    assert len(table.page(16, 51)[0]) == 51
    assert len(table.queries) <= 16 + 2


def test_what_is_in_two_shards_for_a_moment_is_there_once() -> None:
    table = Counted(["a", "b", "c"], 1)
    table.table.database.write([table.table.put({"partition": sharding.shard_name("p", 2), "place": "b"})])
    assert table.page(3, 10) == (["a", "b", "c"], False)
    assert table.page(3, 2) == (["a", "b"], True)
    assert table.page(3, 2, "b") == (["c"], False)


def test_one_shard_is_none() -> None:
    assert sharding.shard_name("p", sharding.shard_of("anything", 1)) == "p"


def test_shards_get_about_as_much_each() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[sharding.shard_of(f"agent-{number}", 8)] += 1
    assert 800 < min(counts) <= max(counts) < 1200
