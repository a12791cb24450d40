"""The agent registry's function on one engine."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.contract.application import Answer, Application, Contract
from tests.contract.engines import Engine

NAMES = {
    "AGENT_REGISTRY_TABLE_NAME": "AgentRegistry",
    "CAPABILITY_INDEX_NAME": "CapabilityIndex",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from agent_registry import handler

CONTRACT = Contract(Path(handler.__file__).parent / "openapi.yaml")
OPENAPI = CONTRACT.document


class Registry(Application):
    handler = handler
    contract = CONTRACT

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        super().__init__(engine, environment)
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.agents = self.database.table(environment["AGENT_REGISTRY_TABLE_NAME"], {"agentId": "S"})

    def call(self, method: str, path: str, **request: Any) -> Answer:
        answer = super().call(method, path, **request)
        assert answer.status != 403, "only API Gateway refuses a caller"
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
