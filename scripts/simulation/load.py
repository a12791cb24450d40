"""The load that docs/scale.md looks at: 100 million agents, 1 million tenants, of which one has 30 % of the calls.

The functions' own code answers a sample of the calls of a peak second, on a database that counts units by partition;
each call stands for as many as the sample is smaller than the load. Ids and chance come from one seed, time from a
clock that is set, so that every run gives the same figures.
"""

import contextlib
import io
import itertools
import math
import os
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

from common import clock
from pet_store.store import IDS_OF_A_RANGE
from scripts import function_caller
from scripts.capacity_units import Index
from scripts.simulation.partition_heat import CountingDatabase, Definition, Partition, Units

SEED = 7
AGENTS, TENANTS = 100_000_000, 1_000_000
LARGEST_TENANT, LARGEST_SHARE = "tenant-1", 0.3
PEAK_TO_MEAN = 3
SECONDS_PER_DAY = 86400
# What one partition bears in a second
WRITES, READS = 1000.0, 3000.0
# How many calls of a kind stand for all of them: more where they spread over more
FEW, SOME, MANY = 50, 250, 800
# A partition that fewer calls of the sample meet is not told of
ENOUGH = 8
# Between two messages of a session
PAUSE_SECONDS = 20
LEASE_SECONDS = 1800
CAPABILITIES, JOBS, CITIES, TAGS, TYPES = 10_000, 1000, 500, 1000, 30
# The share of the agents that have the commonest capability
COMMON, COMMON_SHARE = "chat", 0.5
SESSIONS_OF_A_USER = 200

Call = tuple[str, str, Any, Mapping[str, str]]  # method, path with query, body, headers
Send = Callable[..., Any]
_NONE: Mapping[str, str] = MappingProxyType({})


class Kind(NamedTuple):
    """One kind of call. `prepare` makes what must be there and gives the call itself, which alone is counted."""

    name: str
    daily: float  # of one agent
    prepare: Callable[[random.Random, Send], Call]
    sample: int = SOME

    @property
    def rate(self) -> float:
        """A second, at the peak, of all agents."""
        return AGENTS * self.daily * PEAK_TO_MEAN / SECONDS_PER_DAY


class Place(NamedTuple):
    """Partitions of one purpose: those of a table, or of an index, whose keys begin with `key`; `variable` is what
    there is to turn, "" for nothing; `writes_ever` how many one of them gets, in all its time.
    """

    label: str
    table: str
    index_name: str = ""
    key: str = ""
    variable: str = ""
    writes_ever: float = math.inf


class System(NamedTuple):
    """`names` are those of tables and indexes, by the function's variable; `options` is what scale.md recommends, as
    the function is told, and `recommended` as the environment's file states it.
    """

    names: Mapping[str, str]
    kinds: tuple[Kind, ...]
    places: tuple[Place, ...]
    options: Mapping[str, str]
    recommended: str


def zipf(chance: random.Random, count: int) -> int:
    """A rank from 1 to `count`, of which each is met as often as its inverse says."""
    return min(count, int(count ** chance.random()))


def tenant(chance: random.Random) -> str:
    return LARGEST_TENANT if chance.random() < LARGEST_SHARE else f"tenant-{1 + zipf(chance, TENANTS - 1)}"


# --- the calls


def _new_agent(chance: random.Random) -> dict[str, Any]:
    agent = f"agent-{chance.randrange(AGENTS):09}"
    own = [f"capability-{zipf(chance, CAPABILITIES)}" for _ in range(2)]
    common = [COMMON] if chance.random() < COMMON_SHARE else []
    profile = {"id": agent, "name": agent, "endpoint": f"https://{agent}.example.com/a2a"}
    return {"profile": profile | {"capabilities": [*common, *own]}, "leaseSeconds": LEASE_SECONDS}


