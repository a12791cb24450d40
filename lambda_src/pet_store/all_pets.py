"""The list of all pets, by id."""

from __future__ import annotations

from common import paging
from pet_store.store import COUNTER, IDS_OF_A_RANGE, id_range, is_id, is_ready, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from common.table import Item, Table
    from pet_store.store import Pet

# Of one batch
MAXIMUM_KEYS = 100


class AllPets:
    """`index` is that of ranges of ids; where there is none ("") all is read by keys. `begin` makes the counter."""

    def __init__(self, table: Table, index: str, begin: Callable[[], object]) -> None:
        self._table = table
        self._index = index
        self._begin = begin

    def page(self, limit: int, after: Any, deadline: float) -> tuple[list[Pet], Any]:
        """One page, and where the next one begins."""
        if after is not None and not is_id(after):
            raise paging.bad_position()

        def fetch(place: int | None, count: int) -> tuple[list[tuple[int, Pet | None]], bool]:
            first = (place or 0) + 1
            end = first + count
            found = self._pets(first, end)
            pets = [(one, shown(found[one]) if one in found else None) for one in range(first, end)]
            # a pet past the counter is one that somebody else wrote: nothing is hidden
            return pets, end in found or found[0]["last"] > end

        return paging.fill(limit, after, fetch, deadline)

    def _pets(self, first: int, last: int) -> dict[int, Item]:
        """Those from `first` to `last` by id; unless all are there, the counter as 0.

        The index may lag, and has no pets of older applications. But ids are consecutive, so what it does not show is
        known: it is read by its keys, with the counter, which tells the end. No route changes or deletes a pet.
        """
        found = {item["id"]: item for item in self._indexed(first, last)}
        missing = [{"id": one} for one in range(first, last + 1) if one not in found]
        if missing:
            read = self._by_id([COUNTER, *missing])
            if not is_ready(read.get(0)):
                self._begin()
                read = self._by_id([COUNTER, *missing])
            found |= read
        return found

    def _indexed(self, first: int, last: int) -> Iterator[Item]:
        while self._index and first <= last:
            part = id_range(first)
            border = min(last, (part + 1) * IDS_OF_A_RANGE - 1)
            limit = border + 1 - first
            yield from self._table.query(part, index=self._index, limit=limit, between=(first, border))[0]
            first = border + 1

    def _by_id(self, keys: list[dict[str, int]]) -> dict[int, Item]:
        batches = (keys[start : start + MAXIMUM_KEYS] for start in range(0, len(keys), MAXIMUM_KEYS))
        return {item["id"]: item for batch in batches for item in self._table.get_many(batch)}
