"""Pets by id, and by type and price.

A pet's item has its `id` as key. Beyond `name`, `type` and `price` it holds `version`, and `idRange`, by which an index
has the pets in the order of their ids; pets that an older application wrote have neither. The item with id 0 is no pet
but the counter: `last` is the highest id given out. It has `seeded` once it is known to be past every pet that was
there before it, see takeover.py; until then it is not to be relied on.

Ids may be taken from the counter in blocks: then each execution environment gives out a block of its own.
"""

from __future__ import annotations

import re
from decimal import Decimal

from common import paging
from common.errors import ConditionFailed, InvalidValue, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.change import Change, Number
    from common.table import Database, Item

    Pet = dict[str, Any]

COUNTER = {"id": 0}
# Consecutive ids of one `idRange`: as many as the largest page has, so that a page lies in two of them at most
IDS_OF_A_RANGE = 100
# How often an id that somebody else wrote past the counter is passed over
MAXIMUM_RACES = 10
MAXIMUM_PRICE = Decimal("9.9E+125")
# DynamoDB's own bounds
LARGEST_NUMBER = Decimal("9.9999999999999999999999999999999999999E+125")
SMALLEST_NUMBER = Decimal("-9.9999999999999999999999999999999999999E+125")
MAXIMUM_ID_DIGITS = 37


class PetStore:
    """Without `range_index_name` a table that has no such index is read by its keys."""

    def __init__(
        self,
        database: Database,
        table_name: str,
        index_name: str,
        range_index_name: str = "",
        *,
        is_seeded: bool,
        id_block_size: int = 1,
    ) -> None:
        self._database = database
        self._index = index_name
        self._range_index = range_index_name
        indexes = {index_name: {"type": "S", "price": "N"}, range_index_name: {"idRange": "N", "id": "N"}}
        self._table = database.table(table_name, {"id": "N"}, {name: key for name, key in indexes.items() if name})
        self._is_seeded = is_seeded
        self._counter_seen = False
        self._id_block_size = id_block_size
        self._block = iter(range(0))

    def get(self, pet_id: int) -> Pet | None:
        item = self._table.get({"id": pet_id})
        if item is None and not self._counter_seen:
            self.take_over_once()
            item = self._table.get({"id": pet_id})
        return None if item is None else shown(item)

    def add(self, name: str, kind: str, price: Number, also: Callable[[Pet], list[Change]]) -> Pet:
        """The new pet. `also` is given it and returns further changes for the same transaction."""
        self.take_over_once()
        for _ in range(MAXIMUM_RACES):
            pet_id = self._next_id()
            if pet_id == 1:
                # the first of all, or the counter was deleted meanwhile: then what is there must be found again
                self._counter_seen = False
                if self.take_over_once():
                    continue
            item = new_pet(pet_id, name, kind, price)
            pet = shown(item)
            try:
                self._database.write([self._table.put(item, expect={"id": None}), *also(pet)])
            except ConditionFailed as error:
                if any(error.positions):
                    raise
                from pet_store import takeover

                self._block = iter(range(0))
                takeover.move_past(self._database, self._table, pet_id)
            else:
                return pet
        raise Problem(503, "others add pets past the counter of this store; try again", headers={"retry-after": "1"})

    def _next_id(self) -> int:
        pet_id = next(self._block, None)
        if pet_id is None:
            last = self._table.add(COUNTER, "last", self._id_block_size)
            self._block = iter(range(last - self._id_block_size + 1, last + 1))
            pet_id = next(self._block)
        return pet_id

    def page(self, limit: int, after: Any, deadline: float) -> tuple[list[Pet], Any]:
        """One page of all pets by id, and where the next one begins."""
        from pet_store.all_pets import AllPets

        return AllPets(self._table, self._range_index, self.take_over).page(limit, after, deadline)

    def of_type(
        self, kind: str, low: Number | None, high: Number | None, limit: int, after: Any, deadline: float
    ) -> tuple[list[Pet], Any]:
        """One page of a type's pets whose price is from `low` to `high`, the cheapest first, and where the next begins.

        The index answers alone: it may lag behind the table for a moment.
        """
        between = None
        if low is not None or high is not None:
            between = (SMALLEST_NUMBER if low is None else low, LARGEST_NUMBER if high is None else high)
        start = None if after is None else _start(after, between)

        def fetch(place: Any, count: int) -> tuple[list[tuple[Any, Pet | None]], bool]:
            # one more than is looked at, to know whether the page is the last
            items, last = self._table.query(
                kind,
                index=self._index,
                limit=count + 1,
                after=place and {"type": kind, "price": place[0], "id": place[1]},
                between=between,
            )
            found = [((item["price"], item["id"]), shown(item) if is_id(item["id"]) else None) for item in items]
            return found[:count], len(items) > count or last is not None

        pets, place = paging.fill(limit, start, fetch, deadline)
        if not pets and start is None and not self._counter_seen and self.take_over_once():
            pets, place = paging.fill(limit, start, fetch, deadline)
        # the index has no order among pets of one price
        pets.sort(key=lambda pet: (pet["price"], pet["id"]))
        return pets, place and [str(place[0]), place[1]]

    def take_over_once(self) -> bool:
        """False if the counter was there already, past all pets that were there before it."""
        if self._counter_seen or is_ready(self._table.get(COUNTER)):
            self._counter_seen = True
            return False
        self.take_over()
        return True

    def take_over(self) -> dict[str, Any]:
        """See takeover.run."""
        from pet_store import takeover

        result = takeover.run(self._database, self._table, is_seeded=self._is_seeded)
        self._counter_seen = True
        return result


def is_ready(counter: Item | None) -> bool:
    return counter is not None and isinstance(counter.get("last"), int) and isinstance(counter.get("seeded"), bool)


def id_range(pet_id: int) -> int:
    return pet_id // IDS_OF_A_RANGE


def new_pet(pet_id: int, name: str, kind: str, price: Number) -> Item:
    return {"id": pet_id, "idRange": id_range(pet_id), "name": name, "type": kind, "price": price, "version": 1}


def is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**MAXIMUM_ID_DIGITS


def shown(item: Item) -> Pet:
    price = item.get("price")
    return {
        "id": item["id"],
        "name": _text(item, "name"),
        "type": _text(item, "type"),
        "price": price if _is_number(price) else None,
        "version": version(item),
    }


def version(item: Item) -> int:
    """0 for a pet that an older application wrote."""
    found = item.get("version")
    return found if isinstance(found, int) and not isinstance(found, bool) else 0


def _text(item: Item, name: str) -> str:
    """Older applications may have left an attribute out, or stored another type."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _start(after: Any, between: tuple[Number, Number] | None) -> tuple[Number, int]:
    """Price and id of a position; DynamoDB refuses one that lies outside the bounds."""
    if not (isinstance(after, list) and len(after) == 2 and isinstance(after[0], str) and is_id(after[1])):
        raise paging.bad_position()
    price = number_of(after[0])
    if price is None or (between and not between[0] <= price <= between[1]):
        raise paging.bad_position()
    return price, after[1]


def number_of(text: str) -> Number | None:
    """The number that a text stands for as JSON would write it; None if it stands for none that can be stored."""
    from common.dynamodb_json import number

    try:
        return number(text) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", text) else None
    except InvalidValue:
        return None
