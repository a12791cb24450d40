"""What storing a profile writes: its own item, and of its entries in the match table exactly those that change."""

from __future__ import annotations

import os

from agent_profiles.facts import entries, facts_of, location_parts, stored_entries, text
from agent_profiles.items import is_ours, version
from common import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from common.change import Change
    from common.table import Item, Table

_AS_GIVEN = ("name", "address", "averagePrice", "tags", "description", "timestamp")
_ATTRIBUTES = (*_AS_GIVEN, "job", "location", "location_city", "entryShards")


def new_id() -> str:
    return os.urandom(16).hex()


def storing(
    profiles: Table, match: Table, profile_id: str, profile: dict[str, Any], stored: Item | None, shards: int = 1
) -> tuple[Item, list[Change]]:
    """The profile's next item, and all that has to be written for it: the item first."""
    facts = facts_of(profile)
    item = _next_item(profile_id, profile, facts, stored)
    if shards > 1:
        item["entryShards"] = shards
    own = profiles.put(item, expect={"id": None} if stored is None else unchanged(stored))
    before = stored_entries(stored) if stored else []
    return item, [own, *entry_changes(match, before, entries(profile_id, facts, shards))]


def _next_item(profile_id: str, profile: dict[str, Any], facts: dict[str, Any], stored: Item | None) -> Item:
    now = clock.text(clock.now())
    before = stored or {}
    # attributes that only an older application knows stay
    item = {name: value for name, value in before.items() if name not in _ATTRIBUTES}
    item |= {name: profile[name] for name in _AS_GIVEN if profile.get(name) not in (None, "")}
    item |= {"timestamp": text(profile.get("timestamp")) or now}
    # no index takes an empty text: what is not known is left out
    item |= {name: facts[fact] for name, fact in (("job", "job"), ("location_city", "city")) if fact in facts}
    if parts := location_parts(profile.get("location")):
        item["location"] = parts
    return item | {
        "id": profile_id,
        "profile_data": profile,
        "indexed": facts,
        "version": (version(stored) or 0) + 1,
        "createdAt": text(before.get("createdAt")) or now,
        "updatedAt": now,
    }


def unchanged(stored: Item) -> dict[str, Any]:
    if is_ours(stored):
        # with the time, since a profile that was removed and stored again starts at version 1 too; and with what says
        # where its entries are, which `make reshard` changes alone
        return {name: stored.get(name) for name in ("version", "createdAt", "entryShards")}
    return {"id": stored["id"], "indexed": stored.get("indexed")}


def entry_changes(match: Table, before: list[Item], after: list[Item]) -> Iterator[Change]:
    keys = [_key(entry) for entry in after]
    for entry in before:
        if _key(entry) not in keys:
            yield match.delete(_key(entry))
    for entry in after:
        if entry not in before:
            yield match.put(entry)


def _key(entry: Item) -> dict[str, str]:
    return {"entry": entry["entry"], "position": entry["position"]}