def _register(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    return "POST", "/agents/register", _new_agent(chance), _NONE


def _renew(chance: random.Random, send: Send) -> Call:
    body = _new_agent(chance)
    send("POST", "/agents/register", body)
    return "POST", "/agents/register", body, _NONE


def _deregister(chance: random.Random, send: Send) -> Call:
    body = _new_agent(chance)
    send("POST", "/agents/register", body)
    return "DELETE", f"/agents/{body['profile']['id']}", None, _NONE


def _discover(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    rank = zipf(chance, CAPABILITIES)
    capability = COMMON if rank == 1 else f"capability-{rank - 1}"
    return "GET", f"/agents?capability={capability}", None, _NONE


def _profile(chance: random.Random, agent: str) -> dict[str, Any]:
    return {
        "id": agent,
        "name": agent,
        "job": f"job-{zipf(chance, JOBS)}",
        "location": [f"city-{zipf(chance, CITIES)}", "Country"],
        "averagePrice": chance.randrange(10, 1000),
        "tags": [f"tag-{zipf(chance, TAGS)}" for _ in range(3)],
        "description": "x" * 400,
    }


def _store_profile(chance: random.Random, send: Send) -> Call:
    profile = _profile(chance, f"agent-{chance.randrange(AGENTS):09}")
    send("POST", "/store", profile)
    return "POST", "/store", profile | {"averagePrice": chance.randrange(10, 1000)}, _NONE


def _match(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    return "POST", "/match", {"job": f"job-{zipf(chance, JOBS)}", "maxPrice": 500}, _NONE


def _converse(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    message = {
        "conversation_id": f"conversation-{chance.randrange(10**12)}",
        "agent_id": f"agent-{zipf(chance, AGENTS):09}",
        "sender": "client",
        "message": "x" * 700,
    }
    return "POST", "/conversation", message, _NONE


def _process(chance: random.Random, send: Send) -> Call:
    call = _first_message(chance, send)
    send(*call)
    return call


def _first_message(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    owner = {"x-tenant-id": tenant(chance), "x-user-id": f"user-{chance.randrange(10**12)}"}
    return "POST", "/agent/process", {"message": "x" * 700}, owner


def _list_sessions(chance: random.Random, send: Send) -> Call:
    call = _first_message(chance, send)
    send(*call)
    owner = call[3]
    return "GET", f"/agent/conversations/{owner['x-tenant-id']}/users/{owner['x-user-id']}", None, owner


def _chat_session(chance: random.Random, send: Send) -> str:
    user = zipf(chance, AGENTS)
    session = f"{user}-{chance.randrange(SESSIONS_OF_A_USER)}"
    with contextlib.suppress(FileExistsError):
        send("POST", "/sessions", {"id": session, "user_id": f"user-{user}"})
    return session


def _open_chat(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    return "POST", "/sessions", {"user_id": f"user-{zipf(chance, AGENTS)}"}, _NONE


def _append(chance: random.Random, send: Send) -> Call:
    send.pause(chance.randrange(120_000_000))  # type: ignore[attr-defined]
    call = "POST", f"/sessions/{_chat_session(chance, send)}/messages", {"role": "user", "content": "x" * 700}, _NONE
    send(*call)
    send.pause()  # type: ignore[attr-defined]
    return call


def _list_chats(chance: random.Random, send: Send) -> Call:
    return "GET", f"/users/user-{_chat_session(chance, send).partition('-')[0]}/sessions", None, _NONE


def _delete_chat(chance: random.Random, send: Send) -> Call:
    return "DELETE", f"/sessions/{_chat_session(chance, send)}", None, _NONE


def _add_pet(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    pet = {"name": "Sweety", "type": f"type-{zipf(chance, TYPES)}", "price": chance.randrange(1, 500)}
    return "POST", "/pets", pet, _NONE


def _list_pets(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    return "GET", "/pets", None, _NONE


def _list_type(chance: random.Random, send: Send) -> Call:  # noqa: ARG001
    return "GET", f"/pets?type=type-{zipf(chance, TYPES)}", None, _NONE


def _table(key: Mapping[str, str], *indexes: Index) -> Definition:
    return Definition(dict(key), indexes)


def _keys_only(name: str, keys: tuple[str, ...], table_key: tuple[str, ...]) -> Index:
    return Index(name, keys, frozenset({*keys, *table_key}))


# Those of terraform/<system>.tf; a test holds them together
TENANTS_INDEX = Index("TenantUserIndex", ("tenantId", "userId"), None)
MESSAGES_INDEX = Index("TenantTimestampIndex", ("tenantId", "timestamp"), None)
SHARD_INDEX = _keys_only("TenantShardUserIndex", ("tenantShard", "userId"), ("id", "tenantId"))
SHARD_MESSAGES_INDEX = Index("TenantShardTimestampIndex", ("tenantShard", "timestamp"), None)
TABLES: dict[str, Definition] = {
    "AgentRegistry": _table(
        {"agentId": "S"}, _keys_only("CapabilityIndex", ("capability", "capabilityOf"), ("agentId",))
    ),
    "agent-profiles": _table(
        {"id": "S"}, Index("job-index", ("job",), None), Index("location-index", ("location_city",), None)
    ),
    "agent-profiles-match": _table({"entry": "S", "position": "S"}),
    "agent-conversations": _table(
        {"conversation_id": "S", "timestamp": "S"}, Index("agent-conversations-index", ("agent_id", "timestamp"), None)
    ),
    "ai-agent-sessions": _table({"id": "S", "tenantId": "S"}, TENANTS_INDEX),
    "ai-agent-messages": _table(
        {"id": "S"}, Index("SessionTimestampIndex", ("sessionId", "timestamp"), None), MESSAGES_INDEX
    ),
    "PetStore": _table(
        {"id": "N"},
        Index("type-price-index", ("type", "price"), None),
        Index("id-range-index", ("idRange", "id"), None),
    ),
    "chat_sessions": _table({"PK": "S", "SK": "S"}, Index("UserSessionsIndex", ("GSI1PK", "GSI1SK"), None)),
    "idempotency": _table({"id": "S"}),
}
# With the options on
CHANGED_TABLES: dict[str, Definition] = {
    "ai-agent-sessions": _table({"id": "S", "tenantId": "S"}, SHARD_INDEX),
    "ai-agent-messages": _table(
        {"id": "S"}, Index("SessionTimestampIndex", ("sessionId", "timestamp"), None), SHARD_MESSAGES_INDEX
    ),
    "chat_sessions": _table(
        {"PK": "S", "SK": "S"}, _keys_only("UserSessionsIndex", ("GSI1PK", "GSI1SK"), ("PK", "SK"))
    ),
}
SYSTEMS = {
    "agent_registry": System(
        {"AGENT_REGISTRY_TABLE_NAME": "AgentRegistry", "CAPABILITY_INDEX_NAME": "CapabilityIndex"},
        (
            Kind("an agent registers", 1, _register),
            Kind("renews its lease", 96, _renew, FEW),
            Kind("deregisters", 1, _deregister),
            Kind("looks for a capability", 5, _discover),
        ),
        (
            Place("the agents of one capability", "AgentRegistry", "CapabilityIndex", variable="capability_shards"),
            Place("one agent, found by many", "AgentRegistry"),
        ),
        {"CAPABILITY_SHARDS": "8", "CAPABILITY_SHARDS_READ": "8"},
        "`agent_registry = { capability_shards = { write = 8 } }`",
    ),
    "agent_profiles": System(
        {
            "PROFILE_TABLE_NAME": "agent-profiles",
            "CONVERSATION_TABLE_NAME": "agent-conversations",
            "MATCH_TABLE_NAME": "agent-profiles-match",
            "JOB_INDEX_NAME": "job-index",
            "LOCATION_INDEX_NAME": "location-index",
            "AGENT_CONVERSATIONS_INDEX_NAME": "agent-conversations-index",
        },
        (
            Kind("a profile changes its price", 1 / 7, _store_profile),
            Kind("a match is looked for", 1, _match),
            Kind("a message to an agent", 5, _converse),
        ),
        (
            Place("all profiles with a price", "agent-profiles-match", key="price", variable="match_shards"),
            Place("the profiles of one job", "agent-profiles-match", key="job#", variable="match_shards"),
            Place("those of one city", "agent-profiles-match", key="city#", variable="match_shards"),
            Place("those of one job and city", "agent-profiles-match", key="job+city#", variable="match_shards"),
            Place("those of one tag", "agent-profiles-match", key="tag#", variable="match_shards"),
            Place("the profiles of one job", "agent-profiles", "job-index"),
            Place("those of one city", "agent-profiles", "location-index"),
            Place("one profile, matched by many", "agent-profiles"),
            Place("the messages to one agent", "agent-conversations", "agent-conversations-index"),
            Place("one conversation", "agent-conversations"),
        ),
        {"MATCH_SHARDS": "8", "MATCH_SHARDS_READ": "8"},
        "`agent_profiles = { match_shards = { write = 8 } }`",
    ),
    "agent_sessions": System(
        {
            "DYNAMODB_SESSIONS_TABLE": "ai-agent-sessions",
            "DYNAMODB_MESSAGES_TABLE": "ai-agent-messages",
            "TENANT_USER_INDEX_NAME": "TenantUserIndex",
            "SESSION_TIMESTAMP_INDEX_NAME": "SessionTimestampIndex",
        },
        (
            Kind("a message in a session", 4.5, _process, MANY),
            Kind("the first message of one", 0.5, _first_message),
            Kind("a user's sessions are listed", 1, _list_sessions, FEW),
        ),
        (
            Place("the sessions of one tenant", "ai-agent-sessions", "Tenant", variable="tenant_shards"),
            Place("the messages of one tenant", "ai-agent-messages", "Tenant", variable="tenant_shards"),
            Place("one session's messages", "ai-agent-messages", "SessionTimestampIndex"),
            Place("one session, or one user's list", "ai-agent-sessions"),
            Place("one message", "ai-agent-messages"),
        ),
        {"TENANT_SHARDS": "32", "TENANT_SHARDS_READ": "32", "TENANT_USER_INDEX_NAME": "TenantShardUserIndex"},
        '`agent_sessions = { tenant_shards = { write = 32, stage = "done" } }`',
    ),
    "chat_sessions": System(
        {"DYNAMODB_TABLE_NAME": "chat_sessions", "USER_SESSIONS_INDEX_NAME": "UserSessionsIndex"},
        (
            Kind("a message in a session", 5, _append, MANY),
            Kind("a session is opened", 1, _open_chat, MANY),
            Kind("a user's sessions are listed", 1, _list_chats, FEW),
            Kind("a session is deleted", 1, _delete_chat, MANY),
        ),
        (
            Place("deleted sessions, all users'", "chat_sessions", "UserSessionsIndex", "DELETING", "deletion_shards"),
            Place(
                "the sessions of one user", "chat_sessions", "UserSessionsIndex", "USER#", "recency_granularity_seconds"
            ),
            Place("one session", "chat_sessions"),
        ),
        {"RECENCY_GRANULARITY_SECONDS": "60", "DELETION_SHARDS": "16", "DELETION_SHARDS_READ": "16"},
        "`chat_sessions = { recency_granularity_seconds = 60, deletion_shards = { write = 16 } }`, and "
        "`UserSessionsIndex` with its keys alone",
    ),
    "pet_store": System(
        {
            "PET_STORE_TABLE_NAME": "PetStore",
            "TYPE_PRICE_INDEX_NAME": "type-price-index",
            "ID_RANGE_INDEX_NAME": "id-range-index",
        },
        (
            Kind("a pet is added", 0.5, _add_pet),
            Kind("pets are listed", 0.5, _list_pets, FEW),
            Kind("pets of a type are listed", 0.5, _list_type),
        ),
        (
            Place("the counter", "PetStore", key="0", variable="id_block_size"),
            Place("the pets of one type", "PetStore", "type-price-index"),
            Place("a hundred pets, the first of all", "PetStore", "id-range-index", writes_ever=IDS_OF_A_RANGE),
            Place("one pet", "PetStore"),
        ),
        {"ID_BLOCK_SIZE": "20"},
        "`pet_store = { id_block_size = 20 }`",
    ),
}


# --- the run


class _Function:
    """A system's function on a counting database; time stands still but for what a call takes."""

    def __init__(self, system: str, database: CountingDatabase, environment: Mapping[str, str]) -> None:
        handler = function_caller.handler_of(system, environment)
        with mock.patch("common.memory.MemoryDatabase", return_value=database):
            self._app = handler.build({**environment, "PERSISTENCE": "memory"})
        self._now = 1_800_000_000_000_000

    def now(self) -> int:
        self._now += 1
        return self._now

    def pause(self, microseconds: int = PAUSE_SECONDS * 1_000_000) -> None:
        self._now += microseconds

    def __call__(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = _NONE) -> Any:
        context = SimpleNamespace(
            aws_request_id="scale", get_remaining_time_in_millis=lambda: 29_000, client_context=None
        )
        with contextlib.redirect_stdout(io.StringIO()):
            answer = self._app(function_caller.http_event(method, path, body, headers), context)
        if answer["statusCode"] == 409:
            raise FileExistsError(path)
        if answer["statusCode"] >= 300:
            raise RuntimeError(f"{method} {path}: {answer['statusCode']} {answer['body']}")
        return answer


Heat = dict[Partition, dict[str, Units]]


def simulate(system: str, *, options: bool) -> Heat:
    """Units a second of each partition that the sample met."""
    chance = random.Random(f"{SEED}{system}")  # noqa: S311 - a load, no secret
    simulated = SYSTEMS[system]
    database = CountingDatabase(TABLES | CHANGED_TABLES if options else TABLES)
    environment = {"IDEMPOTENCY_TABLE_NAME": "idempotency", **simulated.names}
    function = _Function(system, database, {**environment, **(simulated.options if options else {})})
    with (
        mock.patch.object(os, "urandom", chance.randbytes),
        mock.patch.object(clock, "now", function.now),
    ):
        for number, kind in itertools.product(range(MANY), simulated.kinds):
            if number * kind.sample // MANY == (number + 1) * kind.sample // MANY:
                continue  # a call of this kind is not due
            call = kind.prepare(chance, function)
            database.begin_counting(kind.name, kind.rate / kind.sample)
            function(*call)
            database.end_counting()
    return database.heat


class Load(NamedTuple):
    """Of the hottest partition of a place: its key, and units a second. "" where none was met often enough to tell."""

    key: str
    writes: float
    reads: float

    @property
    def share(self) -> float:
        """Of what a partition bears."""
        return max(self.writes / WRITES, self.reads / READS)


COLD = Load("", 0.0, 0.0)


def place_of(system: str, partition: Partition) -> Place | None:
    for place in SYSTEMS[system].places:
        if (
            partition.table == place.table
            and bool(partition.index_name) == bool(place.index_name)
            and partition.index_name.startswith(place.index_name)
            and partition.key.startswith(place.key)
        ):
            return place
    return None


def hottest(system: str, heat: Heat) -> dict[Place, Load]:
    """By place. What a few calls of a kind met is one of very many: no heat can be told of that."""
    found = dict.fromkeys(SYSTEMS[system].places, COLD)
    for partition, kinds in heat.items():
        told = [units for units in kinds.values() if units.calls >= ENOUGH]
        place = place_of(system, partition)
        writes = min(sum(units.writes for units in told), place.writes_ever if place else math.inf)
        load = Load(partition.key, writes, sum(units.reads for units in told))
        if place and load.share > found[place].share:
            found[place] = load
    return found


class Line(NamedTuple):
    """A place, without the options and with them."""

    system: str
    place: Place
    before: Load
    after: Load


def lines() -> list[Line]:
    """The places of all systems, the hottest of each first."""
    found: list[Line] = []
    for system in SYSTEMS:
        before, after = (hottest(system, simulate(system, options=options)) for options in (False, True))
        told = [Line(system, place, before[place], after[place]) for place in before]
        found += sorted(told, key=lambda line: -line.before.share)
    return found
