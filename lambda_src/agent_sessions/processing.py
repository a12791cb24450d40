"""One message of a user, and the agent's reply to it.

The ids of both messages come from tenant, user and Idempotency-Key where there is one: a repeat finds what it has
written before and goes on from there, and nothing else has to remember it.
"""

from __future__ import annotations

from agent_sessions import conversation
from agent_sessions.backends import ReplyFailed
from agent_sessions.caller import LOCATION_HEADER, digest, header
from agent_sessions.conversation import AlreadyStored
from common.errors import ItemTooLarge, Problem
from common.events import Answer, bad_header
from common.exact_json import dumps
from common.validation import Fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_sessions.backends import Backend
    from agent_sessions.caller import Owner
    from agent_sessions.store import SessionStore
    from common.events import Request
    from common.table import Item

# What a user's message and its metadata may have together: an item's 400 KB, less what we add
MAXIMUM_BYTES = 390_000
MAXIMUM_SESSION_ID = 2048
KEY_REUSED = "urn:problem:idempotency-key-reused"
REPLY_FAILED = "urn:problem:reply-failed"
_ID_LENGTH = 32


class Unanswered(Problem):
    """The user's message is stored, but there is no reply: the answer says to which message."""

    def __init__(self, message: Item) -> None:
        super().__init__(
            502,
            "the message is stored, but the agent gave no reply; "
            "the same request with the same idempotency-key asks for one again",
            type_=REPLY_FAILED,
        )
        self.members = {"sessionId": message["sessionId"], "messageId": message["id"]}


def process(store: SessionStore, backend: Backend, request: Request, owner: Owner) -> Answer:
    location = header(request, LOCATION_HEADER)
    key = _idempotency_key(request)
    fields = Fields(request.body())
    content = fields.text("message", most=10 * MAXIMUM_BYTES, free=True)
    session_id = fields.optional_text("sessionId", most=MAXIMUM_SESSION_ID)
    metadata = fields.json_object("metadata")
    fields.done()
    given = {} if metadata is None else {"metadata": metadata}
    if len(content.encode()) + len(dumps(given).encode()) > MAXIMUM_BYTES:
        raise ItemTooLarge("the message and its metadata")
    message: Item = {
        "id": conversation.new_id(),
        "tenantId": owner.tenant,
        "userId": owner.user,
        "role": "user",
        "content": content,
        **given,
    }
    reply_id = conversation.new_id()
    if key is not None:
        own = digest(owner.tenant, owner.user, key)
        message["id"], reply_id = own[:_ID_LENGTH], own[_ID_LENGTH:]
        message["requestDigest"] = digest(content, session_id or "", location or "", dumps(_sorted(given)))
        if stored := store.message(message["id"]):
            return _repeated(store, backend, request, message, stored, reply_id)
    try:
        stored = conversation.add_user_message(store, owner, message, session_id, location, request.deadline)
    except AlreadyStored:
        # the same request ran at the same time and was first
        found = store.message(message["id"])
        if found is None:
            raise conversation.being_erased() from None
        return _repeated(store, backend, request, message, found, reply_id)
    return _answered(store, backend, request, stored, reply_id)


def _repeated(
    store: SessionStore, backend: Backend, request: Request, message: Item, stored: Item, reply_id: str
) -> Answer:
    """The first answer to the same request; if there was none, since the agent gave no reply, it is asked again."""
    if stored.get("requestDigest") != message["requestDigest"]:
        raise Problem(
            409,
            "this idempotency-key was used with another request; use a new key for a new request",
            type_=KEY_REUSED,
        )
    reply = store.message(reply_id)
    return _replayed(stored, reply) if reply else _answered(store, backend, request, stored, reply_id)


def _answered(store: SessionStore, backend: Backend, request: Request, message: Item, reply_id: str) -> Answer:
    names = ("tenantId", "userId", "sessionId", "metadata")
    asked: dict[str, Any] = {name: message[name] for name in names if name in message}
    location = header(request, LOCATION_HEADER)
    if location is not None:
        asked["locationId"] = location
    try:
        content = backend.reply(asked | {"messageId": message["id"], "message": message["content"]}, request.deadline)
    except ReplyFailed as error:
        raise Unanswered(message) from error
    reply: Item = {
        "id": reply_id,
        "tenantId": message["tenantId"],
        "userId": message["userId"],
        "role": "agent",
        "content": content,
    }
    try:
        return _answer(message, conversation.add_reply(store, reply, message["sessionId"]))
    except AlreadyStored:
        stored = store.message(reply_id)
        if stored is None:
            raise conversation.being_erased() from None
        return _replayed(message, stored)


def _answer(message: Item, reply: Item) -> Answer:
    return Answer(
        200,
        {
            "sessionId": message["sessionId"],
            "messageId": message["id"],
            "replyMessageId": reply["id"],
            "reply": reply["content"],
        },
    )


def _replayed(message: Item, reply: Item) -> Answer:
    answer = _answer(message, reply)
    answer.headers["idempotency-replayed"] = "true"
    return answer


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise bad_header("idempotency-key", "must be 1 to 255 printable ASCII characters")
    return key


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
