"""One write to a table, to be carried out by a database, see common.table."""

from __future__ import annotations

from common.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.table import Item, Key, KeySchema


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
