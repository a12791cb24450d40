"""The estimate against a real engine: recorded workloads cost there what `make cost` expects of them, within 2 %.

The engine is dynoxide: its ConsumedCapacity is AWS's in transactions, too, which DynamoDB Local's is not.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scripts import cost_model, expected_use, price_list, volumes
from scripts.console import Progress
from scripts.local_aws.control import Running
from tests.contract import engines
from tests.contract.application import Application
from tests.contract.declared_instances import function_of, tables_of
from tests.contract.engines import Engine
from tests.contract.systems import SYSTEMS

PRICES = price_list.load("us-east-1")
TENANT = {"x-tenant-id": "tenant-of-it", "x-user-id": "somebody-here"}
TEXT = "What is it that I want to know?".ljust(700, ".")

Calls = Iterator[tuple[str, str, Any, dict[str, str]]]  # route, path with query, body, headers


def agent_registry(call: Callable[..., Any]) -> Calls:
    def agent(number: int) -> dict[str, Any]:
        own = [f"talent {number} of {one}" for one in "abc"]
        profile = {
            "id": f"agent-of-{number:06}",
            "name": f"The agent of number {number}",
            "endpoint": f"https://number-{number}.example.com/a2a",
            "capabilities": ["Weather forecast", *own],
        }
        return {"profile": profile, "leaseSeconds": 900}

    for number in range(12):
        yield "POST /agents/register", "/agents/register", agent(number), {}
    for number in range(12):
        for _ in range(4):
            yield "POST /agents/register", "/agents/register", agent(number), {}
    for number in range(30):
        yield "GET /agents", "/agents?capability=weather%20FORECAST", None, {}
        yield "GET /agents/{id}", f"/agents/agent-of-{number % 12:06}", None, {}
    for number in range(5):
        yield "DELETE /agents/{id}", f"/agents/agent-of-{number:06}", None, {}


def agent_profiles(call: Callable[..., Any]) -> Calls:
    def profile(number: int, words: str) -> dict[str, Any]:
        return {
            "id": f"profile-of-{number:06}",
            "name": f"Agent with number {number}",
            "address": f"https://number-{number}.example.com",
            "job": "electrician",
            "averagePrice": 30 + number,
            "tags": ["quick", "polite", "cheap", "near"],
            "location": ["Hamburg", "Germany"],
            "description": words.ljust(300, "."),
        }

    for number in range(20):
        yield "POST /store", "/store", profile(number, "first"), {}
        yield "POST /store", "/store", profile(number, "second"), {}
    for number in range(20):
        yield "GET /retrieve/{id}", f"/retrieve/profile-of-{number:06}", None, {}
        yield "POST /match", "/match?limit=20", {"job": "Electrician", "location": "hamburg"}, {}
        yield "GET /list", "/list?limit=19", None, {}
    for _ in range(20):
        message = {"conversation_id": "talk", "agent_id": "profile-of-000001", "sender": "a user", "message": TEXT}
        yield "POST /conversation", "/conversation", message, {}
    for _ in range(9):
        yield "GET /conversation/{id}", "/conversation/talk?limit=20", None, {}
        yield "GET /agent/{id}/conversations", "/agent/profile-of-000001/conversations?limit=20", None, {}


def agent_sessions(call: Callable[..., Any]) -> Calls:
    session = ""
    for _ in range(5):
        for _ in range(8):
            yield "POST /agent/process", "/agent/process", {"message": TEXT}, TENANT
        path = f"/agent/conversations/{TENANT['x-tenant-id']}/users/{TENANT['x-user-id']}"
        session = call("GET", path, headers=TENANT).body["sessions"][0]["id"]
        yield "POST /agent/sessions/{id}/close", f"/agent/sessions/{session}/close", None, TENANT
    for _ in range(15):
        yield "GET /agent/sessions/{id}/messages", f"/agent/sessions/{session}/messages?limit=16", None, TENANT
        route = "GET /agent/conversations/{tenantId}/users/{userId}"
        yield route, f"{path}?limit=5", None, TENANT
    yield "DELETE /agent/conversations/{tenantId}/users/{userId}", path, None, TENANT


def chat_sessions(call: Callable[..., Any]) -> Calls:
    user = "a-user-of-it"
    for _ in range(9):
        yield "POST /sessions", "/sessions", {"user_id": user, "pedagogy_mode": "socratic"}, {}
    found = [one["id"] for one in call("GET", f"/users/{user}/sessions").body["sessions"]]
    message = {"role": "user", "content": TEXT, "tokens": 170, "context_ids": ["one-document", "two-documents"]}
    for _ in range(12):
        for session in found[:4]:
            yield "POST /sessions/{id}/messages", f"/sessions/{session}/messages", message, {}
    for session in found[:4] * 5:
        yield "GET /sessions/{id}", f"/sessions/{session}", None, {}
        yield "GET /sessions/{id}/messages", f"/sessions/{session}/messages?order=newest&limit=12", None, {}
        yield "GET /users/{userId}/sessions", f"/users/{user}/sessions?limit=9", None, {}
    for session in found[:4]:
        yield "DELETE /sessions/{id}", f"/sessions/{session}", None, {}


def pet_store(call: Callable[..., Any]) -> Calls:
    for number in range(30):
        yield "POST /pets", "/pets", {"name": f"Number {number}", "type": "frog", "price": 12.5 + number}, {}
    for number in range(20):
        yield "GET /pets", "/pets?limit=25", None, {}
        yield "GET /pets", "/pets?type=frog&minPrice=1&limit=25", None, {}
        yield "GET /pets/{id}", f"/pets/{number + 1}", None, {}


# What the recorded workloads are, in the words of [volumes]
WORKLOADS: dict[str, tuple[Callable[..., Calls], dict[str, float]]] = {
    "agent_registry": (agent_registry, {"capabilities": 4, "new_share": 12 / 60, "agents_found": 12}),
    "agent_profiles": (
        agent_profiles,
        {"tags": 4, "matches": 20, "profiles_listed": 19, "message_bytes": 700, "messages_read": 20},
    ),
    "agent_sessions": (
        agent_sessions,
        {
            "message_bytes": 700,
            "new_share": 5 / 40,
            "messages_read": 16,
            "sessions_listed": 5,
            "sessions_erased": 5,
            "messages_erased": 16,
        },
    ),
    "chat_sessions": (
        chat_sessions,
        {"message_bytes": 700, "messages_read": 12, "messages_deleted": 12, "sessions_listed": 9},
    ),
    "pet_store": (pet_store, {"pets_listed": 25}),
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    if missing := engines.missing("dynoxide"):
        pytest.skip(missing)
    with engines.running("dynoxide") as running:
        yield running


@pytest.fixture(scope="module")
def embedded() -> Iterator[Running]:
    with expected_use.embedded_aws() as running:
        yield running


@pytest.mark.parametrize("system", WORKLOADS)
def test_a_recorded_workload_costs_what_is_expected_of_it(engine: Engine, embedded: Running, system: str) -> None:
    workload, settings = WORKLOADS[system]
    with SYSTEMS[system].new(engine) as application:
        instances = [*tables_of(application, system), function_of(application, system)]
        reads, writes, counts = recorded(application, workload)
    dollars = reads * 0.125 / 1e6 + writes * 0.625 / 1e6
    said = volumes.of({system: {**counts, **settings}})
    with contextlib.nullcontext(Progress("test")) as progress:
        use, _ = expected_use.of_stack(instances, said, PRICES, embedded, "us-east-1", progress)
    found = cost_model.cost(use, PRICES).by_system
    expected = sum(kinds["reads"] + kinds["writes"] for kinds in found.values() if "reads" in kinds)
    assert expected == pytest.approx(dollars, rel=0.02), f"{reads} reads and {writes} writes"
    assert set(counts) == set(volumes.routes(system)), "every route is in the workload"


def recorded(application: Application, workload: Callable[..., Calls]) -> tuple[float, float, Counter[str]]:
    """What it consumed, and how often it called each route."""
    reads = writes = 0.0
    counts: Counter[str] = Counter()
    for route, path, body, headers in workload(application.call):
        place, _, query = path.partition("?")
        pairs = dict(pair.split("=") for pair in query.replace("%20", " ").split("&")) if query else None
        answer = application.call(route.split(" ")[0], place, body=body, headers=headers, query=pairs)
        assert answer.status < 300, answer.text
        usage = application.database.usage
        reads, writes = reads + usage.read_units, writes + usage.write_units
        counts[route] += 1
    return reads, writes, counts
