"""The agent registry's function on one engine, called through events; every answer is held against openapi.yaml."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from jsonschema import Draft202012Validator

from common.dynamodb import DynamoDB
from tests.contract.engines import Engine
from tests.unit.http_events import Context, event

NAMES = {
    "AGENT_REGISTRY_TABLE_NAME": "AgentRegistry",
    "CAPABILITY_INDEX_NAME": "CapabilityIndex",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from agent_registry import handler

OPENAPI = yaml.safe_load((Path(handler.__file__).parent / "openapi.yaml").read_text())
GATEWAY_ONLY = {"401", "403"}


class Answer:
    def __init__(self, result: dict[str, Any]) -> None:
        self.status: int = result["statusCode"]
        self.headers: dict[str, str] = result["headers"]
        self.text: str = result["body"]
        self.body: Any = json.loads(result["body"], parse_float=Decimal) if result["body"] else None


class Registry:
    def __init__(self, engine: Engine, environment: dict[str, str]) -> None:
        self.engine = engine
        self.environment = environment
        self.app = handler.build(environment)
        self.database = self.app._database
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.agents = self.database.table(environment["AGENT_REGISTRY_TABLE_NAME"], {"agentId": "S"})
        self.calls: list[tuple[str, Any]] = []
        if isinstance(self.database, DynamoDB):
            self._record_calls(self.database)

    def _record_calls(self, database: DynamoDB) -> None:
        real = database._client.call

        def call(operation: str, payload: Any) -> Any:
            self.calls.append((operation, payload))
            return real(operation, payload)

        database._client.call = call  # type: ignore[method-assign]

    def another(self) -> "Registry":
        """The function in another execution environment: nothing but the tables is shared."""
        return Registry(self.engine, self.environment)

    def call(self, method: str, path: str, *, kind: str = "http", context: Any = None, **request: Any) -> Answer:
        answer = Answer(self.app(event(kind, method, path, **request), context or Context()))
        check_against_contract(method, path, answer)
        return answer

    def register(self, agent_id: str = "agent-1", *capabilities: str, kind: str = "http", **more: Any) -> Answer:
        lease = {"leaseSeconds": more.pop("lease")} if "lease" in more else {}
        return self.call(
            "POST", "/agents/register", kind=kind, body=registration(agent_id, *capabilities) | lease, **more
        )

    def found(self, capability: str, **query: str) -> list[str]:
        answer = self.call("GET", "/agents", query={"capability": capability, **query})
        assert answer.status == 200
        return [agent["id"] for agent in answer.body["agents"]]

    def store(self, *items: dict[str, Any]) -> None:
        """Write items past the function."""
        for item in items:
            self.database.write([self.agents.put(item)])

    def stored(self, agent_id: str) -> dict[str, Any] | None:
        return self.agents.get({"agentId": agent_id})

    def index_item(self, capability: str, agent_id: str) -> dict[str, Any] | None:
        return self.stored(f"capability#{capability}#{agent_id}")


def registration(agent_id: str = "agent-1", *capabilities: str) -> dict[str, Any]:
    return {
        "profile": {
            "id": agent_id,
            "name": f"Name of {agent_id}",
            "endpoint": f"https://{agent_id.replace(':', '-')}.example.com/a2a",
            "capabilities": list(capabilities),
        }
    }


@contextmanager
def new_registry(engine: Engine, **environment: str) -> Iterator[Registry]:
    key, index = {"agentId": "S"}, {"CapabilityIndex": {"capability": "S", "capabilityOf": "S"}}
    with engine.tables(AgentRegistry=(key, index), idempotency=({"id": "S"}, {})) as names:
        tables = {
            "AGENT_REGISTRY_TABLE_NAME": names["AgentRegistry"],
            "IDEMPOTENCY_TABLE_NAME": names["idempotency"],
        }
        yield Registry(engine, {**engine.environment, **NAMES, **tables, **environment})


def check_against_contract(method: str, path: str, answer: Answer) -> None:
    assert answer.headers["x-request-id"]
    assert answer.headers["x-execution-environment"]
    operation = _operation(method, path)
    if operation is None:
        assert answer.status in (404, 405, 204), f"{method} {path} is in no contract, yet answers {answer.status}"
        return
    declared = operation["responses"].get(str(answer.status))
    assert declared, f"{method} {path} answered {answer.status}, which openapi.yaml does not declare: {answer.text}"
    assert str(answer.status) not in GATEWAY_ONLY
    declared = _resolved(declared)
    for name, header in declared.get("headers", {}).items():
        header = _resolved(header)
        assert name in answer.headers or not header.get("required"), f"header {name} is missing"
        if name in answer.headers:
            _validator(json.dumps(header["schema"])).validate(answer.headers[name])
    if "content" not in declared:
        assert answer.text == ""
        assert "content-type" not in answer.headers
        return
    schema = declared["content"][answer.headers["content-type"]]["schema"]
    _validator(json.dumps(schema)).validate(answer.body)


def _operation(method: str, path: str) -> dict[str, Any] | None:
    paths = OPENAPI["paths"]
    template = path if path in paths and method.lower() in paths[path] else "/agents/{id}"
    if template == "/agents/{id}" and not (path.startswith("/agents/") and path.count("/") == 2):
        return None
    return paths[template].get(method.lower())  # type: ignore[no-any-return]


def _resolved(value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = OPENAPI
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found  # type: ignore[no-any-return]


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "components": OPENAPI["components"]})
