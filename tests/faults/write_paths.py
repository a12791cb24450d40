"""Every way in which the five systems write: a request, on what was there before it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.contract import agent_profiles, agent_sessions, chat_sessions, pet_store, registry
from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.faults.stored import State
from tests.unit.http_events import Context, event

KEY = {"idempotency-key": "one"}
# More than a day
LEASE = 200_000
OLD = "2020-01-01T00:00:00.000000Z"
# Of redating, and of what is left of older sessions, more than one page or batch
MANY = 30


class WritePath(NamedTuple):
    """`keyed`: the contract promises that the request, sent again, is carried out once.

    `repeated` are the statuses that a repeat may have beside that of the first answer. `environment` is added to the
    function's.
    """

    system: str
    name: str
    prepare: Callable[[Any], object]
    request: dict[str, Any]
    keyed: bool = False
    repeated: tuple[int, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})

    def send(self, app: Application, **context: Any) -> Any:
        """The answer as Lambda gets it."""
        return app.app(self.event(app), Context(**{"milliseconds": 20_000, **context}))

    def event(self, app: Application) -> Any:
        if "action" in self.request:
            return self.request
        return event("http", templates=app.contract.templates, **self.request)


def status_of(answer: Any) -> int:
    """Of an action, which answers with no status, 200."""
    return int(answer.get("statusCode", 200))


def _request(method: str, path: str, body: Any = None, *, key: bool = False, **headers: str) -> dict[str, Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | (KEY if key else {})
    return {"method": method, "path": path, "body": body, "headers": sent}


def _nothing(app: Any) -> None:
    """Nothing is there before."""


# --- agent registry


def _register(*capabilities: str, key: bool = False, lease: int | None = None) -> dict[str, Any]:
    body = registry.registration("a", *capabilities) | ({} if lease is None else {"leaseSeconds": lease})
    return _request("POST", "/agents/register", body, key=key)


def _older_agent(app: registry.Registry) -> None:
    app.store({"agentId": "a", "name": "Old", "capabilities": {"x", "Y"}, "sizes": {10, 9, Decimal("2.50")}})


REGISTRY = [
    WritePath("agent_registry", "a new agent", _nothing, _register("x", "y", key=True), keyed=True),
    WritePath("agent_registry", "a new agent without capabilities", _nothing, _register()),
    WritePath(
        "agent_registry", "a renewal", lambda app: app.register("a", "x", lease=LEASE), _register("x", lease=LEASE)
    ),
    WritePath(
        "agent_registry", "other capabilities", lambda app: app.register("a", "x", "y"), _register("y", "z", key=True),
        keyed=True,
    ),
    WritePath("agent_registry", "an older application's agent", _older_agent, _register()),
    WritePath(
        "agent_registry", "removing", lambda app: app.register("a", "x", "y"), _request("DELETE", "/agents/a"),
        repeated=(404,),
    ),
    WritePath(
        "agent_registry", "removing exactly a version", lambda app: app.register("a"),
        _request("DELETE", "/agents/a", if_match='"1"'), repeated=(412,),
    ),
]  # fmt: skip

# --- agent profiles

_FACTS = {"job": "Smith", "location": ["Berlin", "Germany"], "tags": ["a", "b"], "averagePrice": 19.5}


def _store(*, key: bool = False, **fields: Any) -> dict[str, Any]:
    return _request("POST", "/store", {"id": "p", "name": "Name", **fields}, key=key)


def _older_profile(app: agent_profiles.Profiles) -> None:
    app.put(app.profiles, {"id": "p", "name": "Old", "sizes": {10, 9, Decimal("2.50")}, "words": {"b", "a"}})


def _say(*, key: bool = False) -> dict[str, Any]:
    body = {"conversation_id": "c", "agent_id": "a", "message": "hello", "sender": "client"}
    return _request("POST", "/conversation", body, key=key)


PROFILES = [
    WritePath("agent_profiles", "a new profile", _nothing, _store(key=True, **_FACTS), keyed=True),
    WritePath("agent_profiles", "a new profile without facts", _nothing, _store()),
    WritePath(
        "agent_profiles", "other facts", lambda app: app.store("p", fields=_FACTS),
        _store(key=True, job="Painter", tags=["b", "c"], averagePrice=20), keyed=True,
    ),
    WritePath("agent_profiles", "an older application's profile", _older_profile, _store()),
    WritePath("agent_profiles", "a message", lambda app: app.say(), _say(key=True), keyed=True),
    WritePath("agent_profiles", "a message without a key", _nothing, _say()),
]  # fmt: skip

# --- agent sessions

_CALLER = {"x_tenant_id": "t", "x_user_id": "u"}
_USER = "/agent/conversations/t/users/u"


def _process(session: str | None = None) -> dict[str, Any]:
    body = {"message": "hello", **({} if session is None else {"sessionId": session})}
    return _request("POST", "/agent/process", body, key=True, **_CALLER)


def _known_session(app: agent_sessions.AgentSessions) -> None:
    """One that has the id s, beside the active one."""
    app.said("first")
    _older_session(app, isActive=True, version=1, clock=1, updatedAt=OLD)


def _older_session(app: agent_sessions.AgentSessions, **more: Any) -> None:
    item = {"id": "s", "tenantId": "t", "userId": "u", "createdAt": OLD, "isActive": False, **more}
    message = {"id": "m", "tenantId": "t", "userId": "u", "sessionId": "s", "timestamp": OLD}
    app.store(sessions=[item], messages=[message | {"role": "user", "content": "old"}])


def _many_sessions(app: agent_sessions.AgentSessions) -> None:
    app.close(app.said())
    app.said("open")
    _older_session(app)


SESSIONS = [
    WritePath("agent_sessions", "a first message", _nothing, _process(), keyed=True),
    WritePath("agent_sessions", "a message in the active session", lambda app: app.said(), _process(), keyed=True),
    WritePath("agent_sessions", "a message in a session named", _known_session, _process("s"), keyed=True),
    WritePath("agent_sessions", "a message after older sessions", _older_session, _process(), keyed=True),
    WritePath(
        "agent_sessions", "closing the active session", lambda app: _older_session(app, isActive=True) or app.listed(),
        _request("POST", "/agent/sessions/s/close", x_tenant_id="t"),
    ),
    WritePath(
        "agent_sessions", "closing another session, exactly a version", _known_session,
        _request("POST", "/agent/sessions/s/close", x_tenant_id="t", if_match='"1"'), repeated=(412,),
    ),
    WritePath("agent_sessions", "erasing", _many_sessions, _request("DELETE", _USER)),
]  # fmt: skip

# --- pet store


def _pet(*, key: bool = True) -> dict[str, Any]:
    return _request("POST", "/pets", {"name": "Sweety", "type": "frog", "price": 20}, key=key)


def _seeded(app: pet_store.PetStore) -> None:
    app.act({"action": "seed"})


def _pets_past_the_counter(app: pet_store.PetStore) -> None:
    _seeded(app)
    app.store(*(pet_store.old_pet(one) for one in (16, 17)))


PETS = [
    WritePath("pet_store", "a pet", _seeded, _pet(), keyed=True),
    WritePath("pet_store", "the first pet", _nothing, _pet(), keyed=True),
    WritePath("pet_store", "a pet where others added some", _pets_past_the_counter, _pet(), keyed=True),
    WritePath("pet_store", "beginning the store", _nothing, {"action": "seed"}),
    WritePath(
        "pet_store", "taking over a table", lambda app: app.store(pet_store.old_pet(1)), {"action": "seed"},
        environment={"SEED": "false"},
    ),
]  # fmt: skip

# --- chat sessions


def _create(session: str | None = None, *, key: bool = True) -> dict[str, Any]:
    return _request("POST", "/sessions", {"user_id": "u", **({} if session is None else {"id": session})}, key=key)


def _append() -> dict[str, Any]:
    return _request("POST", "/sessions/s/messages", {"role": "user", "content": "hello", "tokens": 3}, key=True)


def _message(number: int, **more: Any) -> dict[str, Any]:
    time = f"2020-01-01T00:00:00.{number:06d}Z"
    return {"PK": "SESSION#s", "SK": f"MESSAGE#{time}", "role": "user", "content": str(number), "tokens": 1, **more}


def _remains(app: chat_sessions.ChatSessions) -> None:
    """A session that is half deleted, and one that is not."""
    tombstone = {"PK": "SESSION#s", "SK": "METADATA", "deleted_at": OLD, "version": 3, "user_id": "u"}
    app.store(tombstone | {"GSI1PK": "DELETING", "GSI1SK": OLD})
    app.load([_message(number) for number in range(MANY)])
    app.create("other")


def _older_chat(app: chat_sessions.ChatSessions) -> None:
    head = {"PK": "SESSION#s", "SK": "METADATA", "user_id": "u", "created_at": OLD, "last_accessed": OLD}
    app.store(head | {"GSI1PK": "USER#u", "GSI1SK": OLD, "total_tokens": 1}, _message(1))


def _full_chat(app: chat_sessions.ChatSessions) -> None:
    app.create()
    app.append(tokens=5)
    app.append(tokens=7)
    app.create("other")


def _chat_to_redate(app: chat_sessions.ChatSessions) -> None:
    app.create()
    app.append()
    end = app.head()["ttl"] - 86400
    app.store(
        *(item | {"ttl": end} | ({"messages_ttl": end} if item["SK"] == "METADATA" else {}) for item in app.stored())
    )


CHATS = [
    WritePath("chat_sessions", "a session", _nothing, _create(), keyed=True),
    WritePath("chat_sessions", "a session of a given id", _nothing, _create("s"), keyed=True),
    WritePath(
        "chat_sessions", "a session of a given id without a key", _nothing, _create("s", key=False), repeated=(409,)
    ),
    WritePath("chat_sessions", "a session in the place of one half deleted", _remains, _create("s"), keyed=True),
    WritePath("chat_sessions", "a message", _full_chat, _append(), keyed=True),
    WritePath("chat_sessions", "a message in an older application's session", _older_chat, _append(), keyed=True),
    WritePath(
        "chat_sessions", "a message for which others are redated", _chat_to_redate, _append(), keyed=True,
        environment={"SESSION_TTL_BASE": "last_accessed"},
    ),
    WritePath(
        "chat_sessions", "deleting", _full_chat, _request("DELETE", "/sessions/s"), repeated=(404,)
    ),
    WritePath("chat_sessions", "finishing deletions", _remains, {"action": "finish-deletions"}),
]  # fmt: skip

WRITE_PATHS = [*REGISTRY, *PROFILES, *SESSIONS, *PETS, *CHATS]

NEW: dict[str, Callable[..., AbstractContextManager[Application]]] = {
    "agent_registry": registry.new_registry,
    "agent_profiles": agent_profiles.new_profiles,
    "agent_sessions": agent_sessions.new_agent_sessions,
    "pet_store": pet_store.new_pet_store,
    "chat_sessions": chat_sessions.new_chat_sessions,
}


def new(path: WritePath, engine: Engine) -> AbstractContextManager[Application]:
    """The path's system on empty tables."""
    return NEW[path.system](engine, **path.environment)


def without_gaps(state: State) -> State:
    """Of the pet store: a number that was given out and not used leaves a gap: only the order of pets is compared."""
    numbers = sorted(int(item["id"]["N"]) for item in state["PET_STORE_TABLE_NAME"])
    places = {str(number): str(place) for place, number in enumerate(numbers)}
    pets = [item | {"id": {"N": places[item["id"]["N"]]}} for item in state["PET_STORE_TABLE_NAME"]]
    pets = [{name: value for name, value in item.items() if name != "last"} for item in pets]
    markers = [
        {name: value for name, value in item.items() if name not in ("body", "headers")}
        for item in state["IDEMPOTENCY_TABLE_NAME"]
    ]
    return {"PET_STORE_TABLE_NAME": pets, "IDEMPOTENCY_TABLE_NAME": markers}
