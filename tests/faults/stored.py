"""All that a system's tables hold: read whole, put back, compared, and held against what must be true of it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent_profiles.facts import entries
from common import clock
from common.dynamodb_client import DynamoDBClient
from common.dynamodb_json import unmarshal_item
from common.normal_form import normal
from tests.contract.application import Application
from tests.contract.engines import Engine

# By the variable that names the table: its key
KEYS = {
    "AGENT_REGISTRY_TABLE_NAME": ("agentId",),
    "PROFILE_TABLE_NAME": ("id",),
    "MATCH_TABLE_NAME": ("entry", "position"),
    "CONVERSATION_TABLE_NAME": ("conversation_id", "timestamp"),
    "DYNAMODB_SESSIONS_TABLE": ("id", "tenantId"),
    "DYNAMODB_MESSAGES_TABLE": ("id",),
    "PET_STORE_TABLE_NAME": ("id",),
    "DYNAMODB_TABLE_NAME": ("PK", "SK"),
    "IDEMPOTENCY_TABLE_NAME": ("id",),
}
# Items by the variable that names their table, in DynamoDB's JSON
State = dict[str, list[dict[str, Any]]]


class Stored:
    """The tables of one application, past any proxy."""

    def __init__(self, engine: Engine, app: Application) -> None:
        self._client = DynamoDBClient(engine.environment)
        self._names = {variable: app.environment[variable] for variable in KEYS if variable in app.environment}

    def state(self) -> State:
        return {variable: list(self._scanned(name)) for variable, name in self._names.items()}

    def _scanned(self, table: str) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            answer = self._client.call("Scan", {"TableName": table, "ConsistentRead": True, **more})
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def put_back(self, before: State, now: State) -> None:
        """`before`, where there is `now`."""
        requests = [
            (self._names[variable], request)
            for variable in self._names
            for request in _difference(before[variable], now[variable], KEYS[variable])
        ]
        for start in range(0, len(requests), 25):
            batch: dict[str, list[Any]] = {}
            for table, request in requests[start : start + 25]:
                batch.setdefault(table, []).append(request)
            while batch:
                batch = self._client.call("BatchWriteItem", {"RequestItems": batch}).get("UnprocessedItems") or {}


def _difference(before: list[Any], now: list[Any], key: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    wanted = {json.dumps([item[name] for name in key]): item for item in before}
    there = {json.dumps([item[name] for name in key]): item for item in now}
    for place, item in there.items():
        if place not in wanted:
            yield {"DeleteRequest": {"Key": {name: item[name] for name in key}}}
    for place, item in wanted.items():
        if there.get(place) != item:
            yield {"PutRequest": {"Item": item}}


# --- one state beside another

_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.(\d{6})Z")
_MICROSECONDS = re.compile(r"(?<![0-9a-f])\d{16}(?![0-9a-f])")
_SECONDS = re.compile(r"(?<![0-9a-f])\d{10}(?![0-9a-f])")
_RANDOM = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_SUFFIX = re.compile(r"(?<=Z#)\d{6}[0-9a-f]{4}")


def comparable(state: State) -> dict[str, list[str]]:
    """What two runs of the same requests have in common: ids that were drawn are one, times count by their order."""
    texts = {
        variable: [
            _SUFFIX.sub("SUFFIX", _RANDOM.sub("ID", json.dumps(_in_order(item), sort_keys=True))) for item in items
        ]
        for variable, items in state.items()
    }
    times = {
        found[0]: _microseconds(found[0])
        for items in texts.values()
        for text in items
        for pattern in (_ISO, _MICROSECONDS)
        for found in pattern.finditer(text)
    }
    ranks = {time: rank for rank, time in enumerate(sorted(set(times.values())))}

    def ranked(found: re.Match[str]) -> str:
        return f"TIME{ranks[times[found[0]]]}"

    return {
        variable: sorted(_SECONDS.sub("SECONDS", _MICROSECONDS.sub(ranked, _ISO.sub(ranked, text))) for text in items)
        for variable, items in texts.items()
    }


def _in_order(value: Any) -> Any:
    """Sets have no order."""
    if isinstance(value, dict):
        return {
            name: sorted(one) if name in ("SS", "NS", "BS") and isinstance(one, list) else _in_order(one)
            for name, one in value.items()
        }
    return [_in_order(one) for one in value] if isinstance(value, list) else value


def _microseconds(time: str) -> int:
    if time.isdigit():
        return int(time)
    from calendar import timegm

    parts = [int(part) for part in _ISO.fullmatch(time).groups()]  # type: ignore[union-attr]
    return timegm((*parts[:6], 0, 0, 0)) * 1_000_000 + parts[6]


# --- what must be true of every state between two requests


def wrong(system: str, state: State) -> list[str]:
    """What is left over, is missing, or is miscounted."""
    tables = {variable: [unmarshal_item(item) for item in items] for variable, items in state.items()}
    return list(_RULES[system](tables))


Tables = Mapping[str, list[dict[str, Any]]]


def _same(what: str, found: Any, expected: Any) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found!r}, not {expected!r}"


def _registry(tables: Tables) -> Iterator[str]:
    items = tables["AGENT_REGISTRY_TABLE_NAME"]
    expected = {
        f"capability#{normal(capability)}#{agent['agentId']}": agent.get("indexTtl")
        for agent in items
        if agent.get("indexed") is True
        for capability in agent["capabilities"]
    }
    found = {item["agentId"]: item.get("ttl") for item in items if item["agentId"].startswith("capability#")}
    yield from _same("index items", found, expected)


def _profiles(tables: Tables) -> Iterator[str]:
    expected = [
        entry
        for profile in tables["PROFILE_TABLE_NAME"]
        if "indexed" in profile
        for entry in entries(profile["id"], profile["indexed"])
    ]
    place = repr
    yield from _same("entries", sorted(map(place, map(_sorted, tables["MATCH_TABLE_NAME"]))),
                     sorted(map(place, map(_sorted, expected))))  # fmt: skip


def _sorted(item: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted(item.items())


def _sessions(tables: Tables) -> Iterator[str]:
    items, messages = tables["DYNAMODB_SESSIONS_TABLE"], tables["DYNAMODB_MESSAGES_TABLE"]
    sessions = {item["id"]: item for item in items if not item["id"].startswith("user#")}
    entries_of: dict[str, set[str]] = {}
    heads = {}
    for item in items:
        if item["id"].startswith("user#"):
            entries_of.setdefault(item["id"], set())
            if item["tenantId"] == "active":
                heads[item["id"]] = item
            else:
                entries_of[item["id"]].add(item["sessionId"])
    yield from _same("marks of an erasure", [item["id"] for item in items if "erasing" in item], [])
    listed = [one for entry in entries_of.values() for one in entry]
    yield from _same("entries without a session", [one for one in listed if one not in sessions], [])
    yield from _same("sessions in two lists", len(listed), len(set(listed)))
    if heads:
        lost = [one for one, item in sessions.items() if one not in listed and item.get("countsAll")]
        yield from _same("sessions without an entry", lost, [])
    for place, head in heads.items():
        active = head.get("activeSessionId")
        if active is not None:
            yield from _same("the active session", sessions.get(active, {}).get("isActive"), True)
            yield from _same("its list", active in entries_of[place], True)
    strays = [message["id"] for message in messages if message["sessionId"] not in sessions]
    yield from _same("messages without a session", strays, [])
    for session in sessions.values():
        own = [message for message in messages if message["sessionId"] == session["id"]]
        times = [message["timestamp"] for message in own]
        yield from _same("times of messages", len(set(times)), len(times))
        if session.get("countsAll"):
            yield from _same("counted messages", session["messageCount"], len(own))
            yield from _same("the session's clock", clock.text(session["clock"]), max(times))


def _pets(tables: Tables) -> Iterator[str]:
    items = tables["PET_STORE_TABLE_NAME"]
    counter = next((item for item in items if item["id"] == 0), None)
    pets = [item["id"] for item in items if item["id"]]
    if counter is not None:
        yield from _same("the counter is past", [one for one in pets if one > counter["last"]], [])
        yield from _same("the counter is ready", "seeded" in counter, True)
    promised = [json.loads(marker["body"])["id"] for marker in tables["IDEMPOTENCY_TABLE_NAME"]]
    yield from _same("pets that were promised", [one for one in promised if one not in pets], [])


def _chats(tables: Tables) -> Iterator[str]:
    partitions: dict[str, tuple[list[Any], list[Any]]] = {}
    for item in tables["DYNAMODB_TABLE_NAME"]:
        partitions.setdefault(item["PK"], ([], []))[item["SK"] != "METADATA"].append(item)
    for name, (heads, messages) in partitions.items():
        yield from _same(f"heads of {name}", len(heads), 1)
        if not heads:
            continue
        (head,) = heads
        yield from _same("tombstones", "deleted_at" in head, False)
        yield from _same("tokens", head["total_tokens"], sum(message["tokens"] for message in messages))
        times = [message["SK"].removeprefix("MESSAGE#") for message in messages]
        yield from _same("last use", head["last_accessed"], max([head["created_at"], *times]))
        yield from _same("place in the user's list", head["GSI1SK"], head["last_accessed"])
        if "message_count" in head:
            yield from _same("counted messages", head["message_count"], len(messages))
        if "clock_microseconds" in head:
            yield from _same("the session's clock", clock.text(head["clock_microseconds"]), head["last_accessed"])
        early = [one["SK"] for one in messages if one.get("ttl", 0) < head.get("ttl", 0)]
        yield from _same("messages that go before their session", early, [])


_RULES = {
    "agent_registry": _registry,
    "agent_profiles": _profiles,
    "agent_sessions": _sessions,
    "pet_store": _pets,
    "chat_sessions": _chats,
}
