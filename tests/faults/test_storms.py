"""Faults without end: what callers are told then, and that what they repeat until it succeeds is done once."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from common.dynamodb_client import DynamoDBClient
from common.http_connection import Connection
from tests.contract.application import Answer, Application
from tests.contract.engines import Engine
from tests.faults.conftest import CHEAPEST, EVERYWHERE, SEED, STORM_ROUNDS
from tests.faults.dynamodb_proxy import FAULTS, TRICKLING, WAITED_FOR, Call, Fault, Proxy
from tests.faults.stored import Stored, wrong
from tests.faults.test_kills import Killed, dying
from tests.faults.write_paths import NEW, WRITE_PATHS, WritePath, new, status_of
from tests.unit.http_events import Context

pytestmark = CHEAPEST
CLIENTS = 4
SHARE, KILLED_SHARE = 0.3, 0.05
# Of an invocation: little, so that many end by their time
MILLISECONDS = 600
READ_SECONDS = 0.1
# An invocation that does not end by its time would not end at all
PATIENCE_SECONDS = 60.0
MOST_REPEATS = 200
# Kinds of fault for each way to write, where not all are asked for
MOST_KINDS = 4
# What a machine may take between two lines of code
SLACK_SECONDS = 1.5


class Client:
    """Sends what it has to, each request until it succeeds; every one to whatever environment there is."""

    def __init__(self, number: int, apps: dict[str, Application], proxy: Proxy) -> None:
        self.number = number
        self.requests = self.refused = self.killed = 0
        self.failure: BaseException | None = None
        self.final: dict[str, Any] = {}
        self._choice = random.Random(f"{SEED} {number}")
        self._apps = apps
        self._proxy = proxy
        self._environments: dict[str, Application] = {}

    def run(self) -> None:
        try:
            for turn in range(STORM_ROUNDS):
                self._turn(f"{self.number}-{turn}")
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failure = error

    def _turn(self, name: str) -> None:
        key = {"idempotency-key": name}
        self._until_done("chat_sessions", lambda app: app.append("s", name, headers=key))
        self._until_done("agent_sessions", lambda app: app.say(name, key=name))
        self._until_done("pet_store", lambda app: app.add(name, headers=key))
        self._until_done("agent_profiles", lambda app: app.say(message=name, headers=key))
        mine, some = str(self.number), self._choice.sample(["a", "b", "c", "d", "e"], 3)
        agent = self._until_done("agent_registry", lambda app: app.register(mine, *some, headers=key))
        profile = self._until_done(
            "agent_profiles", lambda app: app.store(mine, name, fields={"tags": some, "job": some[0]}, headers=key)
        )
        self.final = {"agent": agent, "profile": profile}

    def _until_done(self, system: str, request: Callable[[Any], Answer]) -> Any:
        for _ in range(MOST_REPEATS):
            app = self._environment(system)
            self.requests += 1
            try:
                if self._choice.random() < KILLED_SHARE:
                    self._environments.pop(system)
                    app = dying(app, self._choice.randint(1, 4), committed=self._choice.random() < 0.5)
                began = time.monotonic()
                answer = request(app)
            except Killed:
                self.killed += 1
                continue
            assert time.monotonic() - began < PATIENCE_SECONDS
            if answer.status < 300:
                return answer.body
            self.refused += 1
            assert answer.status in (429, 503), answer.text
            assert int(answer.headers["retry-after"]) >= 1
        raise AssertionError(f"{system} never succeeded")

    def _environment(self, system: str) -> Any:
        if system not in self._environments:
            made = self._apps[system]
            app = type(made)(made.engine, {**made.environment, "AWS_ENDPOINT_URL": self._proxy.url})
            app.database._client.read_seconds = READ_SECONDS  # type: ignore[union-attr]
            self._environments[system] = app
            real = app.app
            app.app = lambda event, _context: real(event, Context(milliseconds=MILLISECONDS))
        return self._environments[system]


def test_what_is_repeated_through_a_storm_is_done_once(engine: Engine, proxy: Proxy, guarantee: Any) -> None:
    print(f"seed {SEED}")
    with ExitStack() as stack:
        apps: dict[str, Any] = {name: stack.enter_context(make(engine)) for name, make in NEW.items()}
        apps["pet_store"].act({"action": "seed"})
        apps["chat_sessions"].create("s")
        apps["agent_sessions"].said("before")  # looking for an older application's sessions takes longer than there is
        proxy.plan = storm(random.Random(SEED))
        clients = [Client(number, apps, proxy) for number in range(CLIENTS)]
        threads = [threading.Thread(target=client.run) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        proxy.plan = lambda _: None
        proxy.deliver_late()
        for client in clients:
            if client.failure:
                raise client.failure
        lost = check(apps, clients)
        for name, app in apps.items():
            assert wrong(name, Stored(engine, app).state()) == []
    requests, killed = sum(client.requests for client in clients), sum(client.killed for client in clients)
    guarantee("fault-storms", faults_injected=len(proxy.injected), requests=requests, kills=killed, lost=lost)


def storm(choice: random.Random) -> Callable[[Call], Fault | None]:
    """By turns calm, gusts of anything, and outages in which nothing gets through."""
    rate, left = 0.0, 0

    def plan(call: Call) -> Fault | None:
        nonlocal rate, left
        if left == 0:
            rate, left = choice.choice([(0.0, 10), (SHARE, 40), (SHARE, 40), (1.0, 12)])
        left -= 1
        if choice.random() >= rate:
            return None
        return choice.choice([fault for fault in FAULTS if fault.fits(call.operation)])

    return plan


def check(apps: dict[str, Any], clients: list[Client]) -> int:
    """How many of the requests that succeeded have no effect; none has two."""
    names = [f"{client.number}-{turn}" for turn in range(STORM_ROUNDS) for client in clients]
    sessions = apps["agent_sessions"]
    heard = [message for session in sessions.listed() for message in sessions.heard(session["id"])]
    asked, replied = (
        [message["content"] for message in heard if message["role"] == role and message["content"] != "before"]
        for role in ("user", "agent")
    )
    pets = [pet["name"] for page in apps["pet_store"].pages(limit=100) for pet in page]
    found = {
        "chat": apps["chat_sessions"].contents("s"),
        "sessions": asked,
        "replies": replied,
        "pets": [name for name in pets if "-" in name],
        "conversation": apps["agent_profiles"].said("/conversation/c"),
    }
    for what, one in found.items():
        assert sorted(one) == sorted(names), f"{what}: each exactly once"
    for what in ("chat", "sessions"):
        for client in clients:
            own = [name for name in found[what] if name.startswith(f"{client.number}-")]
            assert own == [f"{client.number}-{turn}" for turn in range(STORM_ROUNDS)], f"{what}: in order"
    for client in clients:
        mine = str(client.number)
        agent = apps["agent_registry"].call("GET", f"/agents/{mine}").body
        assert agent == client.final["agent"]
        assert agent["version"] == STORM_ROUNDS
        profile = apps["agent_profiles"].call("GET", f"/retrieve/{mine}").body
        assert profile == client.final["profile"]
        assert profile["version"] == STORM_ROUNDS
    return sum(len(names) - len(set(one)) for one in found.values())


# --- nothing but faults


# Of any call, and so that nothing gets through
ENDLESS = [
    TRICKLING,
    *(one for one in FAULTS if not one.operations and one.name != "connection closed behind the answer"),
]
ROUTES = [path for path in WRITE_PATHS if "action" not in path.request]


@pytest.mark.parametrize("path", ROUTES, ids=lambda path: f"{path.system}: {path.name}")
def test_where_nothing_gets_through_callers_are_told_in_time(
    engine: Engine, proxy: Proxy, path: WritePath, guarantee: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is begun when the time is over, and nothing waited for beyond it."""
    kept = Deadlines(monkeypatch)
    told = 0
    with new(path, engine) as made:
        path.prepare(made)
        proxy.injected.clear()
        choice = random.Random(f"{SEED} {path.system} {path.name}")
        for fault in ENDLESS if EVERYWHERE else choice.sample(ENDLESS, MOST_KINDS):
            proxy.plan = lambda _, fault=fault: fault  # type: ignore[misc]
            app = type(made)(made.engine, {**made.environment, "AWS_ENDPOINT_URL": proxy.url})
            if fault.name not in WAITED_FOR and fault is not TRICKLING:
                app.database._client._sleep = lambda _seconds: None  # type: ignore[union-attr]
            began = time.monotonic()
            answer = path.send(app, milliseconds=200)
            assert time.monotonic() - began < PATIENCE_SECONDS
            assert status_of(answer) in (429, 503), (fault.name, answer)
            assert int(answer["headers"]["retry-after"]) >= 1
            told += 1
    assert kept.broken == []
    guarantee("fault-storms", faults_injected=len(proxy.injected), requests=told, lost=0)


class Deadlines:
    """Watches every exchange: whether it may last beyond the invocation's deadline."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken: list[float] = []
        self._deadline = float("inf")
        begin, exchange = DynamoDBClient.begin, Connection.exchange

        def begun(client: DynamoDBClient, deadline: float | None) -> None:
            self._deadline = deadline or float("inf")
            begin(client, deadline)

        def exchanged(connection: Connection, method: str, headers: Any, body: bytes, timeout: float) -> Any:
            if timeout > max(0.0, self._deadline - time.monotonic()) + SLACK_SECONDS:
                self.broken.append(timeout)
            return exchange(connection, method, headers, body, timeout)

        monkeypatch.setattr(DynamoDBClient, "begin", begun)
        monkeypatch.setattr(Connection, "exchange", exchanged)
