"""What registering and removing an agent writes: its own item, and of its index items exactly those that change.

The index items of a leased agent carry a ttl far behind the lease (`indexTtl` on the agent's item), so that a renewal
writes the agent's item only.
"""

from __future__ import annotations

from agent_registry.store import capabilities, index_key, is_ours, text, version
from common import clock
from common.errors import ConditionFailed, Problem
from common.normal_form import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agent_registry.store import Agent
    from common.change import Change
    from common.table import Database, Item, Table

# How far the ttl of index items lies behind the lease: so many renewals write the agent's item only. Not further,
# since an agent that went leaves its index items for discovery to read past until then.
INDEX_SLACK_LEASES = 4
MINIMUM_INDEX_SLACK_SECONDS = 3600
# What a registration without them takes away
_ANEW = ("ttl", "indexTtl", "leaseExpiresAt", "indexShards")


def registration(
    table: Table,
    profile: Agent,
    lease_seconds: int | None,
    stored: Item | None,
    live: Item | None,
    shards: int = 1,
) -> tuple[Item, list[Change]]:
    """The agent's next item, and all that has to be written for it. `live` is `stored` unless that is expired."""
    item = _next_item(profile, lease_seconds, stored, live)
    if shards > 1:
        item["indexShards"] = shards
    if live is not None:
        own = table.put(item, expect=_unchanged(live))
    else:
        own = table.put(item, expect={"agentId": None}, or_expired_at=clock.now() // 1_000_000)
    return item, [own, *_index_changes(table, item, stored)]


def removal(table: Table, live: Item) -> list[Change]:
    agent_id = live["agentId"]
    entries = (table.delete(index_key(capability, agent_id)) for capability in sorted(_indexed(live)))
    return [table.delete({"agentId": agent_id}, expect=_unchanged(live)), *entries]


def written(database: Database, own: list[Change], others: list[Change]) -> bool:
    """False when somebody else was faster."""
    try:
        database.write([*own, *others])
    except ConditionFailed as error:
        if any(position >= len(own) for position in error.positions):
            raise
        return False
    return True


def too_many_races() -> Problem:
    return Problem(409, "the agent is being changed by many others at the same time; try again")


def _next_item(profile: Agent, lease_seconds: int | None, stored: Item | None, live: Item | None) -> Item:
    now = clock.now()
    current = version(live)
    different: dict[str, str] = {}
    for capability in profile["capabilities"]:
        different.setdefault(normal(capability), capability)
    # attributes that only an older application knows stay
    item = {name: value for name, value in (live or {}).items() if name not in _ANEW}
    item |= {
        "agentId": profile["id"],
        "name": profile["name"],
        "endpoint": profile["endpoint"],
        "capabilities": list(different.values()),
        "createdAt": text(live or {}, "createdAt") or clock.text(now),
        "updatedAt": clock.text(now),
        "version": 1 if current is None else current + 1,
        "indexed": True,
    }
    if lease_seconds is not None:
        lease_end = now + lease_seconds * 1_000_000
        ttl = clock.seconds_up(lease_end)
        index_ttl = stored.get("indexTtl", 0) if stored and is_ours(stored) else 0
        item |= {
            "leaseExpiresAt": clock.text(lease_end),
            "ttl": ttl,
            "indexTtl": index_ttl if ttl <= index_ttl else ttl + _slack_seconds(lease_seconds),
        }
    return item


def _slack_seconds(lease_seconds: int) -> int:
    return max(MINIMUM_INDEX_SLACK_SECONDS, INDEX_SLACK_LEASES * lease_seconds)


def _indexed(item: Item) -> set[str]:
    """The capabilities for which there are index items."""
    return set(map(normal, capabilities(item))) if is_ours(item) else set()


def _unchanged(item: Item) -> dict[str, Any]:
    if not is_ours(item):
        # with our mark: an older version may be the very one that taking it over gives it
        return {"agentId": item["agentId"], "version": item.get("version"), "indexed": item.get("indexed")}
    # with the time, since an agent that was deleted and registered again starts at version 1 too
    return {"version": item["version"], "createdAt": item["createdAt"]}


def _index_changes(table: Table, item: Item, stored: Item | None) -> Iterable[Change]:
    """Exactly the difference, unless the ttl or the shard of all index items has to move."""
    agent_id, ttl, shard = item["agentId"], item.get("indexTtl"), _shard(item)
    before = _indexed(stored) if stored else set()
    now = _indexed(item)
    kept = before & now if stored and stored.get("indexTtl") == ttl and _shard(stored) == shard else set()
    for capability in sorted(before - now):
        yield table.delete(index_key(capability, agent_id))
    for capability in sorted(now - kept):
        entry = index_key(capability, agent_id) | {"capability": f"{capability}{shard}", "capabilityOf": agent_id}
        yield table.put(entry if ttl is None else entry | {"ttl": ttl})


def _shard(item: Item) -> str:
    """What the names of the shards that hold the agent's index items end in."""
    count = item.get("indexShards")
    if not isinstance(count, int) or count == 1:
        return ""
    from common.sharding import shard_name, shard_of

    return shard_name("", shard_of(item["agentId"], count))
