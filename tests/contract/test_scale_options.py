"""The options of docs/scale.md: turned on, up, down and off over data that is there, and what each of them gives up.

That the contracts hold while they are on is proved by the systems' tests, on the engine `scaled`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from unittest import mock

import pytest

from agent_sessions import erasure
from chat_sessions import deletion
from common import clock
from common.dynamodb_json import marshal_item
from common.errors import Throttled
from common.memory import MemoryDatabase
from common.sharding import shard_name, shard_of
from scripts.migration import shards
from tests.contract.agent_profiles import Profiles, new_profiles
from tests.contract.agent_sessions import AgentSessions, new_agent_sessions
from tests.contract.application import Application
from tests.contract.chat_sessions import ChatSessions, new_chat_sessions
from tests.contract.engines import Engine
from tests.contract.pet_store import PetStore, new_pet_store, new_seeded_store
from tests.contract.registry import Registry, new_registry
from tests.unit.http_events import Context

One = TypeVar("One", bound=Application)
AGENTS = [f"agent-{number:02}" for number in range(40)]


def told(application: One, **environment: str) -> One:
    """Another version of the function, on the same tables: "" takes a variable away."""
    given = {name: text for name, text in (application.environment | environment).items() if text}
    database = application.database
    if not isinstance(database, MemoryDatabase):
        return type(application)(application.engine, given)
    for name, table in type(application)(application.engine, given).database.tables.items():
        if name in database.tables:  # by whichever index a version reads it
            database.tables[name]._indexes = {**database.tables[name]._indexes, **table._indexes}
    with mock.patch("common.memory.MemoryDatabase", return_value=database):
        return type(application)(application.engine, given)


def shards_of(what: str, written: object, read: object) -> dict[str, str]:
    return {f"{what}_SHARDS": str(written), f"{what}_SHARDS_READ": str(read)}


def reshard(application: Application, system: str, names: dict[str, str], count: int) -> int:
    """As `make reshard` does, item by item; how many were moved."""
    moved = 0
    for logical, (key, judge) in shards.TABLES[system].items():
        table = application.database.table(names[logical], key)
        items = everything(application, table)
        for item in items:
            move = judge(marshal_item(item), names, count)
            if move and move.changes:
                assert shards.carry_out(application.database, move.changes)  # type: ignore[arg-type]
                moved += 1
    return moved


def everything(application: Application, table: Any) -> list[dict[str, Any]]:
    from common.scanning import scan

    application.database.begin(None)
    items, last = scan(table, limit=1000)
    assert last is None
    return items


# --- the registry's capabilities


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    with new_registry(engine) as registry:
        yield registry


def entry_shard(registry: Registry, agent: str, capability: str = "x") -> str:
    entry = registry.index_item(capability, agent)
    assert entry is not None
    return str(entry["capability"])


def pages_of(registry: Registry, limit: int) -> list[str]:
    found: list[str] = []
    query: dict[str, str] = {"capability": "x", "limit": str(limit)}
    while True:
        answer = registry.call("GET", "/agents", query=query)
        assert answer.status == 200
        found += [agent["id"] for agent in answer.body["agents"]]
        if "next_token" not in answer.body:
            return found
        query["next_token"] = answer.body["next_token"]


def test_without_shards_nothing_is_stored_of_them(registry: Registry) -> None:
    registry.register("a", "x")
    assert registry.index_item("x", "a") == {"agentId": "capability#x#a", "capability": "x", "capabilityOf": "a"}
    assert "indexShards" not in (registry.stored("a") or {})


def test_agents_are_found_while_shards_are_turned_on_up_down_and_off(registry: Registry) -> None:
    counts = ((1, 5), (5, 5), (5, 9), (9, 9), (2, 9))
    versions = [registry] + [told(registry, **shards_of("CAPABILITY", *one)) for one in counts]
    agents = AGENTS[:24]
    for number, agent in enumerate(agents):
        versions[number % len(versions)].register(agent, "x")
    reader = versions[-1]
    for limit in (1, 7, 25, 100) if registry.engine.url is None else (7, 100):
        assert pages_of(reader, limit) == agents
    # each comes again by another version: still one entry, where that one puts it
    for number, agent in enumerate(agents):
        which = (number + 1) % len(versions)
        versions[which].register(agent, "x")
        count = (1, 1, 5, 5, 9, 2)[which]
        assert entry_shard(registry, agent) == shard_name("x", shard_of(agent, count))
        assert (registry.stored(agent) or {}).get("indexShards", 1) == count
    assert pages_of(reader, 100) == agents
    assert reshard(registry, "agent_registry", {"agents": registry.agents.name}, 1) > 0
    assert pages_of(registry, 7) == agents
    assert {entry_shard(registry, agent) for agent in agents} == {"x"}


def test_a_page_goes_on_where_another_version_ended(registry: Registry) -> None:
    sharded = told(registry, **shards_of("CAPABILITY", 6, 6))
    for agent in AGENTS[:20]:
        registry.register(agent, "x")
    token = registry.call("GET", "/agents", query={"capability": "x", "limit": "7"}).body["next_token"]
    for agent in AGENTS[20:]:
        sharded.register(agent, "x")
    page = sharded.call("GET", "/agents", query={"capability": "x", "limit": "7", "next_token": token}).body
    assert [agent["id"] for agent in page["agents"]] == AGENTS[7:14]
    other = sharded.call("GET", "/agents", query={"capability": "y", "next_token": token})
    assert other.status == 400


def test_an_agent_s_entries_are_in_its_shard_and_vanish_with_it(registry: Registry) -> None:
    sharded = told(registry, **shards_of("CAPABILITY", 8, 8))
    for agent in AGENTS[:10]:
        sharded.register(agent, "X", "y")
        assert entry_shard(sharded, agent) == shard_name("x", shard_of(agent, 8))
    assert len({entry_shard(sharded, agent) for agent in AGENTS[:10]}) > 3
    sharded.register(AGENTS[0], "y")
    sharded.call("DELETE", f"/agents/{AGENTS[1]}")
    assert sharded.found("x") == AGENTS[2:10]
    assert sharded.found("y") == [AGENTS[0], *AGENTS[2:10]]


def test_a_capability_that_reads_like_a_shard_is_another(registry: Registry) -> None:
    sharded = told(registry, **shards_of("CAPABILITY", 8, 8))
    for number in range(8):
        sharded.register(f"other-{number}", f"x {number}", f"x  {number}")
    for agent in AGENTS[:8]:
        sharded.register(agent, "x")
    assert sharded.found("x") == AGENTS[:8]
    assert sharded.found("x  3") == sharded.found("x 3") == ["other-3"]


def test_renewing_a_lease_writes_no_entry_in_shards_either(registry: Registry) -> None:
    sharded = told(registry, **shards_of("CAPABILITY", 8, 8))
    sharded.register("a", "x", lease=60)
    sharded.calls.clear()
    sharded.register("a", "x", lease=60)
    if sharded.engine.url:
        assert sharded.writes == ["PutItem"]
    assert sharded.found("x") == ["a"]


# --- the profiles' entries


@pytest.fixture
def profiles(engine: Engine) -> Iterator[Profiles]:
    with new_profiles(engine) as profiles:
        yield profiles


def test_profiles_match_alike_while_shards_are_turned_on_up_down_and_off(profiles: Profiles) -> None:
    counts = ((1, 4), (4, 4), (4, 7), (7, 7), (3, 7))
    versions = [profiles] + [told(profiles, **shards_of("MATCH", *one)) for one in counts]
    for number in range(12):
        fields: dict[str, Any] = {"job": "Baker", "location": "Berlin", "tags": ["a", f"t{number % 3}"]}
        fields["averagePrice"] = number * 7 % 30
        versions[number % len(versions)].store(f"p{number:02}", fields=fields)
    reader = versions[-1]
    questions: list[dict[str, Any]] = [
        {"job": "baker"}, {"location": "berlin"}, {"job": "baker", "location": "BERLIN"}, {"tags": ["t1"]},
        {"maxPrice": 12}, {"job": "baker", "maxPrice": 12}, {"tags": ["a", "t2"], "maxPrice": 20},
    ]  # fmt: skip
    found = [reader.match(**question) for question in questions]
    assert [len(one) for one in found] == [12, 12, 12, 4, 6, 6, 9]
    assert found == [reader.match(limit=5, **question) for question in questions]
    names = {"profiles": profiles.profiles.name, "match": profiles.entries.name}
    assert reshard(profiles, "agent_profiles", names, 1) > 0
    assert found == [profiles.match(**question) for question in questions]
    assert reshard(profiles, "agent_profiles", names, 7) > 0
    assert found == [reader.match(**question) for question in questions]
    assert reshard(profiles, "agent_profiles", names, 7) == 0


def test_what_a_profile_was_found_by_is_gone_whatever_its_shard(profiles: Profiles) -> None:
    versions = [told(profiles, **shards_of("MATCH", written, 8)) for written in (8, 3, 1, 8)]
    for number, version in enumerate(versions):
        version.store("p", fields={"job": f"job {number}", "averagePrice": number})
        assert profiles.ways("p") == [f"job#job {number}", "price"]
    assert "entryShards" not in (told(profiles, **shards_of("MATCH", 1, 8)).store("q").body)
    assert "entryShards" not in (profiles.stored("q") or {})


def test_a_profile_that_is_moved_meanwhile_is_read_again(profiles: Profiles) -> None:
    """Or its entries would be looked for where they were."""
    sharded = told(profiles, **shards_of("MATCH", 1, 8))
    sharded.store("p", fields={"job": "x", "averagePrice": 1})
    stale = sharded.stored("p")
    names = {"profiles": profiles.profiles.name, "match": profiles.entries.name}
    assert reshard(profiles, "agent_profiles", names, 8) == 1
    table = sharded.app.routes["POST /store"].__self__.profile_table
    real, answers = table.get, [stale]
    table.get = lambda key: answers.pop() if answers else real(key)
    try:
        assert sharded.store("p", fields={"job": "y", "averagePrice": 2}).body["version"] == 2
    finally:
        del table.get
    assert profiles.ways("p") == ["job#y", "price"]


# --- tenants


SHARDED = {**shards_of("TENANT", 5, 5), "TENANT_USER_INDEX_NAME": "TenantShardUserIndex"}
OFF = {**shards_of("TENANT", "", ""), "TENANT_USER_INDEX_NAME": "TenantUserIndex"}


@pytest.fixture
def sessions(engine: Engine) -> Iterator[AgentSessions]:
    """With all that there is at stage `read`."""
    with new_agent_sessions(engine, **SHARDED) as app:
        yield app


def names_of(app: AgentSessions) -> dict[str, str]:
    return {"sessions": app.sessions.name, "messages": app.messages.name}


def of_older(session_id: str, user: str = "u", tenant: str = "t", **more: Any) -> dict[str, Any]:
    time = "2024-05-01T10:00:00"
    session = {"id": session_id, "tenantId": tenant, "userId": user, "isActive": True}
    return session | {"createdAt": time, "updatedAt": time} | more


def test_sessions_and_messages_say_their_shard_only_where_there_are_some(sessions: AgentSessions) -> None:
    session = sessions.said(user="u", tenant="t")
    items, messages = sessions.everything()
    assert [one["tenantShard"] for one in items if "userId" in one] == [f"{shard_of('u', 5)}#t"]
    assert {one["tenantShard"] for one in messages} == {f"{shard_of(session, 5)}#t"}
    off = told(sessions, **OFF)
    other = off.said(user="another", tenant="t")
    assert "tenantShard" not in (off.session_item(other) or {})
    assert sessions.heard(session) == off.heard(session)


def test_what_an_older_application_wrote_is_taken_over_from_the_shards(sessions: AgentSessions) -> None:
    off = told(sessions, **OFF)
    off.store(sessions=[of_older(f"s{number:03}", f"u{number % 7}") for number in range(21)])
    assert sessions.listed(user="u3") == [], "not before all is brought to the shards"
    off.erase(user="u3")
    assert reshard(off, "agent_sessions", names_of(off), 3) == 18
    late = told(sessions, **shards_of("TENANT", 5, 5))
    for user in range(7):
        expected = [] if user == 3 else [f"s{number:03}" for number in range(user, 21, 7)]
        assert sorted(one["id"] for one in late.listed(user=f"u{user}")) == expected


def test_tenants_do_not_meet_in_shards(sessions: AgentSessions) -> None:
    tenants = ["1", "10", "0#1", "1#10", "t", "t#", "#t", "t  1"]
    older = [of_older(f"of {tenant}", tenant=tenant) for tenant in tenants]
    told(sessions, **OFF).store(sessions=older)
    reshard(sessions, "agent_sessions", names_of(sessions), 5)
    for tenant in tenants:
        # a slash or hash in a path is the caller's to escape
        headers = {"x-tenant-id": tenant, "x-user-id": "u"}
        answer = sessions.call("POST", "/agent/process", body={"message": "hello"}, headers=headers)
        assert answer.body["sessionId"] == f"of {tenant}"


def test_erasing_finds_what_only_the_shards_tell_of(sessions: AgentSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "INDEX_LAG_SECONDS", 0)
    off = told(sessions, **OFF)
    off.store(sessions=[of_older(f"s{number}") for number in range(60)] + [of_older("other", "v")])
    reshard(off, "agent_sessions", names_of(off), 5)
    sessions.said("from us", user="u")
    assert sessions.erase(user="u").body["complete"]
    items, messages = sessions.everything()
    assert [one["id"] for one in items] == ["other"]
    assert messages == []


def test_taking_over_goes_on_when_the_index_becomes_another(sessions: AgentSessions) -> None:
    """Interrupted at a place of the one index, it begins anew in the other; nothing is lost or there twice."""
    off = told(sessions, **OFF)
    off.store(sessions=[of_older(f"s{number:02}") for number in range(120)])
    reshard(off, "agent_sessions", names_of(off), 5)
    owner = {"x-tenant-id": "t", "x-user-id": "u"}
    versions = [off, sessions, off, sessions]
    for version in versions[:3]:
        version.call("POST", "/agent/process", body={"message": "x"}, headers=owner, context=Context(milliseconds=1100))
    assert sorted(one["id"] for one in sessions.listed()) == sorted(f"s{number:02}" for number in range(120))


# --- the chat sessions' recency and deletions


@pytest.fixture
def chat(engine: Engine) -> Iterator[ChatSessions]:
    with new_chat_sessions(engine) as chat:
        yield chat


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000_000_000

    def now(self) -> int:
        self.at += 1
        return self.at


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


def test_within_a_minute_a_session_keeps_its_place_and_says_when_it_was_used(
    chat: ChatSessions, time_of_day: Clock
) -> None:
    coarse = told(chat, RECENCY_GRANULARITY_SECONDS="60")
    coarse.create("a")
    place = coarse.head("a")["GSI1SK"]
    assert place.endswith(":00.000000Z")
    for _ in range(3):
        time_of_day.at += 10_000_000
        coarse.append("a")
        assert coarse.head("a")["GSI1SK"] == place
        assert coarse.session("a")["last_accessed"] == clock.text(coarse.head("a")["clock_microseconds"])
    time_of_day.at += 60_000_000
    coarse.append("a")
    assert coarse.head("a")["GSI1SK"] > place


def test_sessions_of_different_minutes_are_in_order_and_so_are_those_of_a_page(
    chat: ChatSessions, time_of_day: Clock
) -> None:
    coarse = told(chat, RECENCY_GRANULARITY_SECONDS="60")
    for name in "abc":
        coarse.create(name)
    for name in "bca":
        coarse.append(name)
    assert coarse.listed() == ["a", "c", "b"]
    for name in "cab":
        time_of_day.at += 60_000_000
        coarse.append(name)
    assert coarse.listed(limit=1) == coarse.listed(limit=2) == ["b", "a", "c"]


def test_recency_is_made_coarse_and_exact_again_over_sessions_that_are_there(
    chat: ChatSessions, time_of_day: Clock
) -> None:
    coarse = told(chat, RECENCY_GRANULARITY_SECONDS="60")
    for version, name in ((chat, "a"), (coarse, "b"), (chat, "c"), (coarse, "d")):
        time_of_day.at += 60_000_000
        version.create(name)
    for version in (chat, coarse):
        assert version.listed(limit=1) == ["d", "c", "b", "a"]
    time_of_day.at += 60_000_000
    chat.append("b")
    assert chat.head("b")["GSI1SK"] == chat.head("b")["last_accessed"]
    assert chat.listed(limit=1) == ["b", "d", "c", "a"]


def test_deletions_that_were_interrupted_are_finished_wherever_they_wait(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = [chat, told(chat, **shards_of("DELETION", 1, 4)), told(chat, **shards_of("DELETION", 4, 4))]
    monkeypatch.setattr(deletion, "purge", mock.Mock(side_effect=Throttled("not now")))
    ids = [f"s{number:02}" for number in range(24)]
    for number, session in enumerate(ids):
        version = versions[number % 3]
        version.create(session)
        version.append(session)
        assert version.call("DELETE", f"/sessions/{session}").status == 204
    waiting = {chat.head(session)["GSI1PK"] for session in ids}
    assert "DELETING" in waiting
    assert len(waiting) > 2
    monkeypatch.undo()
    assert versions[1].act("finish-deletions", Context()) == {"finished": 24, "unfinished": 0}
    assert all(not chat.stored(session) for session in ids)


# --- the pets' ids


@pytest.fixture
def store(engine: Engine) -> Iterator[PetStore]:
    with new_seeded_store(engine) as store:
        yield store


def test_an_environment_gives_out_its_block_in_order_and_asks_the_counter_once(store: PetStore) -> None:
    blocks = told(store, ID_BLOCK_SIZE="10")
    counted = [blocks.add().body["id"] for _ in range(10)]
    assert counted == list(range(16, 26))
    assert store.counter["last"] == 25
    if store.engine.url:
        assert [name for name, _ in blocks.calls].count("UpdateItem") == 1
    assert blocks.add().body["id"] == 26
    assert store.counter["last"] == 35


def test_ids_of_blocks_are_unique_under_many_writers(store: PetStore) -> None:
    environments = [told(store, ID_BLOCK_SIZE=str(size)) for size in (1, 2, 5, 10, 100) for _ in range(3)]

    def add(environment: PetStore) -> list[int]:
        return [environment.add().body["id"] for _ in range(7)]

    with ThreadPoolExecutor(store.engine.writers) as pool:
        given = list(pool.map(add, environments))
    ids = [one for each in given for one in each]
    assert len(set(ids)) == len(ids)
    assert all(each == sorted(each) for each in given)
    assert store.ids(limit=100) == sorted([*range(1, 16), *ids])
    assert store.counter["last"] >= max(ids)


def test_what_blocks_give_up(store: PetStore) -> None:
    """A later pet may have the lower id, and what an environment still had is a gap; lists skip it."""
    one, other = told(store, ID_BLOCK_SIZE="10"), told(store, ID_BLOCK_SIZE="10")
    assert [one.add().body["id"], other.add().body["id"], one.add().body["id"]] == [16, 26, 17]
    assert store.add().body["id"] == 36
    assert store.ids(limit=7) == [*range(1, 18), 26, 36]


def test_a_table_that_was_filled_before_is_taken_over_by_environments_with_blocks(engine: Engine) -> None:
    with new_pet_store(engine, SEED="false", ID_BLOCK_SIZE="10") as first:
        first.fill(range(1, 40))
        environments = [first, *(told(first) for _ in range(3))]
        with ThreadPoolExecutor(4) as pool:
            given = list(pool.map(lambda one: [one.add().body["id"] for _ in range(3)], environments))
        ids = sorted(one for each in given for one in each)
        assert len(set(ids)) == 12
        assert ids[0] == 40
        assert first.ids(limit=100) == [*range(1, 40), *ids]


def test_an_id_of_a_block_that_others_took_is_moved_past(store: PetStore) -> None:
    blocks = told(store, ID_BLOCK_SIZE="30")
    assert blocks.add().body["id"] == 16
    store.fill(range(17, 60))
    assert blocks.add().body["id"] == 60, "the rest of the block is given up at once"
    assert store.item(17)["name"] == "Old 17"
    assert store.ids(limit=100) == list(range(1, 61))
