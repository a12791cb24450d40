"""Pages are filled past what is not shown, and tokens say where, never what."""

import json
import time
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import page_tokens, paging
from common.errors import Problem
from common.events import Request
from common.exact_json import dumps


def request(**query: str) -> Request:
    made = Request("GET", [])
    made.query = {name: [value] for name, value in query.items()}
    return made


def listing(shown: list[bool], page: int = 1000) -> tuple[Any, list[int]]:
    """A list of numbers of which some are not shown, read at most `page` at a time; and how much was asked for."""
    asked: list[int] = []

    def fetch(after: Any, count: int) -> tuple[list[tuple[Any, Any]], bool]:
        asked.append(count)
        start = 0 if after is None else after + 1
        end = min(start + min(count, page), len(shown))
        return [(i, i if shown[i] else None) for i in range(start, end)], end < len(shown)

    return fetch, asked


@given(st.lists(st.booleans(), max_size=150), st.integers(1, 100), st.integers(1, 40))
def test_pages_hold_everything_once_and_only_the_last_is_short(shown: list[bool], limit: int, page: int) -> None:
    wanted = [i for i, is_shown in enumerate(shown) if is_shown]
    fetch, _ = listing(shown, page)
    found: list[int] = []
    position = None
    while True:
        items, position = paging.fill(limit, position, fetch, time.monotonic() + 60)
        found += items
        if position is None:
            break
        assert len(items) == limit
        assert position == items[-1]
    assert found == wanted


def test_a_full_list_is_read_once_a_page_and_has_no_empty_page_behind_it() -> None:
    fetch, asked = listing([True] * 6)
    assert paging.fill(3, None, fetch, time.monotonic() + 60) == ([0, 1, 2], 2)
    assert paging.fill(3, 2, fetch, time.monotonic() + 60) == ([3, 4, 5], None)
    assert asked == [3, 3]


def test_where_much_is_not_shown_more_is_looked_at() -> None:
    fetch, asked = listing([False] * 500 + [True])
    assert paging.fill(1, None, fetch, time.monotonic() + 60) == ([500], None)
    assert len(asked) == 6


def test_when_time_is_short_the_page_goes_on_from_what_was_looked_at() -> None:
    fetch, asked = listing([True] + [False] * 300 + [True])
    assert paging.fill(10, None, fetch, time.monotonic()) == ([0], 9)
    assert paging.fill(10, 9, fetch, time.monotonic()) == ([], 19)
    assert asked == [10, 10]


def test_a_page_keeps_below_what_lambda_can_answer() -> None:
    item = {"text": '"ü' * 100_000}  # escaped twice
    fetch = lambda after, count: ([(i, item) for i in range((after or -1) + 1, 10)], False)  # noqa: E731, ARG005
    items, position = paging.fill(100, None, fetch, time.monotonic() + 60)
    size = len(json.dumps({"body": json.dumps(items, ensure_ascii=False)}))
    assert 1 <= len(items) < 10
    assert position == len(items) - 1
    assert size < 6_000_000


def test_an_item_beyond_the_budget_still_comes_alone() -> None:
    fetch = lambda *_: ([(1, "x" * 6_000_000), (2, "y")], False)  # noqa: E731
    items, position = paging.fill(100, None, fetch, time.monotonic() + 60)
    assert (len(items), position) == (1, 1)


POSITIONS = st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3), max_leaves=3)


@given(POSITIONS, st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))
def test_a_token_comes_back_to_its_own_list_only(position: Any, scope: list[str]) -> None:
    token = paging.token(position, *scope)
    assert all(letter.isalnum() or letter in "-_" for letter in token)
    assert paging.position(request(next_token=token), *scope) == position
    for other in ([*scope, "x"], scope[:-1] if scope else ["y"], [*scope, ""]):
        with pytest.raises(Problem):
            paging.position(request(next_token=token), *other)


@given(st.data())
def test_a_changed_token_is_refused(data: st.DataObject) -> None:
    token = paging.token("agent-1", "agents", "x")
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_+/= é").filter(lambda one: one != token[place]))
    with pytest.raises(Problem) as refused:
        paging.position(request(next_token=token[:place] + letter + token[place + 1 :]), "agents", "x")
    assert refused.value.status == 400


@given(st.text())
def test_what_was_never_a_token_is_refused(text: str) -> None:
    with pytest.raises(Problem):
        paging.position(request(next_token=text), "agents", "x")


def test_a_forged_token_that_nests_too_deep_is_refused() -> None:
    for deep in (b"[" * 3000, b'{"a":' * 1500):
        forged = page_tokens._encoded(page_tokens._checksum(deep, ("agents", "x")) + deep)
        with pytest.raises(Problem) as refused:
            paging.position(request(next_token=forged), "agents", "x")
        assert refused.value.status == 400


@pytest.mark.parametrize(("text", "value"), [(None, 25), ("1", 1), ("100", 100), ("007", 7)])
def test_limits(text: str | None, value: int) -> None:
    assert paging.limit(request(**({} if text is None else {"limit": text}))) == value


@given(
    st.lists(
        st.text(max_size=30) | st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.none(), max_size=12
    )
)
def test_a_page_ends_before_the_item_with_which_its_bytes_would_be_used_up(values: list[Any]) -> None:
    items = [{"é": value, "<&>": [value]} for value in values]
    sizes = [len(json.dumps(dumps(item))) for item in items]
    with mock.patch.object(paging, "MAXIMUM_PAGE_BYTES", 200):
        found, _ = paging.fill(100, None, lambda *_: (list(enumerate(items)), False), time.monotonic())
    fitting = next((count for count in range(len(items)) if sum(sizes[: count + 1]) > 200), len(items))
    assert found == items[: max(fitting, 1)]
