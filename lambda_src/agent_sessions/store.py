"""Sessions, messages, and what leads from a user to the user's sessions.

The sessions table holds three kinds of items. A session has its id as `id`, and its tenant's as `tenantId`. For every
user there is a partition `id` = user#<digest of tenant and user>, with an entry for each session,
`tenantId` = <createdAt>#<session id>, and a head, `tenantId` = "active", that names the active session, and has the
time of the one opened last as its `clock`. Entries and heads have no `userId`, so they are not in TenantUserIndex.

A head may also say that sessions of an older application are being given entries (`adopting`, see takeover.py), or
that all is being erased (`erasing`, see erasure.py). A session with `erasing` is gone for every reader.

With shards for tenants, sessions and messages have a `tenantShard`, <shard>#<tenant>, the key of indexes that bear a
tenant of any size, where those by `tenantId` do not. A session is in the shard of its user, so that a user's sessions
are together; a message in that of its session. The number stands first: no tenant's id makes another tenant's shard.
"""

from __future__ import annotations

from agent_sessions.caller import USER_PREFIX
from common import clock, paging, settings
from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from agent_sessions.caller import Owner
    from common.table import Database, Item

HEAD = "active"
# Every entry begins with a digit, the head does not: it comes last
ENTRIES = ("0", ":")
MAXIMUM_KEY_BYTES = 2048
MAXIMUM_SORT_KEY_BYTES = 1024


class SessionStore:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self.database = database
        self.message_ttl_days = int(environment.get("MESSAGE_TTL_DAYS") or 0)
        self.time_index = settings.required(environment, "SESSION_TIMESTAMP_INDEX_NAME")
        # the index is by `tenantShard` where shards are read; they are written before that
        self.user_index = settings.required(environment, "TENANT_USER_INDEX_NAME")
        self.shards_written = int(environment.get("TENANT_SHARDS") or 0)
        self.shards_read = int(environment.get("TENANT_SHARDS_READ") or 0)
        self.sessions = database.table(
            settings.required(environment, "DYNAMODB_SESSIONS_TABLE"),
            {"id": "S", "tenantId": "S"},
            {self.user_index: {"tenantShard" if self.shards_read else "tenantId": "S", "userId": "S"}},
        )
        self.messages = database.table(
            settings.required(environment, "DYNAMODB_MESSAGES_TABLE"),
            {"id": "S"},
            {self.time_index: {"sessionId": "S", "timestamp": "S"}},
        )

    def session(self, tenant: str, session_id: str, user: str | None) -> Item | None:
        """A session of the tenant, and of the user if one is named."""
        if not may_be_session(session_id):
            return None
        item = self.sessions.get({"id": session_id, "tenantId": tenant})
        return item if item and is_visible(item) and user in (None, item["userId"]) else None

    def head(self, owner: Owner) -> Item | None:
        return self.sessions.get(head_key(owner))

    def message(self, message_id: str) -> Item | None:
        item = self.messages.get({"id": message_id})
        return None if item is None or clock.is_past(item.get("ttl")) else item

    def messages_of(
        self, session: Item, limit: int, after: Any, deadline: float, *, newest_first: bool
    ) -> tuple[list[dict[str, Any]], Any]:
        """A page of the session's messages in the order of their time, and where the next one begins."""
        if after is not None and not (
            isinstance(after, list) and len(after) == 2 and all(isinstance(one, str) and one for one in after)
            and fits(after[0])
            and len(after[1].encode(errors="replace")) <= MAXIMUM_KEY_BYTES
        ):  # fmt: skip
            raise paging.bad_position()

        def fetch(place: Any, count: int) -> tuple[list[tuple[list[str], dict[str, Any] | None]], bool]:
            start = place and {"sessionId": session["id"], "timestamp": place[0], "id": place[1]}
            items, last = self.messages.query(
                session["id"], index=self.time_index, limit=count + 1, after=start, backwards=newest_first
            )
            # older applications may have given two tenants sessions of one id
            page = [
                (
                    [item["timestamp"], item["id"]],
                    shown_message(item)
                    if item.get("tenantId") == session["tenantId"] and not clock.is_past(item.get("ttl"))
                    else None,
                )
                for item in items[:count]
            ]
            return page, len(items) > count or last is not None

        return paging.fill(limit, after, fetch, deadline)


def head_key(owner: Owner) -> dict[str, str]:
    return {"id": owner.partition, "tenantId": HEAD}


def may_be_session(session_id: str) -> bool:
    """Entries and heads are no sessions, whatever the caller says the tenant is."""
    return not session_id.startswith(USER_PREFIX) and len(session_id.encode(errors="replace")) <= MAXIMUM_KEY_BYTES


def is_visible(session: Item) -> bool:
    return isinstance(session.get("userId"), str) and "erasing" not in session


def is_owned(session: Item, owner: Owner) -> bool:
    return is_visible(session) and session["userId"] == owner.user


def unknown() -> Problem:
    """One answer for what does not exist and for what is another's."""
    return Problem(404, "there is no session with this id")


def version(session: Item) -> int:
    """0 for one that only an older application wrote."""
    found = session.get("version")
    return found if isinstance(found, int) else 0


def text(item: Item, name: str) -> str:
    """Older applications may have left an attribute out, or stored another type."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def shown(session: Item) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": session["id"],
        "tenantId": session["tenantId"],
        "userId": session["userId"],
        "isActive": session.get("isActive") is True,
        "version": version(session),
    }
    return found | _given(session, "createdAt", "updatedAt", "locationId")


def shown_message(message: Item) -> dict[str, Any]:
    found = {
        "id": message["id"],
        "sessionId": message["sessionId"],
        "role": text(message, "role"),
        "content": text(message, "content"),
        "timestamp": message["timestamp"],
    }
    return found | _given(message, "userId")


def _given(item: Item, *names: str) -> dict[str, Any]:
    """What is optional, where it is there."""
    found: dict[str, Any] = {name: value for name in names if (value := text(item, name))}
    metadata = item.get("metadata")
    return found | ({"metadata": metadata} if isinstance(metadata, dict) else {})


def fits(sort_key: str) -> bool:
    return len(sort_key.encode(errors="replace")) <= MAXIMUM_SORT_KEY_BYTES
