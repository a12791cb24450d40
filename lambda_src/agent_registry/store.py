"""Agents and the index items by which they are found.

One table. An agent's item has its id as `agentId`; each of its capabilities has an item of its own,
`agentId` = capability#<normal form>#<id>, which is all that the index `CapabilityIndex` holds
(`capability`, `capabilityOf`). Items of agents and index items change in one transaction.

A capability that many agents register may be spread over shards, see common.sharding: then `capability` is the name of
a shard. The keys stay the same, so that there is one index item whatever shard it is in; the agent's `indexShards` is
the number of shards that it was chosen from, if that is more than one.

A lease is the `ttl` of the agent's item, and of nothing else; what is written of all this says changes.py.
"""

from __future__ import annotations

import re

from common import clock, paging
from common.normal_form import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.change import Change
    from common.table import Database, Item

    Agent = dict[str, Any]

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
# 48 index items removed, 48 put, the agent and an idempotency marker stay under a transaction's 100
MAXIMUM_CAPABILITIES = 48
MAXIMUM_NORMAL_BYTES = 512
MAXIMUM_KEY_BYTES = 2048
# How often a write that lost against another is tried again
MAXIMUM_RACES = 10
# What an eventually consistent read may be late; usually it is a fraction of a second
REPLICATION_LAG_SECONDS = 10
_INDEX_PREFIX = "capability#"


class AgentStore:
    """Over `shards_written` of a capability new index items are spread, see common.sharding."""

    def __init__(
        self, database: Database, table_name: str, index_name: str, shards_written: int = 1, shards_read: int = 1
    ) -> None:
        self._database = database
        self._index = index_name
        self._table = database.table(
            table_name, {"agentId": "S"}, {index_name: {"capability": "S", "capabilityOf": "S"}}
        )
        self._query: Any = self._table.query
        self._shards_written = shards_written
        if shards_read > 1:
            from common import sharded_query

            self._query = sharded_query.reader(self._table, "capability", "capabilityOf", shards_read)

    def get(self, agent_id: str) -> Agent | None:
        item = self._stored_live(agent_id)
        return shown(item) if item else None

    def register(
        self,
        profile: Agent,
        lease_seconds: int | None,
        check: Callable[[int | None], None],
        also: Callable[[Agent, bool], list[Change]],
    ) -> tuple[Agent, bool]:
        """The agent as it is now, and whether it is new.

        `check` is given the version that is there (None for none) and raises if that must not be replaced;
        `also` is given the result and returns further changes for the same transaction.
        """
        from agent_registry import changes

        for _ in range(MAXIMUM_RACES):
            stored = self._table.get({"agentId": profile["id"]})
            live = self._live(stored)
            check(version(live))
            item, own = changes.registration(self._table, profile, lease_seconds, stored, live, self._shards_written)
            agent, is_new = shown(item), live is None
            if changes.written(self._database, own, also(agent, is_new)):
                return agent, is_new
        raise changes.too_many_races()

    def delete(self, agent_id: str, check: Callable[[int | None], None]) -> bool:
        """False if there is no such agent."""
        from agent_registry import changes

        for _ in range(MAXIMUM_RACES):
            live = self._stored_live(agent_id)
            check(version(live))
            if live is None:
                return False
            if changes.written(self._database, changes.removal(self._table, live), []):
                return True
        raise changes.too_many_races()

    def discover(self, capability: str, limit: int, after: Any, deadline: float) -> tuple[list[Agent], Any]:
        """One page of the live agents that have a capability (in its normal form), and where the next one begins."""
        if after is not None and not (isinstance(after, str) and re.fullmatch(ID_PATTERN, after)):
            raise paging.bad_position()

        def is_found(item: Item) -> bool:
            return self._live(item) is not None and capability in map(normal, capabilities(item))

        def is_settled(item: Item) -> bool:
            """Found, or without a lease for so long that a renewal in time would be known."""
            return is_found(item) or clock.is_past(item.get("ttl"), REPLICATION_LAG_SECONDS)

        def fetch(after_id: Any, count: int) -> tuple[list[tuple[str, Agent | None]], bool]:
            # one more than is looked at, to know whether the page is the last
            entries, last = self._query(
                capability,
                index=self._index,
                limit=count + 1,
                after=after_id
                and index_key(capability, after_id) | {"capability": capability, "capabilityOf": after_id},
            )
            ids = [entry["capabilityOf"] for entry in entries[:count]]
            # the index may lag behind: the agents' own items decide, which may be late, too, but hide no live agent
            items = self._table.get_many([{"agentId": one} for one in ids], settled=is_settled)
            agents = {item["agentId"]: shown(item) for item in items if is_found(item)}
            return [(one, agents.get(one)) for one in ids], len(entries) > count or last is not None

        return paging.fill(limit, after, fetch, deadline)

    def _stored_live(self, agent_id: str) -> Item | None:
        # an older application's ids may have any form, but index items are no agents
        if agent_id.startswith(_INDEX_PREFIX) or len(agent_id.encode(errors="replace")) > MAXIMUM_KEY_BYTES:
            return None
        return self._live(self._table.get({"agentId": agent_id}))

    def _live(self, item: Item | None) -> Item | None:
        return None if item is None or clock.is_past(item.get("ttl")) else item


def wrong_capability(capability: str) -> str | None:
    """What is wrong with a capability's length, if anything is."""
    size = len(normal(capability).encode(errors="replace"))
    if not 0 < size <= MAXIMUM_NORMAL_BYTES:
        return f"must have 1 to {MAXIMUM_NORMAL_BYTES} bytes in its normal form, not {size}"
    return None


def shown(item: Item) -> Agent:
    agent = {
        "id": item["agentId"],
        "name": text(item, "name"),
        "endpoint": text(item, "endpoint"),
        "capabilities": capabilities(item),
        "version": version(item),
    }
    times = {name: text(item, name) for name in ("createdAt", "updatedAt", "leaseExpiresAt")}
    return agent | {name: text for name, text in times.items() if text}


def text(item: Item, name: str) -> str:
    """Older applications may have left an attribute out, or stored another type."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def capabilities(item: Item) -> list[str]:
    """As given. Older applications stored them as a set or a list."""
    found = item.get("capabilities")
    if isinstance(found, set):
        found = sorted(found, key=str)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def version(item: Item | None) -> int | None:
    """None for no agent, 0 for one that an older application wrote."""
    if item is None:
        return None
    return item["version"] if is_ours(item) else 0


def is_ours(item: Item) -> bool:
    """Whether this application wrote it: then it has our version, and its capabilities have index items.

    An older application may have had a `version` of its own, so that alone says nothing.
    """
    return item.get("indexed") is True


def index_key(capability: str, agent_id: str) -> dict[str, Any]:
    return {"agentId": f"{_INDEX_PREFIX}{capability}#{agent_id}"}
