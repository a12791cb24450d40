"""Opening a session."""

from __future__ import annotations

import os

from chat_sessions.items import CLOCK, USER_PREFIX, head_key, is_live, partition, recency
from common import clock
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chat_sessions.expiry import Expiry
    from chat_sessions.store import ChatStore
    from common.change import Change
    from common.table import Item


def create(
    store: ChatStore,
    policy: Expiry,
    wanted: dict[str, Any],
    also: Callable[[Item], list[Change]],
    deadline: float,
) -> Item:
    """The new head. ConditionFailed if there is a session of this id.

    `wanted` holds user_id, pedagogy_mode and, unless one is to be made, id; `also` is given the head and returns
    further changes for the same transaction.
    """
    session_id = wanted["id"]
    if session_id is None:
        session_id = os.urandom(16).hex()
    else:
        _make_room(store, session_id, deadline)
    now = clock.now()
    time = clock.text(now)
    head = {
        **head_key(session_id),
        "user_id": wanted["user_id"],
        "pedagogy_mode": wanted["pedagogy_mode"],
        "created_at": time,
        "last_accessed": time,
        "total_tokens": 0,
        "message_count": 0,
        "version": 1,
        CLOCK: now,
        "GSI1PK": USER_PREFIX + wanted["user_id"],
        "GSI1SK": recency(now, store.recency_granularity_seconds),
        **policy.of_new_session(clock.seconds_up(now)),
    }
    store.database.write([store.table.put(head, expect={"PK": None}), *also(head)])
    return head


def _make_room(store: ChatStore, session_id: str, deadline: float) -> None:
    """What is left of an earlier session of this id must be gone: its messages would be the new session's."""
    left, _ = store.table.query(partition(session_id), limit=1, backwards=True)
    if not left:
        return
    from chat_sessions.deletion import bury, purge

    head = store.table.get(head_key(session_id))
    if is_live(head):
        raise ConditionFailed([0], {0: head})
    is_buried = (head is not None and "deleted_at" in head) or bury(store, session_id, head)
    if not (is_buried and purge(store, session_id, deadline)):
        raise Problem(409, "an earlier session of this id is still being removed; try again later, or take another id")
