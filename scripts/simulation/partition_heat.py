"""A database in memory that counts what each partition of its tables and indexes bears, by the rules of DynamoDB.

The functions' own code runs on it, so that what is counted is what they do. Rows are kept in order, so that thousands
of calls over thousands of items take seconds.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from common.change import Change
from common.dynamodb_json import marshal_item, unmarshal, unmarshal_item
from common.memory import MemoryDatabase, MemoryTable
from common.table import Item, Key, KeySchema
from scripts import capacity_units
from scripts.capacity_units import Index

Row = dict[str, Any]


class Definition(NamedTuple):
    """A table's key, attribute to type, and its indexes."""

    key: KeySchema
    indexes: tuple[Index, ...]


class Partition(NamedTuple):
    """`index_name` is "" for the table itself."""

    table: str
    index_name: str
    key: str


class Units:
    """What was counted of a partition in calls of one kind, and how many those were."""

    __slots__ = ("_last", "calls", "reads", "writes")

    def __init__(self) -> None:
        self.calls = 0
        self.reads = self.writes = 0.0
        self._last = 0

    def add(self, call: int, reads: float, writes: float) -> None:
        self.calls += call != self._last
        self._last = call
        self.reads += reads
        self.writes += writes


class CountingDatabase(MemoryDatabase):
    """Counts between `begin_counting` and `end_counting`: what else is written only has to be there."""

    def __init__(self, definitions: Mapping[str, Definition]) -> None:
        super().__init__()
        # by partition and kind of call
        self.heat: dict[Partition, dict[str, Units]] = {}
        self._calls = 0
        self._kind: str | None = None
        self._weight = 0.0
        self._definitions = definitions

    def table(self, name: str, key: KeySchema, indexes: Mapping[str, KeySchema] | None = None) -> MemoryTable:  # noqa: ARG002
        if name not in self.tables:
            self.tables[name] = CountingTable(self, name, self._definitions[name])
        return self.tables[name]

    @property
    def is_counting(self) -> bool:
        return self._kind is not None

    def count(self, table: str, index: str, key: Any, *, reads: float = 0.0, writes: float = 0.0) -> None:
        if self._kind is not None:
            kinds = self.heat.setdefault(Partition(table, index, str(key)), {})
            units = kinds.setdefault(self._kind, Units())
            units.add(self._calls, reads * self._weight, writes * self._weight)

    def begin_counting(self, kind: str, weight: float) -> None:
        """Of one call, which counts as much as `weight` of its kind."""
        self._calls += 1
        self._kind, self._weight = kind, weight

    def end_counting(self) -> None:
        self._kind = None

    def write(self, changes: Sequence[Change]) -> None:
        tables = [cast(CountingTable, self.tables[change.table]) for change in changes]
        keys = [table.place(change)[0] for table, change in zip(tables, changes, strict=True)]
        before = [table.rows.get(key) for table, key in zip(tables, keys, strict=True)]
        super().write(changes)
        # several deletes without a condition are a batch, see common.batch_deletion
        is_batch = all(change.item is None and change.update is None and not change.expect for change in changes)
        for table, key, old in zip(tables, keys, before, strict=True):
            table.changed(key, old, table.rows.get(key), transactional=len(changes) > 1 and not is_batch)


