"""Every list and lookup of the five systems, on tables of any size, beside the way it was found before.

The lists that are read hold all records that there are: an agent's capability is everybody's, the conversation has all
messages, the user all sessions. Only a match finds as many at any size, as one for a job in a city does. Pages are
those of scripts/workloads/. A filling agent has one capability, and a filling profile is found by its job only: other
entries lie where nothing here reads.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from boto3.dynamodb.conditions import Attr, Key

from scripts import volumes
from scripts.benchmarks import old_designs, stored_records
from scripts.benchmarks.engines import Engine
from scripts.benchmarks.old_designs import queried, scanned
from scripts.benchmarks.stack_tables import Definition, StackTables, definition
from scripts.benchmarks.stored_records import Numbered, Stored, Template, numbered_id, numbered_time
from scripts.console import EXIT_FAILED, CommandError
from scripts.function_caller import Caller
from scripts.workloads import Answer, text

_INDEX_SECONDS, _POLL_SECONDS = 60.0, 0.5
SCAN, FILTER, HISTORY = "scan", "scan and filter", "whole history in one item"
TENANT, USER = "tenant-0001", "user-00000001"
CAPABILITY, JOB, CITY = "forecast", "electrician", "Berlin"
KIND, PRICE = "dog", "249.99"


class Old(NamedTuple):
    """`units` tells the read units that it takes with so many records, and what it finds; None where they don't fit."""

    design: str
    units: Callable[[int], tuple[float, int] | None]


class Read(NamedTuple):
    """One call of a route, with the records that it finds; `old` is None where the application did the same."""

    route: str
    what: str
    call: Callable[[], Answer]
    found: int
    old: Old | None


class Records(NamedTuple):
    """What there are many of. `copy` gives the items of the one with a number; those from `there` on are missing."""

    copy: Callable[[int], Iterable[Stored]]
    there: int
    after: Callable[[int], None] | None = None


class System(NamedTuple):
    caller: Caller
    records: list[Records]
    reads: list[Read]


Prepare = Callable[[StackTables, Mapping[str, str]], System]


def agent_registry(stack: StackTables, old: Mapping[str, str]) -> System:
    caller, names, pages = _of(stack, "agent_registry")
    get = partial(_get, caller)
    agent = {"id": "agent-00000000", "name": "Agent agent-00000000", "capabilities": [CAPABILITY]}
    body = {"profile": agent | {"endpoint": "https://agent-00000000.example.com/agent"}, "leaseSeconds": 86400}
    caller.send("POST", "/agents/register", body)
    ours = _template(stack, [names["AGENT_REGISTRY_TABLE_NAME"]], {"agent-00000000": lambda n: f"agent-{n:08}"})
    limit, capabilities = int(pages["agents_found"]), int(pages["capabilities"])
    theirs = stack.engine.table(old["agents"])
    by_capability = f"/agents?capability={CAPABILITY}&limit={limit}"
    found = Old(FILTER, lambda _: scanned(theirs, Attr("capabilities").contains(CAPABILITY)))
    return System(
        caller,
        [
            Records(ours.copy, 1),
            Records(lambda n: [(old["agents"], old_designs.agent(n, CAPABILITY, capabilities))], 0),
        ],
        [
            get("GET /agents", f"{limit} agents by capability", by_capability, limit, found),
            get("GET /agents/{id}", "one agent", "/agents/agent-00000000"),
        ],
    )


