"""Updates, whole-table pages and batch deletion: what only some stores need, over every engine."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from common.batch_deletion import delete_many
from common.errors import ConditionFailed, Refused
from common.scanning import scan
from tests.contract.test_table import Tables, tables  # noqa: F401 - the fixture

KEY = {"pk": "a", "sk": 1}


def stored(tables: Tables) -> dict[str, Any] | None:  # noqa: F811
    return tables.main.get(KEY)


def update(tables: Tables, **how: Any) -> None:  # noqa: F811
    tables.database.write([tables.main.update(KEY, **how)])


def test_an_update_changes_only_what_it_names(tables: Tables) -> None:  # noqa: F811
    tables.put({**KEY, "kept": "k", "changed": 1, "count": 5, "price": Decimal("0.1"), "gone": True})
    update(
        tables,
        set={"changed": "two", "new": [1]},
        add={"count": 2, "price": Decimal("0.2"), "first": 1},
        remove=["gone"],
    )
    assert stored(tables) == {
        **KEY,
        "kept": "k",
        "changed": "two",
        "new": [1],
        "count": 7,
        "price": Decimal("0.3"),
        "first": 1,
    }


def test_an_update_of_nothing_makes_the_item_unless_it_must_exist(tables: Tables) -> None:  # noqa: F811
    with pytest.raises(ConditionFailed) as failure:
        update(tables, set={"x": 1}, expect={"pk": "a"})
    assert failure.value.found == {0: None}
    assert stored(tables) is None
    update(tables, set={"x": 1}, expect={"pk": None})
    assert stored(tables) == {**KEY, "x": 1}
    with pytest.raises(ConditionFailed) as failure:
        update(tables, set={"x": 2}, expect={"pk": None})
    assert failure.value.found == {0: {**KEY, "x": 1}}


@pytest.mark.parametrize(("clock", "is_met"), [(None, True), (6, True), (7, False), (8, False)])
def test_an_update_may_demand_that_a_number_is_below_another(
    tables: Tables,  # noqa: F811
    clock: int | None,
    is_met: bool,
) -> None:
    before: dict[str, Any] = {**KEY} | ({} if clock is None else {"clock": clock})
    tables.put(before)
    if is_met:
        update(tables, set={"clock": 7}, below={"clock": 7})
        assert stored(tables) == {**KEY, "clock": 7}
    else:
        with pytest.raises(ConditionFailed) as failure:
            update(tables, set={"clock": 7}, below={"clock": 7})
        assert failure.value.found == {0: before}
        assert stored(tables) == before


@pytest.mark.parametrize(("ttl", "is_met"), [(None, True), (101, True), (100, False), (99, False)])
def test_an_update_may_demand_that_an_item_is_not_expired(tables: Tables, ttl: int | None, is_met: bool) -> None:  # noqa: F811
    tables.put({**KEY} | ({} if ttl is None else {"ttl": ttl}))
    if is_met:
        update(tables, set={"x": 1}, unexpired_at=100)
    else:
        with pytest.raises(ConditionFailed):
            update(tables, set={"x": 1}, unexpired_at=100)
    assert ("x" in (stored(tables) or {})) is is_met


def test_a_failed_transaction_tells_what_each_failed_change_found(tables: Tables) -> None:  # noqa: F811
    tables.put({**KEY, "version": 3})
    with pytest.raises(ConditionFailed) as failure:
        tables.database.write(
            [
                tables.other.put({"id": "x"}),
                tables.main.update(KEY, add={"count": 1}, expect={"version": 2}),
                tables.main.delete({"pk": "b", "sk": 1}, expect={"pk": "b"}),
            ]
        )
    assert failure.value.positions == (1, 2)
    assert failure.value.found == {1: {**KEY, "version": 3}, 2: None}
    assert tables.other.get({"id": "x"}) is None


def test_concurrent_updates_all_count(tables: Tables) -> None:  # noqa: F811
    def add(_: int) -> None:
        database, table = tables.client()
        for _ in range(5):
            database.write([table.update(KEY, add={"count": 1})])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    assert stored(tables) == {**KEY, "count": 20}


def test_adding_to_a_text_is_refused(tables: Tables) -> None:  # noqa: F811
    if tables.engine.name == "moto":
        pytest.skip("moto adds numbers to texts")
    tables.put({**KEY, "count": "many"})
    with pytest.raises(Refused):
        update(tables, add={"count": 1})
    assert stored(tables) == {**KEY, "count": "many"}


def test_pages_of_a_whole_table_join_without_gap_or_repeat(tables: Tables) -> None:  # noqa: F811
    tables.put(*({"pk": f"p{i % 3}", "sk": i} for i in range(10)))
    found: list[Any] = []
    after = None
    for _ in range(10):
        items, after = scan(tables.main, limit=4, after=after)
        assert len(items) <= 4
        found += [item["sk"] for item in items]
        if after is None:
            break
    assert sorted(found) == list(range(10))


def test_many_items_are_deleted_whether_they_are_there_or_not(tables: Tables) -> None:  # noqa: F811
    tables.put(*({"pk": "a", "sk": i} for i in range(60)))
    delete_many(tables.main, [{"pk": "a", "sk": i} for i in range(1, 70)])
    assert [item["sk"] for item in tables.main.query("a", limit=100)[0]] == [0]
    delete_many(tables.main, [])
