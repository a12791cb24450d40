"""Items of the one table, and how they are shown.

A session is a partition, PK = SESSION#<id>. Its head, SK = METADATA, says what the session is; SK = MESSAGE#<time> are
its messages. "MESSAGE#…" sorts before "METADATA": one query backwards gives the head and the newest messages.

Beyond the contract's attributes a head holds `version`, `message_count`, and `clock_microseconds`: the time of the
last message, which only moves forward. A head without it is an older application's, up to its next message.
A head with `deleted_at` is a tombstone: nothing shows it; it stands until the messages are gone, too.
"""

from __future__ import annotations

from common import clock
from common.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Item, Key

METADATA = "METADATA"
SESSION_PREFIX = "SESSION#"
MESSAGE_PREFIX = "MESSAGE#"
USER_PREFIX = "USER#"
# Tombstones leave their user's list and gather in this partition of the index
DELETING = "DELETING"
CLOCK = "clock_microseconds"
# "$" follows "#": all messages lie between, and nothing else
MESSAGES = (MESSAGE_PREFIX, "MESSAGE$")
HEAD_AND_MESSAGES = (MESSAGE_PREFIX, METADATA)
MAXIMUM_PARTITION_KEY_BYTES = 2048
MAXIMUM_SORT_KEY_BYTES = 1024


def partition(session_id: str) -> str:
    """404 for an id that no stored session can have; older applications' ids may have any form."""
    key = SESSION_PREFIX + session_id
    if len(key.encode(errors="replace")) > MAXIMUM_PARTITION_KEY_BYTES:
        raise unknown()
    return key


def head_key(session_id: str) -> Key:
    return {"PK": partition(session_id), "SK": METADATA}


def recency(microseconds: int, granularity_seconds: int) -> str:
    """The place of a session of this time in its user's list: the time, or the beginning of its granule."""
    return clock.text(microseconds - microseconds % (granularity_seconds * 1_000_000 or 1))


def is_live(head: Item | None) -> bool:
    return head is not None and "deleted_at" not in head and not clock.is_past(head.get("ttl"))


def visible(head: Item | None, user: str | None) -> Item:
    """The head of a live session, of this user if one is given; 404 otherwise."""
    if head is None or not is_live(head) or user not in (None, head.get("user_id")):
        raise unknown()
    return head


def unknown() -> Problem:
    return Problem(404, "there is no session with this id")


def unchanged(head: Item) -> dict[str, Any]:
    """What a change of the head expects: the same session, neither deleted nor made anew since it was read."""
    return {"SK": METADATA, "created_at": head.get("created_at"), "deleted_at": None}


def is_ours(head: Item) -> bool:
    return isinstance(head.get(CLOCK), int)


def version(head: Item) -> int:
    """0 for a session that an older application wrote."""
    return int(head["version"]) if is_ours(head) else 0


def shown_session(head: Item) -> dict[str, Any]:
    texts = {name: text(head, name) for name in ("user_id", "created_at", "last_accessed")}
    ttl, count = number(head, "ttl"), number(head, "message_count")
    return {
        "id": head["PK"].removeprefix(SESSION_PREFIX),
        **{name: value for name, value in texts.items() if value},
        "pedagogy_mode": text(head, "pedagogy_mode") or None,
        "total_tokens": number(head, "total_tokens") or 0,
        **({} if count is None or not is_ours(head) else {"message_count": count}),
        **({} if ttl is None else {"expires_at": clock.text(int(ttl * 1_000_000))}),
        "version": version(head),
    }


def shown_message(item: Item) -> dict[str, Any]:
    found = item.get("context_ids")
    if isinstance(found, set):
        found = sorted(found, key=str)
    return {
        "time": item["SK"].removeprefix(MESSAGE_PREFIX),
        "role": text(item, "role"),
        "content": text(item, "content"),
        "tokens": number(item, "tokens") or 0,
        "context_ids": [one for one in found if isinstance(one, str)] if isinstance(found, list) else [],
    }


def text(item: Item, name: str) -> str:
    """Older applications may have left an attribute out, or stored another type."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def number(item: Item, name: str) -> Any:
    value = item.get(name)
    return None if value is None or isinstance(value, (bool, str, bytes, list, dict, set)) else value