def agent_profiles(stack: StackTables, old: Mapping[str, str]) -> System:
    caller, names, pages = _of(stack, "agent_profiles")
    get = partial(_get, caller)
    matches, listed, read = (int(pages[name]) for name in ("matches", "profiles_listed", "messages_read"))

    def profile(name: str, **more: Any) -> dict[str, Any]:
        return {"id": name, **_record(name, pages), **more}

    for number in range(matches):
        tags = [f"tag {one}" for one in range(int(pages["tags"]))]
        more = {"job": JOB, "location": [CITY, "Germany"], "averagePrice": 49.99, "tags": tags}
        caller.send("POST", "/store", profile(f"wanted--{number:08}", **more))
    caller.send("POST", "/store", profile("profile-00000000"))
    tables = [names["PROFILE_TABLE_NAME"], names["MATCH_TABLE_NAME"]]
    ours = _template(stack, tables, {"profile-00000000": lambda n: f"profile-{n:08}"})
    said = {"conversation_id": "conversation-1", "agent_id": "agent-00000001", "sender": USER}
    message = caller.send("POST", "/conversation", said | {"message": text(pages["message_bytes"])}).body
    sort_key = message["message_id"]
    messages = _template(stack, [names["CONVERSATION_TABLE_NAME"]], {sort_key: numbered_time(sort_key)})
    profiles, conversations = stack.engine.table(old["profiles"]), stack.engine.table(names["CONVERSATION_TABLE_NAME"])
    wanted = Attr("job").eq(JOB) & Attr("location_city").eq(CITY)
    by_agent, own = Attr("agent_id").eq("agent-00000001"), Key("conversation_id").eq("conversation-1")
    asked = {"job": JOB, "location": CITY}
    return System(
        caller,
        [
            Records(ours.copy, 1 + matches),
            Records(messages.copy, 1),
            Records(lambda n: [(old["profiles"], _old_profile(n, pages, is_wanted=n < matches))], 0),
        ],
        [
            get("GET /retrieve/{id}", "one profile", "/retrieve/wanted--00000000"),
            get(
                "GET /list",
                f"{listed} of all profiles",
                f"/list?limit={listed}",
                listed,
                Old(SCAN, lambda _: scanned(profiles)),
            ),
            Read(
                "POST /match",
                f"{matches} profiles by job, city",
                lambda: caller.send("POST", f"/match?limit={matches}", asked),
                matches,
                Old(FILTER, lambda _: scanned(profiles, wanted)),
            ),
            get(
                "GET /conversation/{id}",
                f"{read} of a conversation",
                f"/conversation/conversation-1?limit={read}",
                read,
                Old("Query of all of it", lambda _: queried(conversations, own)),
            ),
            get(
                "GET /agent/{id}/conversations",
                f"{read} messages of an agent",
                f"/agent/agent-00000001/conversations?limit={read}",
                read,
                Old(FILTER, lambda _: scanned(conversations, by_agent)),
            ),
        ],
    )


def agent_sessions(stack: StackTables, old: Mapping[str, str]) -> System:
    caller, names, pages = _of(stack, "agent_sessions")
    listed, read = int(pages["sessions_listed"]), int(pages["messages_read"])
    headers = {"x-tenant-id": TENANT, "x-user-id": USER}
    get = partial(_get, caller, headers=headers)

    def say() -> Any:
        return caller.send("POST", "/agent/process", {"message": text(pages["message_bytes"])}, headers).body

    first = say()["sessionId"]
    caller.send("POST", f"/agent/sessions/{first}/close", None, headers)
    path = f"/agent/conversations/{TENANT}/users/{USER}"
    created = caller.send("GET", path, None, headers).body["sessions"][0]["createdAt"]
    tables = [names["DYNAMODB_SESSIONS_TABLE"]]
    ours = _template(stack, tables, {first: numbered_id, created: numbered_time(created)})
    latest = say()
    of_session = f"/agent/sessions/{latest['sessionId']}/messages"
    said = {one["id"]: one for one in caller.send("GET", of_session, None, headers).body["messages"]}
    at = said[latest["messageId"]]["timestamp"]
    messages = _template(
        stack, [names["DYNAMODB_MESSAGES_TABLE"]], {latest["messageId"]: numbered_id, at: numbered_time(at)}
    )
    sessions, stored = stack.engine.table(old["sessions"]), stack.engine.table(names["DYNAMODB_MESSAGES_TABLE"])
    by_user = Attr("tenantId").eq(TENANT) & Attr("userId").eq(USER)
    by_session = Attr("sessionId").eq(latest["sessionId"])
    return System(
        caller,
        [
            Records(ours.copy, 2),
            Records(messages.copy, 4),
            Records(lambda n: [(old["sessions"], old_designs.session(n, TENANT, USER))], 0),
        ],
        [
            get(
                "GET /agent/conversations/{tenantId}/users/{userId}",
                f"{listed} sessions of a user",
                f"{path}?limit={listed}",
                listed,
                Old(FILTER, lambda _: scanned(sessions, by_user)),
            ),
            get(
                "GET /agent/sessions/{id}/messages",
                f"{read} messages of a session",
                f"{of_session}?order=newest&limit={read}",
                read,
                Old(FILTER, lambda _: scanned(stored, by_session)),
            ),
        ],
    )


