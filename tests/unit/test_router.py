"""Matching, problem details, headers and the log line."""

import json
import re
import sys
import types
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from common.errors import (
    ConditionFailed,
    InvalidValue,
    ItemTooLarge,
    Problem,
    Refused,
    TableError,
    Throttled,
    Unavailable,
)
from common.events import Answer, Request
from common.memory import MemoryDatabase
from common.router import App
from tests.unit.http_events import Context, event

CANARY = "canary-in-the-coal-mine"


def app(answer: Callable[[Request], Answer], **environment: str) -> App:
    routes = {"GET /things": answer, "GET /things/{id}": answer, "PUT /things/{id}/{part}": answer,
              "POST /things/new": answer, "DELETE /things/{id}": answer}  # fmt: skip
    return App(routes, MemoryDatabase(), environment)


def echo(request: Request) -> Answer:
    return Answer(200, {"route": request.route, "parameters": request.parameters})


def fail_with(error: Exception) -> Callable[[Request], Answer]:
    def fail(_: Request) -> Answer:
        raise error

    return fail


def call(made: App, method: str = "GET", path: str = "/things", context: Any = None, **more: Any) -> dict[str, Any]:
    result = made(event("url", method, path, **more), context or Context())
    assert set(result) == {"statusCode", "headers", "body", "isBase64Encoded"}
    json.dumps(result).encode()
    return result


@pytest.mark.parametrize(
    ("method", "path", "parameters"),
    [
        ("GET", "/things", {}),
        ("GET", "/things/", {}),
        ("GET", "/things/a%b", {"id": "a%b"}),
        ("GET", "/things/new", {"id": "new"}),
        ("POST", "/things/new", {}),
        ("PUT", "/things/a/ü", {"id": "a", "part": "ü"}),
    ],
)
def test_the_path_finds_its_route(method: str, path: str, parameters: dict[str, str]) -> None:
    assert json.loads(call(app(echo), method, path)["body"])["parameters"] == parameters


@pytest.mark.parametrize("path", ["/", "/thing", "/things/a/b/c", "/things//b", "/Things"])
def test_a_path_without_a_route(path: str) -> None:
    for method in ("GET", "PUT", "OPTIONS", "BREW"):
        assert call(app(echo), method, path)["statusCode"] == 404


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/things", "GET, HEAD, OPTIONS"),
        ("/things/a", "DELETE, GET, HEAD, OPTIONS"),
        ("/things/new", "OPTIONS, POST"),
        ("/things/a/b", "OPTIONS, PUT"),
    ],
)
def test_a_method_without_a_route_names_those_there_are(path: str, allowed: str) -> None:
    refused = call(app(echo), "PATCH", path)
    assert (refused["statusCode"], refused["headers"]["allow"]) == (405, allowed)
    options = call(app(echo), "OPTIONS", path)
    assert (options["statusCode"], options["headers"]["allow"], options["body"]) == (204, allowed, "")


