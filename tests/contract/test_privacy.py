"""Nothing that a caller sends is logged, and no error answers with more of it than the contract echoes.

Each place of a request holds a canary of its own. However a request ends, what the function writes must hold none of
them; an answer that is an error may name what was asked for, and nothing else.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any
from unittest import mock

import pytest

from common.errors import Throttled, Unavailable
from common.memory import MemoryDatabase, MemoryTable
from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.contract.pet_store import PetStore
from tests.contract.systems import SYSTEMS, Operation, operations
from tests.contract.worlds import Life, Person, Place, places
from tests.unit.http_events import KINDS, Context

OPERATIONS = operations()
MARK = "canary"
# The canary where only a number may stand
NUMBER = "7310429867531"
READS = ("get", "get_many", "query", "page", "add")


def unexpected(*arguments: Any, **more: Any) -> Any:
    """The worst that an error of ours can do: it says all that it was given."""
    raise ValueError(f"can't do it with {[vars(one) if hasattr(one, '__dict__') else one for one in arguments]} {more}")


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# How the database behaves; what each gives is the status that the function's answer then has
ENDS: dict[str, tuple[Callable[..., Any] | None, int | None]] = {
    "well": (None, None),
    "throttled": (raising(Throttled("ThrottlingException: Rate exceeded")), 429),
    "unavailable": (raising(Unavailable("no answer to Query: TimeoutError('timed out')")), 503),
    "unexpected": (unexpected, 500),
}


@contextmanager
def ending(how: Callable[..., Any] | None, *, writes_only: bool) -> Iterator[None]:
    with ExitStack() as stack:
        if how:
            stack.enter_context(mock.patch.object(MemoryDatabase, "write", how))
            for name in () if writes_only else READS:
                stack.enter_context(mock.patch.object(MemoryTable, name, how))
        yield


def sent(
    application: Application, operation: Operation, kind: str, canaries: dict[Place, str], life: Life
) -> tuple[dict[str, Any], str]:
    """The answer, and what was written meanwhile."""
    request = life.request(operation, canaries)
    event = application.event(
        request.method,
        request.path,
        kind,
        life.person.claims,
        body=request.body,
        query=request.query,
        headers={"authorization": f"Bearer {MARK}-token", "cookie": f"{MARK}-cookie", **request.headers},
    )
    written = io.StringIO()
    with mock.patch.object(sys, "stdout", written), mock.patch.object(sys, "stderr", written):
        answer = application.app(event, Context())
    return answer, written.getvalue()


def number_of_canaries(text: str) -> int:
    return text.count(MARK) + text.count(NUMBER)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.name)
def test_no_line_and_no_error_holds_what_was_sent(operation: Operation, end: str, guarantee: Any) -> None:
    how, status = ENDS[end]
    numbers = count()
    statuses: set[int] = set()
    in_lines = in_errors = requests = 0
    with SYSTEMS[operation.system].new(Engine("memory", None)) as application:
        for writes_only in (False, True):
            for place in [None, *places(operation)]:
                person = Person(f"{MARK}-tenant", f"{MARK}-user")
                life = Life(operation.system, person)
                # where the id stands, always; then in one place more, which may be a bad request, or in all of the body
                canaries = {
                    one: NUMBER
                    if one == ("path", "id") and operation.system == "pet_store"
                    else f"{MARK}-{next(numbers)}"
                    for one in places(operation)
                    if one in (place, ("path", "id")) or (place is None and one[0] == "body")
                }
                with ending(how, writes_only=writes_only):
                    kind = KINDS[requests % len(KINDS)]
                    answer, lines = sent(application, operation, kind, canaries, life)
                requests += 1
                statuses.add(answer["statusCode"])
                in_lines += number_of_canaries(lines)
                assert number_of_canaries(lines) == 0, lines
                assert lines, "a request is a line"
                if answer["statusCode"] >= 400:
                    said = answer["body"] + json.dumps(answer["headers"])
                    in_errors += number_of_canaries(said)
                    assert number_of_canaries(said) == 0, (canaries, answer)
    guarantee("privacy", requests=requests, canaries_in_logs=in_lines, canaries_in_errors=in_errors)
    assert status is None or status in statuses, statuses


@pytest.mark.parametrize("how", ["throttled", "unavailable", "unexpected"])
def test_no_line_of_a_tool_call_holds_what_was_sent(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    with SYSTEMS["pet_store"].new(Engine("memory", None)) as application:
        assert isinstance(application, PetStore)
        capsys.readouterr()
        with ending(ENDS[how][0], writes_only=True):
            arguments = {"name": f"{MARK}-1", "type": f"{MARK}-2", "price": 1, "idempotencyKey": f"{MARK}-3"}
            assert not application.tool("pets___add_pet", arguments)["ok"]
        assert number_of_canaries(capsys.readouterr().out) == 0
