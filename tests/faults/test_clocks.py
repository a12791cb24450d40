"""Clocks that stand still, go back or forward: between two requests, between any two calls, and from one execution
environment to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from common import clock
from tests.contract import agent_profiles, agent_sessions, chat_sessions, pet_store, registry
from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.faults.conftest import CHEAPEST
from tests.faults.dynamodb_proxy import Proxy
from tests.faults.execution_environment import ExecutionEnvironment
from tests.faults.stored import State, Stored, comparable, wrong
from tests.faults.wall_clock import DAY_SECONDS, STEPS, WallClock, wall_clock
from tests.faults.write_paths import NEW, WRITE_PATHS, WritePath, new, status_of, without_gaps
from tests.unit.http_events import event

pytestmark = CHEAPEST
# Of writes before and after a clock's step, each of which takes several looks at it
ROUNDS = 4


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("path", WRITE_PATHS, ids=lambda path: f"{path.system}: {path.name}")
def test_a_step_between_any_two_calls_changes_nothing(
    engine: Engine, path: WritePath, step: str, guarantee: Any
) -> None:
    with new(path, engine) as made, wall_clock():
        path.prepare(made)
        stored = Stored(engine, made)
        before = stored.state()
        app = made.another()
        first = path.send(app)
        expected = shown(path, stored.state())
        calls = len(app.calls)
        for number in range(1, calls + 1):
            stored.put_back(before, stored.state())
            with wall_clock(clock.now()) as moved:
                answer = path.send(stepping(made.another(), number, moved, step))
            found = stored.state()
            assert status_of(answer) == status_of(first), answer
            assert wrong(path.system, found) == []
            assert shown(path, found) == expected, f"{step} before call {number}"
    guarantee("clock", steps=calls, requests=calls, lost=0)


def shown(path: WritePath, state: State) -> Any:
    return comparable(without_gaps(state) if path.system == "pet_store" else state)


def stepping(app: Application, number: int, moved: WallClock, step: str) -> Application:
    """The clock makes its step right before the call of this number."""
    client = app.database._client  # type: ignore[union-attr]
    real, left = client.call, iter(range(number - 1))
    steps = iter([STEPS[step]])

    def call(operation: str, payload: Any) -> Any:
        if next(left, None) is None and (now := next(steps, None)):
            now(moved)
        return real(operation, payload)

    client.call = call
    return app


# --- between two requests


@contextmanager
def systems(engine: Engine, **environment: str) -> Iterator[dict[str, Any]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield {name: stack.enter_context(make(engine, **environment)) for name, make in NEW.items()}


@pytest.mark.parametrize("step", STEPS)
def test_what_is_written_before_and_after_a_step_is_in_order(engine: Engine, step: str, guarantee: Any) -> None:
    with systems(engine) as apps, wall_clock() as moved:
        profiles: agent_profiles.Profiles = apps["agent_profiles"]
        sessions: agent_sessions.AgentSessions = apps["agent_sessions"]
        pets: pet_store.PetStore = apps["pet_store"]
        chats: chat_sessions.ChatSessions = apps["chat_sessions"]
        agents: registry.Registry = apps["agent_registry"]
        chats.create("one")
        chats.create("two")
        opened, said, ids, versions, times = [], [], [], [], []
        for number in range(2 * ROUNDS):
            if number == ROUNDS:
                STEPS[step](moved)
            said.append(str(number))
            profiles.say(message=str(number))
            opened.append(sessions.said(str(number)))
            sessions.said(f"{number} again")
            sessions.close(opened[-1])
            chats.append("one", str(number))
            assert chats.listed() == ["one", "two"], f"after {number}"
            chats.append("two", str(number))
            assert chats.listed() == ["two", "one"], f"after {number}"
            ids.append(pets.add().body["id"])
            answer = agents.register("a", "x", lease=100_000)
            versions.append(answer.body["version"])
            times.append(answer.body["updatedAt"])
            assert agents.found("x") == ["a"]
        assert profiles.said("/conversation/c") == said
        assert profiles.said("/agent/a/conversations") == said[::-1]
        assert chats.contents("one") == chats.contents("two") == said
        assert [session["id"] for session in sessions.listed()] == opened[::-1]
        for number, session in enumerate(opened):
            assert asked(sessions, session) == [str(number), f"{number} again"]
        assert ids == [*range(16, 16 + 2 * ROUNDS)]
        assert versions == [*range(1, 2 * ROUNDS + 1)]
        assert times == sorted(set(times))
        for name, app in apps.items():
            assert wrong(name, Stored(engine, app).state()) == []
    guarantee("clock", steps=1, requests=2 * ROUNDS * 8, lost=0)


def asked(sessions: agent_sessions.AgentSessions, session: str) -> list[str]:
    return [message["content"] for message in sessions.heard(session) if message["role"] == "user"]


def test_expiry_follows_the_clock_and_nothing_goes_before_its_time(engine: Engine, guarantee: Any) -> None:
    with systems(engine, SESSION_TTL_DAYS="1", MESSAGE_TTL_DAYS="1") as apps, wall_clock() as moved:
        sessions, chats, agents = apps["agent_sessions"], apps["chat_sessions"], apps["agent_registry"]
        key = {"idempotency-key": "one"}
        agents.register("short", "x", lease=60)
        agents.register("long", "x", lease=200_000)
        chats.create("s")
        chats.append("s")
        session = sessions.said()
        first = chats.create(None, headers=key).body["id"]

        def seen() -> tuple[Any, ...]:
            return (
                agents.call("GET", "/agents/short").status,
                sorted(agents.found("x")),
                chats.session("s") != 404,
                chats.call("GET", "/sessions/s/messages").status,
                len(chats.listed()),
                len(sessions.heard(session)),
                chats.create(None, headers=key).body["id"] == first,
            )

        everything = (200, ["long", "short"], True, 200, 2, 2, True)
        assert seen() == everything
        moved.step(-5)
        assert seen() == everything, "nothing goes when the clock goes back"
        moved.step(DAY_SECONDS + 10)
        gone = (404, ["long"], False, 404, 0, 0, False)
        assert seen() == gone
        assert chats.append("s").status == 404
        moved.step(-7)
        assert seen()[:4] == gone[:4], "what has expired does not come back"
        moved.step(-DAY_SECONDS)
        assert agents.found("x") == ["long", "short"], "the clock was wrong: what was not deleted is there"
    guarantee("clock", steps=4, requests=5 * 7, lost=0)


# --- from one environment to another


def test_environments_whose_clocks_differ_keep_order(engine: Engine, guarantee: Any) -> None:
    with systems(engine) as apps:
        pets, sessions, chats = apps["pet_store"], apps["agent_sessions"], apps["chat_sessions"]
        chats.create("s")
        ids, opened, said = [], [], []
        for number, ahead in enumerate([0, DAY_SECONDS, -5, 0, -5, DAY_SECONDS, 0, -5]):
            # each environment has its own clock; the tables are all that they share
            with wall_clock() as moved:
                moved.step(ahead)
                one = {name: app.another() for name, app in apps.items()}
                said.append(str(number))
                assert one["chat_sessions"].append("s", str(number)).status == 201
                session = one["agent_sessions"].said(str(number))
                if not opened or number % 3 == 0:
                    assert one["agent_sessions"].close(session).status == 200
                    opened.append(session)
                ids.append(one["pet_store"].add().body["id"])
                version = one["agent_registry"].register("a", "x", lease=100_000).body["version"]
                assert version == number + 1
        assert chats.contents("s") == said
        assert [session["id"] for session in sessions.listed()][-len(opened) :] == opened[::-1]
        assert [one for session in opened for one in asked(sessions, session)] == said[: 3 * len(opened) - 2]
        assert ids == [*range(16, 24)]
        assert len(set(pets.ids(limit=100))) == 23
        for name, app in apps.items():
            assert wrong(name, Stored(engine, app).state()) == []
    guarantee("clock", environments=8, requests=8 * 5, lost=0)


@pytest.mark.parametrize("ahead", [-DAY_SECONDS, -600.0, 600.0, DAY_SECONDS])
def test_a_clock_that_is_off_is_set_right_for_signatures(
    engine: Engine, proxy: Proxy, ahead: float, guarantee: Any
) -> None:
    """The service refuses a signature that is five minutes off; its answer tells the time."""
    with pet_store.new_seeded_store(engine) as made:
        environment = ExecutionEnvironment(made, proxy.url)
        try:
            proxy.clock_ahead = 0.0
            for clock_ahead, calls in ((0.0, 3), (ahead, 4), (ahead, 3), (0.0, 4)):
                environment.clock_ahead = clock_ahead
                before = len(proxy.calls)
                pet = {"name": "n", "type": "t", "price": 1}
                sent = event("http", "POST", "/pets", body=pet, templates=made.contract.templates)
                assert environment.answer(sent)["statusCode"] == 201
                assert len(proxy.calls) - before <= calls
        finally:
            environment.kill()
        assert made.ids(limit=100) == [*range(1, 20)]
    guarantee("clock", steps=2, requests=4, lost=0)
