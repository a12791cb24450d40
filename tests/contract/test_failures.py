"""The agent registry when DynamoDB throttles, fails or is silent; faults at each call of all systems: tests/faults."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.engines import Engine
from tests.contract.registry import NAMES, Registry, registration
from tests.unit.fake_service import CUT, LOSE, SILENT, FakeService, fails, limited, served

THROTTLED = fails("ThrottlingException")
ROUTES = (
    ("POST", "/agents/register", {"body": registration("a", "x")}),
    ("GET", "/agents", {"query": {"capability": "x"}}),
    ("GET", "/agents/a", {}),
    ("DELETE", "/agents/a", {}),
)


@pytest.fixture
def service() -> Iterator[FakeService]:
    with served(FakeService()) as service:
        yield service


@pytest.fixture
def registry(service: FakeService) -> Registry:
    engine = Engine("fake", service.url)
    return Registry(engine, {**engine.environment, **NAMES})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(route[:2]))
@pytest.mark.parametrize(
    ("trouble", "status"),
    [(THROTTLED, 429), (fails("InternalServerError", 500), 503), (CUT, 503), (SILENT, 503), (LOSE, 503)],
    ids=["throttled", "failing", "cut off", "silent", "lost"],
)
def test_every_route_says_so_in_time(
    registry: Registry,
    service: FakeService,
    route: Any,
    trouble: Any,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.plan = [trouble] * 100
    method, path, more = route
    context = limited(registry.database._client, trouble, monkeypatch)
    answer = registry.call(method, path, context=context, **more)
    assert answer.status == status
    assert int(answer.headers["retry-after"]) >= 1
    assert NAMES["AGENT_REGISTRY_TABLE_NAME"] not in answer.text


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException"])
def test_a_refusal_is_our_error_and_tells_the_caller_nothing(
    registry: Registry, service: FakeService, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    service.plan = [fails(code, message="not authorized on arn:aws:dynamodb:eu-north-1:1:table/AgentRegistry")]
    answer = registry.call("GET", "/agents/a")
    assert answer.status == 500
    assert "arn:" not in answer.text
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], code in line["error"]) == ("ERROR", True)