@pytest.mark.parametrize(
    ("method", "template", "path", "parameters", "status", "allowed"),
    [
        ("PATCH", "/things/{id}", "/things/a", {"id": "a"}, 405, "DELETE, GET, HEAD, OPTIONS"),
        ("PATCH", "/things/{id}", "/things/a/b", {"id": "a/b"}, 405, "DELETE, GET, HEAD, OPTIONS"),
        ("TRACE", "/things", "/things", {}, 405, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/things", "/things", {}, 204, "GET, HEAD, OPTIONS"),
        # API Gateway takes the fixed text, the function's method is at the parameter
        ("GET", "/things/new", "/things/new", {}, 200, None),
        ("PUT", "/things/new", "/things/new", {}, 405, "OPTIONS, POST"),
    ],
)
def test_what_api_gateway_sends_by_any_finds_its_route(
    method: str, template: str, path: str, parameters: dict[str, str], status: int, allowed: str | None
) -> None:
    made = event("http", method, path)
    made |= {"routeKey": f"ANY {template}", "pathParameters": parameters}
    result = app(echo)(made, Context())
    assert (result["statusCode"], result["headers"].get("allow")) == (status, allowed)
    if status == 200:
        assert json.loads(result["body"])["parameters"] == {"id": "new"}


def test_every_answer_says_which_request_and_environment_it_is_of() -> None:
    made, other = app(echo), app(fail_with(Problem(404, "no")))
    first, second = (call(made, context=Context(f"id-{i}")) for i in (1, 2))
    assert [one["headers"]["x-request-id"] for one in (first, second)] == ["id-1", "id-2"]
    assert first["headers"]["x-execution-environment"] == second["headers"]["x-execution-environment"]
    failed = call(other)
    assert failed["headers"]["x-request-id"]
    assert failed["headers"]["x-execution-environment"] != first["headers"]["x-execution-environment"]
    assert made(None, None)["headers"]["x-request-id"]


def test_answers_are_not_cached_unless_they_say_so() -> None:
    assert call(app(echo))["headers"]["cache-control"] == "no-store"
    made = app(lambda _: Answer(200, {}, {"cache-control": "max-age=5"}))
    assert call(made)["headers"]["cache-control"] == "max-age=5"


def test_numbers_are_answered_exactly() -> None:
    assert call(app(lambda _: Answer(200, {"price": Decimal("249.99")})))["body"] == '{"price":249.99}'


@pytest.mark.parametrize(
    ("error", "status", "level"),
    [
        (Problem(409, "twice"), 409, "INFO"),
        (InvalidValue("39 digits"), 400, "INFO"),
        (ConditionFailed([0]), 409, "INFO"),
        (ItemTooLarge("x"), 413, "INFO"),
        (Throttled(CANARY), 429, "WARN"),
        (Unavailable(CANARY), 503, "ERROR"),
        (Refused(f"AccessDenied: arn:aws:dynamodb:::table/{CANARY}"), 500, "ERROR"),
        (KeyError(CANARY), 500, "ERROR"),
    ],
)
def test_errors_are_problems(error: Exception, status: int, level: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = call(app(fail_with(error)))
    assert result["statusCode"] == status
    assert result["headers"]["content-type"] == "application/problem+json"
    body = json.loads(result["body"])
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert CANARY not in result["body"]
    assert ("retry-after" in result["headers"]) is (status in (429, 503))
    line = json.loads(capsys.readouterr().out)
    assert line["level"] == level
    assert ("stack" in line) is (status == 500)
    told = status >= 429 and isinstance(error, TableError)
    assert (CANARY in json.dumps(line)) is told, "what Python says of an error may hold what a caller sent"
    assert status < 429 or type(error).__name__ in line["error"]


def test_the_log_has_one_line_a_request_without_anything_a_caller_sent(capsys: pytest.CaptureFixture[str]) -> None:
    made = app(echo)
    call(made, "GET", "/things/a", body={"x": CANARY}, headers={"x-secret": CANARY}, query={"next_token": CANARY})
    call(made, "GET", f"/{CANARY}")
    call(made, "GET", f"/things/{CANARY}")
    found, unknown, parameter = capsys.readouterr().out.splitlines()
    assert CANARY not in found + unknown + parameter
    line = json.loads(found)
    assert line.pop("duration_ms") >= 0
    # Lambda's JSON format filters by it, and takes RFC 3339 only
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line.pop("environment") == made.environment_id
    assert line == {
        "level": "INFO",
        "request_id": "request-1",
        "method": "GET",
        "route": "/things/{id}",
        "status": 200,
        "calls": 0,
        "retries": 0,
        "read_units": 0.0,
        "write_units": 0.0,
    }


@pytest.mark.parametrize(("level", "lines"), [("DEBUG", 3), ("info", 3), ("WARNING", 2), ("ERROR", 1), ("odd", 3)])
def test_the_log_level_keeps_lines_back(level: str, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    call(app(echo, LOG_LEVEL=level))
    call(app(fail_with(Throttled("x")), LOG_LEVEL=level))
    call(app(fail_with(KeyError()), LOG_LEVEL=level))
    assert len(capsys.readouterr().out.splitlines()) == lines


def test_a_garbage_event_is_a_bad_request() -> None:
    for garbage in (None, {}, [], "x", {"Records": []}, {"httpMethod": 1, "path": 2}):
        result = app(echo)(garbage, None)
        assert result["statusCode"] == 400
        assert json.loads(result["body"])["detail"]


@pytest.mark.parametrize(("milliseconds", "kept"), [(10_000, 0.25), (400, 0.1), (0, 0.0)])
def test_the_work_ends_before_the_invocation_does(milliseconds: int, kept: float) -> None:
    import time

    seen: list[float] = []

    def look(request: Request) -> Answer:
        seen.append(request.deadline - time.monotonic())
        return Answer(204)

    call(app(look), context=Context(milliseconds=milliseconds))
    assert seen[0] == pytest.approx(milliseconds / 1000 - kept, abs=0.05)


def test_a_restored_snapshot_gets_its_own_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Callable[[], None]] = []
    library = types.ModuleType("snapshot_restore_py")
    library.register_after_restore = hooks.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", library)
    app(echo)
    assert hooks == []
    made = app(echo, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    forgotten: list[bool] = []
    monkeypatch.setattr(made._database, "forget", lambda: forgotten.append(True))
    before = made.environment_id
    (hook,) = hooks
    hook()
    assert made.environment_id != before
    assert forgotten == [True]
