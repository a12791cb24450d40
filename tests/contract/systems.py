"""Every system's application on an engine, by name: for the tests that hold for all of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from tests.contract import agent_profiles, agent_sessions, chat_sessions, pet_store, registry
from tests.contract.application import Application, Contract


class System(NamedTuple):
    contract: Contract
    new: Callable[..., AbstractContextManager[Application]]  # given an engine, and environment variables by name


SYSTEMS = {
    "agent_profiles": System(agent_profiles.CONTRACT, agent_profiles.new_profiles),
    "agent_registry": System(registry.CONTRACT, registry.new_registry),
    "agent_sessions": System(agent_sessions.CONTRACT, agent_sessions.new_agent_sessions),
    "chat_sessions": System(chat_sessions.CONTRACT, chat_sessions.new_chat_sessions),
    "pet_store": System(pet_store.CONTRACT, pet_store.new_seeded_store),
}


class Operation(NamedTuple):
    """One operation with a valid request, made from its contract's own examples."""

    system: str
    method: str
    path: str
    declared: dict[str, Any]
    body: Any

    @property
    def name(self) -> str:
        return f"{self.system}: {self.method} {self.path}"

    def parameters(self, place: str) -> dict[str, str]:
        """The examples of its parameters in the path, query or header, those of the query and headers if required."""
        contract = SYSTEMS[self.system].contract
        found = {}
        for one in [*contract.document["paths"][self.path].get("parameters", []), *self.declared.get("parameters", [])]:
            parameter = contract.resolved(one)
            if parameter["in"] == place and parameter.get("required"):
                found[parameter["name"]] = str(parameter["example"])
        return found

    def filled(self, **replaced: str) -> str:
        path = self.path
        for name, value in (self.parameters("path") | replaced).items():
            path = path.replace("{" + name + "}", value)
        return path

    @property
    def request(self) -> dict[str, Any]:
        return {"body": self.body, "query": self.parameters("query"), "headers": self.parameters("header")}


def operations() -> list[Operation]:
    found = []
    for system, (contract, _) in SYSTEMS.items():
        for path, method, declared in contract.operations():
            body = None
            if "requestBody" in declared:
                content = contract.resolved(declared["requestBody"])["content"]["application/json"]
                body = contract.resolved(next(iter(content["examples"].values())))["value"]
            found.append(Operation(system, method.upper(), path, declared, body))
    return found
