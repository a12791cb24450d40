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
    from common.table import Database, Item, Key

HEAD = "active"
# Every entry begins with a digit, the head does not: it comes last
ENTRIES = ("0", ":")
MAXIMUM_KEY_BYTES = 2048
_MAXIMUM_SORT_KEY_BYTES = 1024
_TIME_LENGTH = len("2026-11-21T03:47:12.000000Z")


class SessionStore:
    def __init__(self, database: Database, environment: Mapping[str, str]) -> None:
        self.database = database
        self.message_ttl_days = int(environment.get("MESSAGE_TTL_DAYS") or 0)
        self.time_index = settings.required(environment, "SESSION_TIMESTAMP_INDEX_NAME")
        # the index is by `tenantShard` where shards are read; they are written before that
        self._user_index = settings.required(environment, "TENANT_USER_INDEX_NAME")
        self.shards_written = int(environment.get("TENANT_SHARDS") or 0)
        self._shards_read = int(environment.get("TENANT_SHARDS_READ") or 0)
        self.sessions = database.table(
            settings.required(environment, "DYNAMODB_SESSIONS_TABLE"),
            {"id": "S", "tenantId": "S"},
            {self._user_index: {"tenantShard" if self._shards_read else "tenantId": "S", "userId": "S"}},
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

    def sessions_of(self, owner: Owner, limit: int, after: Any, deadline: float) -> tuple[list[dict[str, Any]], Any]:
        """A page of the user's sessions, newest first, and where the next one begins."""
        if after is not None and not (isinstance(after, str) and "0" <= after[:1] <= "9" and _fits(after)):
            raise paging.bad_position()

        def fetch(place: Any, count: int) -> tuple[list[tuple[str, dict[str, Any] | None]], bool]:
            head: Item = {}
            if place is None:
                head, items, last = self._newest_entries(owner, count, deadline)
            else:
                start = {"id": owner.partition, "tenantId": place}
                items, last = self.sessions.query(owner.partition, limit=count + 1, after=start, backwards=True)
            keys = [{"id": item["sessionId"], "tenantId": owner.tenant} for item in items[:count]]

            def is_settled(session: Item) -> bool:
                """Entries and head are read as of now: who is not as they say was opened or closed just now."""
                is_active = session["id"] == head.get("activeSessionId")
                return is_owned(session, owner) and (session.get("isActive") is True) == is_active

            sessions = self.sessions.get_many(keys, settled=is_settled)
            found = {item["id"]: shown(item) for item in sessions if is_owned(item, owner)}
            page = [(item["tenantId"], found.get(item["sessionId"])) for item in items[:count]]
            return page, len(items) > count or last is not None

        return paging.fill(limit, after, fetch, deadline)

    def _newest_entries(self, owner: Owner, count: int, deadline: float) -> tuple[Item, list[Item], Key | None]:
        """At least one more than `count`, if there are, in one query: the user's head stands before the newest."""
        for _ in range(2):
            items, last = self.sessions.query(owner.partition, limit=count + 2, backwards=True)
            head = items[0] if items and items[0]["tenantId"] == HEAD else None
            if head and "erasing" in head:
                return head, [], None
            if head and "adopting" not in head:
                return head, items[1:], last
            from agent_sessions.takeover import take_over

            if take_over(self, owner, head, deadline) is None:
                break
        return {}, [], None

    def indexed_sessions(self, owner: Owner, limit: int, after: Any) -> tuple[list[Item], Any]:
        """Up to `limit` of the user's sessions by the tenant's index, and where to go on, None at the end.

        It may still show what is gone, and has what an older application wrote. Shards are looked through one after the
        other: a user's sessions are in one, but which it is changes with the number of shards that are written.
        """
        shards: list[str | None] = [f"{shard}#{owner.tenant}" for shard in range(self._shards_read)]
        shards = shards or [None]
        here = after and after.get("tenantShard")
        if here not in shards:
            # remembered when the index was another one: once more from the beginning
            here, after = shards[0], None
        left = iter(shards[shards.index(here) :])
        for shard in left:
            items, last = self.sessions.query(
                shard or owner.tenant,
                index=self._user_index,
                limit=limit,
                after=after if after and "id" in after else None,
                between=(owner.user, owner.user),
            )
            if items or last:
                return items, last or next(({"tenantShard": shard} for shard in left), None)
            after = None
        return [], None

    def messages_of(
        self, session: Item, limit: int, after: Any, deadline: float, *, newest_first: bool
    ) -> tuple[list[dict[str, Any]], Any]:
        """A page of the session's messages in the order of their time, and where the next one begins."""
        if after is not None and not (
            isinstance(after, list) and len(after) == 2 and all(isinstance(one, str) and one for one in after)
            and len(after[0].encode(errors="replace")) <= _MAXIMUM_SORT_KEY_BYTES
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


def in_shard(tenant: str, member: str, count: int) -> dict[str, str]:
    """What an item has of its place among so many shards of the tenant; nothing if there are none."""
    if not count:
        return {}
    from common.sharding import shard_of

    return {"tenantShard": f"{shard_of(member, count)}#{tenant}"}


def head_key(owner: Owner) -> dict[str, str]:
    return {"id": owner.partition, "tenantId": HEAD}


def entry(owner: Owner, session: Item) -> Item:
    """What lists a session under its user. Times of older applications may have any form."""
    session_id, created = session["id"], text(session, "createdAt")[:_TIME_LENGTH]
    place = f"{created if '0' <= created[:1] <= '9' else '0'}#{session_id}"
    if not _fits(place):
        from agent_sessions.caller import digest

        place = place.partition("#")[0] + f"#{digest(session_id)}"
    return {"id": owner.partition, "tenantId": place, "sessionId": session_id}


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


def _fits(sort_key: str) -> bool:
    return len(sort_key.encode(errors="replace")) <= _MAXIMUM_SORT_KEY_BYTES
