"""One write to a table, to be carried out by a database, see common.table."""

from __future__ import annotations

from common.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal
    from typing import Any

    from common.table import Item, Key, KeySchema

    Number = int | Decimal


class Change:
    """One write, to be carried out by `Database.write`: puts `item`, or makes the `update`, or deletes.

    `expect` maps attributes to what the stored item must hold, None for an attribute that must be absent: so
    {"id": None} is "unless present" and {"version": 3} "if unchanged". `below` maps attributes to what their numbers
    must be smaller than, unless they are absent. With `or_expired_at` (epoch seconds) an item whose `ttl` is not
    later is as good as expected; with `unexpired_at` it must be later, or absent.
    """

    __slots__ = ("below", "expect", "item", "key", "or_expired_at", "table", "unexpired_at", "update")

    def __init__(
        self,
        table: str,
        key: Key,
        item: Item | None = None,
        *,
        update: Update | None = None,
        expect: Mapping[str, Any] | None = None,
        below: Mapping[str, int] | None = None,
        or_expired_at: int | None = None,
        unexpired_at: int | None = None,
    ) -> None:
        self.table = table
        self.key = key
        self.item = item
        self.update = update
        self.expect = expect or {}
        self.below = below or {}
        self.or_expired_at = or_expired_at
        self.unexpired_at = unexpired_at


class Update:
    """What an update does to the item's attributes: sets, adds to numbers (from 0), removes."""

    __slots__ = ("add", "remove", "set")

    def __init__(self, set_: Mapping[str, Any] | None, add: Mapping[str, Number] | None, remove: Sequence[str]) -> None:
        self.set = set_ or {}
        self.add = add or {}
        self.remove = remove


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
        return Change(self.name, key, item, expect=expect, or_expired_at=or_expired_at)

    def delete(self, key: Key, *, expect: Mapping[str, Any] | None = None) -> Change:
        """The change that deletes the item under this key, if there is one."""
        return Change(self.name, key, expect=expect)

    def update(
        self,
        key: Key,
        *,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - DynamoDB's own word
        add: Mapping[str, Number] | None = None,
        remove: Sequence[str] = (),
        expect: Mapping[str, Any] | None = None,
        below: Mapping[str, int] | None = None,
        unexpired_at: int | None = None,
    ) -> Change:
        """The change of some attributes; an item that is not there is made, unless `expect` holds a key attribute."""
        update = Update(set, add, remove)
        return Change(self.name, key, update=update, expect=expect, below=below, unexpired_at=unexpired_at)
