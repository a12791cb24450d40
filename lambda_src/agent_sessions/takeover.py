"""Sessions that an older application wrote: once, before anything else is done for a user, they are given entries.

Page by page, each in one transaction with the user's head, whose `adopting` holds where to go on: whoever is
interrupted, or overtaken, finds there what is left.
"""

from __future__ import annotations

import time

from agent_sessions.conversation import entry
from agent_sessions.store import head_key, is_owned, text
from agent_sessions.user_sessions import indexed_sessions
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from agent_sessions.caller import Owner
    from agent_sessions.store import SessionStore
    from common.table import Item

PAGE = 50
# What one page may take
_PAGE_SECONDS = 1.0


def take_over(store: SessionStore, owner: Owner, head: Item | None, deadline: float) -> Item | None:
    """The user's head once every session has its entry; None if there are none, then nothing is written."""
    while head is None or ("adopting" in head and "erasing" not in head):
        if time.monotonic() + _PAGE_SECONDS > deadline:
            raise Problem(
                503, "older records of this user are being taken over; repeat the call", headers={"retry-after": "1"}
            )
        state: dict[str, Any] = head["adopting"] if head else {}
        listed, last = indexed_sessions(store, owner, PAGE, state.get("after"))
        # the index may still show what is gone
        keys = [{"id": item["id"], "tenantId": owner.tenant} for item in listed]
        sessions = [item for item in store.sessions.get_many(keys) if is_owned(item, owner)]
        if head is None and not sessions and last is None:
            return None
        active = [
            (text(session, "createdAt"), session["id"]) for session in sessions if session.get("isActive") is True
        ]
        if head and "activeSessionId" in head:
            active.append((state["activeSince"], head["activeSessionId"]))
        found = {"ofTenant": owner.tenant, "ofUser": owner.user}
        since = ""
        if active:
            since, found["activeSessionId"] = max(active)
        more = {} if last is None else {"adopting": {"after": dict(last), "activeSince": since}}
        change = store.sessions.update(
            head_key(owner),
            set=found | more,
            remove=() if more or not head else ["adopting"],
            expect={"adopting": state, "erasing": None} if head else {"tenantId": None},
        )
        try:
            store.database.write([change, *(store.sessions.put(entry(owner, session)) for session in sessions)])
        except ConditionFailed:
            head = store.head(owner)
        else:
            head = (head or head_key(owner)) | found | more
            if not more:
                head.pop("adopting", None)
    return head
