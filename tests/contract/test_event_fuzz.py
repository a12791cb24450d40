"""Whatever event arrives, of any kind or none: an answer well-formed for it, and never a 5xx for bad input.

Events go in, and answers out, through the JSON of Lambda's own runtime client; what is logged must fit into its log.
"""

import base64
import copy
import io
import json
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.contract.pet_store import RUNTIME
from tests.contract.systems import SYSTEMS, operations
from tests.fuzzing import EVENTS, TOOL_CALLS, budget
from tests.unit.http_events import KINDS, Context

# JSON can name halves of surrogate pairs
TEXTS = st.text(st.characters(exclude_categories=[]), max_size=12)
# Stands for a number that the runtime's JSON reads as infinite
INFINITE = "<1e400>"
ODD: list[Any] = [
    None, True, [], {}, "", " ", "\x00", "\r\nx: y", "\ud800", "é", "\u0430", "..", "%", "%ff", "%2F", "a%2Fb", "&=&",
    -1, 0, 1.5, 10**30, 10**400, INFINITE, [None], [[]], {"": None}, {"a": {"b": []}}, ["a", "b"],
    "!!", "AAA", "////", base64.b64encode(b"\xff\xfe{}").decode(), base64.b64encode(b'{"a": 1}').decode(),
    "[" * 100_000, '{"a":' * 50_000, '{"a": "\\ud800"}', '{"a": 1e999999}', "x" * 300_000, {"x" * 70_000: "x"},
    {"A": ["1", "2"], "a": ["3"]}, {"a": []}, {"Content-Type": "text/plain", "content-type": "application/json"},
    {"idempotency-key": "\ud800"}, {"x-tenant-id": "\ud800", "x-user-id": "ü"}, {"authorization": "Bearer x" * 5000},
    "2.0", "1.0", "GET", "PATCH", "get", "$default", "ANY /{proxy+}", "/{proxy+}", "/", "//", "/../..",
]  # fmt: skip
ODD_TEXTS = st.sampled_from([one for one in ODD if isinstance(one, str)])
GARBAGE = st.recursive(
    st.sampled_from(ODD) | TEXTS | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
).map(copy.deepcopy)


@pytest.fixture(scope="module", params=SYSTEMS)
def application(request: pytest.FixtureRequest) -> Iterator[Application]:
    with SYSTEMS[request.param].new(Engine("memory", None)) as made:
        yield made


def invoked(application: Application, event: Any, custom: Any = None) -> Any:
    """The answer, as whoever invoked the function reads it.

    What is logged must be UTF-8: a text that has no such form would end the invocation.
    """
    context = Context()
    context.client_context = SimpleNamespace(custom=custom)  # type: ignore[attr-defined]
    written = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict", write_through=True)
    with mock.patch.object(sys, "stdout", written):
        result = application.app(RUNTIME.unmarshal_request(_written(event)), context)
    text, kind = RUNTIME.marshal_response(result)
    assert kind == "application/json"
    written.seek(0)
    for line in written:
        assert json.loads(line)["level"] == "INFO", line
    return json.loads(text.encode())


def _written(event: Any) -> str:
    return json.dumps(event, allow_nan=False).replace(f'"{INFINITE}"', "1e400")


