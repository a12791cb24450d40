"""Where an item of each system belongs among the shards, and what moves it there; see common.sharding."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from agent_profiles import changes, facts
from agent_profiles.items import is_ours
from agent_sessions.conversation import in_shard
from common.change import Change, Writing
from common.dynamodb import DynamoDB
from common.dynamodb_json import unmarshal_item
from common.errors import ConditionFailed
from common.sharding import shard_name, shard_of
from common.table import Item
from pet_store.store import id_range, is_id

_NAME = re.compile("(?P<partition>.*?)(?:  (?P<shard>[0-9]+))?", flags=re.DOTALL)
_ENTRY_PREFIX, _USER_PREFIX = "capability#", "user#"


class Move(NamedTuple):
    """From one shard to another, by `changes` in one transaction; none where the item is where it belongs."""

    before: int
    shard: int
    changes: Sequence[Change]


class Judge(Protocol):
    def __call__(self, stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:
        """What is to be done about an item in DynamoDB's JSON; None for one that is in no shard.

        `names` are the system's tables.
        """


def capability_entry(stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:
    item = unmarshal_item(stored)
    agent, capability = item.get("capabilityOf"), item.get("capability")
    if not (item["agentId"].startswith(_ENTRY_PREFIX) and isinstance(agent, str) and isinstance(capability, str)):
        return None
    match = _NAME.fullmatch(capability)
    partition, before = (match["partition"], int(match["shard"] or 0)) if match else (capability, 0)
    shard = shard_of(agent, count)
    if before == shard:
        return Move(before, shard, ())
    table: Any = Writing(names["agents"], {"agentId": "S"})
    moved = {"capability": shard_name(partition, shard)}
    return Move(
        before, shard, [table.update({"agentId": item["agentId"]}, set=moved, expect={"capability": capability})]
    )


def profile(stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:
    item = unmarshal_item(stored)
    if not is_ours(item):
        return None
    stated = item.get("entryShards")
    before = shard_of(item["id"], stated if isinstance(stated, int) else 1)
    shard = shard_of(item["id"], count)
    if before == shard:
        return Move(before, shard, ())
    profiles: Any = Writing(names["profiles"], {"id": "S"})
    match: Any = Writing(names["match"], {"entry": "S", "position": "S"})
    own = profiles.update(
        {"id": item["id"]},
        set={"entryShards": count} if count > 1 else {},
        remove=() if count > 1 else ("entryShards",),
        expect=changes.unchanged(item),
    )
    after = facts.entries(item["id"], item["indexed"], count)
    return Move(before, shard, [own, *changes.entry_changes(match, facts.stored_entries(item), after)])


def session(stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:
    item = unmarshal_item(stored)
    if item["id"].startswith(_USER_PREFIX):
        return None
    table: Any = Writing(names["sessions"], {"id": "S", "tenantId": "S"})
    return _of_tenant(table, {"id": item["id"], "tenantId": item["tenantId"]}, item, "userId", count)


def message(stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:
    item = unmarshal_item(stored)
    table: Any = Writing(names["messages"], {"id": "S"})
    return _of_tenant(table, {"id": item["id"]}, item, "sessionId", count)


def pet(stored: Mapping[str, Any], names: Mapping[str, str], count: int) -> Move | None:  # noqa: ARG001
    """Into the range of its id, by which the list of all pets is read: an older application gave it none."""
    item = unmarshal_item(stored)
    if not is_id(item["id"]):
        return None
    wanted, stated = id_range(item["id"]), item.get("idRange")
    if stated == wanted:
        return Move(0, 0, ())
    table: Any = Writing(names["pets"], {"id": "N"})
    expect = {"id": item["id"], "idRange": stated}
    return Move(0, 0, [table.update({"id": item["id"]}, set={"idRange": wanted}, expect=expect)])


def _of_tenant(table: Any, key: Mapping[str, Any], item: Item, member: str, count: int) -> Move | None:
    tenant, found, stated = item.get("tenantId"), item.get(member), item.get("tenantShard")
    if not (isinstance(tenant, str) and isinstance(found, str)):
        return None
    wanted = in_shard(tenant, found, count)
    digits, _, of = stated.partition("#") if isinstance(stated, str) else ("", "", "")
    before = int(digits) if digits.isdecimal() and of == tenant else 0
    shard = shard_of(found, count)
    if stated == wanted["tenantShard"]:
        return Move(before, shard, ())
    expect = {"tenantId": tenant, member: found, "tenantShard": stated}
    return Move(before, shard, [table.update(key, set=wanted, expect=expect)])


def carry_out(database: DynamoDB, moves: Sequence[Change]) -> bool:
    """False where an item is no more what it was."""
    try:
        database.write(moves)
    except ConditionFailed:
        return False
    return True


# Ranges of ids have each one size, which nobody states: one shard
OF_ONE_SHARD = MappingProxyType({"pet_store": MappingProxyType({"write": 1, "read": 1})})
# By system and table: its key, and who judges its items
TABLES: Mapping[str, Mapping[str, tuple[dict[str, str], Judge]]] = MappingProxyType(
    {
        "agent_registry": {"agents": ({"agentId": "S"}, capability_entry)},
        "agent_profiles": {"profiles": ({"id": "S"}, profile)},
        "agent_sessions": {
            "sessions": ({"id": "S", "tenantId": "S"}, session),
            "messages": ({"id": "S"}, message),
        },
        "pet_store": {"pets": ({"id": "N"}, pet)},
    }
)
