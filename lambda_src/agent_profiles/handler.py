"""The routes of the agent profiles and conversations; openapi.yaml is their contract."""

from __future__ import annotations

import os

from agent_profiles.items import shown
from agent_profiles.profiles import ProfileStore
from common import paging, preconditions, settings
from common.errors import Problem
from common.events import Answer, bad_parameter
from common.router import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.change import Change
    from common.events import Request
    from common.idempotency import Also, Idempotency
    from common.table import Database

OLDEST, NEWEST = "oldest", "newest"


class AgentProfiles:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self._database = database
        self._job_index = settings.required(environment, "JOB_INDEX_NAME")
        self._location_index = settings.required(environment, "LOCATION_INDEX_NAME")
        self._agent_index = settings.required(environment, "AGENT_CONVERSATIONS_INDEX_NAME")
        self._profiles = database.table(
            settings.required(environment, "PROFILE_TABLE_NAME"),
            {"id": "S"},
            {self._job_index: {"job": "S"}, self._location_index: {"location_city": "S"}},
        )
        self._match = database.table(
            settings.required(environment, "MATCH_TABLE_NAME"), {"entry": "S", "position": "S"}
        )
        self._messages = database.table(
            settings.required(environment, "CONVERSATION_TABLE_NAME"),
            {"conversation_id": "S", "timestamp": "S"},
            {self._agent_index: {"agent_id": "S", "timestamp": "S"}},
        )
        self._markers = settings.required(environment, "IDEMPOTENCY_TABLE_NAME")
        self._marker_seconds = int(environment.get("IDEMPOTENCY_TTL_SECONDS", "86400"))
        self._shards_read = int(environment.get("MATCH_SHARDS_READ") or 1)
        shards_written = int(environment.get("MATCH_SHARDS") or 1)
        self._store = ProfileStore(database, self._profiles, self._match, shards_written)

    def store(self, request: Request) -> Answer:
        from agent_profiles import bodies

        body = request.body()
        bodies.profile(body)

        def work(also: Also) -> Answer:
            def marker(profile: dict[str, Any], is_new: bool) -> list[Change]:
                return also(_stored(profile, is_new))

            return _stored(*self._store.store(body, lambda version: preconditions.check(request, version), marker))

        return self._idempotency().run(request, "POST /store", body, work)

    def retrieve(self, request: Request) -> Answer:
        item = self._store.get(request.parameters["id"])
        if item is None:
            raise Problem(404, "there is no profile with this id")
        profile = shown(item)
        headers = {"etag": preconditions.etag(profile["version"])}
        # what an older application changes leaves the version as it is
        if profile["version"] and preconditions.not_modified(request, profile["version"]):
            return Answer(304, headers=headers)
        return Answer(200, profile, headers)

    def page(self, request: Request) -> Answer:
        limit = paging.limit(request)
        profiles, after = self._store.page(limit, paging.position(request, "profiles"), request.deadline)
        return Answer(200, _page("profiles", profiles, after, "profiles"))

    def match(self, request: Request) -> Answer:
        from agent_profiles import bodies
        from agent_profiles.matching import Search
        from agent_profiles.ranking import score
        from common.exact_json import dumps

        wanted, words = bodies.wanted(request.body())
        indexes = {"job": self._job_index, "location": self._location_index}
        search = Search(self._profiles, self._match, indexes, wanted, words, self._shards_read)
        scope = ("match", dumps(dict(sorted(wanted.items()))))
        limit = paging.limit(request)
        matches, after = search.page(limit, paging.position(request, *scope), request.deadline)
        page = _page("matches", matches, after, *scope)
        page |= {"maximumScore": score(wanted, wanted), "truncated": bool(search.cut)}
        return Answer(200, page | ({"truncatedBecause": search.cut} if search.cut else {}))

    def append(self, request: Request) -> Answer:
        from agent_profiles import bodies, conversations

        body = request.body()
        message = bodies.message(body)

        def work(also: Also) -> Answer:
            def marker(stored: dict[str, Any]) -> list[Change]:
                return also(_appended(stored))

            return _appended(conversations.append(self._database, self._messages, message, marker))

        return self._idempotency().run(request, "POST /conversation", body, work)

    def conversation(self, request: Request) -> Answer:
        from agent_profiles import conversations

        conversation_id, order = request.parameters["id"], request.one("order")
        if order is None:
            order = OLDEST
        if order not in (OLDEST, NEWEST):
            raise bad_parameter("order", f"must be {OLDEST} or {NEWEST}")
        limit = paging.limit(request)
        scope = ("conversation", conversation_id, order)
        position = paging.position(request, *scope)
        messages, after = conversations.of_conversation(
            self._messages, conversation_id, limit, position, order == NEWEST, request.deadline
        )
        if not messages and position is None:
            raise Problem(404, "there is no conversation with this id")
        return Answer(200, _page("messages", messages, after, *scope))

    def agent_conversations(self, request: Request) -> Answer:
        from agent_profiles import conversations

        agent_id = request.parameters["id"]
        limit = paging.limit(request)
        scope = ("agent", agent_id)
        messages, after = conversations.of_agent(
            self._messages, self._agent_index, agent_id, limit, paging.position(request, *scope), request.deadline
        )
        return Answer(200, _page("messages", messages, after, *scope))

    def _idempotency(self) -> Idempotency:
        from common.idempotency import Idempotency

        return Idempotency(self._database, self._markers, self._marker_seconds, "agent_profiles")


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


def _page(name: str, found: list[Any], after: Any, *scope: str) -> dict[str, Any]:
    page: dict[str, Any] = {name: found}
    if after is not None:
        page["next_token"] = paging.token(after, *scope)
    return page


handler = build(os.environ)
