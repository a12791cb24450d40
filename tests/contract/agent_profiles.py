"""The agent profiles' function on one engine."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from tests.contract.application import Answer, Application, Contract
from tests.contract.engines import Engine

NAMES = {
    "PROFILE_TABLE_NAME": "agent-profiles",
    "CONVERSATION_TABLE_NAME": "agent-conversations",
    "MATCH_TABLE_NAME": "agent-profiles-match",
    "JOB_INDEX_NAME": "job-index",
    "LOCATION_INDEX_NAME": "location-index",
    "AGENT_CONVERSATIONS_INDEX_NAME": "agent-conversations-index",
    "IDEMPOTENCY_TABLE_NAME": "idempotency",
}
with mock.patch.dict(os.environ, {"PERSISTENCE": "memory", **NAMES}):
    from agent_profiles import handler

CONTRACT = Contract(Path(handler.__file__).parent / "openapi.yaml")
JOB_INDEX = {"job-index": {"job": "S"}, "location-index": {"location_city": "S"}}
AGENT_INDEX = {"agent-conversations-index": {"agent_id": "S", "timestamp": "S"}}


class Profiles(Application):
    handler = handler
    contract = CONTRACT

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        super().__init__(engine, environment)
        # the memory of a table is the app's own; DynamoDB's tables are there for all
        self.profiles = self.database.table(environment["PROFILE_TABLE_NAME"], {"id": "S"})
        self.entries = self.database.table(environment["MATCH_TABLE_NAME"], {"entry": "S", "position": "S"})
        self.messages = self.database.table(
            environment["CONVERSATION_TABLE_NAME"], {"conversation_id": "S", "timestamp": "S"}
        )

    def call(self, method: str, path: str, **request: Any) -> Answer:
        answer = super().call(method, path, **request)
        assert answer.status != 403, "only API Gateway refuses a caller"
        return answer

    def store(self, profile_id: str | None = "p", name: str = "Name", *, fields: Any = None, **request: Any) -> Answer:
        body = {"name": name, **(fields or {})} | ({} if profile_id is None else {"id": profile_id})
        return self.call("POST", "/store", body=body, **request)

    def match(self, limit: int = 100, **wanted: Any) -> list[tuple[str, int]]:
        """Ids and scores of all matches, every page of them."""
        pages = self.pages("POST", "/match", "matches", body=wanted, limit=str(limit))
        return [(one["profile"]["id"], one["score"]) for page in pages for one in page]

    def say(self, conversation: str = "c", message: str = "hello", agent: str = "a", **request: Any) -> Answer:
        body = {"conversation_id": conversation, "agent_id": agent, "message": message, "sender": "client"}
        return self.call("POST", "/conversation", body=body, **request)

    def pages(self, method: str, path: str, name: str, *, body: Any = None, **query: str) -> list[list[Any]]:
        """What every page of a list holds."""
        pages: list[list[Any]] = []
        token: str | None = None
        while token or not pages:
            sent = query | ({"next_token": token} if token else {})
            answer = self.call(method, path, query=sent, body=body)
            assert answer.status == 200, answer.text
            pages.append(answer.body[name])
            token = answer.body.get("next_token")
        return pages

    def said(self, path: str, **query: str) -> list[str]:
        return [message["message"] for page in self.pages("GET", path, "messages", **query) for message in page]

    def stored(self, profile_id: str) -> dict[str, Any] | None:
        return self.profiles.get({"id": profile_id})

    def put(self, table: Any, *items: dict[str, Any]) -> None:
        """Write items past the function."""
        for item in items:
            self.database.write([table.put(item)])

    def ways(self, profile_id: str) -> list[str]:
        """The entries of the match table that lead to a profile, whatever shards they are in."""
        if self.engine.url is None:
            rows = [(row["entry"]["S"], row["id"]["S"]) for row in self.entries.rows.values()]  # type: ignore[union-attr]
        else:
            found = self.engine.boto3.scan(TableName=self.entries.name, ConsistentRead=True)["Items"]
            rows = [(item["entry"]["S"], item["id"]["S"]) for item in found]
        return sorted(re.sub("  [0-9]+$", "", entry) for entry, one in rows if one == profile_id)


@contextmanager
def new_profiles(engine: Engine, **environment: str) -> Iterator[Profiles]:
    tables = {
        "profiles": ({"id": "S"}, JOB_INDEX),
        "conversations": ({"conversation_id": "S", "timestamp": "S"}, AGENT_INDEX),
        "match": ({"entry": "S", "position": "S"}, {}),
        "idempotency": ({"id": "S"}, {}),
    }
    with engine.tables(projection="ALL", **tables) as names:
        given = {
            "PROFILE_TABLE_NAME": names["profiles"],
            "CONVERSATION_TABLE_NAME": names["conversations"],
            "MATCH_TABLE_NAME": names["match"],
            "IDEMPOTENCY_TABLE_NAME": names["idempotency"],
        }
        yield Profiles(engine, {**engine.environment, **NAMES, **given, **environment})