def pet_store(stack: StackTables, old: Mapping[str, str]) -> System:
    caller, names, pages = _of(stack, "pet_store")
    from pet_store.store import id_range

    get = partial(_get, caller)
    listed, name = int(pages["pets_listed"]), text(pages["name_bytes"])

    def add() -> Answer:
        return caller.send("POST", "/pets", {"name": name, "type": KIND, "price": float(PRICE)})

    first = add().body["id"]
    table = names["PET_STORE_TABLE_NAME"]

    def number(name: str, value: int) -> str:
        return f'"{name}": {{"N": "{value}"}}'

    marks: dict[str, Numbered] = {
        number("id", first): lambda n: number("id", n),
        number("idRange", id_range(first)): lambda n: number("idRange", id_range(n)),
    }
    ours = _template(stack, [table], marks)
    dynamodb, theirs = stack.engine.client(), stack.engine.table(old["pets"])

    def count(last: int) -> None:
        """The counter, as it would be after as many adds."""
        dynamodb.update_item(
            TableName=table,
            Key={"id": {"N": "0"}},
            UpdateExpression="SET #last = :last",
            ExpressionAttributeNames={"#last": "last"},
            ExpressionAttributeValues={":last": {"N": str(last)}},
        )

    of_type = f"/pets?type={KIND}&minPrice=1&limit={listed}"
    scan = Old(SCAN, lambda _: scanned(theirs))
    filtered = Old(FILTER, lambda _: scanned(theirs, Attr("type").eq(KIND) & Attr("price").gte(1)))
    return System(
        caller,
        [
            Records(lambda n: ours.copy(n + 1), first, count),
            Records(lambda n: [(old["pets"], old_designs.pet(n + 1, name, KIND, PRICE))], 0),
        ],
        [
            get(
                "GET /pets",
                f"{listed} of all pets",
                f"/pets?limit={listed}",
                listed,
                Old(SCAN, lambda _: scanned(theirs)),
            ),
            get("GET /pets", f"{listed} pets by type", of_type, listed, filtered),
            get("GET /pets/{id}", "one pet", f"/pets/{first}"),
            Read("POST /pets", "the next id", add, 1, scan),
        ],
    )


def chat_sessions(stack: StackTables, old: Mapping[str, str]) -> System:
    caller, names, pages = _of(stack, "chat_sessions")
    get = partial(_get, caller)
    listed, read = int(pages["sessions_listed"]), int(pages["messages_read"])
    message = {
        "role": "user",
        "content": text(pages["message_bytes"]),
        "tokens": int(pages["message_bytes"]) // 4,
        "context_ids": [f"document-{i:08}" for i in range(int(pages["context_ids"]))],
    }

    def opened() -> Any:
        return caller.send("POST", "/sessions", {"user_id": USER, "pedagogy_mode": "socratic"}).body

    one, table = opened(), names["DYNAMODB_TABLE_NAME"]
    created = one["created_at"]
    ours = _template(stack, [table], {one["id"]: numbered_id, created: numbered_time(created)})
    growing = opened()["id"]
    said = f"MESSAGE#{caller.send('POST', f'/sessions/{growing}/messages', message).body['time']}"
    messages = _template(stack, [table], {said: lambda n: f"MESSAGE#{numbered_time(said.partition('#')[2])(n)}"})
    stored, dynamodb = stack.engine.table(table), stack.engine.client()

    def history(count: int) -> tuple[float, int] | None:
        units = old_designs.history_units(dynamodb, old["history"], count, int(pages["message_bytes"]))
        return None if units is None else (units[0], count)

    newest, mine = f"/sessions/{growing}/messages?order=newest&limit={read}", f"/users/{USER}/sessions?limit={listed}"
    by_user = Old(FILTER, lambda _: scanned(stored, Attr("user_id").eq(USER)))
    return System(
        caller,
        [Records(ours.copy, 2), Records(messages.copy, 1)],
        [
            get("GET /sessions/{id}", "one session", f"/sessions/{growing}"),
            get("GET /sessions/{id}/messages", f"{read} messages of a session", newest, read, Old(HISTORY, history)),
            get("GET /users/{userId}/sessions", f"{listed} chats of a user", mine, listed, by_user),
        ],
    )


