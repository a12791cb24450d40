"""Tables in this process's memory: the rollback mode. They live as long as the execution environment.

What DynamoDB refuses is refused here too, so that switching the mode never changes an answer.
"""

from __future__ import annotations

from threading import RLock

from common.change import Usage, Writing
from common.dynamodb_json import marshal, marshal_item, number, unmarshal, unmarshal_item
from common.errors import ConditionFailed, ItemTooLarge, Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from common.change import Change, Number, Update
    from common.table import Item, Key, KeySchema

    Row = dict[str, Any]
    Rows = dict[tuple[Any, ...], Row]

MAXIMUM_ITEM_BYTES = 400 * 1024
MAXIMUM_PAGE_BYTES = 1024 * 1024
MAXIMUM_CHANGES = 100
MAXIMUM_BATCH = 100
_MAXIMUM_KEY_BYTES = (2048, 1024)


class MemoryDatabase:
    """A `Database`, see common.table."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.tables: dict[str, MemoryTable] = {}
        self.usage = Usage()

    def begin(self, deadline: float | None) -> None:  # noqa: ARG002 - memory never waits
        self.usage = Usage()

    def warm(self) -> None:
        """Nothing to connect to."""

    def forget(self) -> None:
        """A snapshot keeps what was stored, as it always did in this mode."""

    def table(self, name: str, key: KeySchema, indexes: Mapping[str, KeySchema] | None = None) -> MemoryTable:
        return self.tables.setdefault(name, MemoryTable(self, name, key, indexes or {}))

    def write(self, changes: Sequence[Change]) -> None:
        if len(changes) > MAXIMUM_CHANGES:
            raise Refused(f"{len(changes)} changes: a transaction holds at most {MAXIMUM_CHANGES}")
        with self.lock:
            places = [self.tables[change.table].place(change) for change in changes]
            if len({(change.table, key) for change, (key, _) in zip(changes, places, strict=True)}) < len(changes):
                raise Refused("two changes of one transaction are about the same item")
            stored = [self.tables[c.table].rows.get(key) for c, (key, _) in zip(changes, places, strict=True)]
            failed = [i for i, change in enumerate(changes) if not _met(change, stored[i])]
            if failed:
                found = {i: unmarshal_item(row) if (row := stored[i]) else None for i in failed}
                raise ConditionFailed(failed, found)
            for change, (key, item) in zip(changes, places, strict=True):
                rows = self.tables[change.table].rows
                if item is None:
                    rows.pop(key, None)
                else:
                    rows[key] = item
            self.usage.calls += 1


class MemoryTable(Writing):
    """A `Table`, see common.table. Rows are DynamoDB JSON: nothing stored can be changed from outside."""

    def __init__(self, database: MemoryDatabase, name: str, key: KeySchema, indexes: Mapping[str, KeySchema]) -> None:
        super().__init__(name, key)
        self.rows: Rows = {}
        self.database = database
        self._indexes = indexes

    def get(self, key: Key) -> Item | None:
        with self._counted():
            row = self.rows.get(self._row_key(marshal_item(key)))
            return unmarshal_item(row) if row else None

    def get_many(self, keys: Sequence[Key], *, settled: Callable[[Item], bool] | None = None) -> list[Item]:  # noqa: ARG002
        wanted = [self._row_key(marshal_item(key)) for key in keys]
        if not len(set(wanted)) == len(wanted) <= MAXIMUM_BATCH:
            raise Refused(f"a batch holds at most {MAXIMUM_BATCH} keys, each once")
        with self._counted():
            return [unmarshal_item(self.rows[key]) for key in wanted if key in self.rows]

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
        schema = self._indexes[index] if index else self._key
        names = list(schema)
        self._check_key({names[0]: marshal(partition)}, {names[0]: schema[names[0]]})
        with self._counted():
            rows = [
                row
                for row in self.rows.values()
                if all(name in row for name in names) and unmarshal(row[names[0]]) == partition
            ]
        if between:
            low, high = (_sortable(marshal(end)) for end in between)
            rows = [row for row in rows if low <= _sortable(row[names[1]]) <= high]
        return self.page(rows, names, limit, after, backwards)

    def page(
        self, rows: Iterable[Row], names: Sequence[str], limit: int, after: Key | None, backwards: bool = False
    ) -> tuple[list[Item], Key | None]:
        """A page of these rows in the order of their sort key; `names` are the key attributes of table or index."""
        order = [*names[1:], *self._key]
        rows = sorted(rows, key=lambda row: [_sortable(row[name]) for name in order], reverse=backwards)
        if after is not None:
            place = [_sortable(marshal(after[name])) for name in order]
            rows = [
                row
                for row in rows
                if (here := [_sortable(row[name]) for name in order]) != place and (here < place) == backwards
            ]
        page: list[Row] = []
        size = 0
        for row in rows[:limit]:
            size += item_size(row)
            page.append(row)
            if size > MAXIMUM_PAGE_BYTES:
                break
        more = len(page) == limit or len(page) < len(rows)
        last = {name: unmarshal(page[-1][name]) for name in (*names, *self._key)} if page and more else None
        return [unmarshal_item(row) for row in page], last

    def add(self, key: Key, attribute: str, amount: int) -> int:
        with self._counted():
            row = self.rows.setdefault(self._row_key(marshal_item(key)), marshal_item(key))
            total = number(row.get(attribute, {"N": "0"})["N"]) + amount
            row[attribute] = marshal(total)
            return int(total)

    def place(self, change: Change) -> tuple[tuple[Any, ...], dict[str, Any] | None]:
        """Where a change belongs and what it stores there, refused where DynamoDB would refuse it."""
        own = marshal_item(change.key)
        key = self._row_key(own)
        if change.update:
            item = _updated(self.rows.get(key, own), change.update)
        elif change.item is None:
            return key, None
        else:
            item = marshal_item(change.item)
        if item_size(item) > MAXIMUM_ITEM_BYTES:
            raise ItemTooLarge("Item size has exceeded the maximum allowed size")
        for schema in self._indexes.values():
            self._check_key(item, {name: kind for name, kind in schema.items() if name in item})
        return key, item

    def _row_key(self, attributes: Mapping[str, Any]) -> tuple[Any, ...]:
        if set(attributes) != set(self._key):
            raise Refused(f"the key of {self.name} is {', '.join(self._key)}")
        self._check_key(attributes, self._key)
        return tuple(unmarshal(attributes[name]) for name in self._key)

    def _check_key(self, attributes: Mapping[str, Any], schema: KeySchema) -> None:
        for (name, kind), most in zip(schema.items(), _MAXIMUM_KEY_BYTES, strict=False):
            value = attributes[name].get(kind)
            if value is None or value == "" or len(value.encode()) > most:
                raise Refused(
                    f"the key attribute {name} must be a non-empty value of type {kind}, at most {most} bytes"
                )

    def _counted(self) -> AbstractContextManager[object]:
        self.database.usage.calls += 1
        return self.database.lock


def item_size(item: Mapping[str, Any]) -> int:
    """The size of an item in DynamoDB JSON, in bytes, counted as DynamoDB does (numbers by its rule of thumb)."""
    return sum(len(name.encode()) + _size(attribute) for name, attribute in item.items())


def _size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return len(value.strip("-0").replace(".", "")) // 2 + 2
    if kind == "B":
        return len(value) * 3 // 4
    if kind == "M":
        return 3 + item_size(value) + len(value)
    if kind == "L":
        return 3 + sum(_size(one) + 1 for one in value)
    if kind in ("SS", "NS", "BS"):
        return sum(_size({kind[0]: one}) for one in value)
    return 1


def _sortable(attribute: Mapping[str, Any]) -> Any:
    """Key values in DynamoDB's order: text by its UTF-8 bytes, numbers by value."""
    value = unmarshal(attribute)
    return value.encode() if isinstance(value, str) else value


