"""The routes that answer pages: of profiles, of those that match, of messages."""

from __future__ import annotations

from common import paging
from common.errors import Problem
from common.events import Answer, bad_parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agent_profiles.handler import AgentProfiles
    from common.events import Request

OLDEST, NEWEST = "oldest", "newest"


def page(app: AgentProfiles, request: Request) -> Answer:
    limit = paging.limit(request)
    profiles, after = app.profile_store.page(limit, paging.position(request, "profiles"), request.deadline)
    return Answer(200, paging.page("profiles", profiles, after, ("profiles",)))


def match(app: AgentProfiles, request: Request) -> Answer:
    from agent_profiles import bodies
    from agent_profiles.matching import Search
    from agent_profiles.ranking import score
    from common.exact_json import dumps

    wanted, words = bodies.wanted(request.body())
    indexes = {"job": app.job_index, "location": app.location_index}
    search = Search(app.profile_table, app.match_table, indexes, wanted, words, app.shards_read)
    scope = ("match", dumps(dict(sorted(wanted.items()))))
    limit = paging.limit(request)
    matches, after = search.page(limit, paging.position(request, *scope), request.deadline)
    body = paging.page("matches", matches, after, scope)
    body |= {"maximumScore": score(wanted, wanted), "truncated": bool(search.cut)}
    return Answer(200, body | ({"truncatedBecause": search.cut} if search.cut else {}))


def conversation(app: AgentProfiles, request: Request) -> Answer:
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
        app.message_table, conversation_id, limit, position, order == NEWEST, request.deadline
    )
    if not messages and position is None:
        raise Problem(404, "there is no conversation with this id")
    return Answer(200, paging.page("messages", messages, after, scope))


def agent_conversations(app: AgentProfiles, request: Request) -> Answer:
    from agent_profiles import conversations

    agent_id = request.parameters["id"]
    limit = paging.limit(request)
    scope = ("agent", agent_id)
    messages, after = conversations.of_agent(
        app.message_table, app.agent_index, agent_id, limit, paging.position(request, *scope), request.deadline
    )
    return Answer(200, paging.page("messages", messages, after, scope))
