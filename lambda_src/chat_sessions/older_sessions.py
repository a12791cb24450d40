"""Sessions that an older application wrote: without our clock, and with times in whatever ISO 8601 it used."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from chat_sessions.items import MESSAGE_PREFIX, MESSAGES, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from common.table import Item, Table

_EPOCH = datetime(1970, 1, 1)
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?")


def last_time(table: Table, head: Item) -> int:
    """The clock that such a session would have: the time of its newest message, or of its last access if later."""
    newest, _ = table.query(head["PK"], between=MESSAGES, limit=1, backwards=True)
    keys = [message["SK"].removeprefix(MESSAGE_PREFIX) for message in newest]
    return max(map(_microseconds, [text(head, "last_accessed"), *keys]))


def _microseconds(time: str) -> int:
    """As written, whatever the time zone: what counts is that the text of a later time sorts behind it."""
    found = _TIME.match(time)
    if not found:
        return 0
    try:
        date = datetime.fromisoformat(found[0][:19])
    except ValueError:
        return 0
    fraction = (found[1] or ".")[1:].ljust(6, "0")
    return (date - _EPOCH) // timedelta(seconds=1) * 1_000_000 + int(fraction)
