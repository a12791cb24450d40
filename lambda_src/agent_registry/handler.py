"""The routes of the agent registry; openapi.yaml is their contract."""

from __future__ import annotations

import os

from agent_registry.store import ID_PATTERN, MAXIMUM_CAPABILITIES, MAXIMUM_NORMAL_BYTES, AgentStore, normal
from common import paging, preconditions, settings
from common.errors import Problem
from common.events import Answer, bad_parameter
from common.router import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.events import Request
    from common.idempotency import Also
    from common.table import Change, Database

MAXIMUM_NAME = 256
MAXIMUM_ENDPOINT = 2048
MAXIMUM_CAPABILITY = 128
MAXIMUM_LEASE_SECONDS = 31_536_000
# https, a host, perhaps a port, path and query; no user, no fragment, printable ASCII only
ENDPOINT_PATTERN = (
    r"[Hh][Tt][Tt][Pp][Ss]://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r'(:([1-9][0-9]{0,4}))?([/?][!"$-~]*)?'
)


class AgentRegistry:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._store = AgentStore(
            database,
            settings.required(environment, "AGENT_REGISTRY_TABLE_NAME"),
            settings.required(environment, "CAPABILITY_INDEX_NAME"),
        )
        self._database = database
        self._environment = environment

    def register(self, request: Request) -> Answer:
        from common.idempotency import Idempotency

        body = request.body()
        profile, lease_seconds = _registration(body)

        def work(also: Also) -> Answer:
            def marker(agent: dict[str, Any], is_new: bool) -> list[Change]:
                return also(_registered(agent, is_new))

            return _registered(
                *self._store.register(
                    profile, lease_seconds, lambda version: preconditions.check(request, version), marker
                )
            )

        idempotency = Idempotency(
            self._database,
            settings.required(self._environment, "IDEMPOTENCY_TABLE_NAME"),
            int(self._environment.get("IDEMPOTENCY_TTL_SECONDS", "86400")),
            "agent_registry",
        )
        return idempotency.run(request, "POST /agents/register", body, work)

    def discover(self, request: Request) -> Answer:
        capability = normal(request.one("capability") or "")
        if not capability:
            raise bad_parameter("capability", "is missing: name the capability that agents are looked for by")
        if wrong := _wrong_capability(capability):
            raise bad_parameter("capability", wrong)
        limit = paging.limit(request)
        scope = ("agents", capability)
        agents, after = self._store.discover(capability, limit, paging.position(request, *scope), request.deadline)
        page: dict[str, Any] = {"agents": agents}
        if after is not None:
            page["next_token"] = paging.token(after, *scope)
        return Answer(200, page)

    def get(self, request: Request) -> Answer:
        agent = self._store.get(request.parameters["id"])
        if agent is None:
            raise _unknown()
        headers = {"etag": preconditions.etag(agent["version"])}
        if preconditions.not_modified(request, agent["version"]):
            return Answer(304, headers=headers)
        return Answer(200, agent, headers)

    def delete(self, request: Request) -> Answer:
        if not self._store.delete(request.parameters["id"], lambda version: preconditions.check(request, version)):
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


def _registration(body: dict[str, Any]) -> tuple[dict[str, Any], int | None]:
    from common.validation import Fields

    fields = Fields(body)
    profile = fields.object("profile")
    values = {
        "id": profile.text("id", most=128, pattern=ID_PATTERN, hint="letters, digits and . _ : @ ~ - only"),
        "name": profile.text("name", most=MAXIMUM_NAME),
        "endpoint": profile.text("endpoint", most=MAXIMUM_ENDPOINT, check=_wrong_endpoint),
        "capabilities": profile.texts(
            "capabilities", most=MAXIMUM_CAPABILITIES, each=MAXIMUM_CAPABILITY, check=_wrong_capability
        ),
    }
    lease_seconds = fields.integer("leaseSeconds", low=1, high=MAXIMUM_LEASE_SECONDS)
    fields.done()
    return values, lease_seconds


def _registered(agent: dict[str, Any], is_new: bool) -> Answer:
    headers = {"etag": preconditions.etag(agent["version"])}
    if is_new:
        headers["location"] = f"/agents/{agent['id']}"
    return Answer(201 if is_new else 200, agent, headers)


def _wrong_endpoint(endpoint: str) -> str | None:
    import re

    found = re.fullmatch(ENDPOINT_PATTERN, endpoint)
    if found is None or int(found[4] or 443) > 65535:
        return "must be an https address with a host, without user and fragment, in printable ASCII"
    return None


def _wrong_capability(capability: str) -> str | None:
    size = len(normal(capability).encode(errors="replace"))
    if not 0 < size <= MAXIMUM_NORMAL_BYTES:
        return f"must have 1 to {MAXIMUM_NORMAL_BYTES} bytes in its normal form, not {size}"
    return None


def _unknown() -> Problem:
    return Problem(404, "there is no agent with this id")


handler = build(os.environ)
