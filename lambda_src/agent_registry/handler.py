"""The routes of the agent registry; openapi.yaml is their contract."""

from __future__ import annotations

import os

from agent_registry.store import AgentStore, wrong_capability
from common import paging, preconditions, settings
from common.errors import Problem
from common.events import Answer, bad_parameter
from common.normal_form import normal
from common.router import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.events import Request
    from common.table import Database


class AgentRegistry:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self.store = AgentStore(
            database,
            settings.required(environment, "AGENT_REGISTRY_TABLE_NAME"),
            settings.required(environment, "CAPABILITY_INDEX_NAME"),
            int(environment.get("CAPABILITY_SHARDS") or 1),
            int(environment.get("CAPABILITY_SHARDS_READ") or 1),
        )
        self.database = database
        self.markers = settings.required(environment, "IDEMPOTENCY_TABLE_NAME")
        self.marker_seconds = int(environment.get("IDEMPOTENCY_TTL_SECONDS", "86400"))

    def register(self, request: Request) -> Answer:
        from agent_registry import registering

        return registering.register(self, request)

    def discover(self, request: Request) -> Answer:
        capability = normal(request.one("capability") or "")
        if not capability:
            raise bad_parameter("capability", "is missing: name the capability that agents are looked for by")
        if wrong := wrong_capability(capability):
            raise bad_parameter("capability", wrong)
        limit = paging.limit(request)
        scope = ("agents", capability)
        agents, after = self.store.discover(capability, limit, paging.position(request, *scope), request.deadline)
        return Answer(200, paging.page("agents", agents, after, scope))

    def get(self, request: Request) -> Answer:
        agent = self.store.get(request.parameters["id"])
        if agent is None:
            raise _unknown()
        headers = {"etag": preconditions.etag(agent["version"])}
        if preconditions.not_modified(request, agent["version"]):
            return Answer(304, headers=headers)
        return Answer(200, agent, headers)

    def delete(self, request: Request) -> Answer:
        if not self.store.delete(request.parameters["id"], lambda version: preconditions.check(request, version)):
            raise _unknown()
        return Answer(204)


def build(environment: Mapping[str, str]) -> App:
    database = settings.database(environment)
    registry = AgentRegistry(database, environment)
    routes = {
        "POST /agents/register": registry.register,
        "GET /agents": registry.discover,
        "GET /agents/{id}": registry.get,
        "DELETE /agents/{id}": registry.delete,
    }
    return App(routes, database, environment)


def _unknown() -> Problem:
    return Problem(404, "there is no agent with this id")


handler = build(os.environ)
