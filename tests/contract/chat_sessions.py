"""The chat sessions' function on one engine."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.contract.application import Answer, Application, Contract
from tests.contract.engines import Engine

NAMES = {
    "DYNAMODB_TABLE_NAME": "chat_sessions",
    "USER_SESSIONS_INDEX_NAME": "UserSessionsIndex",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from chat_sessions import handler

CONTRACT = Contract(Path(handler.__file__).parent / "openapi.yaml")


class ChatSessions(Application):
    handler = handler
    contract = CONTRACT

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        super().__init__(engine, environment)
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.sessions = self.database.table(environment["DYNAMODB_TABLE_NAME"], {"PK": "S", "SK": "S"})

    def create(self, session_id: str | None = "s", user: str | None = "u", **more: Any) -> Answer:
        body = {name: value for name, value in (("id", session_id), ("user_id", user)) if value is not None}
        return self.call("POST", "/sessions", body=body | more.pop("extra", {}), **more)

    def append(self, session_id: str = "s", content: str = "hello", tokens: int = 1, **more: Any) -> Answer:
        body = {"role": "user", "content": content, "tokens": tokens} | more.pop("extra", {})
        return self.call("POST", f"/sessions/{session_id}/messages", body=body, **more)

    def session(self, session_id: str = "s", **more: Any) -> Any:
        answer = self.call("GET", f"/sessions/{session_id}", **more)
        return answer.body if answer.status == 200 else answer.status

    def pages(self, path: str, name: str, **query: str) -> list[list[Any]]:
        """What every page of a list holds."""
        pages: list[list[Any]] = []
        token: str | None = None
        while token or not pages:
            answer = self.call("GET", path, query=query | ({"next_token": token} if token else {}))
            assert answer.status == 200, answer.text
            pages.append(answer.body[name])
            token = answer.body.get("next_token")
        return pages

    def contents(self, session_id: str = "s", order: str = "oldest", limit: int = 100) -> list[str]:
        pages = self.pages(f"/sessions/{session_id}/messages", "messages", order=order, limit=str(limit))
        return [message["content"] for page in pages for message in page]

    def listed(self, user: str = "u", limit: int = 100) -> list[str]:
        pages = self.pages(f"/users/{user}/sessions", "sessions", limit=str(limit))
        return [session["id"] for page in pages for session in page]

    def act(self, action: Any, context: Any) -> Any:
        """A direct invocation."""
        return self.app({"action": action}, context)

    def store(self, *items: dict[str, Any]) -> None:
        """Write items past the function."""
        for item in items:
            self.database.write([self.sessions.put(item)])

    def load(self, items: list[dict[str, Any]]) -> None:
        self.engine.load(self.database, self.sessions.name, items)

    def head(self, session_id: str = "s") -> dict[str, Any]:
        return self.item(session_id, "METADATA") or {}

    def item(self, session_id: str, sort_key: str) -> dict[str, Any] | None:
        return self.sessions.get({"PK": f"SESSION#{session_id}", "SK": sort_key})

    def stored(self, session_id: str = "s") -> list[dict[str, Any]]:
        """Every item of a session's partition, as it is stored."""
        self.database.begin(None)  # the last invocation's time may be over
        found: list[dict[str, Any]] = []
        after = None
        while True:
            items, after = self.sessions.query(f"SESSION#{session_id}", limit=1000, after=after)
            found += items
            if after is None:
                return found


@contextmanager
def new_chat_sessions(engine: Engine, **environment: str) -> Iterator[ChatSessions]:
    key, index = {"PK": "S", "SK": "S"}, {"UserSessionsIndex": {"GSI1PK": "S", "GSI1SK": "S"}}
    with engine.tables("ALL", chat_sessions=(key, index), idempotency=({"id": "S"}, {})) as names:
        tables = {
            "DYNAMODB_TABLE_NAME": names["chat_sessions"],
            "IDEMPOTENCY_TABLE_NAME": names["idempotency"],
        }
        yield ChatSessions(engine, {**engine.environment, **NAMES, **tables, **environment})
