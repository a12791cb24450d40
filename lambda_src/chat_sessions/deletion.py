"""Deleting a session: a tombstone in its head's place hides it at once; then its messages go, then the tombstone.

Wherever that ends early, whoever comes next goes on: the same DELETE again, or the hourly action, which finds the
tombstones in a partition of their own in the index. A tombstone has no ttl: it must not go before the messages.
"""

from __future__ import annotations

import time

from chat_sessions.items import (
    DELETING,
    METADATA,
    SESSION_PREFIX,
    head_key,
    is_live,
    partition,
    unchanged,
    version,
    visible,
)
from common import clock
from common.batch_deletion import delete_many
from common.errors import ConditionFailed, Problem, TableError, Throttled, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from chat_sessions.store import ChatStore
    from common.table import Item

# Ten batches; between two pages there is a look at the time
PAGE = 250
RESERVED_SECONDS = 1.5
MAXIMUM_RACES = 10
MAXIMUM_TOMBSTONES = 25
_TURN_MICROSECONDS = 3600 * 1_000_000


def delete(
    store: ChatStore,
    session_id: str,
    user: str | None,
    check: Callable[[int | None], None],
    deadline: float,
    *,
    is_exact: bool,
) -> None:
    """404 if there is none. `check` is given its version and raises if that must not go; see `bury` for `is_exact`."""
    for _ in range(MAXIMUM_RACES):
        head = store.table.get(head_key(session_id))
        is_theirs = head is not None and user in (None, head.get("user_id"))
        if head is not None and is_theirs and "deleted_at" in head:
            check(head["version"])  # the same request again, after it was interrupted
            break
        check(version(head) if head is not None and is_theirs and is_live(head) else None)
        visible(head, user)
        if bury(store, session_id, head, is_exact=is_exact):
            break
    else:
        raise Problem(409, "the session is being changed by many others at the same time; try again")
    try:
        purge(store, session_id, deadline)
    except (Throttled, Unavailable):
        return  # the session is deleted for everybody; what is left of it goes later


def bury(store: ChatStore, session_id: str, head: Item | None, *, is_exact: bool = False) -> bool:
    """Put a tombstone in the place of this head (None: where there is none); False if it is not there any more.

    Messages may be appended meanwhile, unless `is_exact`: then the head's version, too, must be the same.
    """
    now = clock.text(clock.now())
    tombstone: dict[str, Any] = {
        **head_key(session_id),
        "deleted_at": now,
        "version": version(head) if head else 0,
        "GSI1PK": _gathering(store, session_id),
        "GSI1SK": now,
    }
    expect: dict[str, Any] = {"PK": None}
    if head is not None:
        if "user_id" in head:
            tombstone["user_id"] = head["user_id"]
        expect = unchanged(head) | ({"version": head.get("version")} if is_exact else {})
    try:
        store.database.write([store.table.put(tombstone, expect=expect)])
    except ConditionFailed:
        return False
    return True


def purge(store: ChatStore, session_id: str, deadline: float) -> bool:
    """Delete what stands under a tombstone, and that itself; False if the time ended first."""
    table, key = store.table, head_key(session_id)
    first = table.get(key)
    while first is not None and "deleted_at" in first:
        items, last = table.query(partition(session_id), limit=PAGE, backwards=True)
        # if it still stands after they were listed, they are not those of a new session
        if table.get(key) != first:
            return True
        delete_many(table, [{"PK": item["PK"], "SK": item["SK"]} for item in items if item["SK"] != METADATA])
        if last is None:
            try:
                store.database.write([table.delete(key, expect={"deleted_at": first["deleted_at"]})])
            except ConditionFailed:
                return True  # somebody else was finishing it, too
            return True
        if time.monotonic() + RESERVED_SECONDS > deadline:
            return False
    return True


def finish_all(store: ChatStore, deadline: float) -> dict[str, int]:
    """Go on with every deletion that was interrupted, the oldest of a partition first; how many came to their end, or
    did not."""
    finished = unfinished = 0
    failure: TableError | None = None
    partitions = _partitions(store)
    after: Any = None
    while partitions and time.monotonic() + RESERVED_SECONDS < deadline:
        entries, after = store.table.query(partitions[-1], index=store.index, limit=MAXIMUM_TOMBSTONES, after=after)
        for entry in entries:
            try:
                is_finished = purge(store, entry["PK"].removeprefix(SESSION_PREFIX), deadline)
            except TableError as error:
                is_finished, failure = False, error
            finished += is_finished
            unfinished += not is_finished
        if after is None:
            partitions.pop()
    if failure is not None:
        # the invocation fails, for the alarm, but only after every other session had its turn
        raise failure
    return {"finished": finished, "unfinished": unfinished}


def _gathering(store: ChatStore, session_id: str) -> str:
    """Where in the index the tombstone of this session waits for its end."""
    if store.shards_written == 1:
        return DELETING
    from common.sharding import shard_name, shard_of

    return shard_name(DELETING, shard_of(session_id, store.shards_written))


def _partitions(store: ChatStore) -> list[str]:
    """All that tombstones may wait in, each time another one at the end, so that none waits for the others for ever."""
    count = store.shards_read
    if count == 1:
        return [DELETING]
    from common.sharding import shard_name

    last = clock.now() // _TURN_MICROSECONDS
    return [shard_name(DELETING, (last + 1 + one) % count) for one in range(count)]
