"""The routes that change sessions."""

from __future__ import annotations

from chat_sessions import bodies
from chat_sessions.expiry import Expiry
from chat_sessions.items import shown_session, version
from common import identity, preconditions
from common.errors import ConditionFailed, Problem
from common.events import Answer
from common.idempotency import Idempotency

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chat_sessions.handler import ChatSessions
    from common.change import Change
    from common.events import Request
    from common.idempotency import Also
    from common.table import Item


def create(sessions: ChatSessions, request: Request) -> Answer:
    from chat_sessions import creation

    body = request.body()
    wanted = bodies.session(body)
    wanted["user_id"] = sessions.user(request, wanted["user_id"])
    if wanted["user_id"] is None:
        missing = {"pointer": "#/user_id", "detail": "is missing"}
        raise Problem(400, "the body is not as it must be; see errors", errors=[missing])
    if wanted["id"] is not None and identity.has_token(request):
        # whether it is taken would tell of a session of somebody else's
        made = {"pointer": "#/id", "detail": "must be left out behind a token: the id is made"}
        raise Problem(400, "the body is not as it must be; see errors", errors=[made])

    def work(also: Also) -> Answer:
        def marker(head: Item) -> list[Change]:
            return also(_created(head))

        return _created(creation.create(sessions.store, _expiry(sessions), wanted, marker, request.deadline))

    try:
        return _idempotency(sessions).run(request, "POST /sessions", body, work, owner=wanted["user_id"])
    except ConditionFailed:
        raise Problem(409, "there is a session with this id already; take another, or none") from None


def append(sessions: ChatSessions, request: Request) -> Answer:
    from chat_sessions.appending import Appending

    body = request.body()
    message = bodies.message(body)
    session_id, user = request.parameters["id"], sessions.user(request)

    def work(also: Also) -> Answer:
        appending = Appending(sessions.store, _expiry(sessions), session_id, user, message, request.deadline)
        return Answer(
            201,
            appending.run(
                lambda found: preconditions.check(request, found),
                lambda stored: also(Answer(201, stored)),
                is_exact="if-match" in request.headers,
            ),
        )

    return _idempotency(sessions).run(request, f"POST /sessions/{session_id}/messages", body, work, owner=user)


def delete(sessions: ChatSessions, request: Request) -> Answer:
    from chat_sessions import deletion

    deletion.delete(
        sessions.store,
        request.parameters["id"],
        sessions.user(request),
        lambda found: preconditions.check(request, found),
        request.deadline,
        is_exact="if-match" in request.headers,
    )
    return Answer(204)


def _expiry(sessions: ChatSessions) -> Expiry:
    days = sessions.environment.get("SESSION_TTL_DAYS", "30")
    return Expiry(int(days), sessions.environment.get("SESSION_TTL_BASE", "created_at"))


def _idempotency(sessions: ChatSessions) -> Idempotency:
    seconds = int(sessions.environment.get("IDEMPOTENCY_TTL_SECONDS", "86400"))
    return Idempotency(sessions.database, sessions.markers, seconds, "chat_sessions")


def _created(head: Item) -> Answer:
    body = shown_session(head)
    return Answer(201, body, {"etag": preconditions.etag(version(head)), "location": f"/sessions/{body['id']}"})
