"""Beginning a store, and taking over a table that was filled before there was a counter."""

from __future__ import annotations

from contextlib import suppress

from common.errors import ConditionFailed, Problem
from pet_store.seed import PETS
from pet_store.store import COUNTER, MAXIMUM_RACES, is_id, is_ready, new_pet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Database, Item, Table

# Ids are looked for in windows of this many consecutive ones, a batch each
WINDOW = 100
# So many windows behind the highest pet must be empty: the highest is found if no gap is longer than all of them
EMPTY_WINDOWS = 10
# How far behind the highest pet single windows are looked at before, to get near the end in few steps
DISTANCES = tuple(WINDOW * EMPTY_WINDOWS << doubled for doubled in range(14, -1, -1))


def run(database: Database, table: Table, *, is_seeded: bool) -> dict[str, Any]:
    """Makes the counter, past every pet that is there, and with `is_seeded` adds the first pets where ids are free.

    All of it is one transaction, once ever. The answer tells the highest id given out, and how many pets were added.
    """
    for _ in range(MAXIMUM_RACES):
        counter = table.get(COUNTER) or {}
        if is_ready(counter) and (counter["seeded"] or not is_seeded):
            return {"last": counter["last"], "added": 0}
        last = highest(table)
        if is_id(counter.get("last")):
            last = max(last, counter["last"])
        pets = _missing(table) if is_seeded else []
        if is_seeded:
            last = max(last, len(PETS))
        change = table.update(
            COUNTER,
            set={"last": last, "seeded": is_seeded},
            expect={"last": counter.get("last"), "seeded": counter.get("seeded")},
        )
        try:
            database.write([change, *(table.put(pet, expect={"id": None}) for pet in pets)])
        except ConditionFailed:
            continue  # somebody else does the same, or adds pets
        return {"last": last, "added": len(pets)}
    raise Problem(503, "others begin this store at the same time; try again", headers={"retry-after": "1"})


def move_past(database: Database, table: Table, taken: int) -> None:
    """Raises the counter past pets that somebody else wrote without it, `taken` being the id of one of them."""
    last = highest(table, taken)
    with suppress(ConditionFailed):  # it is there already
        database.write([table.update(COUNTER, set={"last": last}, below={"last": last})])


def highest(table: Table, known: int = 0) -> int:
    """The highest id of a pet, from the id of one, or 0 for none. No scan: batches of keys, as many as log(highest).

    Ids are consecutive but for gaps. A pet behind a gap of WINDOW * EMPTY_WINDOWS ids or more may be missed; adding
    moves past it when it gets there.
    """
    while True:
        for distance in DISTANCES:
            while found := _highest_of(table, known + distance):
                known = found
        near = [_highest_of(table, known + 1 + WINDOW * i) for i in range(EMPTY_WINDOWS)]
        if not any(near):
            return known
        known = max(near)


def _highest_of(table: Table, first: int) -> int:
    """Of one window; 0 for none."""
    return max((int(item["id"]) for item in table.get_many(_keys(first, WINDOW))), default=0)


def _missing(table: Table) -> list[Item]:
    there = {item["id"] for item in table.get_many(_keys(1, len(PETS)))}
    return [
        new_pet(pet_id, name, kind, price) for pet_id, (name, kind, price) in enumerate(PETS, 1) if pet_id not in there
    ]


def _keys(first: int, count: int) -> list[dict[str, Any]]:
    return [{"id": pet_id} for pet_id in range(first, first + count)]
