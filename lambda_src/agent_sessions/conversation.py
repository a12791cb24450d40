"""What is said in a session: each message is written in one transaction with the change of its session."""

from __future__ import annotations

import os

from agent_sessions.caller import Owner
from agent_sessions.store import fits, head_key, is_visible, may_be_session, text, unknown, version
from common import clock
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from agent_sessions.store import SessionStore
    from common.change import Change
    from common.table import Item

# How often a write that lost against another is tried again
MAXIMUM_RACES = 100
_DAY_SECONDS = 24 * 3600
_TIME_LENGTH = len("2026-11-21T03:47:12.000000Z")


class AlreadyStored(Exception):  # noqa: N818 - it names what happened
    """There is a message of this id: the same request has been here."""


class _Unfit(Exception):  # noqa: N818
    """The session is not as it must be for a message; `session` is what it is, None for none."""

    def __init__(self, session: Item | None) -> None:
        self.session = session


def new_id() -> str:
    return os.urandom(16).hex()


def add_user_message(
    store: SessionStore,
    owner: Owner,
    message: Item,
    session_id: str | None,
    location: str | None,
    deadline: float,
) -> Item:
    """The message as stored: in the session named, or in the user's active one, or in a new one.

    `message` has all but its session, time and expiry.
    """
    if session_id is not None:
        return _add_to(store, owner, message, session_id)
    for _ in range(MAXIMUM_RACES):
        head = store.head(owner)
        if head is None or "adopting" in head:
            from agent_sessions.takeover import take_over

            head = take_over(store, owner, head, deadline)
        if head and "erasing" in head:
            raise being_erased()
        active = head.get("activeSessionId") if head else None
        if active is not None:
            try:
                return _append(store, active, message, {"userId": owner.user, "isActive": True})
            except _Unfit:
                pass  # closed by others in between, or by an older application that knows nothing of heads
        stored = _open(store, owner, head or {}, message, location)
        if stored:
            return stored
    raise _too_many_races()


def add_reply(store: SessionStore, reply: Item, session_id: str) -> Item:
    """The agent's message as stored. It belongs to one that was taken, so it may come after the session's close."""
    try:
        return _append(store, session_id, reply, {"userId": reply["userId"]})
    except _Unfit:
        raise being_erased() from None


def close(
    store: SessionStore, tenant: str, session_id: str, user: str | None, check: Callable[[int | None], None]
) -> Item:
    """The session as it is then. `check` is given its version and raises if that must not be changed."""
    for _ in range(MAXIMUM_RACES):
        session = store.session(tenant, session_id, user)
        if session is None:
            raise unknown()
        check(version(session))
        if session.get("isActive") is not True:
            return session
        owner = Owner(tenant, session["userId"])
        closed = {
            "isActive": False,
            "updatedAt": clock.text(max(clock.now(), _clock(session))),
            "version": version(session) + 1,
        }
        changes = [
            store.sessions.update(
                _key(tenant, session_id),
                set=closed,
                expect={"version": session.get("version"), "isActive": True, "userId": owner.user, "erasing": None},
            )
        ]
        head = store.head(owner)
        if head and head.get("activeSessionId") == session_id:
            changes.append(
                store.sessions.update(
                    head_key(owner), remove=["activeSessionId"], expect={"activeSessionId": session_id}
                )
            )
        try:
            store.database.write(changes)
        except ConditionFailed:
            continue
        return session | closed
    raise _too_many_races()


def being_erased() -> Problem:
    return Problem(
        409,
        "what is stored of this user is being erased; try again when that is complete",
        headers={"retry-after": "2"},
    )


def _add_to(store: SessionStore, owner: Owner, message: Item, session_id: str) -> Item:
    if not may_be_session(session_id):
        raise unknown()
    try:
        return _append(store, session_id, message, {"userId": owner.user, "isActive": True})
    except _Unfit as unfit:
        if unfit.session is None or not is_visible(unfit.session) or unfit.session["userId"] != owner.user:
            raise unknown() from None
        raise Problem(409, "the session is closed; leave sessionId out to go on in an open one") from None


