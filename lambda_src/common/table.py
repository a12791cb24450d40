"""What a store may ask of its tables. Two implementations: DynamoDB, and memory for the rollback mode.

A store reads through a `Table` and writes through its `Database`: one change is one conditional write,
several are one transaction. What a change expects to find is said in values, never in expression strings.
What few systems need stands apart, for the others' zips: common.scanning, common.batch_deletion.

Only types: nothing of this is imported when a function runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from common.change import Change, Usage

Item = dict[str, Any]
Key = Mapping[str, Any]
# attribute name -> type (S, N or B): the partition key, then the sort key if there is one
KeySchema = Mapping[str, str]


class Table(Protocol):
    name: str

    def get(self, key: Key) -> Item | None:
        """The item as of now (a consistent read)."""

    def get_many(self, keys: Sequence[Key], *, settled: Callable[[Item], bool] | None = None) -> list[Item]:
        """The items as of now, in any order, those that don't exist left out; at most 100 keys.

        With `settled` for half the units: as they were a moment ago (an eventually consistent read). Only those that
        it calls settled are taken so. The others, and what was not found, are read again, as of now.
        """

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

    def update(
        self,
        key: Key,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002
        add: Mapping[str, int | Decimal] | None = None,
        remove: Sequence[str] = (),
        expect: Mapping[str, Any] | None = None,
        below: Mapping[str, int] | None = None,
        unexpired_at: int | None = None,
    ) -> Change: ...


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
        """All or nothing. ConditionFailed names the changes that found something unexpected, and what they found."""
