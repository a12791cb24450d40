"""The routes of the agent profiles and conversations; openapi.yaml is their contract."""

from __future__ import annotations

import os

from agent_profiles.items import shown
from agent_profiles.profiles import ProfileStore
from common import preconditions, settings
from common.errors import Problem
from common.events import Answer
from common.router import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.events import Request
    from common.table import Database


class AgentProfiles:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self.database = database
        self.job_index = settings.required(environment, "JOB_INDEX_NAME")
        self.location_index = settings.required(environment, "LOCATION_INDEX_NAME")
        self.agent_index = settings.required(environment, "AGENT_CONVERSATIONS_INDEX_NAME")
        self.profile_table = database.table(
            settings.required(environment, "PROFILE_TABLE_NAME"),
            {"id": "S"},
            {self.job_index: {"job": "S"}, self.location_index: {"location_city": "S"}},
        )
        self.match_table = database.table(
            settings.required(environment, "MATCH_TABLE_NAME"), {"entry": "S", "position": "S"}
        )
        self.message_table = database.table(
            settings.required(environment, "CONVERSATION_TABLE_NAME"),
            {"conversation_id": "S", "timestamp": "S"},
            {self.agent_index: {"agent_id": "S", "timestamp": "S"}},
        )
        self.markers = settings.required(environment, "IDEMPOTENCY_TABLE_NAME")
        self.marker_seconds = int(environment.get("IDEMPOTENCY_TTL_SECONDS", "86400"))
        self.shards_read = int(environment.get("MATCH_SHARDS_READ") or 1)
        shards_written = int(environment.get("MATCH_SHARDS") or 1)
        self.profile_store = ProfileStore(database, self.profile_table, self.match_table, shards_written)

    def store(self, request: Request) -> Answer:
        from agent_profiles import changing

        return changing.store(self, request)

    def retrieve(self, request: Request) -> Answer:
        item = self.profile_store.get(request.parameters["id"])
        if item is None:
            raise Problem(404, "there is no profile with this id")
        profile = shown(item)
        headers = {"etag": preconditions.etag(profile["version"])}
        # what an older application changes leaves the version as it is
        if profile["version"] and preconditions.not_modified(request, profile["version"]):
            return Answer(304, headers=headers)
        return Answer(200, profile, headers)

    def page(self, request: Request) -> Answer:
        from agent_profiles import lists

        return lists.page(self, request)

    def match(self, request: Request) -> Answer:
        from agent_profiles import lists

        return lists.match(self, request)

    def append(self, request: Request) -> Answer:
        from agent_profiles import changing

        return changing.append(self, request)

    def conversation(self, request: Request) -> Answer:
        from agent_profiles import lists

        return lists.conversation(self, request)

    def agent_conversations(self, request: Request) -> Answer:
        from agent_profiles import lists

        return lists.agent_conversations(self, request)


def build(environment: Mapping[str, str]) -> App:
    database = settings.database(environment)
    profiles = AgentProfiles(database, environment)
    routes = {
        "POST /store": profiles.store,
        "GET /retrieve/{id}": profiles.retrieve,
        "GET /list": profiles.page,
        "POST /match": profiles.match,
        "POST /conversation": profiles.append,
        "GET /conversation/{id}": profiles.conversation,
        "GET /agent/{id}/conversations": profiles.agent_conversations,
    }
    return App(routes, database, environment)


handler = build(os.environ)
