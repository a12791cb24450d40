"""The agent sessions' function on one engine."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.contract.application import Answer, Application, Contract
from tests.contract.engines import Engine

NAMES = {
    "DYNAMODB_SESSIONS_TABLE": "ai-agent-sessions",
    "DYNAMODB_MESSAGES_TABLE": "ai-agent-messages",
    "TENANT_USER_INDEX_NAME": "TenantUserIndex",
    "SESSION_TIMESTAMP_INDEX_NAME": "SessionTimestampIndex",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from agent_sessions import handler
    from agent_sessions.caller import Owner
    from agent_sessions.conversation import in_shard

CONTRACT = Contract(Path(handler.__file__).parent / "openapi.yaml")
SESSIONS_KEY = {"id": "S", "tenantId": "S"}
MESSAGES_KEY = {"id": "S"}
# what an invocation has, so that nothing here runs out of time by itself
SECONDS = 29


class AgentSessions(Application):
    handler = handler
    contract = CONTRACT

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        super().__init__(engine, environment)
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.sessions = self.database.table(environment["DYNAMODB_SESSIONS_TABLE"], SESSIONS_KEY)
        self.messages = self.database.table(environment["DYNAMODB_MESSAGES_TABLE"], MESSAGES_KEY)

    def say(
        self,
        message: str = "hello",
        *,
        tenant: str | None = "t",
        user: str | None = "u",
        session: str | None = None,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        body = {"message": message} | ({} if session is None else {"sessionId": session}) | more.pop("extra", {})
        key_header = {} if key is None else {"idempotency-key": key}
        sent = stated(tenant, user) | key_header | dict(headers or {})
        return self.call("POST", "/agent/process", body=body, headers=sent, **more)

    def said(self, message: str = "hello", **more: Any) -> str:
        """The session in which it was said."""
        answer = self.say(message, **more)
        assert answer.status == 200, answer.text
        return str(answer.body["sessionId"])

    def listed(self, tenant: str = "t", user: str = "u", **query: str) -> list[dict[str, Any]]:
        return self._pages(f"/agent/conversations/{tenant}/users/{user}", "sessions", {}, query)

    def heard(self, session: str, tenant: str = "t", **query: str) -> list[dict[str, Any]]:
        return self._pages(f"/agent/sessions/{session}/messages", "messages", stated(tenant, None), query)

    def contents(self, session: str, tenant: str = "t", **query: str) -> list[str]:
        return [message["content"] for message in self.heard(session, tenant, **query)]

    def close(self, session: str, *, tenant: str = "t", user: str | None = None, **more: Any) -> Answer:
        headers = stated(tenant, user) | more.pop("headers", {})
        return self.call("POST", f"/agent/sessions/{session}/close", headers=headers, **more)

    def erase(self, tenant: str = "t", user: str = "u", **more: Any) -> Answer:
        return self.call("DELETE", f"/agent/conversations/{tenant}/users/{user}", **more)

    def _pages(self, path: str, name: str, headers: dict[str, str], query: dict[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: str | None = None
        while True:
            answer = self.call("GET", path, headers=headers, query=query | ({"next_token": token} if token else {}))
            assert answer.status == 200, answer.text
            found += answer.body[name]
            token = answer.body.get("next_token")
            if token is None:
                return found

    def store(
        self, *, sessions: list[dict[str, Any]] | None = None, messages: list[dict[str, Any]] | None = None
    ) -> None:
        """Write items past the function; where tenants have shards, as all items are once those are read."""
        if shards := self.app.routes["POST /agent/process"].__self__.store.shards_written:
            sessions = [
                {**in_shard(one["tenantId"], one["userId"], shards), **one} if "userId" in one else one
                for one in sessions or []
            ]
        self.engine.load(self.database, self.sessions.name, sessions or [])
        self.engine.load(self.database, self.messages.name, messages or [])

    def session_item(self, session: str, tenant: str = "t") -> dict[str, Any] | None:
        return self.sessions.get({"id": session, "tenantId": tenant})

    def head(self, tenant: str = "t", user: str = "u") -> dict[str, Any] | None:
        return self.session_item(Owner(tenant, user).partition, "active")

    def everything(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """All items of both tables."""
        from common.scanning import scan

        found = []
        for table in (self.sessions, self.messages):
            items: list[dict[str, Any]] = []
            after = None
            while True:
                page, after = scan(table, limit=1000, after=after)
                items += page
                if after is None:
                    break
            found.append(items)
        return found[0], found[1]


def stated(tenant: str | None, user: str | None) -> dict[str, str]:
    named = {"x-tenant-id": tenant, "x-user-id": user}
    return {name: value for name, value in named.items() if value is not None}


@contextmanager
def new_agent_sessions(engine: Engine, **environment: str) -> Iterator[AgentSessions]:
    indexes = {
        "sessions": {"TenantUserIndex": {"tenantId": "S", "userId": "S"}},
        "messages": {
            "SessionTimestampIndex": {"sessionId": "S", "timestamp": "S"},
            "TenantTimestampIndex": {"tenantId": "S", "timestamp": "S"},
        },
    }
    given = engine.environment | environment
    if "TENANT_SHARDS_READ" in given:
        indexes["sessions"][given["TENANT_USER_INDEX_NAME"]] = {"tenantShard": "S", "userId": "S"}
        indexes["messages"]["TenantShardTimestampIndex"] = {"tenantShard": "S", "timestamp": "S"}
    with engine.tables(
        projection="ALL",
        sessions=(SESSIONS_KEY, indexes["sessions"]),
        messages=(MESSAGES_KEY, indexes["messages"]),
    ) as names:
        tables = {"DYNAMODB_SESSIONS_TABLE": names["sessions"], "DYNAMODB_MESSAGES_TABLE": names["messages"]}
        yield AgentSessions(engine, {**NAMES, **tables, **given})
