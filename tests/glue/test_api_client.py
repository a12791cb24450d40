"""A new API is given time to settle; one that has answered is believed at once."""

from collections.abc import Callable
from typing import Any

import pytest
import urllib3

from scripts import api_client
from scripts.api_client import Answer, ApiClient
from scripts.console import CommandError

REACHED = {"x-execution-environment": "e1"}


class Clock:
    """Time passes only where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


Open = Callable[[Callable[[float], Any]], ApiClient]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(api_client, "time", clock)
    return clock


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Open:
    """An API that answers at a time with a status and headers, or with an error."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)

    def open_api(answers: Callable[[float], Any]) -> ApiClient:
        api = ApiClient("https://api.example.com", "none", "us-east-1")

        def request(*_: object, **__: object) -> Any:
            answer = answers(clock.now)
            if isinstance(answer, Exception):
                raise answer
            return urllib3.HTTPResponse(body=b"{}", status=answer[0], headers=answer[1])

        monkeypatch.setattr(api._pool, "request", request)
        return api

    return open_api


def send(api: ApiClient) -> Answer:
    return api.send("POST", "/things", {})


@pytest.mark.parametrize("early", [404, 500, 503])
def test_a_new_api_may_take_a_moment(opened: Open, clock: Clock, early: int) -> None:
    assert send(opened(lambda now: (201, REACHED) if now >= 10 else (early, {}))).status == 201
    assert clock.now == 10


def test_a_name_that_is_not_known_yet_is_asked_for_again(opened: Open, clock: Clock) -> None:
    unknown = urllib3.exceptions.NewConnectionError(None, "unknown name")  # type: ignore[arg-type]
    assert send(opened(lambda now: (201, REACHED) if now >= 10 else unknown)).status == 201


@pytest.mark.parametrize(("status", "seconds"), [(404, 61), (503, 61), (500, 16), (403, 0), (400, 0)])
def test_it_does_not_wait_for_ever(opened: Open, clock: Clock, status: int, seconds: int) -> None:
    assert send(opened(lambda _: (status, {}))).status == status
    assert clock.now == seconds


def test_what_may_have_been_carried_out_is_not_sent_again(opened: Open, clock: Clock) -> None:
    lost = urllib3.exceptions.ReadTimeoutError(None, "/", "no answer")  # type: ignore[arg-type]
    with pytest.raises(CommandError, match="can't be sent"):
        send(opened(lambda _: lost))
    assert clock.now == 0


def test_what_a_function_says_stands(opened: Open, clock: Clock) -> None:
    api = opened(lambda now: (404, REACHED) if now == 0 else (201, REACHED))
    assert send(api).status == 404
    assert api.environment_ids == {"e1"}
    assert clock.now == 0


def test_once_settled_a_failure_is_told_at_once(opened: Open, clock: Clock) -> None:
    answers = iter([(201, REACHED), (503, {})])
    api = opened(lambda _: next(answers))
    assert [send(api).status, send(api).status] == [201, 503]
    assert clock.now == 0
