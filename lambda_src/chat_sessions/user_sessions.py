"""A user's sessions by recency."""

from __future__ import annotations

from chat_sessions.items import (
    MAXIMUM_PARTITION_KEY_BYTES,
    MAXIMUM_SORT_KEY_BYTES,
    METADATA,
    USER_PREFIX,
    is_live,
    shown_session,
)
from chat_sessions.store import is_key
from common import paging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from chat_sessions.store import ChatStore, Shown


def sessions_of(store: ChatStore, user: str, limit: int, after: Any, deadline: float) -> tuple[list[Shown], Any]:
    """One page of a user's live sessions, the last used first, and where the next page begins."""
    owner = USER_PREFIX + user
    if after is not None and not _is_place(after):
        raise paging.bad_position()

    def fetch(place: Any, count: int) -> tuple[list[tuple[Any, Shown | None]], bool]:
        entries, last = store.table.query(
            owner,
            index=store.index,
            limit=count + 1,
            after=place and {"GSI1PK": owner, **dict(zip(("GSI1SK", "PK", "SK"), place, strict=True))},
            backwards=True,
        )
        # the index may lag behind: the heads themselves decide
        keys = {entry["PK"]: {"PK": entry["PK"], "SK": METADATA} for entry in entries[:count]}
        heads = {
            head["PK"]: shown_session(head)
            for head in store.table.get_many(list(keys.values()))
            if is_live(head) and head.get("GSI1PK") == owner
        }
        return [
            ([entry["GSI1SK"], entry["PK"], entry["SK"]], heads.pop(entry["PK"], None)) for entry in entries[:count]
        ], len(entries) > count or last is not None

    sessions, position = paging.fill(limit, after, fetch, deadline)
    if store.recency_granularity_seconds:
        # the index has no order within a granule
        sessions.sort(key=lambda session: str(session.get("last_accessed", "")), reverse=True)
    return sessions, position


def _is_place(value: Any) -> bool:
    """Of an entry of the index: its sort key, and the two keys of the table."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and is_key(value[0], MAXIMUM_SORT_KEY_BYTES)
        and is_key(value[1], MAXIMUM_PARTITION_KEY_BYTES)
        and is_key(value[2], MAXIMUM_SORT_KEY_BYTES)
    )
