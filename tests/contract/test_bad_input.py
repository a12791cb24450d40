"""Whatever a caller sends, on every route of every system: the status of the contract, nothing written, no 500."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.application import Answer, Application
from tests.contract.engines import Engine
from tests.contract.systems import SYSTEMS, Operation, operations

OPERATIONS = operations()
WITH_BODY = [operation for operation in OPERATIONS if operation.body is not None]
WITH_IDS = [operation for operation in OPERATIONS if operation.parameters("path")]
LISTS = [
    operation
    for operation in OPERATIONS
    if any(
        SYSTEMS[operation.system].contract.resolved(one)["name"] == "limit"
        for one in operation.declared.get("parameters", [])
    )
]

DEEP = "[" * 10_000 + "]" * 10_000
# text that is no JSON object, or none that can be stored
BROKEN = {
    "cut off": '{"a": ',
    "a list": "[]",
    "a text": '"x"',
    "null": "null",
    "nothing": "",
    "two values": "{} {}",
    "NaN": '{"a": NaN}',
    "Infinity": '{"a": -Infinity}',
    "39 digits": '{"a": ' + "1" * 39 + "}",
    "far too large a number": '{"a": 1e400}',
    "far too many digits": '{"a": ' + "9" * 100_000 + "}",
    "deep nesting": '{"a": ' + DEEP + "}",
    "a control character": '{"a": "\x01"}',
    "a trailing comma": '{"a": 1,}',
}  # fmt: skip
WRONG_VALUES: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a fraction": 0.5,
    "true": True,
    "a text": "x",
    "empty text": "",
    "blanks": " \t ",
    "1 MB of text": "x" * 1_000_000,
    "a list": [],
    "a list of wrong things": [None, 1, {}],
    "an object": {},
    "a nested object": {"a": {"b": [1]}},
    "a control character": "a\x00b",
    "half a surrogate pair": "\ud83d",
    "a negative number": -1,
    "a large number": 10**37,
}
ODD_IDS = {
    "hash": "a#b",
    "only a hash": "#",
    "like an index item": "capability#x#a",
    "like a user's partition": "USER#1",
    "control character": "a\x01b",
    "line end": "a\nb",
    "unicode": "ü👋漢",
    "look-alike": "\u0430gent",
    "right to left": "\u202eabc",
    "blanks inside": "a b",
    "percent": "100%",
    "zero": "0",
    "negative": "-1",
    "huge number": "9" * 40,
    "fraction": "1.5",
    "not a number": "NaN",
    "very long": "x" * 3000,
    "dots": "..",
    "quote": "\"'; DROP",
}


@pytest.fixture(params=list(SYSTEMS))
def system(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def application(engine: Engine, system: str) -> Iterator[Application]:
    with SYSTEMS[system].new(engine) as made:
        yield made


def written(application: Application) -> Any:
    """What shows that something was written: the rows of the memory, or the requests that write."""
    tables = getattr(application.database, "tables", None)
    if tables is not None:
        return copy.deepcopy({name: table.rows for name, table in tables.items() if table.rows})
    return list(application.writes)


def refused(application: Application, operation: Operation, statuses: tuple[int, ...], **request: Any) -> Answer:
    before = written(application)
    answer = application.call(operation.method, request.pop("path", operation.filled()), **operation.request | request)
    assert answer.status in statuses, f"{operation.name}: {answer.status} {answer.text[:300]}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.body["status"] == answer.status
    assert answer.body["detail"]
    assert written(application) == before, f"{operation.name} wrote something"
    return answer


def of(system: str, all_of: list[Operation]) -> list[Operation]:
    return [operation for operation in all_of if operation.system == system]


def test_the_examples_are_good_requests(application: Application, system: str) -> None:
    """Otherwise the rest of this file proves nothing."""
    for operation in of(system, OPERATIONS):
        answer = application.call(operation.method, operation.filled(), **operation.request)
        assert answer.status in (200, 201, 202, 204, 404, 409), f"{operation.name}: {answer.status} {answer.text}"
        if operation.method == "POST" and answer.status != 404:
            assert answer.status in (200, 201), f"{operation.name}: {answer.status} {answer.text}"


def test_bodies_that_are_no_json_object(application: Application, system: str) -> None:
    for operation in of(system, WITH_BODY):
        for text in BROKEN.values():
            refused(application, operation, (400,), body=text)


def test_bodies_that_are_not_utf_8(application: Application, system: str) -> None:
    for operation in of(system, WITH_BODY):
        sent = json.dumps(operation.body).encode()
        answer = application.call_raw(
            operation.method, operation.filled(), b"\xff\xfe" + sent, operation.request["headers"]
        )
        assert answer.status == 400, f"{operation.name}: {answer.status} {answer.text}"


def test_bodies_of_another_type(application: Application, system: str) -> None:
    for operation in of(system, WITH_BODY):
        for kind in (
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "application/json; charset=latin-1",
        ):
            headers = operation.request["headers"] | {"content-type": kind}
            refused(application, operation, (415,), headers=headers)


def test_wrong_values_in_every_field(application: Application, system: str) -> None:
    """Some are right for some fields; then the contract's schema must say so."""
    for operation in of(system, WITH_BODY):
        schema = application.contract.body_schema(operation.method, operation.path)
        for place in places(operation.body):
            for value in WRONG_VALUES.values():
                body = replaced(operation.body, place, value)
                if schema.is_valid(body):
                    answer = application.call(
                        operation.method, operation.filled(), **operation.request | {"body": body}
                    )
                    assert answer.status < 500, f"{operation.name} {place}: {answer.status} {answer.text[:300]}"
                else:
                    refused(application, operation, (400, 404, 413), body=body)