def _updated(row: Mapping[str, Any], update: Update) -> dict[str, Any]:
    changed = {name: value for name, value in row.items() if name not in update.remove}
    changed |= {name: marshal(value) for name, value in update.set.items()}
    for name, amount in update.add.items():
        if "N" not in row.get(name, {"N": "0"}):
            raise Refused(f"{name} is no number that could be added to")
        changed[name] = marshal(number(row.get(name, {"N": "0"})["N"]) + amount)
    return changed


def _met(change: Change, stored: Mapping[str, Any] | None) -> bool:
    found = stored or {}
    ttl = _number(found, "ttl")
    if change.or_expired_at is not None and ttl is not None and ttl <= change.or_expired_at:
        return True
    if change.unexpired_at is not None and "ttl" in found and (ttl is None or ttl <= change.unexpired_at):
        return False
    if any(name in found and not _is_below(_number(found, name), limit) for name, limit in change.below.items()):
        return False
    return all(
        name not in found if value is None else found.get(name) == marshal(value)
        for name, value in change.expect.items()
    )


def _is_below(value: Number | None, limit: int) -> bool:
    return value is not None and value < limit


def _number(row: Mapping[str, Any], name: str) -> Number | None:
    text = row.get(name, {}).get("N")
    return None if text is None else number(text)
