"""All sessions of a user: the routes that list and erase them, by the user's entries and the tenant's index.

What is stored says store.py.
"""

from __future__ import annotations

from agent_sessions.caller import TENANT_HEADER, USER_HEADER, Owner, header, wrong_id
from agent_sessions.store import HEAD, fits, is_owned, shown
from common import clock, paging
from common.errors import Problem
from common.events import Answer, bad_parameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_sessions.caller import Callers
    from agent_sessions.handler import AgentSessions
    from agent_sessions.store import SessionStore
    from common.events import Request
    from common.table import Item, Key

DAY = 24 * 3600 * 1_000_000


def sessions(app: AgentSessions, request: Request) -> Answer:
    owner = _owner_in_path(app.callers, request)
    limit = paging.limit(request)
    scope = ("sessions", owner.tenant, owner.user)
    found, after = _sessions_of(app.store, owner, limit, paging.position(request, *scope), request.deadline)
    return Answer(200, paging.page("sessions", found, after, scope))


def erase(app: AgentSessions, request: Request) -> Answer:
    from agent_sessions.erasure import Erasure

    erasure = Erasure(app.store, _owner_in_path(app.callers, request), request.deadline)
    complete = erasure.run()
    report = {"complete": complete, "sessions": erasure.sessions, "messages": erasure.messages}
    if not complete:
        return Answer(202, report, {"retry-after": "1"})
    days = app.recovery_days
    return Answer(200, report | {"restorableUntil": clock.text(clock.now() + days * DAY) if days else None})


def _owner_in_path(callers: Callers, request: Request) -> Owner:
    """403 where the path names another tenant or user than a token or a header."""
    named = {}
    for what, name in (("tenant", TENANT_HEADER), ("user", USER_HEADER)):
        parameter = f"{what}Id"
        named[what] = request.parameters[parameter]
        if wrong := wrong_id(named[what]):
            raise bad_parameter(parameter, wrong)
        if header(request, name) not in (None, named[what]):
            raise Problem(403, f"the {what} in the path is not the one in {name}")
    callers.claimed_tenant(request, named["tenant"])
    callers.claimed_user(request, named["user"])
    return Owner(named["tenant"], named["user"])


def _sessions_of(
    store: SessionStore, owner: Owner, limit: int, after: Any, deadline: float
) -> tuple[list[dict[str, Any]], Any]:
    """A page of the user's sessions, newest first, and where the next one begins."""
    if after is not None and not (isinstance(after, str) and "0" <= after[:1] <= "9" and fits(after)):
        raise paging.bad_position()

    def fetch(place: Any, count: int) -> tuple[list[tuple[str, dict[str, Any] | None]], bool]:
        head: Item = {}
        if place is None:
            head, items, last = _newest_entries(store, owner, count, deadline)
        else:
            start = {"id": owner.partition, "tenantId": place}
            items, last = store.sessions.query(owner.partition, limit=count + 1, after=start, backwards=True)
        keys = [{"id": item["sessionId"], "tenantId": owner.tenant} for item in items[:count]]

        def is_settled(session: Item) -> bool:
            """Entries and head are read as of now: who is not as they say was opened or closed just now."""
            is_active = session["id"] == head.get("activeSessionId")
            return is_owned(session, owner) and (session.get("isActive") is True) == is_active

        sessions = store.sessions.get_many(keys, settled=is_settled)
        found = {item["id"]: shown(item) for item in sessions if is_owned(item, owner)}
        page = [(item["tenantId"], found.get(item["sessionId"])) for item in items[:count]]
        return page, len(items) > count or last is not None

    return paging.fill(limit, after, fetch, deadline)


def _newest_entries(
    store: SessionStore, owner: Owner, count: int, deadline: float
) -> tuple[Item, list[Item], Key | None]:
    """At least one more than `count`, if there are, in one query: the user's head stands before the newest."""
    for _ in range(2):
        items, last = store.sessions.query(owner.partition, limit=count + 2, backwards=True)
        head = items[0] if items and items[0]["tenantId"] == HEAD else None
        if head and "erasing" in head:
            return head, [], None
        if head and "adopting" not in head:
            return head, items[1:], last
        from agent_sessions.takeover import take_over

        if take_over(store, owner, head, deadline) is None:
            break
    return {}, [], None


def indexed_sessions(store: SessionStore, owner: Owner, limit: int, after: Any) -> tuple[list[Item], Any]:
    """Up to `limit` of the user's sessions by the tenant's index, and where to go on, None at the end.

    It may still show what is gone, and has what an older application wrote. Shards are looked through one after the
    other: a user's sessions are in one, but which it is changes with the number of shards that are written.
    """
    shards: list[str | None] = [f"{shard}#{owner.tenant}" for shard in range(store.shards_read)]
    shards = shards or [None]
    here = after and after.get("tenantShard")
    if here not in shards:
        # remembered when the index was another one: once more from the beginning
        here, after = shards[0], None
    left = iter(shards[shards.index(here) :])
    for shard in left:
        items, last = store.sessions.query(
            shard or owner.tenant,
            index=store.user_index,
            limit=limit,
            after=after if after and "id" in after else None,
            between=(owner.user, owner.user),
        )
        if items or last:
            return items, last or next(({"tenantShard": shard} for shard in left), None)
        after = None
    return [], None
