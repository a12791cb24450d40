"""Pages of lists: `limit`, the opaque `next_token`, and filling a page past everything that is not shown.

What the token is: page_tokens.py.
"""

from __future__ import annotations

import json
import time

from common.errors import Problem
from common.events import bad_parameter
from common.exact_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from common.events import Request

    Fetch = Callable[[Any, int], tuple[list[tuple[Any, Any]], bool]]

DEFAULT_LIMIT = 25
MAXIMUM_LIMIT = 100
# Lambda's answer ends at 6 MB; what is left is for the envelope
MAXIMUM_PAGE_BYTES = 5_000_000
# of what repr shows: an astral one is \\ud83d\\ude00
_MOST_JSON_OF_A_CHARACTER = 12
_FILL_SECONDS = 0.5


def limit(request: Request, name: str = "limit") -> int:
    text = request.one(name)
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAXIMUM_LIMIT):
        raise bad_parameter(name, f"must be a whole number from 1 to {MAXIMUM_LIMIT}")
    return int(text)


def position(request: Request, *scope: str) -> Any:
    """Where the page begins, None at the start. `scope` names the list and everything that selects what is in it."""
    token = request.one("next_token")
    if token is None:
        return None
    from common.page_tokens import position_of

    return position_of(token, scope)


def token(position: Any, *scope: str) -> str:
    from common.page_tokens import token_of

    return token_of(position, scope)


def page(name: str, found: list[Any], after: Any, scope: tuple[str, ...]) -> dict[str, Any]:
    """The body of an answer; the next page begins after `after`, None at the end of the list."""
    body: dict[str, Any] = {name: found}
    if after is not None:
        body["next_token"] = token(after, *scope)
    return body


def bad_position() -> Problem:
    """For a store that finds a position which its list can't have."""
    return bad_parameter("next_token", "names no position of this list")


def fill(limit: int, start: Any, fetch: Fetch, deadline: float) -> tuple[list[Any], Any]:
    """Up to `limit` items after `start`, and the position to go on from, None at the end of the list.

    `fetch(position, count)` gives up to `count` candidates after a position, each with its own position and
    None for one that is not shown, and whether there may be more. It is asked until the page is full, the list
    ends, the page's bytes are used up, or (time.monotonic()) `deadline` comes near.
    """
    found: list[Any] = []
    # what it takes at most, and what is known of the first so many
    most = size = measured = 0
    at, count = start, limit
    while True:
        candidates, more = fetch(at, count)
        for i, (place, item) in enumerate(candidates):
            if item is not None:
                most += _MOST_JSON_OF_A_CHARACTER * len(repr(item))
                if found and most > MAXIMUM_PAGE_BYTES:
                    size += _size([*found[measured:], item])
                    measured = len(found) + 1
                    if size > MAXIMUM_PAGE_BYTES:
                        return found, at
                found.append(item)
            at = place
            if len(found) == limit:
                more = more or any(later is not None for _, later in candidates[i + 1 :])
                return found, at if more else None
        if not more:
            return found, None
        if time.monotonic() + _FILL_SECONDS > deadline:
            return found, at
        count = MAXIMUM_LIMIT  # much is not shown here: look at more at a time


def _size(items: list[Any]) -> int:
    """Bytes in the answer: twice JSON, since its body is a text within the JSON of the answer."""
    return sum(len(json.dumps(dumps(item))) for item in items)
