"""The function dies between any two calls, before or after DynamoDB has carried the last one out.

The client, who got no answer, sends its request again, and another execution environment takes it. Where the contract
has an Idempotency-Key, all is as if the first had lived; where it has none, as if the request had been sent once or
twice.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.faults.conftest import CHEAPEST, EVERYWHERE, SEED
from tests.faults.dynamodb_proxy import BY_NAME, Fault, Proxy, at_call
from tests.faults.execution_environment import ExecutionEnvironment
from tests.faults.stored import State, Stored, comparable, wrong
from tests.faults.write_paths import WRITE_PATHS, WritePath, new, status_of, without_gaps
from tests.unit.fake_service import eventually

# Held there until the process is gone
BEFORE, AFTER = BY_NAME["no answer"], BY_NAME["answer after the client's timeout"]
# Of moments to kill one, for each of these
MOST_PROCESSES = 6
IN_PROCESSES = {
    "a new agent",
    "other facts",
    "a message in the active session",
    "erasing",
    "a pet",
    "a message for which others are redated",
    "deleting",
}


class Killed(BaseException):
    """No code of the function sees it."""


def dying(app: Application, number: int, *, committed: bool) -> Application:
    """An environment that ends at its call of this number."""
    client = app.database._client  # type: ignore[union-attr]
    real: Callable[..., Any] = client.call
    numbers = iter(range(number - 1))

    def call(operation: str, payload: Any) -> Any:
        if next(numbers, None) is not None:
            return real(operation, payload)
        if committed:
            real(operation, payload)
        raise Killed

    client.call = call
    return app


class Expected:
    """The states after which a killed and repeated request may leave the tables, and its calls."""

    def __init__(self, path: WritePath, made: Application, stored: Stored) -> None:
        self._path = path
        app = made.another()
        first = path.send(app)
        assert 200 <= status_of(first) < 300
        self.calls = [operation for operation, _ in app.calls]
        self.first_state = stored.state()
        self._states = [self._comparable(self.first_state)]
        if not path.keyed:
            path.send(made.another())
            self._states.append(self._comparable(stored.state()))

    def holds(self, answer: Any, state: State) -> None:
        """`answer` is that of the repeat."""
        assert 200 <= status_of(answer) < 300 or status_of(answer) in self._path.repeated, answer
        assert wrong(self._path.system, state) == []
        if self._comparable(state) != self._states[-1]:
            assert self._comparable(state) == self._states[0]

    def _comparable(self, state: State) -> Any:
        return comparable(without_gaps(state) if self._path.system == "pet_store" else state)


@CHEAPEST
@pytest.mark.parametrize("path", WRITE_PATHS, ids=lambda path: f"{path.system}: {path.name}")
def test_killed_between_any_two_calls(engine: Engine, path: WritePath, guarantee: Any) -> None:
    kills = 0
    with new(path, engine) as made:
        path.prepare(made)
        stored = Stored(engine, made)
        before = stored.state()
        expected = Expected(path, made, stored)
        for number, operation in enumerate(expected.calls, 1):
            for committed in (False, True):
                stored.put_back(before, stored.state())
                with pytest.raises(Killed):
                    path.send(dying(made.another(), number, committed=committed))
                try:
                    expected.holds(path.send(made.another()), stored.state())
                except AssertionError as error:
                    error.add_note(f"killed {'after' if committed else 'before'} call {number}, {operation}")
                    raise
                kills += 1
    guarantee("kills", kills=kills, requests=2 * kills, lost=0)


@CHEAPEST
@pytest.mark.parametrize(
    "path",
    [path for path in WRITE_PATHS if path.name in IN_PROCESSES],
    ids=lambda path: f"{path.system}: {path.name}",
)
def test_a_process_is_killed_between_any_two_calls(
    engine: Engine, proxy: Proxy, path: WritePath, guarantee: Any
) -> None:
    kills = 0
    with new(path, engine) as made:
        path.prepare(made)
        stored = Stored(engine, made)
        before = stored.state()
        expected = Expected(path, made, stored)
        moments = [(number, fault) for number in range(1, len(expected.calls) + 1) for fault in (BEFORE, AFTER)]
        for number, fault in moments if EVERYWHERE else random.Random(SEED).sample(moments, MOST_PROCESSES):
            stored.put_back(before, stored.state())
            _kill_at(number, fault, path, made, proxy)
            try:
                expected.holds(path.send(made.another()), stored.state())
            except AssertionError as error:
                error.add_note(f"killed {'before' if fault is BEFORE else 'after'} call {number}, seed {SEED}")
                raise
            kills += 1
    guarantee("kills", kills=kills, processes_killed=kills, requests=2 * kills, lost=0)


def _kill_at(number: int, fault: Fault, path: WritePath, made: Application, proxy: Proxy) -> None:
    proxy.befallen.clear()
    proxy.plan = at_call(number, fault)
    environment = ExecutionEnvironment(made, proxy.url)
    try:
        environment.begin(path.event(made))
        eventually(lambda: bool(proxy.befallen) and proxy.befallen[0].is_held)
    finally:
        environment.kill()
