"""Reading sessions and their messages; see items.py for what is stored."""

from __future__ import annotations

from chat_sessions.items import (
    HEAD_AND_MESSAGES,
    MAXIMUM_SORT_KEY_BYTES,
    MESSAGE_PREFIX,
    MESSAGES,
    METADATA,
    head_key,
    partition,
    shown_message,
    visible,
)
from common import clock, paging

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Database, Item

    Shown = dict[str, Any]


class ChatStore:
    """`recency_granularity_seconds`: how far a session's place in its user's list may lie before its last use.
    Tombstones are spread over `shards_written` partitions, see common.sharding.
    """

    def __init__(
        self,
        database: Database,
        table_name: str,
        index_name: str,
        recency_granularity_seconds: int = 0,
        shards_written: int = 1,
        shards_read: int = 1,
    ) -> None:
        self.database = database
        self.index = index_name
        self.recency_granularity_seconds = recency_granularity_seconds
        self.shards_written = shards_written
        self.shards_read = shards_read
        self.table = database.table(table_name, {"PK": "S", "SK": "S"}, {index_name: {"GSI1PK": "S", "GSI1SK": "S"}})

    def head(self, session_id: str, user: str | None) -> Item:
        """404 unless it is a live session, and this user's if one is given."""
        return visible(self.table.get(head_key(session_id)), user)

    def messages(
        self, session_id: str, user: str | None, limit: int, after: Any, deadline: float, *, newest_first: bool
    ) -> tuple[Item, list[Shown], Any]:
        """The session's head, one page of its messages, and where the next page begins."""
        between = HEAD_AND_MESSAGES if newest_first else MESSAGES
        # DynamoDB refuses to go on from where the list has nothing
        if after is not None and not (is_key(after, MAXIMUM_SORT_KEY_BYTES) and between[0] <= after <= between[1]):
            raise paging.bad_position()
        key = partition(session_id)
        # the newest messages and the head come from one query
        head = None if newest_first and after is None else self.head(session_id, user)

        def fetch(place: str | None, count: int) -> tuple[list[tuple[str, Shown | None]], bool]:
            nonlocal head
            # one more than is looked at, to know whether the page is the last
            items, last = self.table.query(
                key,
                limit=count + 1 + (head is None),
                after={"PK": key, "SK": place} if place else None,
                between=between,
                backwards=newest_first,
            )
            if head is None:
                head = visible(items.pop(0) if items and items[0]["SK"] == METADATA else None, user)
            return [(item["SK"], _shown(item)) for item in items[:count]], len(items) > count or last is not None

        messages, position = paging.fill(limit, after, fetch, deadline)
        return visible(head, user), messages, position


def _shown(item: Item) -> Shown | None:
    is_message = item["SK"].startswith(MESSAGE_PREFIX) and not clock.is_past(item.get("ttl"))
    return shown_message(item) if is_message else None


def is_key(value: Any, most: int) -> bool:
    return isinstance(value, str) and 0 < len(value.encode(errors="replace")) <= most
