"""Giving a session's messages a later ttl, before the session's own may pass theirs.

First the head announces it, `next_messages_ttl`: messages that are appended from then on have at least that. Then the
older ones are changed page by page, and at last it becomes the head's `messages_ttl`. Interrupted, it is gone on with
at `redated_to` with the next message; until it is done, the head's ttl stays within the old `messages_ttl`.
"""

from __future__ import annotations

import time

from chat_sessions.expiry import least_of_messages, undisturbed
from chat_sessions.items import MESSAGES, number, unchanged
from common import clock
from common.errors import ConditionFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.change import Change
    from common.table import Database, Item, Key, Table

# One transaction: a page of a query holds 1 MB, a transaction 4
PAGE = 100
# Kept for the message itself
RESERVED_SECONDS = 2.0


def redate(
    database: Database, table: Table, head: Item, wanted: int, slack_seconds: int, deadline: float
) -> Item | None:
    """The head as it is after messages were redated to `wanted` or later, as far as the time allows.

    None if others changed or removed something meanwhile: then it has to be read again.
    """
    if least_of_messages(head) >= wanted:
        return head
    try:
        if int(number(head, "next_messages_ttl") or 0) < wanted:
            head = _announce(database, table, head, wanted + slack_seconds)
        return _go_on(database, table, head, deadline)
    except ConditionFailed:
        return None


def _announce(database: Database, table: Table, head: Item, ttl: int) -> Item:
    now_seconds = clock.now() // 1_000_000
    expect = _as_read(head)
    changes = {"next_messages_ttl": ttl}
    database.write(
        [table.update(_key(head), set=changes, remove=("redated_to",), expect=expect, unexpired_at=now_seconds)]
    )
    return {name: value for name, value in head.items() if name != "redated_to"} | changes


def _go_on(database: Database, table: Table, head: Item, deadline: float) -> Item:
    ttl, key = head["next_messages_ttl"], _key(head)
    place = head.get("redated_to")
    while True:
        after = place and {"PK": head["PK"], "SK": place}
        messages, last = table.query(head["PK"], between=MESSAGES, limit=PAGE, after=after)
        if changes := [_redated(table, one, ttl) for one in messages if _needs(one, ttl)]:
            database.write(changes)
        if last is None:
            break
        place = last["SK"]
        if time.monotonic() + RESERVED_SECONDS > deadline:
            database.write([table.update(key, set={"redated_to": place}, expect=_as_read(head))])
            return head | {"redated_to": place}
    finished = {"messages_ttl": ttl}
    gone = ("next_messages_ttl", "redated_to")
    database.write([table.update(key, set=finished, remove=gone, expect=_as_read(head))])
    return {name: value for name, value in head.items() if name not in gone} | finished


def _needs(message: Item, ttl: int) -> bool:
    now = number(message, "ttl")
    # what has expired already stays so
    return now is None or (now < ttl and not clock.is_past(now))


def _redated(table: Table, message: Item, ttl: int) -> Change:
    return table.update(_key(message), set={"ttl": ttl}, expect={"SK": message["SK"]})


def _as_read(head: Item) -> dict[str, Any]:
    return unchanged(head) | undisturbed(head)


def _key(item: Item) -> Key:
    return {"PK": item["PK"], "SK": item["SK"]}
