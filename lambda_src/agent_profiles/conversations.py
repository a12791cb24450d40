"""Messages: an item each, ordered by a sort key that is made from time and tells apart what time does not."""

from __future__ import annotations

from agent_profiles.profiles import is_key
from common import clock, paging
from common.errors import ConditionFailed, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.change import Change
    from common.table import Database, Item, Table

    Message = dict[str, Any]

MAXIMUM_SORT_KEY_BYTES = 1024
# How often another sort key is taken when there is a message under the first one already
MAXIMUM_ATTEMPTS = 3


def append(
    database: Database, messages: Table, message: dict[str, str], also: Callable[[Message], list[Change]]
) -> Message:
    """The message as it is stored; `also` gives further changes for the same transaction."""
    for _ in range(MAXIMUM_ATTEMPTS):
        item = message | {"timestamp": clock.unique_text(clock.now())}
        result = shown(item)
        try:
            database.write([messages.put(item, expect={"conversation_id": None}), *also(result)])
        except ConditionFailed as error:
            if any(error.positions):
                raise
        else:
            return result
    raise Problem(409, "there are too many messages of this moment; try again")


def of_conversation(
    messages: Table, conversation_id: str, limit: int, after: Any, newest_first: bool, deadline: float
) -> tuple[list[Message], Any]:
    """One page of a conversation, and where the next one begins."""
    if after is not None and not is_key(after, MAXIMUM_SORT_KEY_BYTES):
        raise paging.bad_position()
    if not is_key(conversation_id):
        return [], None

    def fetch(after_time: Any, count: int) -> tuple[list[tuple[str, Message]], bool]:
        # one more than is shown, to know whether the page is the last
        items, last = messages.query(
            conversation_id,
            limit=count + 1,
            after=after_time and {"conversation_id": conversation_id, "timestamp": after_time},
            backwards=newest_first,
        )
        return [(item["timestamp"], shown(item)) for item in items[:count]], len(items) > count or last is not None

    return paging.fill(limit, after, fetch, deadline)


def of_agent(
    messages: Table, index: str, agent_id: str, limit: int, after: Any, deadline: float
) -> tuple[list[Message], Any]:
    """One page of an agent's messages in all its conversations, newest first, and where the next one begins."""
    if after is not None and not (
        isinstance(after, list) and len(after) == 2 and is_key(after[0]) and is_key(after[1], MAXIMUM_SORT_KEY_BYTES)
    ):
        raise paging.bad_position()
    if not is_key(agent_id):
        return [], None

    def fetch(place: Any, count: int) -> tuple[list[tuple[list[str], Message]], bool]:
        items, last = messages.query(
            agent_id,
            index=index,
            limit=count + 1,
            after=place and {"agent_id": agent_id, "conversation_id": place[0], "timestamp": place[1]},
            backwards=True,
        )
        found = [([item["conversation_id"], item["timestamp"]], shown(item)) for item in items[:count]]
        return found, len(items) > count or last is not None

    return paging.fill(limit, after, fetch, deadline)


def shown(item: Item) -> Message:
    """`message_id` is the sort key, unique within the conversation; older applications' items may lack the rest."""
    from agent_profiles.older import plain

    found: Message = plain(item)
    return found | {"message_id": item["timestamp"], "timestamp": item["timestamp"].partition("#")[0]}
