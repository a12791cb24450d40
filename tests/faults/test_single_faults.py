"""Each fault at each call of each way to write: one fault is nobody's business but the function's.

The first answer is the one without any fault, a repeat finds what the first has done, and all tables hold what they
hold without the fault: see stored.py for how that is compared, and for what must be true of them in any case.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from common.dynamodb_client import READ_SECONDS, DynamoDBClient
from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.faults.conftest import SEED
from tests.faults.dynamodb_proxy import FAULTS, WAITED_FOR, Fault, Proxy, at_call
from tests.faults.stored import State, Stored, comparable, wrong
from tests.faults.write_paths import WRITE_PATHS, WritePath, new, status_of, without_gaps

# How long an answer is waited for that never comes
SHORT_SECONDS = 0.03
# Cases of a path that are tried on each of the other engines
MOST_ELSEWHERE = 1


class Outcome:
    """What a request and its repeat gave. `calls` counts those of the first."""

    def __init__(self, path: WritePath, app: Application, proxy: Proxy, stored: Stored) -> None:
        before = len(proxy.calls)
        self.first = path.send(app)
        self.calls = proxy.calls[before:]
        proxy.deliver_late()
        self.again = path.send(app) if path.keyed or path.repeated else None
        self.state = stored.state()
        self.wrong = wrong(path.system, self.state)

    def holds(self, path: WritePath) -> None:
        assert self.wrong == []
        assert 200 <= status_of(self.first) < 300, self.first
        if path.keyed:
            assert self.again["body"] == self.first["body"]
            assert self.again["headers"]["idempotency-replayed"] == "true"
        elif path.repeated:
            assert status_of(self.again) in path.repeated


def in_an_environment(made: Application, proxy: Proxy) -> Application:
    """A fresh one, behind the proxy, that does not pause."""
    app = type(made)(made.engine, {**made.environment, "AWS_ENDPOINT_URL": proxy.url})
    app.database._client._sleep = lambda _seconds: None  # type: ignore[union-attr]
    return app


@contextmanager
def injected(proxy: Proxy, number: int, fault: Fault) -> Iterator[None]:
    """At the call of this number from now on. What never comes is waited for shortly, everything else as ever."""
    proxy.plan, at = at_call(number, fault), len(proxy.calls) + number - 1

    def seconds(_client: DynamoDBClient) -> float:
        return SHORT_SECONDS if fault.name in WAITED_FOR and len(proxy.calls) == at else READ_SECONDS

    with mock.patch.object(DynamoDBClient, "read_seconds", property(seconds)):
        yield
    assert proxy.injected == [fault]
    proxy.injected.clear()


@pytest.mark.parametrize("path", WRITE_PATHS, ids=lambda path: f"{path.system}: {path.name}")
def test_a_single_fault_at_any_call_changes_nothing(
    engine: Engine, proxy: Proxy, path: WritePath, guarantee: Any, is_sampled: bool
) -> None:
    choice = random.Random(f"{SEED} {path.system} {path.name}")
    requests = 0
    with new(path, engine) as made:
        path.prepare(made)
        stored = Stored(engine, made)
        before = stored.state()
        clean = Outcome(path, in_an_environment(made, proxy), proxy, stored)
        clean.holds(path)
        now = clean.state
        cases = [
            (number, fault)
            for number, operation in enumerate(clean.calls, 1)
            for fault in FAULTS
            if fault.fits(operation)
        ]
        if is_sampled:
            cases = choice.sample(cases, min(MOST_ELSEWHERE, len(cases)))
        for number, fault in cases:
            stored.put_back(before, now)
            app = in_an_environment(made, proxy)
            try:
                with injected(proxy, number, fault):
                    outcome = Outcome(path, app, proxy, stored)
                now = outcome.state
                outcome.holds(path)
                assert same_effect(path, now, clean.state)
                assert status_of(outcome.first) == status_of(clean.first)
            except AssertionError as error:
                error.add_note(f"{fault.name} at call {number} of {clean.calls}, engine {engine.name}, seed {SEED}")
                error.add_note(f"made were {outcome.calls}")
                raise
            requests += 2
            app.database.forget()
    guarantee("single-faults", faults_injected=len(cases), requests=requests, lost=0)


def same_effect(path: WritePath, found: State, expected: State) -> bool:
    if path.system == "pet_store":
        found, expected = without_gaps(found), without_gaps(expected)
    left, right = comparable(found), comparable(expected)
    assert left == right
    return True
