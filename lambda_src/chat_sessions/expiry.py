"""When a session and its messages expire. The head's `ttl` decides; messages carry the same or a later one.

Counted from `created_at` a session's ttl never moves. Counted from `last_accessed` it moves on with each message, and
the messages' must not fall behind. So they get some days more than the head; `messages_ttl` on the head is what every
message has at least, and the head's own ttl never passes it. Where a new message would make it, the older ones are
dated anew first (redating.py), once in so many days.
"""

from __future__ import annotations

from chat_sessions.items import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Item

BASES = ("created_at", "last_accessed")
SECONDS_PER_DAY = 86400
MAXIMUM_SLACK_DAYS = 7


class Expiry:
    """`days` is 0 for sessions that stay until they are deleted; `moves` with every message."""

    __slots__ = ("moves", "seconds", "slack_seconds")

    def __init__(self, days: int, base: str) -> None:
        if days < 0 or base not in BASES:
            raise RuntimeError(
                f"SESSION_TTL_DAYS is {days}, SESSION_TTL_BASE {base!r}: set a number of days, 0 for no end, "
                f"and one of {', '.join(BASES)}"
            )
        self.seconds = days * SECONDS_PER_DAY
        self.slack_seconds = min(days, MAXIMUM_SLACK_DAYS) * SECONDS_PER_DAY
        self.moves = base == "last_accessed" and days > 0

    def of_new_session(self, now_seconds: int) -> dict[str, int]:
        """The attributes of a new head."""
        if not self.seconds:
            return {}
        ttl = now_seconds + self.seconds
        return {"ttl": ttl, "messages_ttl": ttl + self.slack_seconds} if self.moves else {"ttl": ttl}

    def wanted(self, head: Item, now_seconds: int) -> int | None:
        """The ttl that the head should get with a message of this time; None where it stays as it is.

        A session without ttl, as older applications wrote them, is never given one.
        """
        ttl = number(head, "ttl")
        wanted = now_seconds + self.seconds
        return wanted if self.moves and ttl is not None and wanted > ttl else None


def least_of_messages(head: Item) -> int:
    """The ttl that every message is known to have at least; 0 if nothing is known."""
    return int(number(head, "messages_ttl") or 0)


def of_new_message(head: Item, ttl: int | None) -> dict[str, int]:
    """The attributes of a message of this head, whose ttl is about to be `ttl`."""
    if ttl is None:
        return {}
    return {"ttl": max(ttl, least_of_messages(head), int(number(head, "next_messages_ttl") or 0))}


def undisturbed(head: Item) -> dict[str, Any]:
    """What a new message expects of the head, so that no redating passes it by unseen."""
    return {name: head.get(name) for name in ("messages_ttl", "next_messages_ttl")}
