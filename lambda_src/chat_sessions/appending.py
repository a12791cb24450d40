"""Appending a message: the message, the session's counters and its recency, in one transaction.

The key of a message is its time by the session's own clock: the wall clock, or a microsecond after the message before
where that has not moved on. A transaction demands that the session's clock is behind, and sets it. So messages of
however many writers are distinct, and their keys are in the order in which they were committed.
"""

from __future__ import annotations

import os
import time

from chat_sessions import expiry
from chat_sessions.items import (
    CLOCK,
    MESSAGE_PREFIX,
    USER_PREFIX,
    head_key,
    is_ours,
    number,
    recency,
    text,
    unchanged,
    version,
    visible,
)
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

FIRST_PAUSE_SECONDS = 0.004
LONGEST_PAUSE_SECONDS = 0.25
MAXIMUM_DOUBLINGS = 6


class Appending:
    """One message on its way into a session; `user` is the one whose session it must be, None for any."""

    def __init__(
        self,
        store: ChatStore,
        policy: Expiry,
        session_id: str,
        user: str | None,
        message: dict[str, Any],
        deadline: float,
    ) -> None:
        self._store = store
        self._policy = policy
        self._session_id = session_id
        self._user = user
        self._message = message
        self._deadline = deadline
        # after a time that is known to be taken
        self._earliest = 0
        self._attempt = 0
        # when the session's clock was last known, by ours
        self._known_at = 0.0

    def run(
        self, check: Callable[[int], None], also: Callable[[dict[str, Any]], list[Change]], *, is_exact: bool
    ) -> dict[str, Any]:
        """The message as it was stored, without its content, which is the caller's own and may be large.

        `check` is given the session's version and raises if that is not the one to append to; `is_exact` holds the
        transaction to it. `also` is given the result and returns further changes for the same transaction.
        """
        head = self._read()
        while True:
            check(version(head))
            redated = self._redated(head)
            if redated is None:
                found = self._read()
            else:
                now = self._next_time(redated)
                body = {"session_id": self._session_id, "time": clock.text(now)} | {
                    name: self._message[name] for name in ("role", "tokens", "context_ids")
                }
                try:
                    self._store.database.write([*self._changes(redated, now, is_exact=is_exact), *also(body)])
                except ConditionFailed as error:
                    if any(position > 1 for position in error.positions):
                        raise
                    if 0 in error.positions:
                        self._earliest = now + 1
                    # the head that stood against it is told: then it need not be read again
                    found = (error.found.get(1) or self._read()) if 1 in error.positions else redated
                else:
                    return body
            head = visible(found, self._user)
            self._known_at = time.monotonic()
            self._pause()

    def _read(self) -> Item:
        return self._store.head(self._session_id, self._user)

    def _redated(self, head: Item) -> Item | None:
        """The head, its messages redated where this message needs it; None if it changed meanwhile."""
        wanted = self._policy.wanted(head, clock.seconds_up(self._next_time(head)))
        if wanted is None or wanted <= expiry.least_of_messages(head):
            return head
        from chat_sessions.redating import redate

        store = self._store
        return redate(store.database, store.table, head, wanted, self._policy.slack_seconds, self._deadline)

    def _next_time(self, head: Item) -> int:
        if is_ours(head):
            last = int(head[CLOCK])
        else:
            from chat_sessions.older_sessions import last_time

            last = last_time(self._store.table, head)
        if self._attempt:
            # who was first goes on meanwhile, at the pace of time wherever their clock stands: without this, a writer
            # whose wall clock is behind the others' would lose for as long as they write
            last += int((time.monotonic() - self._known_at) * 1_000_000)
        return max(clock.now(), last + 1, self._earliest)

    def _changes(self, head: Item, now: int, *, is_exact: bool) -> list[Change]:
        ttl = number(head, "ttl")
        if wanted := self._policy.wanted(head, clock.seconds_up(now)):
            # where redating has not come to its end, no further than the messages reach
            ttl = max(ttl, min(wanted, expiry.least_of_messages(head)))
        key = {"PK": head["PK"], "SK": MESSAGE_PREFIX + clock.text(now)}
        message = {**key, **self._message, **expiry.of_new_message(head, ttl)}
        return [
            self._store.table.put(message, expect={"PK": None}),
            self._head_change(head, now, ttl, is_exact=is_exact),
        ]

    def _head_change(self, head: Item, now: int, ttl: int | None, *, is_exact: bool) -> Change:
        to_set: dict[str, Any] = {
            "last_accessed": clock.text(now),
            "GSI1SK": recency(now, self._store.recency_granularity_seconds),
            CLOCK: now,
        }
        to_add: dict[str, int] = {}
        expect = unchanged(head)
        if user := text(head, "user_id"):
            to_set["GSI1PK"] = USER_PREFIX + user
        if ttl is not None:
            to_set["ttl"] = ttl
            expect |= expiry.undisturbed(head)
        tokens = self._message["tokens"]
        if "total_tokens" in head and number(head, "total_tokens") is None:
            to_set["total_tokens"] = tokens
        else:
            to_add["total_tokens"] = tokens
        if is_ours(head):
            to_add |= {"version": 1} | ({} if number(head, "message_count") is None else {"message_count": 1})
            if is_exact:
                expect["version"] = head["version"]
        else:
            to_set["version"] = 1
            expect[CLOCK] = None
        # DynamoDB deletes by numbers only: a ttl of another type never ends anything
        ends = ttl is not None or "ttl" not in head
        return self._store.table.update(
            head_key(self._session_id),
            set=to_set,
            add=to_add,
            expect=expect,
            below={CLOCK: now},
            unexpired_at=clock.now() // 1_000_000 if ends else None,
        )

    def _pause(self) -> None:
        """Others were first: wait before another attempt (exponential, full jitter); 503 if time is up."""
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._attempt, MAXIMUM_DOUBLINGS))
        self._attempt += 1
        seconds = longest * int.from_bytes(os.urandom(4), "big") / 2**32
        if time.monotonic() + seconds >= self._deadline:
            raise Problem(
                503,
                "too many others append to this session; nothing was written, try again later",
                headers={"retry-after": "1"},
            )
        self._store.database.usage.retries += 1
        time.sleep(seconds)
