"""What a store may ask of its tables. Two implementations: DynamoDB, and memory for the rollback mode.

A store reads through a `Table` and writes through its `Database`: one change is one conditional write,
several are one transaction. What a change expects to find is said in values, never in expression strings.
"""

from __future__ import annotations

from common.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Protocol

    Item = dict[str, Any]
    Key = Mapping[str, Any]
    # attribute name -> type (S, N or B): the partition key, then the sort key if there is one
    KeySchema = Mapping[str, str]

    class Table(Protocol):
        name: str

        def get(self, key: Key) -> Item | None:
            """The item as of now (a consistent read)."""

        def get_many(self, keys: Sequence[Key]) -> list[Item]:
            """The items as of now, in any order, those that don't exist left out; at most 100 keys."""

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
            """Up to `limit` items of one partition in the sort key's order, and where to go on if there may be more.

            `after` and the second value hold the key attributes of the table and of the index. Fewer items than
            `limit` do not mean that it ends: only None does. Reads of an index may lag behind the table.
            """

        def add(self, key: Key, attribute: str, amount: int) -> int:
            """Add to a number, from 0 if there is none, and return the sum. A repeat after a lost answer adds again."""

        def put(
            self, item: Item, *, expect: Mapping[str, Any] | None = None, or_expired_at: int | None = None
        ) -> Change: ...

        def delete(self, key: Key, *, expect: Mapping[str, Any] | None = None) -> Change: ...

    class Database(Protocol):
        @property
        def usage(self) -> Usage: ...

        def begin(self, deadline: float | None) -> None:
            """A new invocation, with the time.monotonic() by which reads and writes must have ended."""

        def warm(self) -> None: ...

        def forget(self) -> None:
            """Drop what must not outlive a snapshot of the execution environment."""

        def table(self, name: str, key: KeySchema, indexes: Mapping[str, KeySchema] | None = None) -> Table: ...

        def write(self, changes: Sequence[Change]) -> None:
            """All or nothing. ConditionFailed names the changes that found something unexpected."""


class Change:
    """One write, to be carried out by `Database.write`.

    `expect` maps attributes to what the stored item must hold, None for an attribute that must be absent: so
    {"id": None} is "unless present" and {"version": 3} "if unchanged". With `or_expired_at` (epoch seconds) an
    item whose `ttl` is not later counts as expected too.
    """

    __slots__ = ("expect", "item", "key", "or_expired_at", "table")

    def __init__(
        self,
        table: str,
        key: Key,
        item: Item | None,
        expect: Mapping[str, Any] | None = None,
        or_expired_at: int | None = None,
    ) -> None:
        self.table = table
        self.key = key
        self.item = item  # None deletes
        self.expect = expect or {}
        self.or_expired_at = or_expired_at


class Usage:
    """What one invocation has used: calls to the service, retries among them, capacity units."""

    __slots__ = ("calls", "read_units", "retries", "write_units")

    def __init__(self) -> None:
        self.calls = self.retries = 0
        self.read_units = self.write_units = 0.0


class Writing:
    """What every table has: the changes that may be made to it."""

    def __init__(self, name: str, key: KeySchema) -> None:
        self.name = name
        self._key = key

    def put(self, item: Item, *, expect: Mapping[str, Any] | None = None, or_expired_at: int | None = None) -> Change:
        """The change that replaces the item under this key, see `Change`."""
        try:
            key = {name: item[name] for name in self._key}
        except KeyError as missing:
            raise Refused(f"the key attribute {missing} of {self.name} is missing") from None
        return Change(self.name, key, item, expect, or_expired_at)

    def delete(self, key: Key, *, expect: Mapping[str, Any] | None = None) -> Change:
        """The change that deletes the item under this key, if there is one."""
        return Change(self.name, key, None, expect)