SYSTEMS: dict[str, Prepare] = {
    "agent_registry": agent_registry,
    "agent_profiles": agent_profiles,
    "agent_sessions": agent_sessions,
    "pet_store": pet_store,
    "chat_sessions": chat_sessions,
}


def old_tables(mark: str) -> dict[str, Definition]:
    """What the applications kept apart from ours: other items, or without what ours has beside them."""
    keys: dict[str, dict[str, str]] = {
        "agents": {"agentId": "S"},
        "profiles": {"id": "S"},
        "sessions": {"id": "S", "tenantId": "S"},
        "pets": {"id": "N"},
        "history": {"id": "S"},
    }
    return {name: definition(f"{mark}-{name}", **key) for name, key in keys.items()}


def fill(engine: Engine, system: System, before: int, size: int, tell: Callable[[int], None]) -> None:
    """So many of everything, where there were `before`."""
    for records in system.records:
        first = max(records.there, before)
        stored_records.write(engine, (records.copy(number) for number in range(first, size)), tell)
        if records.after:
            records.after(size)


def counted(system: System, read: Read) -> float:
    """Read units of a call by an execution environment that has answered before."""
    deadline = time.monotonic() + _INDEX_SECONDS
    read.call()
    while True:
        system.caller.begin()
        body = read.call().body
        found = next((len(value) for value in body.values() if isinstance(value, list)), 0) if read.found > 1 else 1
        if found == read.found:
            break
        if time.monotonic() > deadline:
            raise CommandError(f"{read.route} found {found} of {read.found} records.", exit_code=EXIT_FAILED)
        time.sleep(_POLL_SECONDS)  # an index may lag behind
    units, _ = system.caller.read_and_write_units()
    return units


def counted_before(read: Read, old: Old, size: int) -> float | None:
    """Read units of the same as the application found it; None where so many records could not be."""
    counted = old.units(size)
    if counted is not None and counted[1] < read.found:
        raise CommandError(f"{read.route}: the old design found {counted[1]} of {read.found}.", exit_code=EXIT_FAILED)
    return None if counted is None else counted[0]


def _of(stack: StackTables, system: str) -> tuple[Caller, Mapping[str, str], Mapping[str, Any]]:
    return stack.caller(system), stack.environments[system], volumes.workload(system).SETTINGS


def _template(stack: StackTables, tables: Iterable[str], marks: Mapping[str, Any]) -> Template:
    return stored_records.template(stack.engine.client(), tables, marks)


def _get(
    caller: Caller,
    route: str,
    what: str,
    path: str,
    count: int = 1,
    old: Old | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Read:
    return Read(route, what, lambda: caller.send("GET", path, None, headers), count, old)


def _record(name: str, pages: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": f"Agent {name}",
        "address": f"https://{name}.example.com",
        "job": "plumber",
        "description": text(pages["description_bytes"]),
    }


def _old_profile(number: int, pages: Mapping[str, Any], *, is_wanted: bool) -> stored_records.Item:
    record = _record(f"profile-{number:08}", pages) | ({"job": JOB, "location_city": CITY} if is_wanted else {})
    return old_designs.profile(number, record)
