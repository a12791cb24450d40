"""What a write takes, item by item, against the least that the guarantees allow: the arithmetic, by hand.

Each write is called once, and every item that it touches is looked at before and after: their sizes, and AWS's rules
(scripts/capacity_units.py), give what AWS would count. DynamoDB Local counts transactions otherwise: it adds up
their items before it rounds, where AWS rounds each.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts import capacity_units, volumes
from scripts.benchmarks import stack_tables
from scripts.benchmarks.stack_tables import Definition, StackTables
from scripts.capacity_units import Index
from scripts.function_caller import Caller
from scripts.workloads import Answer, text

Image = dict[str, Any]  # an item in DynamoDB's JSON


class Item(NamedTuple):
    """So many items that a write must touch: those of a table (the function's variable) that `is_it` knows."""

    what: str
    table: str
    is_it: Callable[[Image], bool]
    items: int
    is_transactional: bool
    why: str


class Entry(NamedTuple):
    """The entries of such items in the index by this attribute; `moves` where its key changes: out here, in there."""

    what: str
    table: str
    by: str
    items: int
    moves: bool
    why: str


class Write(NamedTuple):
    """`prepare` makes what is there before, and gives what is called."""

    what: str
    system: str
    prepare: Callable[[Caller, Mapping[str, Any]], Callable[[], Answer]]
    least: tuple[Item | Entry, ...]


class Touched(NamedTuple):
    table: str
    before: Image | None
    after: Image | None
    is_transactional: bool

    @property
    def image(self) -> Image:
        return self.after or self.before or {}


class Line(NamedTuple):
    """One line of the arithmetic; `times` are the units of each kilobyte."""

    what: str
    items: int
    kilobytes: int
    times: int
    why: str

    @property
    def units(self) -> float:
        return float(self.items * self.kilobytes * self.times)


class Measured(NamedTuple):
    """`written` is what AWS counts of what was touched, by its rules; `counted` what the engine told."""

    write: Write
    lines: list[Line]
    beyond: list[str]
    written: float
    counted: float

    @property
    def least(self) -> float:
        return sum(line.units for line in self.lines)


def measured(stack: StackTables, write: Write) -> Measured:
    caller, names = stack.caller(write.system), stack.environments[write.system]
    call = write.prepare(caller, volumes.workload(write.system).SETTINGS)
    touched: list[Touched] = []
    caller.around = _Watch(stack, touched).around
    caller.begin()
    call()
    _, counted = caller.read_and_write_units()
    indexes = {name: _indexes(made) for name, made in stack.definitions.items()}
    written = sum(
        capacity_units.change_units(one.before, one.after, transactional=one.is_transactional)
        + sum(capacity_units.index_units(index, one.before, one.after) for index in indexes[one.table])
        for one in touched
    )
    lines: list[Line] = []
    known: set[int] = set()
    for part in write.least:
        found = [one for one in touched if one.table == names[part.table] and _is_of(part, one, write)]
        known.update(map(id, found[: part.items]))
        lines.append(_line(part, found, indexes[names[part.table]]))
    beyond = [f"an item of {stack_tables.declared_name(one.table)}" for one in touched if id(one) not in known]
    return Measured(write, lines, beyond, written, counted)


def _is_of(part: Item | Entry, one: Touched, write: Write) -> bool:
    """An entry is one of the items that have the same name."""
    of = part if isinstance(part, Item) else next(p for p in write.least if isinstance(p, Item) and p.what == part.what)
    return of.is_it(one.image)


def _line(part: Item | Entry, found: list[Touched], indexes: list[Index]) -> Line:
    images = [image for one in found for image in (one.before, one.after) if image is not None]
    if isinstance(part, Item):
        size = max(map(capacity_units.item_bytes, images), default=0)
        times = 2 if part.is_transactional else 1
        return Line(part.what, part.items, int(capacity_units.write_units(size)), times, part.why)
    index = next(one for one in indexes if one.keys[0] == part.by)
    size = max((capacity_units.item_bytes(index.entry(image)) for image in images), default=0)
    what = f"its entry in {index.name}"
    return Line(what, part.items, int(capacity_units.write_units(size)), 2 if part.moves else 1, part.why)


class _Watch:
    """Looks at every item that a call writes, before and after it."""

    def __init__(self, stack: StackTables, touched: list[Touched]) -> None:
        self._dynamodb = stack.engine.client()
        self._definitions = stack.definitions
        self._touched = touched

    def around(self, operation: str, payload: Mapping[str, Any], carry_out: Callable[[], Any]) -> Any:
        writes = [(table, self._key(table, item)) for table, item in _writes(operation, payload)]
        before = [self._image(*one) for one in writes]
        answer = carry_out()
        transactional = operation == "TransactWriteItems"
        for (table, key), image in zip(writes, before, strict=True):
            self._touched.append(Touched(table, image, self._image(table, key), transactional))
        return answer

    def _key(self, table: str, item: Mapping[str, Any]) -> Image:
        return {one["AttributeName"]: item[one["AttributeName"]] for one in self._definitions[table]["KeySchema"]}

    def _image(self, table: str, key: Image) -> Image | None:
        found = self._dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)
        return found.get("Item")  # type: ignore[no-any-return]


