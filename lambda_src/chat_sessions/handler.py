"""The routes of the chat sessions; openapi.yaml is their contract."""

from __future__ import annotations

import os

from chat_sessions.items import MAXIMUM_PARTITION_KEY_BYTES, USER_PREFIX, is_ours, shown_session, version
from chat_sessions.store import ChatStore
from common import identity, paging, preconditions, settings
from common.direct_invocation import AppWithActions
from common.errors import Problem
from common.events import Answer, bad_parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.events import Request
    from common.router import App
    from common.table import Database

OLDEST, NEWEST = "oldest", "newest"


class ChatSessions:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self.store = ChatStore(
            database,
            settings.required(environment, "DYNAMODB_TABLE_NAME"),
            settings.required(environment, "USER_SESSIONS_INDEX_NAME"),
            int(environment.get("RECENCY_GRANULARITY_SECONDS") or 0),
            int(environment.get("DELETION_SHARDS") or 1),
            int(environment.get("DELETION_SHARDS_READ") or 1),
        )
        self.database = database
        self.environment = environment
        self._user_claim = environment.get("USER_CLAIM", "sub")
        self.markers = settings.required(environment, "IDEMPOTENCY_TABLE_NAME")

    def create(self, request: Request) -> Answer:
        from chat_sessions import changing

        return changing.create(self, request)

    def get(self, request: Request) -> Answer:
        session_id, user = request.parameters["id"], self.user(request)
        if request.one("messages") is None:
            head = self.store.head(session_id, user)
            body = shown_session(head)
        else:
            count = paging.limit(request, "messages")
            head, messages, after = self.store.messages(
                session_id, user, count, None, request.deadline, newest_first=True
            )
            page = paging.page("messages", messages[::-1], after, ("messages", session_id, NEWEST))
            body = shown_session(head) | page
        headers = {"etag": preconditions.etag(version(head))}
        # what an older application changes leaves the version as it is
        if is_ours(head) and preconditions.not_modified(request, version(head)):
            return Answer(304, headers=headers)
        return Answer(200, body, headers)

    def delete(self, request: Request) -> Answer:
        from chat_sessions import changing

        return changing.delete(self, request)

    def append(self, request: Request) -> Answer:
        from chat_sessions import changing

        return changing.append(self, request)

    def messages(self, request: Request) -> Answer:
        order = request.one("order")
        if order is None:
            order = OLDEST
        if order not in (OLDEST, NEWEST):
            raise bad_parameter("order", f"must be {OLDEST} or {NEWEST}")
        session_id, user = request.parameters["id"], self.user(request)
        scope = ("messages", session_id, order)
        limit, start = paging.limit(request), paging.position(request, *scope)
        head, messages, after = self.store.messages(
            session_id, user, limit, start, request.deadline, newest_first=order == NEWEST
        )
        page = paging.page("messages", messages, after, scope)
        return Answer(200, {"session": shown_session(head)} | page if start is None else page)

    def sessions_of_user(self, request: Request) -> Answer:
        from chat_sessions.user_sessions import sessions_of

        user = self.user(request, request.parameters["userId"]) or ""
        scope = ("sessions", user)
        limit, start = paging.limit(request), paging.position(request, *scope)
        sessions, after = sessions_of(self.store, user, limit, start, request.deadline)
        return Answer(200, paging.page("sessions", sessions, after, scope))

    def finish_deletions(self, deadline: float) -> dict[str, int]:
        from chat_sessions import deletion

        return deletion.finish_all(self.store, deadline)

    def user(self, request: Request, stated: str | None = None) -> str | None:
        """The token's user, or who is stated where there is no token."""
        user = identity.agreed(request, self._user_claim, stated, "user")
        if user is not None and len((USER_PREFIX + user).encode(errors="replace")) > MAXIMUM_PARTITION_KEY_BYTES:
            raise Problem(400, "the id of the user is too long")
        return user


def build(environment: Mapping[str, str]) -> App:
    database = settings.database(environment)
    sessions = ChatSessions(database, environment)
    routes = {
        "POST /sessions": sessions.create,
        "GET /sessions/{id}": sessions.get,
        "DELETE /sessions/{id}": sessions.delete,
        "POST /sessions/{id}/messages": sessions.append,
        "GET /sessions/{id}/messages": sessions.messages,
        "GET /users/{userId}/sessions": sessions.sessions_of_user,
    }
    return AppWithActions(routes, {"finish-deletions": sessions.finish_deletions}, database, environment)


handler = build(os.environ)