def check_http(answer: Any) -> None:
    """What API Gateway, in both payload formats, and Function URLs take for an answer."""
    assert set(answer) == {"statusCode", "headers", "body", "isBase64Encoded"}
    assert type(answer["statusCode"]) is int
    assert 200 <= answer["statusCode"] < 500, answer
    assert answer["isBase64Encoded"] is False
    for name, value in answer["headers"].items():
        assert isinstance(value, str), name
        assert value.isprintable(), (name, value)
        assert value.isascii(), (name, value)
    body = answer["body"]
    if answer["statusCode"] >= 400 and body:
        assert answer["headers"]["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == answer["statusCode"]
    elif body:
        json.loads(body)


@st.composite
def damaged(draw: st.DrawFn, application: Application) -> Any:
    """An event of a good request, some of whose parts are others; or no event at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(GARBAGE)
    operation = draw(
        st.sampled_from([one for one in operations() if SYSTEMS[one.system].contract is application.contract])
    )
    event = application.event(
        operation.method,
        operation.filled(),
        draw(st.sampled_from(KINDS)),
        encode_body=draw(st.booleans()),
        **operation.request,
    )
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(1, 4))):
        holder, name = draw(st.sampled_from(list(_parts(event))))
        change = draw(st.sampled_from(["put", "put", "put", "remove", "add"]))
        if change == "put" and (name in holder if isinstance(holder, dict) else name < len(holder)):
            # a text for a text, mostly: what is of another kind is turned away at once
            is_text = isinstance(holder[name], str) and draw(st.integers(0, 3)) > 0
            holder[name] = draw(ODD_TEXTS | TEXTS if is_text else GARBAGE)
        elif change == "remove" and isinstance(holder, dict):
            holder.pop(name, None)
        elif isinstance(holder, dict):
            holder[draw(TEXTS)] = draw(GARBAGE)
    return event


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of an event, however deep, with what holds it."""
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, name
        yield from _parts(one)


def test_good_events_are_good(application: Application) -> None:
    """Otherwise damage proves nothing."""
    for operation in operations():
        if SYSTEMS[operation.system].contract is application.contract:
            for kind in KINDS:
                event = application.event(operation.method, operation.filled(), kind, **operation.request)
                answer = invoked(application, event)
                check_http(answer)
                assert answer["statusCode"] not in (400, 405, 415), (operation.name, answer)


def test_no_event_is_more_than_a_bad_request(application: Application, guarantee: Any) -> None:
    @budget(EVENTS)
    @given(damaged(application))
    def send(event: Any) -> None:
        guarantee("no-crash", events=1)
        answer = invoked(application, event)
        if (
            isinstance(event, dict)
            and event.get("action") in getattr(application.app, "_actions", ())
            and len(event) == 1
        ):
            return  # a direct invocation, whose answer is the action's own
        check_http(answer)

    send()


@pytest.mark.parametrize("kind", KINDS)
def test_events_that_are_huge_or_deep(kind: str) -> None:
    deep: Any = "x"
    for level in range(500):
        deep = {"a": deep} if level % 2 else [deep]
    with SYSTEMS["agent_registry"].new(Engine("memory", None)) as application:
        event = application.event("POST", "/agents/register", kind, body="{}")
        # as much as Lambda takes
        check_http(invoked(application, event | {"body": '{"a": "' + "x" * 6_000_000 + '"}'}))
        for name in event:
            check_http(invoked(application, event | {name: deep}))
        check_http(invoked(application, deep))


TOOL_NAMES = st.sampled_from(
    ["list_pets", "get_pet", "add_pet", "target___list_pets", "target___get_pet", "t___add_pet"]
)
ARGUMENTS = st.sampled_from(
    ["id", "name", "type", "price", "minPrice", "maxPrice", "limit", "next_token", "idempotencyKey"]
)


def test_no_tool_call_of_a_gateway_fails(guarantee: Any) -> None:
    with SYSTEMS["pet_store"].new(Engine("memory", None)) as application:

        @budget(TOOL_CALLS)
        @given(TOOL_NAMES | GARBAGE, st.dictionaries(ARGUMENTS | TEXTS, GARBAGE, max_size=4) | GARBAGE)
        def call(name: Any, event: Any) -> None:
            guarantee("no-crash", events=1)
            if name is None:
                return
            answer = invoked(application, event, {"bedrockAgentCoreToolName": name})
            assert set(answer) in ({"ok", "data"}, {"ok", "error"})
            if not answer["ok"]:
                assert answer["error"]["code"] not in ("internal", "throttled", "unavailable"), answer
                assert isinstance(answer["error"]["message"], str)

        call()


@pytest.mark.parametrize("custom", [None, {}, [], "x", 7, {"bedrockAgentCoreToolName": None}, {"other": 1}])
def test_a_client_context_that_names_no_tool_changes_nothing(application: Application, custom: Any) -> None:
    operation = next(one for one in operations() if SYSTEMS[one.system].contract is application.contract)
    event = application.event(operation.method, operation.filled(), **operation.request)
    assert invoked(application, event, custom)["statusCode"] < 300
