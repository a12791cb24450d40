"""Agents and the index items by which they are found.

One table. An agent's item has its id as `agentId`; each of its capabilities has an item of its own,
`agentId` = capability#<normal form>#<id>, which is all that the index `CapabilityIndex` holds
(`capability`, `capabilityOf`). Items of agents and index items change in one transaction.

A lease is the `ttl` of the agent's item, and of nothing else: the index items of a leased agent carry a ttl far
behind the lease (`indexTtl` on the agent's item), so that a renewal writes the agent's item only.
"""

from __future__ import annotations

import re

from common import clock, paging
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from common.table import Change, Database, Item

    Agent = dict[str, Any]

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9._:@~-]{0,127}"
# 48 index items removed, 48 put, the agent and an idempotency marker stay under a transaction's 100
MAXIMUM_CAPABILITIES = 48
MAXIMUM_NORMAL_BYTES = 512
MAXIMUM_KEY_BYTES = 2048
# How far the ttl of index items lies behind the lease at least
INDEX_SLACK_SECONDS = 30 * 24 * 3600
# How often a write that lost against another is tried again
MAXIMUM_RACES = 10
_INDEX_PREFIX = "capability#"


class AgentStore:
    def __init__(self, database: Database, table_name: str, index_name: str) -> None:
        self._database = database
        self._index = index_name
        self._table = database.table(
            table_name, {"agentId": "S"}, {index_name: {"capability": "S", "capabilityOf": "S"}}
        )

    def get(self, agent_id: str) -> Agent | None:
        item = self._stored_live(agent_id)
        return _shown(item) if item else None

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
        for _ in range(MAXIMUM_RACES):
            stored = self._table.get({"agentId": profile["id"]})
            live = self._live(stored)
            check(_version(live))
            item = _next_item(profile, lease_seconds, stored, live)
            own = [self._replacement(item, live), *self._index_changes(item, stored)]
            agent, is_new = _shown(item), live is None
            if self._written(own, also(agent, is_new)):
                return agent, is_new
        raise _too_many_races()

    def delete(self, agent_id: str, check: Callable[[int | None], None]) -> bool:
        """False if there is no such agent."""
        for _ in range(MAXIMUM_RACES):
            live = self._stored_live(agent_id)
            check(_version(live))
            if live is None:
                return False
            own = [
                self._table.delete({"agentId": agent_id}, expect=_unchanged(live)),
                *(self._table.delete(_index_key(capability, agent_id)) for capability in _indexed(live)),
            ]
            if self._written(own, []):
                return True
        raise _too_many_races()

    def discover(self, capability: str, limit: int, after: Any, deadline: float) -> tuple[list[Agent], Any]:
        """One page of the live agents that have a capability (in its normal form), and where the next one begins."""
        if after is not None and not (isinstance(after, str) and re.fullmatch(ID_PATTERN, after)):
            raise paging.bad_position()

        def fetch(after_id: Any, count: int) -> tuple[list[tuple[str, Agent | None]], bool]:
            # one more than is looked at, to know whether the page is the last
            entries, last = self._table.query(
                capability,
                index=self._index,
                limit=count + 1,
                after=after_id
                and _index_key(capability, after_id) | {"capability": capability, "capabilityOf": after_id},
            )
            ids = [entry["capabilityOf"] for entry in entries[:count]]
            items = self._table.get_many([{"agentId": one} for one in ids])
            # the index may lag behind: the agents' own items decide
            agents = {
                item["agentId"]: _shown(item)
                for item in items
                if self._live(item) and capability in map(normal, _capabilities(item))
            }
            return [(one, agents.get(one)) for one in ids], len(entries) > count or last is not None

        return paging.fill(limit, after, fetch, deadline)

    def _stored_live(self, agent_id: str) -> Item | None:
        # an older application's ids may have any form, but index items are no agents
        if agent_id.startswith(_INDEX_PREFIX) or len(agent_id.encode(errors="replace")) > MAXIMUM_KEY_BYTES:
            return None
        return self._live(self._table.get({"agentId": agent_id}))

    def _live(self, item: Item | None) -> Item | None:
        return None if item is None or clock.is_past(item.get("ttl")) else item

    def _replacement(self, item: Item, live: Item | None) -> Change:
        if live is not None:
            return self._table.put(item, expect=_unchanged(live))
        return self._table.put(item, expect={"agentId": None}, or_expired_at=clock.now() // 1_000_000)

    def _index_changes(self, item: Item, stored: Item | None) -> Iterable[Change]:
        """Exactly the difference, unless the ttl of all index items has to move."""
        agent_id, ttl = item["agentId"], item.get("indexTtl")
        before = _indexed(stored) if stored else set()
        now = _indexed(item)
        kept = before & now if stored and stored.get("indexTtl") == ttl else set()
        for capability in sorted(before - now):
            yield self._table.delete(_index_key(capability, agent_id))
        for capability in sorted(now - kept):
            entry = _index_key(capability, agent_id) | {"capability": capability, "capabilityOf": agent_id}
            yield self._table.put(entry if ttl is None else entry | {"ttl": ttl})

    def _written(self, own: list[Change], others: list[Change]) -> bool:
        """False when somebody else was faster."""
        try:
            self._database.write([*own, *others])
        except ConditionFailed as error:
            if any(position >= len(own) for position in error.positions):
                raise
            return False
        return True


def normal(capability: str) -> str:
    """The form in which capabilities are compared: compatible characters, letter case and white space don't count."""
    if not capability.isascii():
        from unicodedata import normalize

        capability = normalize("NFKC", normalize("NFKC", capability).casefold())
    return " ".join(capability.casefold().split())


def _next_item(profile: Agent, lease_seconds: int | None, stored: Item | None, live: Item | None) -> Item:
    now = clock.now()
    version = _version(live)
    different: dict[str, str] = {}
    for capability in profile["capabilities"]:
        different.setdefault(normal(capability), capability)
    # attributes that only an older application knows stay
    item = {name: value for name, value in (live or {}).items() if name not in ("ttl", "indexTtl", "leaseExpiresAt")}
    item |= {
        "agentId": profile["id"],
        "name": profile["name"],
        "endpoint": profile["endpoint"],
        "capabilities": list(different.values()),
        "createdAt": _text(live or {}, "createdAt") or clock.text(now),
        "updatedAt": clock.text(now),
        "version": 1 if version is None else version + 1,
    }
    if lease_seconds is not None:
        lease_end = now + lease_seconds * 1_000_000
        ttl = clock.seconds_up(lease_end)
        index_ttl = (stored or {}).get("indexTtl", 0)
        item |= {
            "leaseExpiresAt": clock.text(lease_end),
            "ttl": ttl,
            "indexTtl": index_ttl if ttl <= index_ttl else ttl + max(INDEX_SLACK_SECONDS, lease_seconds),
        }
    return item


def _shown(item: Item) -> Agent:
    agent = {
        "id": item["agentId"],
        "name": _text(item, "name"),
        "endpoint": _text(item, "endpoint"),
        "capabilities": _capabilities(item),
        "version": _version(item),
    }
    times = {name: _text(item, name) for name in ("createdAt", "updatedAt", "leaseExpiresAt")}
    return agent | {name: text for name, text in times.items() if text}


def _text(item: Item, name: str) -> str:
    """Older applications may have left an attribute out, or stored another type."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _capabilities(item: Item) -> list[str]:
    """As given. Older applications stored them as a set or a list."""
    found = item.get("capabilities")
    if isinstance(found, set):
        found = sorted(found, key=str)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _indexed(item: Item) -> set[str]:
    """The capabilities for which there are index items: none for what an older application wrote."""
    return set(map(normal, _capabilities(item))) if "version" in item else set()


def _version(item: Item | None) -> int | None:
    return None if item is None else int(item.get("version", 0))


def _unchanged(item: Item) -> dict[str, Any]:
    if "version" not in item:
        return {"agentId": item["agentId"], "version": None}
    # with the time, since an agent that was deleted and registered again starts at version 1 too
    return {"version": item["version"], "createdAt": item["createdAt"]}


def _index_key(capability: str, agent_id: str) -> dict[str, Any]:
    return {"agentId": f"{_INDEX_PREFIX}{capability}#{agent_id}"}


def _too_many_races() -> Problem:
    return Problem(409, "the agent is being changed by many others at the same time; try again")