def _append(store: SessionStore, session_id: str, message: Item, expect: Mapping[str, Any]) -> Item:
    """The session's clock only moves forward, whatever ours says, so that the order of writing is that of time."""
    key, at = _key(message["tenantId"], session_id), clock.now()
    for _ in range(MAXIMUM_RACES):
        stored = _stored(store, message, session_id, at)
        change = store.sessions.update(
            key,
            set={"clock": at, "updatedAt": clock.text(at)},
            add={"version": 1, "messageCount": 1},
            expect={**expect, "erasing": None},
            below={"clock": at},
        )
        try:
            store.database.write([change, _put(store, stored)])
        except ConditionFailed as failure:
            if 1 in failure.positions:
                raise AlreadyStored from failure
            session = failure.found[0] if 0 in failure.found else store.sessions.get(key)
            if session is None or "erasing" in session or any(session.get(name) != expect[name] for name in expect):
                raise _Unfit(session) from failure
            at = max(clock.now(), _clock(session) + 1)
        else:
            return stored
    raise _too_many_races()


def _open(store: SessionStore, owner: Owner, before: Item, message: Item, location: str | None) -> Item | None:
    """The message in a new session, which the user's head names from now on; None if others were faster.

    `before` is the head as it was: a session comes after the one opened before it, whatever the clocks say.
    """
    at = max(clock.now(), _clock(before) + 1)
    session: Item = {
        **_key(owner.tenant, new_id()),
        "userId": owner.user,
        "isActive": True,
        "createdAt": clock.text(at),
        "updatedAt": clock.text(at),
        "clock": at,
        "version": 1,
        "messageCount": 1,
        # sessions of older applications have messages that were never counted
        "countsAll": True,
        **in_shard(owner.tenant, owner.user, store.shards_written),
    }
    if location is not None:
        session["locationId"] = location
    if "metadata" in message:
        session["metadata"] = message["metadata"]
    stored = _stored(store, message, session["id"], at)
    head = store.sessions.update(
        head_key(owner),
        set={"activeSessionId": session["id"], "ofTenant": owner.tenant, "ofUser": owner.user, "clock": at},
        expect={"activeSessionId": before.get("activeSessionId"), "adopting": None, "erasing": None},
        below={"clock": at},
    )
    changes = [
        store.sessions.put(session, expect={"id": None}),
        store.sessions.put(entry(owner, session)),
        head,
        _put(store, stored),
    ]
    try:
        store.database.write(changes)
    except ConditionFailed as failure:
        if 3 in failure.positions:
            raise AlreadyStored from failure
        return None
    return stored


def in_shard(tenant: str, member: str, count: int) -> dict[str, str]:
    """What an item has of its place among so many shards of the tenant; nothing if there are none."""
    if not count:
        return {}
    from common.sharding import shard_of

    return {"tenantShard": f"{shard_of(member, count)}#{tenant}"}


def entry(owner: Owner, session: Item) -> Item:
    """What lists a session under its user. Times of older applications may have any form."""
    session_id, created = session["id"], text(session, "createdAt")[:_TIME_LENGTH]
    place = f"{created if '0' <= created[:1] <= '9' else '0'}#{session_id}"
    if not fits(place):
        from agent_sessions.caller import digest

        place = place.partition("#")[0] + f"#{digest(session_id)}"
    return {"id": owner.partition, "tenantId": place, "sessionId": session_id}


def _stored(store: SessionStore, message: Item, session_id: str, at: int) -> Item:
    days = store.message_ttl_days
    expiry = {"ttl": clock.seconds_up(at) + days * _DAY_SECONDS} if days else {}
    place = in_shard(message["tenantId"], session_id, store.shards_written)
    return message | {"sessionId": session_id, "timestamp": clock.text(at)} | expiry | place


def _put(store: SessionStore, message: Item) -> Change:
    return store.messages.put(message, expect={"id": None}, or_expired_at=clock.now() // 1_000_000)


def _key(tenant: str, session_id: str) -> dict[str, Any]:
    return {"id": session_id, "tenantId": tenant}


def _clock(session: Item) -> int:
    found = session.get("clock")
    return found if isinstance(found, int) else 0


def _too_many_races() -> Problem:
    return Problem(409, "the session is being changed by many others at the same time; try again")
