"""What a store may rely on, over every engine: the memory of the rollback mode must not differ from DynamoDB."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import ConditionFailed, InvalidValue, ItemTooLarge, Refused
from tests.contract.engines import Engine

if TYPE_CHECKING:
    from common.table import Database, Table

KEY = {"pk": "S", "sk": "N"}
INDEXES = {"ByColour": {"colour": "S", "size": "N"}}


class Tables:
    def __init__(self, engine: Engine, names: dict[str, str]) -> None:
        self.engine = engine
        self.names = names
        self.database: Database = engine.database()
        self.main = self.of(self.database)
        self.other: Table = self.database.table(names["other"], {"id": "S"})

    def of(self, database: "Database") -> "Table":
        return database.table(self.names["main"], KEY, INDEXES)

    def client(self) -> "tuple[Database, Table]":
        """As another execution environment sees it; memory is shared by nobody but its own."""
        database = self.database if self.engine.url is None else self.engine.database()
        return database, self.of(database)

    def put(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.database.write([self.main.put(item)])


@pytest.fixture
def tables(engine: Engine) -> Iterator[Tables]:
    with engine.tables(main=(KEY, INDEXES), other=({"id": "S"}, {})) as names:
        yield Tables(engine, names)


def test_an_item_comes_back_as_it_was_put(tables: Tables) -> None:
    item = {
        "pk": "a",
        "sk": Decimal("-1.5"),
        "text": "grüße 👋",
        "empty": "",
        "exact": Decimal("249.99"),
        "large": 12345678901234567890123456789012345678,
        "tiny": Decimal("1E-130"),
        "huge": Decimal("9.9E+125"),
        "bytes": b"\x00\xff",
        "yes": True,
        "nothing": None,
        "list": [1, ["x", {}], []],
        "map": {"a": {"b": False}},
        "texts": {"a", "b"},
        "numbers": {1, Decimal("2.5")},
        "binaries": {b"a", b"b"},
    }
    tables.put(item)
    assert tables.main.get({"pk": "a", "sk": Decimal("-1.50")}) == item


def test_what_was_put_can_not_be_changed_from_outside(tables: Tables) -> None:
    item = {"pk": "a", "sk": 1, "list": [1]}
    tables.put(item)
    item["list"].append(2)  # type: ignore[attr-defined]
    found = tables.main.get({"pk": "a", "sk": 1})
    assert found is not None
    found["list"].append(3)
    assert tables.main.get({"pk": "a", "sk": 1}) == {"pk": "a", "sk": 1, "list": [1]}


def test_an_unknown_key_is_nothing(tables: Tables) -> None:
    assert tables.main.get({"pk": "a", "sk": 1}) is None


def test_a_put_replaces_the_whole_item(tables: Tables) -> None:
    tables.put({"pk": "a", "sk": 1, "old": True}, {"pk": "a", "sk": 1, "new": True})
    assert tables.main.get({"pk": "a", "sk": 1}) == {"pk": "a", "sk": 1, "new": True}


def test_put_unless_present(tables: Tables) -> None:
    first, second = ({"pk": "a", "sk": 1, "by": by} for by in ("first", "second"))
    tables.database.write([tables.main.put(first, expect={"pk": None})])
    with pytest.raises(ConditionFailed) as failure:
        tables.database.write([tables.main.put(second, expect={"pk": None})])
    assert failure.value.positions == (0,)
    assert tables.main.get({"pk": "a", "sk": 1}) == first


@pytest.mark.parametrize(("ttl", "is_replaced"), [(99, True), (100, True), (101, False), (None, False), ("50", False)])
def test_put_unless_present_or_expired(tables: Tables, ttl: object, is_replaced: bool) -> None:
    if isinstance(ttl, str) and tables.engine.name == "moto":
        pytest.skip("moto fails on comparing a text with a number")
    stored = {"pk": "a", "sk": 1} | ({} if ttl is None else {"ttl": ttl})
    tables.put(stored)
    change = tables.main.put({"pk": "a", "sk": 1, "new": True}, expect={"pk": None}, or_expired_at=100)
    if is_replaced:
        tables.database.write([change])
    else:
        with pytest.raises(ConditionFailed):
            tables.database.write([change])
    assert ("new" in (tables.main.get({"pk": "a", "sk": 1}) or {})) is is_replaced


@pytest.mark.parametrize(
    ("expect", "is_met"),
    [
        ({"version": 3}, True),
        ({"version": Decimal("3.0")}, True),
        ({"version": 2}, False),
        ({"version": "3"}, False),
        ({"version": 3, "gone": None}, True),
        ({"version": 3, "flag": False}, True),
        ({"version": 3, "flag": True}, False),
        ({"version": None}, False),
        ({"gone": 1}, False),
    ],
)
def test_a_change_is_made_only_over_what_it_expects(tables: Tables, expect: dict[str, Any], is_met: bool) -> None:
    tables.put({"pk": "a", "sk": 1, "version": 3, "flag": False})
    for change in (tables.main.put({"pk": "a", "sk": 1, "version": 3, "flag": False, "n": 1}, expect=expect),
                   tables.main.delete({"pk": "a", "sk": 1}, expect=expect)):  # fmt: skip
        if is_met:
            tables.database.write([change])
        else:
            with pytest.raises(ConditionFailed):
                tables.database.write([change])
    assert (tables.main.get({"pk": "a", "sk": 1}) is None) is is_met


def test_a_delete_of_nothing_is_no_error(tables: Tables) -> None:
    tables.database.write([tables.main.delete({"pk": "a", "sk": 1})])


def test_a_transaction_is_all_or_nothing_over_several_tables(tables: Tables) -> None:
    tables.put({"pk": "a", "sk": 1, "version": 1})
    changes = [
        tables.main.put({"pk": "a", "sk": 1, "version": 2}, expect={"version": 1}),
        tables.other.put({"id": "x"}),
        tables.main.put({"pk": "a", "sk": 2}, expect={"pk": None}),
        tables.main.delete({"pk": "a", "sk": 3}, expect={"version": 1}),
    ]
    with pytest.raises(ConditionFailed) as failure:
        tables.database.write(changes)
    assert failure.value.positions == (3,)
    assert tables.main.get({"pk": "a", "sk": 1}) == {"pk": "a", "sk": 1, "version": 1}
    assert tables.other.get({"id": "x"}) is None
    tables.database.write(changes[:3])
    assert tables.main.get({"pk": "a", "sk": 1}) == {"pk": "a", "sk": 1, "version": 2}
    assert tables.main.get({"pk": "a", "sk": 2})
    assert tables.other.get({"id": "x"})


def test_every_failed_change_of_a_transaction_is_named(tables: Tables) -> None:
    tables.put({"pk": "a", "sk": 1}, {"pk": "a", "sk": 2})
    with pytest.raises(ConditionFailed) as failure:
        tables.database.write([tables.main.put({"pk": "a", "sk": sk}, expect={"pk": None}) for sk in (1, 3, 2)])
    assert failure.value.positions == (0, 2)


def test_a_transaction_holds_100_changes_and_not_one_more(tables: Tables) -> None:
    changes = [tables.main.put({"pk": "a", "sk": sk}) for sk in range(101)]
    with pytest.raises(Refused):
        tables.database.write(changes)
    assert tables.main.get({"pk": "a", "sk": 0}) is None
    tables.database.write(changes[:100])
    assert len(tables.main.get_many([{"pk": "a", "sk": sk} for sk in range(100)])) == 100


def test_a_transaction_about_one_item_twice_is_refused(tables: Tables) -> None:
    with pytest.raises(Refused):
        tables.database.write([tables.main.put({"pk": "a", "sk": 1}), tables.main.delete({"pk": "a", "sk": 1})])


def test_many_items_at_once(tables: Tables) -> None:
    tables.put(*({"pk": "a", "sk": sk, "x": sk} for sk in range(3)))
    found = tables.main.get_many([{"pk": "a", "sk": sk} for sk in (2, 0, 7)])
    assert sorted(item["x"] for item in found) == [0, 2]


def test_a_batch_of_nothing_is_nothing(tables: Tables) -> None:
    assert tables.main.get_many([]) == []


def test_a_batch_has_at_most_100_keys(tables: Tables) -> None:
    with pytest.raises(Refused):
        tables.main.get_many([{"pk": "a", "sk": sk} for sk in range(101)])


def test_a_query_gives_one_partition_in_the_order_of_its_sort_key(tables: Tables) -> None:
    tables.put(*({"pk": "a", "sk": sk} for sk in (10, 9, Decimal("-0.5"), 100)), {"pk": "b", "sk": 1})
    assert _sort_keys(tables.main.query("a", limit=10)) == [Decimal("-0.5"), 9, 10, 100]
    assert _sort_keys(tables.main.query("a", limit=10, backwards=True)) == [100, 10, 9, Decimal("-0.5")]
    assert _sort_keys(tables.main.query("a", limit=10, between=(9, 10))) == [9, 10]
    assert tables.main.query("nobody", limit=10) == ([], None)


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_of_a_query_join_without_gap_or_repeat(tables: Tables, limit: int, backwards: bool) -> None:
    tables.put(*({"pk": "a", "sk": sk} for sk in range(7)))
    found: list[Any] = []
    after = None
    for _ in range(10):
        items, after = tables.main.query("a", limit=limit, after=after, backwards=backwards)
        assert len(items) <= limit
        found += [item["sk"] for item in items]
        if after is None:
            break
    assert found == (list(reversed(range(7))) if backwards else list(range(7)))


def test_an_index_holds_only_items_with_its_key_and_pages_among_equals(tables: Tables) -> None:
    tables.put(*({"pk": f"p{i}", "sk": i, "colour": "red", "size": i // 3, "kept": "out"} for i in range(7)))
    tables.put({"pk": "x", "sk": 1, "colour": "red"}, {"pk": "y", "sk": 1, "colour": "blue", "size": 1})
    found: list[Any] = []
    after = None
    for _ in range(10):
        items, after = tables.main.query("red", index="ByColour", limit=2, after=after)
        found += items
        if after is None:
            break
    assert [item["size"] for item in found] == [0, 0, 0, 1, 1, 1, 2]
    assert {item["pk"] for item in found} == {f"p{i}" for i in range(7)}


def test_an_item_leaves_the_index_with_its_attribute(tables: Tables) -> None:
    tables.put({"pk": "a", "sk": 1, "colour": "red", "size": 1})
    tables.put({"pk": "a", "sk": 1})
    assert tables.main.query("red", index="ByColour", limit=5) == ([], None)


def test_a_page_ends_at_a_megabyte(tables: Tables) -> None:
    tables.put(*({"pk": "a", "sk": sk, "text": "x" * 300_000} for sk in range(5)))
    first, after = tables.main.query("a", limit=10)
    assert 3 <= len(first) <= 4
    assert after is not None
    second, end = tables.main.query("a", limit=10, after=after)
    assert [item["sk"] for item in first + second] == [0, 1, 2, 3, 4]
    assert end is None


def test_an_item_has_at_most_400_kb(tables: Tables) -> None:
    # moto ends a little earlier than DynamoDB does
    tables.put({"pk": "a", "sk": 1, "text": "x" * (400 * 1000)})
    with pytest.raises(ItemTooLarge):
        tables.put({"pk": "a", "sk": 2, "text": "ü" * (200 * 1024)})
    with pytest.raises(ItemTooLarge):
        tables.database.write(
            [tables.main.put({"pk": "a", "sk": 3, "text": "x" * (400 * 1024)}), tables.main.put({"pk": "a", "sk": 4})]
        )
    assert tables.main.get({"pk": "a", "sk": 4}) is None


@pytest.mark.parametrize(
    "item",
    [
        {"pk": "", "sk": 1},
        {"sk": 1},
        {"pk": "a", "sk": "1"},
        {"pk": 1, "sk": 1},
        {"pk": "a", "sk": 1, "colour": "", "size": 1},
        {"pk": "k" * 2049, "sk": 1},
    ],
)
def test_keys_that_dynamodb_refuses_are_refused(tables: Tables, item: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        tables.put(item)


def test_a_key_with_other_attributes_is_refused(tables: Tables) -> None:
    with pytest.raises(Refused):
        tables.main.get({"pk": "a"})
    with pytest.raises(Refused):
        tables.main.get({"pk": "a", "sk": 1, "more": 1})


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), 10**38 + 1, Decimal("1E+126"), "\ud800", set()])
def test_values_that_dynamodb_can_not_hold_never_reach_it(tables: Tables, value: object) -> None:
    with pytest.raises(InvalidValue):
        tables.put({"pk": "a", "sk": 1, "value": value})


@pytest.mark.parametrize(("levels", "fits"), [(30, True), (31, True), (32, False)])
def test_values_may_be_nested_32_levels_the_innermost_one_counted(tables: Tables, levels: int, fits: bool) -> None:
    value: Any = "deep"
    for _ in range(levels):
        value = [value]
    if fits:
        tables.put({"pk": "a", "sk": 1, "value": value})
        assert (tables.main.get({"pk": "a", "sk": 1}) or {})["value"] == value
    else:
        with pytest.raises(InvalidValue):
            tables.put({"pk": "a", "sk": 1, "value": value})


def test_adding_starts_at_zero(tables: Tables) -> None:
    assert tables.main.add({"pk": "counter", "sk": 0}, "last", 1) == 1
    assert tables.main.add({"pk": "counter", "sk": 0}, "last", 5) == 6
    assert tables.main.get({"pk": "counter", "sk": 0}) == {"pk": "counter", "sk": 0, "last": 6}


def test_concurrent_additions_all_count(tables: Tables) -> None:
    def add(_: int) -> list[int]:
        _, table = tables.client()
        return [table.add({"pk": "counter", "sk": 0}, "last", 1) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        sums = [one for sums in pool.map(add, range(4)) for one in sums]
    assert sorted(sums) == list(range(1, 21))


def test_of_concurrent_puts_unless_present_one_wins(tables: Tables) -> None:
    def put(i: int) -> bool:
        database, table = tables.client()
        try:
            database.write([table.put({"pk": "a", "sk": 1, "by": i}, expect={"pk": None})])
        except ConditionFailed:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(8))) == 1


def test_usage_is_counted_an_invocation(tables: Tables) -> None:
    tables.database.begin(None)
    tables.put({"pk": "a", "sk": 1})
    tables.main.get({"pk": "a", "sk": 1})
    usage = tables.database.usage
    assert usage.calls == 2
    if tables.engine.url:
        assert usage.read_units > 0
    tables.database.begin(None)
    assert tables.database.usage.calls == 0


def test_the_sizes_of_memory_are_those_of_dynamodb() -> None:
    from common.dynamodb_json import marshal_item
    from common.memory import item_size

    # the worked examples of DynamoDB's documentation: names count, numbers take (digits / 2) + 1 and a sign, or so
    assert item_size(marshal_item({"shirt-color": "R", "shirt-size": "M"})) == 23
    assert item_size(marshal_item({"a": True, "b": None})) == 4
    assert item_size(marshal_item({"l": ["ab", 1]})) == 1 + 3 + 2 + 1 + 2 + 1


def _sort_keys(page: tuple[list[dict[str, Any]], object]) -> list[Any]:
    return [item["sk"] for item in page[0]]
