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


class AgentSessions:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.callers = Callers(environment)
        self.store = SessionStore(database, environment)
        self.recovery_days = int(environment.get("POINT_IN_TIME_RECOVERY_DAYS") or 0)
        self._backend: Any = None
        if environment.get("REPLY_BACKEND", "echo") != "echo":
            self._reply_backend()  # what is set wrong must show at the start, not with the first message

    def process(self, request: Request) -> Answer:
        from agent_sessions import processing

        return processing.process(self.store, self._reply_backend(), request, self.callers.owner(request))

    def sessions(self, request: Request) -> Answer:
        from agent_sessions import user_sessions

        return user_sessions.sessions(self, request)

    def messages(self, request: Request) -> Answer:
        tenant, user = self.callers.tenant(request), self.callers.user(request)
        limit = paging.limit(request)
        order = request.one("order") or "oldest"
        if order not in ("oldest", "newest"):
            raise bad_parameter("order", "must be oldest or newest")
        scope = ("messages", tenant, request.parameters["id"], order)
        position = paging.position(request, *scope)
        session = self.store.session(tenant, request.parameters["id"], user)
        if session is None:
            raise unknown()
        found, after = self.store.messages_of(
            session, limit, position, request.deadline, newest_first=order == "newest"
        )
        return Answer(200, paging.page("messages", found, after, scope))

    def close(self, request: Request) -> Answer:
        from agent_sessions import conversation

        tenant, user = self.callers.tenant(request), self.callers.user(request)
        session = conversation.close(
            self.store,
            tenant,
            request.parameters["id"],
            user,
            lambda version: preconditions.check(request, version),
        )
        return Answer(200, shown(session), {"etag": preconditions.etag(version(session))})

    def erase(self, request: Request) -> Answer:
        from agent_sessions import user_sessions

        return user_sessions.erase(self, request)

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


handler = build(os.environ)
