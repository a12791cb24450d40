"""The routes that store profiles and messages."""

from __future__ import annotations

from agent_profiles import bodies
from common import preconditions
from common.events import Answer
from common.idempotency import Idempotency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_profiles.handler import AgentProfiles
    from common.change import Change
    from common.events import Request
    from common.idempotency import Also


def store(app: AgentProfiles, request: Request) -> Answer:
    body = request.body()
    bodies.profile(body)

    def work(also: Also) -> Answer:
        def marker(profile: dict[str, Any], is_new: bool) -> list[Change]:
            return also(_stored(profile, is_new))

        return _stored(*app.profile_store.store(body, lambda version: preconditions.check(request, version), marker))

    return _idempotency(app).run(request, "POST /store", body, work)


def append(app: AgentProfiles, request: Request) -> Answer:
    from agent_profiles import conversations

    body = request.body()
    message = bodies.message(body)

    def work(also: Also) -> Answer:
        def marker(stored: dict[str, Any]) -> list[Change]:
            return also(_appended(stored))

        return _appended(conversations.append(app.database, app.message_table, message, marker))

    return _idempotency(app).run(request, "POST /conversation", body, work)


def _idempotency(app: AgentProfiles) -> Idempotency:
    return Idempotency(app.database, app.markers, app.marker_seconds, "agent_profiles")


def _stored(profile: dict[str, Any], is_new: bool) -> Answer:
    headers = {"etag": preconditions.etag(profile["version"])}
    if is_new:
        headers["location"] = _path("retrieve", profile["id"])
    return Answer(201 if is_new else 200, profile, headers)


def _appended(message: dict[str, Any]) -> Answer:
    return Answer(201, message, {"location": _path("conversation", message["conversation_id"])})


def _path(route: str, name: str) -> str:
    from urllib.parse import quote

    return f"/{route}/{quote(name, safe='')}"