def test_missing_and_extra_fields(application: Application, system: str) -> None:
    for operation in of(system, WITH_BODY):
        schema = application.contract.body_schema(operation.method, operation.path)
        for place in places(operation.body):
            body = without(operation.body, place)
            if not schema.is_valid(body):
                refused(application, operation, (400, 404), body=body)
        body = {**operation.body, "noSuchField": 1}
        if not schema.is_valid(body):
            answer = refused(application, operation, (400, 404), body=body)
            if answer.status == 400:
                assert [error["pointer"] for error in answer.body["errors"]] == ["#/noSuchField"]


def test_odd_ids_in_every_path(application: Application, system: str) -> None:
    for operation in of(system, WITH_IDS):
        for name in operation.parameters("path"):
            for odd in ODD_IDS.values():
                before = written(application)
                answer = application.call(operation.method, operation.filled(**{name: odd}), **operation.request)
                assert answer.status in (200, 201, 204, 400, 403, 404), (
                    f"{operation.name} {odd!r}: {answer.status} {answer.text}"
                )
                if answer.status >= 400:
                    assert written(application) == before


def test_wrong_methods(application: Application, system: str) -> None:
    declared = application.contract.document["paths"]
    for path in declared:
        operation = next(one for one in OPERATIONS if one.system == system and one.path == path)
        known = {method.upper() for method in declared[path]} & {"GET", "POST", "PUT", "PATCH", "DELETE"}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - known:
            before = written(application)
            answer = application.call(method, operation.filled(), body="{}" if method != "GET" else None)
            if answer.status == 404:  # another path with a parameter fits, and knows the method
                continue
            assert answer.status == 405, f"{method} {path}: {answer.status} {answer.text}"
            assert known <= set(answer.headers["allow"].split(", "))
            assert written(application) == before


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "ten", "", "1e2", " 5", "٣", "9" * 50])
def test_wrong_limits(application: Application, system: str, limit: str) -> None:
    for operation in of(system, LISTS):
        refused(application, operation, (400,), query=operation.request["query"] | {"limit": limit})


@pytest.mark.parametrize("token", ["", "x", "AAAA", "a" * 5000, "ü", "eyJhIjoxfQ", "../../etc", "%00"])
def test_tokens_that_nobody_gave_out(application: Application, system: str, token: str) -> None:
    for operation in of(system, LISTS):
        refused(application, operation, (400, 404), query=operation.request["query"] | {"next_token": token})


def test_parameters_given_twice(application: Application, system: str) -> None:
    for operation in of(system, LISTS):
        pairs = [*operation.request["query"].items(), ("limit", "5"), ("limit", "6")]
        refused(application, operation, (400,), query=pairs, kind="url")


def test_idempotency_keys_that_can_not_be(application: Application, system: str) -> None:
    for operation in of(system, WITH_BODY):
        names = [application.contract.resolved(one)["name"] for one in operation.declared.get("parameters", [])]
        if "idempotency-key" not in map(str.lower, names):
            continue
        for key in ("", "x" * 256, "ü", "a\x01"):
            headers = operation.request["headers"] | {"idempotency-key": key}
            answer = refused(application, operation, (400, 404), headers=headers)
            assert answer.status == 404 or answer.body["errors"][0]["header"] == "idempotency-key"


def places(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a body, however deep."""
    pairs = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, value in pairs:
        yield (*at, name)
        yield from places(value, (*at, name))


def replaced(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    made = copy.deepcopy(body)
    _holder(made, place)[place[-1]] = value
    return made


def without(body: Any, place: tuple[Any, ...]) -> Any:
    made = copy.deepcopy(body)
    del _holder(made, place)[place[-1]]
    return made


def _holder(body: Any, place: tuple[Any, ...]) -> Any:
    for name in place[:-1]:
        body = body[name]
    return body
