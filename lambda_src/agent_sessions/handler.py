"""The routes of the agent sessions; openapi.yaml is their contract."""

from __future__ import annotations

import os

from agent_sessions.caller import Callers
from agent_sessions.store import SessionStore, shown, unknown, version
from common import paging, preconditions, settings
from common.events import Answer, bad_parameter
from common.router import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.events import Request
    from common.table import Database

DAY = 24 * 3600 * 1_000_000


class AgentSessions:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._callers = Callers(environment)
        self._store = SessionStore(database, environment)
        self._recovery_days = int(environment.get("POINT_IN_TIME_RECOVERY_DAYS") or 0)
        self._backend: Any = None
        if environment.get("REPLY_BACKEND", "echo") != "echo":
            self._reply_backend()  # what is set wrong must show at the start, not with the first message

    def process(self, request: Request) -> Answer:
        from agent_sessions import processing

        return processing.process(self._store, self._reply_backend(), request, self._callers.owner(request))

    def sessions(self, request: Request) -> Answer:
        owner = self._callers.owner_in_path(request)
        limit = paging.limit(request)
        scope = ("sessions", owner.tenant, owner.user)
        found, after = self._store.sessions_of(owner, limit, paging.position(request, *scope), request.deadline)
        return _page("sessions", found, after, scope)

    def messages(self, request: Request) -> Answer:
        tenant, user = self._callers.tenant(request), self._callers.user(request)
        limit = paging.limit(request)
        order = request.one("order") or "oldest"
        if order not in ("oldest", "newest"):
            raise bad_parameter("order", "must be oldest or newest")
        scope = ("messages", tenant, request.parameters["id"], order)
        position = paging.position(request, *scope)
        session = self._store.session(tenant, request.parameters["id"], user)
        if session is None:
            raise unknown()
        found, after = self._store.messages_of(
            session, limit, position, request.deadline, newest_first=order == "newest"
        )
        return _page("messages", found, after, scope)

    def close(self, request: Request) -> Answer:
        from agent_sessions import conversation

        tenant, user = self._callers.tenant(request), self._callers.user(request)
        session = conversation.close(
            self._store,
            tenant,
            request.parameters["id"],
            user,
            lambda version: preconditions.check(request, version),
        )
        return Answer(200, shown(session), {"etag": preconditions.etag(version(session))})

    def erase(self, request: Request) -> Answer:
        from agent_sessions.erasure import Erasure
        from common import clock

        erasure = Erasure(self._store, self._callers.owner_in_path(request), request.deadline)
        complete = erasure.run()
        report = {"complete": complete, "sessions": erasure.sessions, "messages": erasure.messages}
        if not complete:
            return Answer(202, report, {"retry-after": "1"})
        days = self._recovery_days
        return Answer(200, report | {"restorableUntil": clock.text(clock.now() + days * DAY) if days else None})

    def _reply_backend(self) -> Any:
        if self._backend is None:
            from agent_sessions import backends

            self._backend = backends.of(self._environment)
        return self._backend


def build(environment: Mapping[str, str]) -> App:
    database = settings.database(environment)
    sessions = AgentSessions(database, environment)
    routes = {
        "POST /agent/process": sessions.process,
        "GET /agent/conversations/{tenantId}/users/{userId}": sessions.sessions,
        "DELETE /agent/conversations/{tenantId}/users/{userId}": sessions.erase,
        "GET /agent/sessions/{id}/messages": sessions.messages,
        "POST /agent/sessions/{id}/close": sessions.close,
    }
    return App(routes, database, environment)


def _page(name: str, found: list[dict[str, Any]], after: Any, scope: tuple[str, ...]) -> Answer:
    more = {} if after is None else {"next_token": paging.token(after, *scope)}
    return Answer(200, {name: found, **more})


handler = build(os.environ)