class CountingTable(MemoryTable):
    def __init__(self, database: CountingDatabase, name: str, definition: Definition) -> None:
        self.counter = database
        self.indexes = {index.name: index for index in definition.indexes}
        self._names = {"": tuple(definition.key), **{index.name: index.keys for index in definition.indexes}}
        # by index and partition: sort key and key of the table, in order
        self._sorted: dict[tuple[str, Any], list[tuple[list[Any], tuple[Any, ...]]]] = {}
        super().__init__(database, name, definition.key, {})

    def get(self, key: Key) -> Item | None:
        self._count_item(key)
        return super().get(key)

    def get_many(self, keys: Sequence[Key], *, settled: Callable[[Item], bool] | None = None) -> list[Item]:
        found = super().get_many(keys)
        for key in keys:
            self._count_item(key, consistent=settled is None)
        if settled:
            known = [{name: item[name] for name in self._key} for item in found if settled(item)]
            for key in keys:
                if key not in known:
                    self._count_item(key)
        return found

    def add(self, key: Key, attribute: str, amount: int) -> int:
        row_key = self._row_key(marshal_item(key))
        before = dict(self.rows[row_key]) if row_key in self.rows else None
        total = super().add(key, attribute, amount)
        self.changed(row_key, before, self.rows[row_key], transactional=False)
        return total

    def query(
        self,
        partition: Any,
        *,
        index: str | None = None,
        limit: int,
        after: Key | None = None,
        between: tuple[Any, Any] | None = None,
        backwards: bool = False,
    ) -> tuple[list[Item], Key | None]:
        index = index or ""
        names = self._names[index]
        places = self._sorted.get((index, partition), [])
        low, high = 0, len(places)
        if between:
            low = bisect_left(places, [_sortable(between[0])], key=lambda place: place[0][:1])
            high = bisect_right(places, [_sortable(between[1])], key=lambda place: place[0][:1])
        if after:
            here = [_sortable(after[name]) for name in (*names[1:], *self._key)]
            low, high = (
                (low, min(high, bisect_left(places, here, key=lambda place: place[0])))
                if backwards
                else (max(low, bisect_right(places, here, key=lambda place: place[0])), high)
            )
        found = places[max(low, high - limit) : high][::-1] if backwards else places[low : min(high, low + limit)]
        rows = [self.rows[key] for _, key in found]
        if self.counter.is_counting:
            entries = [self.indexes[index].entry(row) if index else row for row in rows]
            size = sum(map(capacity_units.item_bytes, entries))
            self.counter.count(self.name, index, partition, reads=capacity_units.read_units(size, consistent=not index))
        more = len(rows) == limit
        last = {name: unmarshal(rows[-1][name]) for name in {*names, *self._key}} if more else None
        return [unmarshal_item(row) for row in rows], last

    def changed(self, key: tuple[Any, ...], before: Row | None, after: Row | None, *, transactional: bool) -> None:
        """Count a write, and keep the order."""
        if self.counter.is_counting:
            units = capacity_units.change_units(before, after, transactional=transactional)
            self.counter.count(self.name, "", key[0], writes=units)
            for one in self.indexes.values():
                self._count_index(one, before, after)
        for index in ("", *self.indexes):
            old, new = self._place(index, before, key), self._place(index, after, key)
            if old != new:
                if old:
                    places = self._sorted[old[0]]
                    del places[bisect_left(places, old[1])]
                if new:
                    insort(self._sorted.setdefault(new[0], []), new[1])

    def _count_index(self, index: Index, before: Row | None, after: Row | None) -> None:
        """A moved key is a delete where it was, and a put where it is."""
        old, new = index.entry(before), index.entry(after)
        if old and new and old[index.keys[0]] != new[index.keys[0]]:
            self._count_index(index, before, None)
            self._count_index(index, None, after)
        elif entry := new or old:
            units = capacity_units.index_units(index, before, after)
            self.counter.count(self.name, index.name, unmarshal(entry[index.keys[0]]), writes=units)

    def _place(self, index: str, row: Row | None, key: tuple[Any, ...]) -> Any:
        names = self._names[index]
        if row is None or any(name not in row for name in names):
            return None
        order = [_sortable(unmarshal(row[name])) for name in (*names[1:], *self._key)]
        return (index, unmarshal(row[names[0]])), (order, key)

    def _count_item(self, key: Key, *, consistent: bool = True) -> None:
        if not self.counter.is_counting:
            return
        row = self.rows.get(self._row_key(marshal_item(key)))
        size = capacity_units.item_bytes(row)
        first = next(iter(self._key))
        self.counter.count(self.name, "", key[first], reads=capacity_units.read_units(size, consistent=consistent))


def _sortable(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value
