"""Erasing all that is stored of a user, however much: messages, sessions, what leads to them.

A mark on the user's head stops new sessions, a mark on each session new messages. A session goes when its messages are
gone for certain: when as many were found as it counted, or when they were looked for after the index had had the time
to show everything. The head goes last. Interrupted at any point, a repeat goes on with what is left.
"""

from __future__ import annotations

import time
from contextlib import suppress

from agent_sessions.store import ENTRIES, head_key, text
from agent_sessions.user_sessions import indexed_sessions
from common import clock
from common.batch_deletion import delete_many
from common.errors import ConditionFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from agent_sessions.caller import Owner
    from agent_sessions.store import SessionStore
    from common.table import Item, Key

# Indexes follow their table within a fraction of this
INDEX_LAG_SECONDS = 10
QUIET_SECONDS = 60
_POLL_SECONDS = 0.25
# Kept back for what is under way when the time is over
_STOP_SECONDS = 1.5
# Sessions, and messages, that are looked at in one step; a message may be large
_SESSIONS = 25
_MESSAGES = 1000
_DELETED_AT_ONCE = 100


class OutOfTime(Exception):  # noqa: N818 - it names what happened
    """The rest is for the next call."""


class Erasure:
    """One call's part of it; `sessions` and `messages` count what all calls have erased until now."""

    def __init__(self, store: SessionStore, owner: Owner, deadline: float) -> None:
        self.sessions = self.messages = 0
        self._store = store
        self._owner = owner
        self._deadline = deadline
        self._mark = 0
        self._waiting = False
        # ids of messages by session: an index may go on showing what is deleted
        self._seen: dict[str, set[str]] = {}

    def run(self) -> bool:
        """Whether nothing is left."""
        head = self._store.head(self._owner)
        if head is None and not any(self._without_entry()):
            return True
        if not (head and "erasing" in head):
            head = self._begin()
        self._mark = head["erasing"]
        try:
            while self._is_marked() and self._round():
                if self._waiting:
                    self._pause()
        except OutOfTime:
            self._remember()
            return False
        finally:
            self.sessions += _number(head, "erasedSessions")
            self.messages += _number(head, "erasedMessages")
        delete = self._store.sessions.delete(head_key(self._owner), expect={"erasing": self._mark})
        with suppress(ConditionFailed):  # another call came to the end first
            self._store.database.write([delete])
        return True

    def _begin(self) -> Item:
        mark = {"erasing": clock.now(), "ofTenant": self._owner.tenant, "ofUser": self._owner.user}
        # counted from 0, which makes it a transaction: its token keeps an attempt that arrives late, when all is gone,
        # from setting the mark anew
        change = self._store.sessions.update(
            head_key(self._owner),
            set=mark,
            add={"erasedSessions": 0, "erasedMessages": 0},
            remove=["activeSessionId"],
            expect={"erasing": None},
        )
        try:
            self._store.database.write([change])
        except ConditionFailed as failure:
            return failure.found.get(0) or self._store.head(self._owner) or mark
        return mark

    def _is_marked(self) -> bool:
        """False when another call has finished: what there is now is new."""
        head = self._store.head(self._owner)
        return head is not None and head.get("erasing") == self._mark

    def _round(self) -> bool:
        """Erase what is found; whether anything was, or is waiting for an index."""
        found = self._waiting = False
        after: Key | None = None
        while True:
            entries, after = self._store.sessions.query(
                self._owner.partition, between=ENTRIES, limit=_SESSIONS, after=after
            )
            if entries:
                self._erase({item["sessionId"]: {"id": item["id"], "tenantId": item["tenantId"]} for item in entries})
                found = True
            if after is None:
                break
        for ids in self._without_entry():
            self._erase(dict.fromkeys(ids))
            found = True
        return found

    def _without_entry(self) -> Iterable[list[str]]:
        """Sessions that only the index tells of: an older application wrote them."""
        after: Any = None
        while True:
            items, after = indexed_sessions(self._store, self._owner, _SESSIONS, after)
            # the index may still show what is gone
            live = self._store.sessions.get_many([self._key(item["id"]) for item in items])
            if live:
                yield [item["id"] for item in live]
            if after is None:
                return

    def _erase(self, entries: dict[str, Key | None]) -> None:
        """Sessions, each with the key of its entry, if it has one. Those that must wait stay for the next round."""
        for session_id in entries:
            self._close(session_id)
        stored = {item["id"]: item for item in self._store.sessions.get_many([*map(self._key, entries)])}
        sessions = {one: item for one, item in stored.items() if item.get("userId") == self._owner.user}
        # an older application may have handed a session on to another user: then only the entry goes
        others = stored.keys() - sessions.keys()
        done = [one for one in entries if one in others or self._erase_messages(one, sessions.get(one))]
        self._waiting = self._waiting or len(done) < len(entries)
        # first the sessions: without its entry one would be found by the index only
        delete_many(self._store.sessions, [self._key(one) for one in done if one in sessions])
        delete_many(self._store.sessions, [key for one in done if (key := entries[one])])
        self.sessions += sum(one in sessions for one in done)

    def _close(self, session_id: str) -> None:
        self._check_time()
        change = self._store.sessions.update(
            self._key(session_id),
            set={"erasing": clock.now(), "isActive": False},
            expect={"userId": self._owner.user, "erasing": None},
        )
        with suppress(ConditionFailed):  # it is gone, another's, or marked by an earlier call
            self._store.database.write([change])

    def _erase_messages(self, session_id: str, session: Item | None) -> bool:
        """Whether all of them are gone for certain."""
        counted = _number(session, "messageCount") if session and session.get("countsAll") is True else None
        seen = self._seen.setdefault(session_id, set())
        while True:
            is_settled = self._is_settled(session)
            before = len(seen)
            after: Key | None = None
            while True:
                self._check_time()
                items, after = self._store.messages.query(
                    session_id, index=self._store.time_index, limit=_MESSAGES, after=after
                )
                ids = [
                    item["id"]
                    for item in items
                    if item.get("tenantId") == self._owner.tenant and item["id"] not in seen
                ]
                self._delete_messages(ids)
                seen.update(ids)
                if after is None:
                    break
            if is_settled or (counted is not None and len(seen) >= counted):
                return True
            if len(seen) == before:
                return False

    def _delete_messages(self, ids: list[str]) -> None:
        for start in range(0, len(ids), _DELETED_AT_ONCE):
            self._check_time()
            part = ids[start : start + _DELETED_AT_ONCE]
            delete_many(self._store.messages, [{"id": one} for one in part])
            self.messages += len(part)

    def _is_settled(self, session: Item | None) -> bool:
        """Whether the index shows every message by now: none was written for long, and none can be since the mark."""
        now = clock.now()
        marked = _number(session, "erasing") or self._mark
        if marked < now - INDEX_LAG_SECONDS * 1_000_000:
            return True
        return session is not None and "" < text(session, "updatedAt") < clock.text(now - QUIET_SECONDS * 1_000_000)

    def _remember(self) -> None:
        change = self._store.sessions.update(
            head_key(self._owner),
            add={"erasedSessions": self.sessions, "erasedMessages": self.messages},
            expect={"erasing": self._mark},
        )
        with suppress(ConditionFailed):  # another call came to the end
            self._store.database.write([change])

    def _pause(self) -> None:
        self._check_time()
        time.sleep(_POLL_SECONDS)

    def _check_time(self) -> None:
        if time.monotonic() + _STOP_SECONDS > self._deadline:
            raise OutOfTime

    def _key(self, session_id: str) -> dict[str, Any]:
        return {"id": session_id, "tenantId": self._owner.tenant}


def _number(item: Item | None, name: str) -> int:
    found = item.get(name) if item else None
    return found if isinstance(found, int) else 0