def _writes(operation: str, payload: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Table, and the item or its key, of all that a call writes or holds conditions against."""
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield payload["TableName"], payload.get("Item") or payload["Key"]
    elif operation == "TransactWriteItems":
        for part in payload["TransactItems"]:
            for request in part.values():
                yield request["TableName"], request.get("Item") or request["Key"]
    elif operation == "BatchWriteItem":
        for table, requests in payload["RequestItems"].items():
            for one in requests:
                for request in one.values():
                    yield table, request.get("Item") or request["Key"]


def _indexes(made: Definition) -> list[Index]:
    keys = [one["AttributeName"] for one in made["KeySchema"]]
    stated = [*made.get("GlobalSecondaryIndexes", []), *made.get("LocalSecondaryIndexes", [])]
    return [Index.described(one, keys) for one in stated]


# --- agent registry

_AGENTS = "AGENT_REGISTRY_TABLE_NAME"


def _register(caller: Caller, *capabilities: str) -> Answer:
    profile = {
        "id": "agent-00000001",
        "name": "Agent agent-00000001",
        "endpoint": "https://agent-00000001.example.com/agent",
        "capabilities": list(capabilities),
    }
    return caller.send("POST", "/agents/register", {"profile": profile, "leaseSeconds": 3600})


def _own_capabilities(settings: Mapping[str, Any]) -> list[str]:
    return [f"agent-00000001-capability-{one}" for one in range(int(settings["capabilities"]))]


def _new_agent(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    return lambda: _register(caller, *_own_capabilities(settings))


def _renewal(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    _register(caller, *_own_capabilities(settings))
    return lambda: _register(caller, *_own_capabilities(settings))


def _other_capability(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    _register(caller, *_own_capabilities(settings))
    return lambda: _register(caller, *_own_capabilities(settings)[1:], "another")


def _is_agent(item: Image) -> bool:
    return "name" in item


def _is_capability(item: Image) -> bool:
    return "capabilityOf" in item


_AGENT_WHY = "the record; in one transaction with its index items, so that nobody is found by what is not true"
_CAPABILITY_WHY = "discovery is a Query of one partition, at any number of agents"


def _capabilities(count: int, why: str) -> tuple[Item, Entry]:
    what = "index item of a capability"
    return (
        Item(what, _AGENTS, _is_capability, count, is_transactional=True, why=why),
        Entry(what, _AGENTS, "capability", count, moves=False, why="that partition"),
    )


# --- agent sessions

_SESSIONS, _MESSAGES = "DYNAMODB_SESSIONS_TABLE", "DYNAMODB_MESSAGES_TABLE"


def _process(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    def say() -> Answer:
        headers = {"x-tenant-id": "tenant-0001", "x-user-id": "user-00000001"}
        return caller.send("POST", "/agent/process", {"message": text(settings["message_bytes"])}, headers)

    say()
    return say


# --- chat sessions, conversations, pets

_CHATS, _CONVERSATIONS, _PETS = "DYNAMODB_TABLE_NAME", "CONVERSATION_TABLE_NAME", "PET_STORE_TABLE_NAME"


def _append(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    opened = caller.send("POST", "/sessions", {"user_id": "user-00000001", "pedagogy_mode": "socratic"}).body["id"]
    content = text(settings["message_bytes"])
    body = {"role": "user", "content": content, "tokens": 125, "context_ids": ["document-1", "document-2"]}
    caller.send("POST", f"/sessions/{opened}/messages", body)
    return lambda: caller.send("POST", f"/sessions/{opened}/messages", body)


def _say(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    body = {"conversation_id": "conversation-1", "agent_id": "agent-00000001", "sender": "user-00000001"}
    return lambda: caller.send("POST", "/conversation", body | {"message": text(settings["message_bytes"])})


def _add(caller: Caller, settings: Mapping[str, Any]) -> Callable[[], Answer]:
    body = {"name": text(settings["name_bytes"]), "type": "dog", "price": 249.99}
    caller.send("POST", "/pets", body)
    return lambda: caller.send("POST", "/pets", body)


def writes() -> list[Write]:
    """All without an Idempotency-Key: with one, its marker comes to them, in a transaction."""
    capabilities = int(volumes.workload("agent_registry").SETTINGS["capabilities"])
    agent = Item("agent", _AGENTS, _is_agent, 1, is_transactional=True, why=_AGENT_WHY)
    of_session = "counts and orders the messages: in one transaction with each of them"
    return [
        Write(
            f"registration of a new agent with {capabilities} capabilities",
            "agent_registry",
            _new_agent,
            (agent, *_capabilities(capabilities, _CAPABILITY_WHY)),
        ),
        Write(
            "registration that renews a lease",
            "agent_registry",
            _renewal,
            (agent._replace(is_transactional=False, why="the lease lies on the agent's own item, and nowhere else"),),
        ),
        Write(
            "registration with another capability for one of them",
            "agent_registry",
            _other_capability,
            (agent, *_capabilities(2, "the one that goes, the one that comes, no other")),
        ),
        Write(
            "message of a user and the reply to it (agent sessions)",
            "agent_sessions",
            _process,
            (
                Item("session", _SESSIONS, lambda item: "userId" in item, 2, is_transactional=True, why=of_session),
                Entry("session", _SESSIONS, "tenantId", 2, moves=False, why="others read updatedAt there"),
                Item(
                    "message", _MESSAGES, lambda item: "content" in item, 2, is_transactional=True,
                    why="two records; not both at once: the user's stays where the reply fails",
                ),
                Entry("message", _MESSAGES, "sessionId", 2, moves=False, why="a session's messages are a Query"),
                Entry("message", _MESSAGES, "tenantId", 2, moves=False, why="others report over a tenant by it"),
            ),
        ),
        Write(
            "message of a chat session",
            "chat_sessions",
            _append,
            (
                Item(
                    "message", _CHATS, lambda item: "role" in item, 1, is_transactional=True,
                    why="the record; its order is decided by the session's clock in the same transaction",
                ),
                Item(
                    "session", _CHATS, lambda item: "user_id" in item, 1, is_transactional=True,
                    why="clock, token total, recency",
                ),
                Entry("session", _CHATS, "GSI1PK", 1, moves=True, why="by recency: out of one place, in at another"),
            ),
        ),
        Write(
            "message of a conversation (agent profiles)",
            "agent_profiles",
            _say,
            (
                Item("message", _CONVERSATIONS, lambda _: True, 1, is_transactional=False, why="the record, alone"),
                Entry("message", _CONVERSATIONS, "agent_id", 1, moves=False, why="an agent's messages are a Query"),
            ),
        ),
        Write(
            "pet",
            "pet_store",
            _add,
            (
                Item(
                    "counter", _PETS, lambda item: "last" in item, 1, is_transactional=False,
                    why="gives the next id, to one writer only; a gap is allowed, so no transaction",
                ),
                Item("pet", _PETS, lambda item: "price" in item, 1, is_transactional=False, why="the record"),
                Entry("pet", _PETS, "type", 1, moves=False, why="by type and price"),
                Entry("pet", _PETS, "idRange", 1, moves=False, why="by id: a page of all is a Query, not 25 reads"),
            ),
        ),
    ]  # fmt: skip
