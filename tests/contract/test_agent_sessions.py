"""The agent sessions as their callers see them, in both persistence modes; each answer is held against openapi.yaml."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_sessions import backends, echo, erasure, takeover
from agent_sessions.caller import MAXIMUM_ID, Owner
from common import clock, paging
from tests.contract.agent_sessions import SECONDS, AgentSessions, new_agent_sessions, stated
from tests.contract.application import Answer
from tests.contract.engines import Engine
from tests.contract.replication_lag import lagging
from tests.unit.http_events import Context

DAY = 24 * 3600
SECOND = 1_000_000
OLD = "2024-01-01T00:00:00Z"


@pytest.fixture
def app(engine: Engine) -> Iterator[AgentSessions]:
    with new_agent_sessions(engine) as app:
        yield app


class Clock:
    """Time as the function sees it, moved by hand; it ticks with every look, as real time does."""

    def __init__(self) -> None:
        self.microseconds = clock.now()
        self._lock = threading.Lock()

    def now(self) -> int:
        with self._lock:
            self.microseconds += 1
            return self.microseconds

    def advance(self, seconds: float) -> None:
        self.microseconds += int(seconds * SECOND)


@pytest.fixture
def prompt_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older application wrote and never counted is waited for otherwise, if it changed just now."""
    monkeypatch.setattr(erasure, "INDEX_LAG_SECONDS", 0)


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


class Crash(BaseException):
    """The execution environment ends here."""


class Failing:
    """A reply backend that fails as often as it is told to, and says what it was asked."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.asked: list[dict[str, Any]] = []

    def reply(self, asked: Any, *_: object) -> str:
        self.asked.append(dict(asked))
        if self.left:
            self.left -= 1
            raise backends.ReplyFailed("the service answered 500")
        return "at last"


def with_backend(app: AgentSessions, backend: Any) -> AgentSessions:
    app.app.routes["POST /agent/process"].__self__._backend = backend  # type: ignore[attr-defined]
    return app


def environments(app: AgentSessions, count: int) -> list[AgentSessions]:
    """Several execution environments over the same tables; memory is one environment's own."""
    return [app.another() if app.engine.url else app for _ in range(count)]


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    together = threading.Barrier(count)

    def run(i: int) -> Any:
        together.wait()
        return work(i)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- saying something


def test_a_first_message_opens_a_session_and_is_answered(app: AgentSessions, kind: str) -> None:
    answer = app.say("Grüße\n👋 1", kind=kind, headers={"x-location-id": "berlin-1"}, extra={"metadata": {"n": 0.5}})
    assert answer.status == 200
    session, message = answer.body["sessionId"], answer.body["messageId"]
    assert answer.body == {
        "sessionId": session,
        "messageId": message,
        "replyMessageId": answer.body["replyMessageId"],
        "reply": "Grüße\n👋 1",
    }
    (listed,) = app.call("GET", "/agent/conversations/t/users/u", kind=kind).body["sessions"]
    created, updated = listed.pop("createdAt"), listed.pop("updatedAt")
    assert created < updated
    assert listed == {
        "id": session, "tenantId": "t", "userId": "u", "locationId": "berlin-1", "isActive": True, "version": 2,
        "metadata": {"n": listed["metadata"]["n"]},
    }  # fmt: skip
    assert str(listed["metadata"]["n"]) == "0.5"
    heard = app.call("GET", f"/agent/sessions/{session}/messages", kind=kind, headers=stated("t", None)).body[
        "messages"
    ]
    assert [(one["id"], one["role"], one["content"]) for one in heard] == [
        (message, "user", "Grüße\n👋 1"),
        (answer.body["replyMessageId"], "agent", "Grüße\n👋 1"),
    ]
    assert [one["timestamp"] for one in heard] == [created, updated]


def test_the_items_read_straight_from_dynamodb(engine: Engine) -> None:
    if not engine.url:
        pytest.skip("memory can't be read from outside")
    with new_agent_sessions(engine, MESSAGE_TTL_DAYS="30") as app:
        answer = app.say("hi", headers={"x-location-id": "l"}, extra={"metadata": {"a": [1.10]}}).body
        client = engine.boto3
        key = {"id": {"S": answer["sessionId"]}, "tenantId": {"S": "t"}}
        session = client.get_item(TableName=app.sessions.name, Key=key)["Item"]
        assert (session["userId"], session["locationId"], session["isActive"]) == (
            {"S": "u"},
            {"S": "l"},
            {"BOOL": True},
        )
        assert session["metadata"] == {"M": {"a": {"L": [{"N": "1.1"}]}}}
        assert len(session["createdAt"]["S"]) == len(session["updatedAt"]["S"]) == len("2026-11-21T03:47:12.000000Z")
        for name, role in (("messageId", "user"), ("replyMessageId", "agent")):
            message = client.get_item(TableName=app.messages.name, Key={"id": {"S": answer[name]}})["Item"]
            assert message["tenantId"] == {"S": "t"}
            assert message["sessionId"] == {"S": answer["sessionId"]}
            assert message["userId"] == {"S": "u"}
            assert (message["content"], message["role"]) == ({"S": "hi"}, {"S": role})
            assert ("metadata" in message) == (role == "user")
            assert abs(int(message["ttl"]["N"]) - clock.now() / SECOND - 30 * DAY) < 10
        # what is ours beside the sessions is in no index
        listed = client.query(
            TableName=app.sessions.name,
            IndexName="TenantUserIndex",
            KeyConditionExpression="tenantId = :t",
            ExpressionAttributeValues={":t": {"S": "t"}},
        )["Items"]
        assert [item["id"]["S"] for item in listed] == [answer["sessionId"]]


def test_messages_go_on_in_the_active_session_or_in_the_named_one(app: AgentSessions) -> None:
    first = app.said("1")
    assert app.said("2") == first
    assert app.said("3", session=first) == first
    assert app.say("4", extra={"sessionId": None}).body["sessionId"] == first
    assert app.contents(first) == ["1", "1", "2", "2", "3", "3", "4", "4"]
    assert app.contents(first, order="newest", limit="3") == ["4", "4", "3", "3", "2", "2", "1", "1"]


def test_what_a_message_costs(app: AgentSessions) -> None:
    if not app.engine.url:
        pytest.skip("memory makes no requests")
    costs = []
    session = app.said()
    for more in ({}, {"session": session}, {"key": "k"}, {"key": "k"}):
        app.calls.clear()
        app.said(**more)
        costs.append([name for name, _ in app.calls])
    assert costs == [
        ["GetItem", "TransactWriteItems", "TransactWriteItems"],
        ["TransactWriteItems", "TransactWriteItems"],
        ["GetItem", "GetItem", "TransactWriteItems", "TransactWriteItems"],
        ["GetItem", "GetItem"],
    ]


def test_two_first_messages_at_once_open_one_session(app: AgentSessions) -> None:
    for user in ("u1", "u2", "u3"):
        apps = environments(app, 6)
        sessions = at_once(6, lambda i: apps[i].said(f"{i}", user=user))  # noqa: B023 - used at once
        assert len(set(sessions)) == 1
        assert [one["id"] for one in app.listed(user=user)] == [sessions[0]]
        assert sorted(app.contents(sessions[0])) == sorted(f"{i}" for i in range(6) for _ in range(2))


def test_many_messages_at_once_are_all_kept_in_strictly_increasing_time(app: AgentSessions) -> None:
    session = app.said("first")
    apps = environments(app, 8)
    at_once(8, lambda i: [apps[i].said(f"{i}.{n}", session=session if n % 2 else None) for n in range(5)])
    heard = app.heard(session)
    wanted = ["first", *(f"{i}.{n}" for i in range(8) for n in range(5))]
    assert sorted(one["content"] for one in heard if one["role"] == "user") == sorted(wanted)
    assert sorted(one["content"] for one in heard if one["role"] == "agent") == sorted(wanted)
    times = [one["timestamp"] for one in heard]
    assert all(one < other for one, other in itertools.pairwise(times))
    item = app.session_item(session)
    assert item is not None
    assert item["messageCount"] == item["version"] == len(heard)


def test_time_in_a_session_never_goes_back(app: AgentSessions, time_of_day: Clock) -> None:
    session = app.said("1")
    time_of_day.advance(-3600)
    app.said("2")
    time_of_day.advance(7200)
    app.said("3")
    time_of_day.advance(-7200)
    app.said("4")
    assert app.contents(session) == ["1", "1", "2", "2", "3", "3", "4", "4"]
    times = [one["timestamp"] for one in app.heard(session)]
    assert times == sorted(set(times))
    assert app.listed()[0]["updatedAt"] == times[-1]


BAD_BODIES: dict[str, tuple[Any, list[str]]] = {
    "nothing": ({}, ["#/message"]),
    "a number": ({"message": 1}, ["#/message"]),
    "blank": ({"message": " \n"}, ["#/message"]),
    "broken Unicode": ({"message": "\ud800"}, ["#/message"]),
    "an empty session": ({"message": "x", "sessionId": ""}, ["#/sessionId"]),
    "a session with control characters": ({"message": "x", "sessionId": "a\x00"}, ["#/sessionId"]),
    "a list as metadata": ({"message": "x", "metadata": []}, ["#/metadata"]),
    "deep metadata": ({"message": "x", "metadata": json.loads('{"a":' * 40 + "1" + "}" * 40)}, ["#/metadata"]),
    "an unknown field": ({"message": "x", "tenantId": "other"}, ["#/tenantId"]),
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_bad_bodies_write_nothing(app: AgentSessions, case: str, kind: str) -> None:
    body, pointers = BAD_BODIES[case]
    answer = app.call("POST", "/agent/process", body=body, headers=stated("t", "u"), kind=kind)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == pointers
    assert app.everything() == ([], [])


def test_the_largest_message_fits_and_a_larger_one_is_refused(app: AgentSessions) -> None:
    from agent_sessions.processing import MAXIMUM_BYTES

    longest = "x" * (MAXIMUM_BYTES - 2)
    session = app.said(longest)
    assert app.contents(session) == [longest] * 2
    for content, extra in (("x" * MAXIMUM_BYTES, {}), ("ü" * (MAXIMUM_BYTES // 2), {}), ("x", {"a": longest})):
        assert app.say(content, extra={"metadata": extra}).status == 413
    assert len(app.heard(session)) == 2


# --- repeating


def test_a_repeat_gets_the_first_answer_and_writes_nothing(app: AgentSessions, kind: str) -> None:
    how: dict[str, Any] = {"key": "k", "kind": kind, "extra": {"metadata": {"a": 1, "b": 2}}}
    first = app.say("hi", **how)
    before = app.everything()
    how["extra"] = {"metadata": {"b": 2, "a": 1}}
    for one in (app, *environments(app, 1)):
        again = one.say("hi", **how)
        assert (again.status, again.text) == (200, first.text)
        assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert app.everything() == before
    assert app.close(first.body["sessionId"]).status == 200
    assert app.say("hi", **how).text == first.text


def test_another_request_under_the_same_key_is_a_conflict(app: AgentSessions) -> None:
    session = app.said("hi", key="k")
    for more in ({"session": session}, {"extra": {"metadata": {}}}, {"headers": {"x-location-id": "l"}}):
        answer = app.say("hi", key="k", **more)
        assert (answer.status, answer.body["type"]) == (409, "urn:problem:idempotency-key-reused")
    assert app.say("ho", key="k").status == 409
    assert app.contents(session) == ["hi", "hi"]


def test_a_key_counts_for_its_user_only(app: AgentSessions) -> None:
    answers = [app.say("hi", key="k", tenant=t, user=u) for t, u in (("t", "u"), ("t", "v"), ("s", "u"), ("t", "u2"))]
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.body["messageId"] for answer in answers}) == 4
    assert not any("idempotency-replayed" in answer.headers for answer in answers)


@pytest.mark.parametrize("key", ["", "x" * 256, "ü"])
def test_a_key_that_can_not_be_one(app: AgentSessions, key: str) -> None:
    answer = app.say(key=key)
    assert (answer.status, answer.body["errors"][0]["header"]) == (400, "idempotency-key")


def test_the_same_request_many_times_at_once_is_one_message_and_one_reply(app: AgentSessions) -> None:
    apps = environments(app, 6)
    answers: list[Answer] = at_once(6, lambda i: apps[i].say("hi", key="k"))
    assert {(answer.status, answer.text) for answer in answers} == {(200, answers[0].text)}
    assert app.contents(answers[0].body["sessionId"]) == ["hi", "hi"]
    assert len(app.listed()) == 1


def test_a_key_is_forgotten_with_its_message(engine: Engine, time_of_day: Clock) -> None:
    with new_agent_sessions(engine, MESSAGE_TTL_DAYS="1") as app:
        session = app.said("hi", key="k")
        time_of_day.advance(DAY + 2)
        assert app.contents(session) == [], "expired, although still stored"
        assert len(app.everything()[1]) == 2
        again = app.say("other", key="k")
        assert again.status == 200
        assert app.contents(session) == ["other", "other"]


# --- when the agent gives no reply


def test_the_message_stays_when_the_agent_gives_no_reply(
    app: AgentSessions, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = Failing(1)
    answer = with_backend(app, backend).say("hi", kind=kind)
    assert answer.status == 502
    assert answer.body["type"] == "urn:problem:reply-failed"
    session = answer.body["sessionId"]
    assert [(one["id"], one["content"]) for one in app.heard(session)] == [(answer.body["messageId"], "hi")]
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["level"] == "ERROR"
    assert "the service answered 500" in line["error"]
    assert "500" not in answer.body["detail"]


def test_a_repeat_goes_on_where_the_agent_failed(app: AgentSessions) -> None:
    backend = Failing(2)
    with_backend(app, backend)
    failed = [app.say("hi", key="k", extra={"metadata": {"a": 1}}) for _ in range(2)]
    assert [answer.status for answer in failed] == [502, 502]
    done = app.say("hi", key="k", extra={"metadata": {"a": 1}})
    assert (done.status, done.body["reply"]) == (200, "at last")
    assert "idempotency-replayed" not in done.headers
    session = done.body["sessionId"]
    assert app.contents(session) == ["hi", "at last"]
    assert {answer.body["messageId"] for answer in [*failed, done]} == {done.body["messageId"]}
    wanted = {"tenantId": "t", "userId": "u", "sessionId": session, "messageId": done.body["messageId"],
              "message": "hi", "metadata": {"a": 1}}  # fmt: skip
    assert backend.asked == [wanted] * 3
    assert app.say("hi", key="k", extra={"metadata": {"a": 1}}).headers["idempotency-replayed"] == "true"
    assert len(backend.asked) == 3


def test_a_reply_comes_although_the_session_was_closed_meanwhile(app: AgentSessions) -> None:
    class Closing:
        def reply(self, asked: Any, *_: object) -> str:
            assert app.close(asked["sessionId"]).status == 200
            return "bye"

    answer = with_backend(app, Closing()).say("hi")
    assert answer.status == 200
    assert app.contents(answer.body["sessionId"]) == ["hi", "bye"]


def test_a_reply_is_dropped_when_its_user_was_erased_meanwhile(app: AgentSessions) -> None:
    class Erasing:
        def reply(self, *_: object) -> str:
            assert app.erase(context=Context(milliseconds=SECONDS * 1000)).body["complete"]
            return "bye"

    assert with_backend(app, Erasing()).say("hi").status == 409
    assert app.everything() == ([], [])


def test_a_reply_is_dropped_while_its_session_is_being_erased(app: AgentSessions) -> None:
    class Marking:
        def reply(self, asked: Any, *_: object) -> str:
            item = app.session_item(asked["sessionId"])
            assert item is not None
            app.store(sessions=[item | {"erasing": clock.now()}])
            return "bye"

    assert with_backend(app, Marking()).say("hi").status == 409
    assert [message["content"] for message in app.everything()[1]] == ["hi"]


# --- closing


def test_closing_lets_the_next_message_open_another_session(app: AgentSessions, kind: str) -> None:
    first = app.said("1")
    answer = app.close(first, kind=kind)
    assert (answer.status, answer.body["isActive"], answer.headers["etag"]) == (200, False, '"3"')
    assert answer.body == app.listed()[0]
    assert app.say("2", session=first).status == 409
    second = app.said("3")
    assert second != first
    assert [(one["id"], one["isActive"]) for one in app.listed()] == [(second, True), (first, False)]
    assert app.close(first).body == answer.body, "closing again changes nothing"
    assert app.said("4") == second
    assert app.contents(first) == ["1", "1"]


def test_closing_frees_the_head_in_the_same_transaction(app: AgentSessions) -> None:
    session = app.said()
    app.calls.clear()
    app.close(session)
    head = app.head()
    assert head is not None
    assert "activeSessionId" not in head
    if app.engine.url:
        assert app.writes == ["TransactWriteItems"]


def test_closing_honours_if_match(app: AgentSessions, kind: str) -> None:
    session = app.said()
    for wrong in ('"1"', 'W/"2"', '"3"'):
        answer = app.close(session, headers={"If-Match": wrong}, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (412, '"2"')
    assert app.listed()[0]["isActive"]
    assert app.close(session, headers={"If-Match": '"2"'}, kind=kind).status == 200
    assert app.close(session, headers={"If-Match": '"2"'}, kind=kind).status == 412


def test_closing_and_speaking_at_once_leave_one_active_session_at_most(app: AgentSessions) -> None:
    for n in range(4):
        session = app.said()
        apps = environments(app, 4)
        said = at_once(4, lambda i: apps[i].close(session).status if i == 0 else apps[i].say(f"{n}.{i}").status)  # noqa: B023
        assert said == [200] * 4
        active = [one["id"] for one in app.listed(limit="100") if one["isActive"]]
        assert len(active) <= 1
        assert app.said() in active or not active


def test_a_session_that_others_closed_without_its_head_is_left(app: AgentSessions) -> None:
    first = app.said("1")
    item = app.session_item(first)
    assert item is not None
    app.store(sessions=[item | {"isActive": False}])
    second = app.said("2")
    assert second != first
    assert app.said("3") == second


# --- listing


def test_sessions_come_newest_first_page_by_page(app: AgentSessions, kind: str) -> None:
    opened = []
    for n in range(7):
        opened.append(app.said(f"{n}"))
        app.close(opened[-1])
    wanted = opened[::-1]
    for limit in ("1", "3", "6", "7", "8", "100"):
        assert [one["id"] for one in app.listed(limit=limit)] == wanted
    page = app.call("GET", "/agent/conversations/t/users/u", query={"limit": "7"}, kind=kind)
    assert "next_token" not in page.body
    assert app.listed(user="nobody") == []


def test_a_user_who_does_not_exist_is_an_empty_list_and_nothing_is_written(app: AgentSessions) -> None:
    assert app.listed() == []
    assert app.erase().body == {"complete": True, "sessions": 0, "messages": 0, "restorableUntil": None}
    assert app.everything() == ([], [])


def test_expired_messages_neither_show_nor_shorten_a_page(engine: Engine, time_of_day: Clock) -> None:
    with new_agent_sessions(engine, MESSAGE_TTL_DAYS="1") as app:
        for n in range(8):
            session = app.said(f"old {n}")
        time_of_day.advance(DAY / 2)
        app.said("new 1")
        app.said("new 2")
        time_of_day.advance(DAY / 2 + 10)
        answer = app.call("GET", f"/agent/sessions/{session}/messages", headers=stated("t", None), query={"limit": "3"})
        assert [one["content"] for one in answer.body["messages"]] == ["new 1", "new 1", "new 2"]
        assert app.contents(session, limit="2") == ["new 1", "new 1", "new 2", "new 2"]
        assert app.contents(session, order="newest", limit="4") == ["new 2", "new 2", "new 1", "new 1"]


@pytest.mark.parametrize("order", ["", "newest,oldest", "NEWEST", "1"])
def test_an_order_that_there_is_not(app: AgentSessions, order: str) -> None:
    session = app.said()
    answer = app.call("GET", f"/agent/sessions/{session}/messages", headers=stated("t", None), query={"order": order})
    if order == "":
        assert answer.status == 200
    else:
        assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "order")


def test_tokens_count_for_their_own_list_only(app: AgentSessions) -> None:
    sessions = {}
    for tenant, user in (("t", "u"), ("t", "v"), ("s", "u")):
        for _ in range(2):
            sessions[tenant, user] = app.said(tenant=tenant, user=user)
            app.close(sessions[tenant, user], tenant=tenant)
    lists = [
        *((f"/agent/conversations/{t}/users/{u}", {}, {}) for t, u in sessions),
        *(
            (f"/agent/sessions/{one}/messages", stated(t, None), {"order": order})
            for (t, _), one in sessions.items()
            for order in ("oldest", "newest")
        ),
    ]
    tokens = []
    for path, headers, query in lists:
        token = app.call("GET", path, headers=headers, query=query | {"limit": "1"}).body["next_token"]
        tokens.append(token)
    for (path, headers, query), (i, token) in itertools.product(lists, enumerate(tokens)):
        own = lists[i] == (path, headers, query)
        answer = app.call("GET", path, headers=headers, query=query | {"next_token": token})
        assert answer.status == (200 if own else 400)


@pytest.mark.parametrize("position", [7, "", "active", "user#x", "x", "0" * 1025, ["a"], ["a", ""], ["a", 1], {}])
def test_forged_positions_are_refused(app: AgentSessions, position: object) -> None:
    session = app.said()
    token = paging.token(position, "sessions", "t", "u")
    assert app.call("GET", "/agent/conversations/t/users/u", query={"next_token": token}).status == 400
    token = paging.token(position, "messages", "t", session, "oldest")
    path = f"/agent/sessions/{session}/messages"
    assert app.call("GET", path, headers=stated("t", None), query={"next_token": token}).status == 400


@pytest.mark.parametrize("count", [100, 10_000])
def test_what_a_page_costs_does_not_depend_on_how_much_there_is(engine: Engine, count: int) -> None:
    with new_agent_sessions(engine) as app:
        fill(app, "t", "u", sessions=count, messages=count)
        costs = {}
        for name, path, query in (
            ("sessions", "/agent/conversations/t/users/u", {}),
            ("messages", "/agent/sessions/s00000/messages", {}),
            ("newest", "/agent/sessions/s00000/messages", {"order": "newest"}),
        ):
            app.calls.clear()
            answer = app.call("GET", path, headers=stated("t", None), query={"limit": "10", **query})
            shown = answer.body["sessions" if name == "sessions" else "messages"]
            assert len(shown) == 10
            costs[name] = [call for call, _ in app.calls], app.usage.read_units
            app.calls.clear()
            answer = app.call(
                "GET",
                path,
                headers=stated("t", None),
                query={"limit": "10", "next_token": answer.body["next_token"], **query},
            )
            assert len(answer.body["sessions" if name == "sessions" else "messages"]) == 10
            if engine.url:
                assert [call for call, _ in app.calls] == costs[name][0]
        if engine.url:
            assert [calls for calls, _ in costs.values()] == [["Query", "BatchGetItem"], *[["GetItem", "Query"]] * 2]
        if engine.name == "dynamodb_local":
            # 12 small entries in one read, 10 sessions half of one each; a session, 11 messages of the lagging index
            assert {name: units for name, (_, units) in costs.items()} == {
                "sessions": 6,
                "messages": 1.5,
                "newest": 1.5,
            }


@pytest.mark.parametrize("limit", ["1", "2", "25"])
def test_replicas_that_lag_hide_nothing_of_what_was_opened_closed_or_erased(app: AgentSessions, limit: str) -> None:
    closed = app.said("first")
    app.close(closed)
    left_open = app.said("second")
    with lagging(app):
        app.close(left_open)
        opened = app.said("third")
        listed = {one["id"]: one["isActive"] for one in app.listed(limit=limit)}
        assert listed == {opened: True, left_open: False, closed: False}
        assert [one["id"] for one in app.listed(limit=limit)] == [opened, left_open, closed]
        assert app.erase().body["complete"] is True
        assert app.listed(limit=limit) == []


def test_nothing_is_shown_of_a_user_who_is_being_erased_though_replicas_lag(app: AgentSessions) -> None:
    app.said()
    with lagging(app):
        app.store(sessions=[{**(app.head() or {}), "erasing": 1}])
        assert app.listed() == []


def test_no_route_ever_scans_or_asks_for_what_it_may_not(app: AgentSessions, prompt_index: None) -> None:
    """What the function's role allows, and nothing else."""
    old = {"id": "old", "tenantId": "t", "userId": "u", "isActive": True, "createdAt": OLD, "updatedAt": OLD}
    app.store(sessions=[old], messages=[legacy_message("m", "old")])
    assert app.said(key="k") == "old"
    app.listed()
    app.heard("old")
    app.close("old")
    app.said()
    assert app.erase().body["complete"]
    allowed = {
        app.sessions.name: {"GetItem", "BatchGetItem", "Put", "Update", "Delete", "Query", "BatchWriteItem"},
        app.messages.name: {"GetItem", "Put", "BatchWriteItem"},
        f"{app.sessions.name}/TenantUserIndex": {"Query"},
        f"{app.messages.name}/SessionTimestampIndex": {"Query"},
    }
    for name, payload in app.calls:
        if name == "TransactWriteItems":
            done = [(action, one["TableName"]) for part in payload["TransactItems"] for action, one in part.items()]
        elif name.startswith("Batch"):
            done = [(name, table) for table in payload["RequestItems"]]
        else:
            table = payload["TableName"] + (f"/{payload['IndexName']}" if "IndexName" in payload else "")
            done = [(name.replace("Item", "") if name in ("PutItem", "UpdateItem", "DeleteItem") else name, table)]
        for action, table in done:
            assert action in allowed[table], f"{action} on {table}"


# --- tenants and users


def test_another_s_session_answers_exactly_like_one_that_is_not(app: AgentSessions, kind: str) -> None:
    mine = app.said("secret", tenant="a", user="u")
    before = app.everything()
    strangers = [("b", "u"), ("a", "v"), ("a#", "u"), ("A", "u"), ("active", "u")]
    partition = Owner("a", "u").partition
    for tenant, user in strangers:
        headers = stated(tenant, user)
        for path, method, body in (
            ("/agent/sessions/{}/messages", "GET", None),
            ("/agent/sessions/{}/close", "POST", None),
            ("/agent/process", "POST", {"message": "hi", "sessionId": "{}"}),
        ):
            answers = []
            for session in (mine, "0" * 32, partition):
                sent = body and {"message": "hi", "sessionId": session}
                more = {} if sent is None else {"body": sent}
                answers.append(app.call(method, path.format(session), headers=headers, kind=kind, **more))
            assert [answer.status for answer in answers] == [404] * 3
            assert len({answer.text for answer in answers}) == 1
            assert [answer.headers.keys() for answer in answers] == [answers[0].headers.keys()] * 3
    assert app.everything() == before


def test_lists_of_others_are_empty_and_erasing_them_touches_nothing(app: AgentSessions) -> None:
    app.said("secret", tenant="a", user="u")
    before = app.everything()
    for tenant, user in (("b", "u"), ("a", "v"), ("1", "0"), ("active", "u")):
        assert app.listed(tenant, user) == []
        assert app.erase(tenant, user).body == {"complete": True, "sessions": 0, "messages": 0, "restorableUntil": None}
    assert app.everything() == before


def test_ids_that_begin_alike_or_hold_separators_stay_apart(app: AgentSessions, kind: str) -> None:
    owners = [("1", "0"), ("10", ""), ("1", "10"), ("10", "1"), ("a#b", "c"), ("a", "b#c"), ("a", "b"), ("a%23b", "c"),
              ('a","b', "c"), ("user#", "user#"), ("active", "active")]  # fmt: skip
    sessions = {}
    for tenant, user in owners:
        if user:
            sessions[tenant, user] = app.said(f"{tenant} {user}", tenant=tenant, user=user, kind=kind)
    assert len(set(sessions.values())) == len(sessions)
    for (tenant, user), session in sessions.items():
        answer = app.call("GET", f"/agent/conversations/{tenant}/users/{user}", kind=kind)
        assert [one["id"] for one in answer.body["sessions"]] == [session]
        assert app.contents(session, tenant) == [f"{tenant} {user}"] * 2
    for tenant, user in list(sessions):
        assert app.erase(tenant, user, kind=kind).body["messages"] == 2
        del sessions[tenant, user]
        assert all(app.contents(session, t) for (t, _), session in sessions.items())


def test_two_tenants_whose_older_sessions_share_an_id_see_their_own_only(
    app: AgentSessions, prompt_index: None
) -> None:
    shared = [
        {"id": "s", "tenantId": t, "userId": "u", "isActive": True, "createdAt": OLD, "updatedAt": OLD} for t in "ab"
    ]
    messages = [legacy_message(f"{t}{n:02}", "s", tenant=t, content=t, at=n) for n in range(30) for t in "ab"]
    app.store(sessions=shared, messages=messages)
    for tenant in "ab":
        assert app.contents("s", tenant, limit="7") == [tenant] * 30
        assert app.said("new", tenant=tenant) == "s"
        assert app.contents("s", tenant) == [tenant] * 30 + ["new"] * 2
    assert app.erase("a", "u").body == {"complete": True, "sessions": 1, "messages": 32, "restorableUntil": None}
    assert app.contents("s", "b") == ["b"] * 30 + ["new"] * 2


def test_tenant_and_user_come_from_the_token(app: AgentSessions, kind: str) -> None:
    claims = {"tenantId": "tenänt", "sub": "ü"}
    session = app.said(tenant=None, user=None, claims=claims, kind=kind)
    path = "/agent/conversations/tenänt/users/ü"
    assert [one["id"] for one in app.call("GET", path, claims=claims, kind=kind).body["sessions"]] == [session]
    heard = app.call("GET", f"/agent/sessions/{session}/messages", claims=claims, kind=kind)
    assert len(heard.body["messages"]) == 2
    other = {"tenantId": "tenänt", "sub": "v"}
    assert app.call("GET", f"/agent/sessions/{session}/messages", claims=other, kind=kind).status == 404
    assert app.call("POST", f"/agent/sessions/{session}/close", claims=other, kind=kind).status == 404
    assert app.call("POST", f"/agent/sessions/{session}/close", claims=claims, kind=kind).status == 200
    assert app.call("DELETE", path, claims=claims, kind=kind).body["messages"] == 2


def test_what_disagrees_with_the_token_is_forbidden(app: AgentSessions, kind: str) -> None:
    claims = {"tenantId": "t", "sub": "u"}
    session = app.said(claims=claims, kind=kind)
    before = app.everything()
    for tenant, user in (("s", "u"), ("t", "v"), ("s", None), (None, "v")):
        assert app.say(tenant=tenant, user=user, claims=claims, kind=kind).status == 403
        for method, path in (
            ("GET", f"/agent/sessions/{session}/messages"),
            ("POST", f"/agent/sessions/{session}/close"),
        ):
            assert app.call(method, path, headers=stated(tenant, user), claims=claims, kind=kind).status == 403
        for method in ("GET", "DELETE"):
            path = f"/agent/conversations/{tenant or 't'}/users/{user or 'u'}"
            assert app.call(method, path, claims=claims, kind=kind).status == 403
    for broken in ({"sub": "u"}, {"tenantId": "t"}, {"tenantId": " ", "sub": "u"}, {"tenantId": "t", "sub": "a\x00"},
                   {"tenantId": ["t"], "sub": "u"}, {"tenantId": "t" * 257, "sub": "u"}):  # fmt: skip
        assert app.say(claims=broken, tenant=None, user=None, kind=kind).status == 403
        for method in ("GET", "DELETE"):
            assert app.call(method, "/agent/conversations/t/users/u", claims=broken, kind=kind).status == 403
    assert app.everything() == before


def test_claims_may_have_other_names(engine: Engine) -> None:
    with new_agent_sessions(engine, TENANT_CLAIM="custom:org", USER_CLAIM="email") as app:
        claims = {"custom:org": "o", "email": "e@x", "tenantId": "t", "sub": "u"}
        session = app.said(tenant=None, user=None, claims=claims)
        assert app.session_item(session, "o") is not None
        assert app.say(tenant="t", user=None, claims=claims).status == 403


def test_a_path_that_disagrees_with_a_header_is_forbidden(app: AgentSessions, kind: str) -> None:
    app.said()
    for headers in (stated("s", None), stated(None, "v"), stated("t", "v"), stated("s", "u")):
        for method in ("GET", "DELETE"):
            answer = app.call(method, "/agent/conversations/t/users/u", headers=headers, kind=kind)
            assert answer.status == 403
    assert app.call("GET", "/agent/conversations/t/users/u", headers=stated("t", "u"), kind=kind).status == 200


def test_headers_that_are_missing(app: AgentSessions, kind: str) -> None:
    session = app.said()
    for tenant, user, missing in ((None, "u", "x-tenant-id"), ("t", None, "x-user-id"), (None, None, "x-tenant-id")):
        answer = app.say(tenant=tenant, user=user, kind=kind)
        assert (answer.status, answer.body["errors"][0]["header"]) == (400, missing)
    for method, path in (("GET", f"/agent/sessions/{session}/messages"), ("POST", f"/agent/sessions/{session}/close")):
        assert app.call(method, path, kind=kind).status == 400


@pytest.mark.parametrize("wrong", ["", "x" * 257, "a\x01b", "ü", "\x7f"])
def test_ids_that_can_not_be_in_headers(app: AgentSessions, wrong: str, kind: str) -> None:
    for name in ("x-tenant-id", "x-user-id", "x-location-id"):
        answer = app.say(headers={name: wrong}, kind=kind)
        assert (answer.status, answer.body["errors"][0]["header"]) == (400, name)
    assert app.everything() == ([], [])


@pytest.mark.parametrize("wrong", [" ", "x" * 257, "a\x01b", "\x85", "\u2003"])
def test_ids_that_can_not_be_in_paths(app: AgentSessions, wrong: str, kind: str) -> None:
    for tenant, user, parameter in ((wrong, "u", "tenantId"), ("t", wrong, "userId")):
        for method in ("GET", "DELETE"):
            answer = app.call(method, f"/agent/conversations/{tenant}/users/{user}", kind=kind)
            assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, parameter)


def test_the_longest_ids(app: AgentSessions) -> None:
    longest = "\U0001f44b" * MAXIMUM_ID
    claims = {"tenantId": longest, "sub": longest}
    session = app.said(tenant=None, user=None, claims=claims)
    path = f"/agent/conversations/{longest}/users/{longest}"
    assert [one["id"] for one in app.call("GET", path, claims=claims).body["sessions"]] == [session]
    assert app.call("DELETE", path, claims=claims).body["messages"] == 2
    assert app.everything() == ([], [])


# --- sessions of older applications


def legacy_message(
    message_id: str, session: str, *, tenant: str = "t", user: str = "u", content: str = "old", at: int = 0
) -> dict[str, Any]:
    return {
        "id": message_id, "tenantId": tenant, "sessionId": session, "userId": user, "content": content,
        "role": "user", "timestamp": f"2024-01-01T00:00:00.{at:06}Z",
    }  # fmt: skip


def legacy_sessions(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "id": f"old-{n:03}", "tenantId": "t", "userId": "u", "isActive": False, "updatedAt": OLD,
            "createdAt": f"2024-01-01T00:00:{n // 60:02}.{n % 60:03}Z", **more,
        }
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
def test_older_sessions_are_listed_with_newer_ones(app: AgentSessions, count: int) -> None:
    old = legacy_sessions(count)
    app.store(sessions=old)
    assert [one["id"] for one in app.listed(limit="100")] == [one["id"] for one in old[::-1]]
    head = app.head()
    assert head is not None
    assert "adopting" not in head
    new = app.said()
    assert [one["id"] for one in app.listed(limit="30")] == [new, *(one["id"] for one in old[::-1])]
    assert [one["version"] for one in app.listed()] == [2] + [0] * count


def test_an_older_active_session_is_gone_on_with(app: AgentSessions, kind: str) -> None:
    old = legacy_sessions(120)
    for n in (3, 70, 90):
        old[n]["isActive"] = True
    app.store(sessions=old, messages=[legacy_message("m", "old-090")])
    assert app.said("new", kind=kind) == "old-090"
    assert app.contents("old-090") == ["old", "new", "new"]
    closed = app.close("old-090", headers={"If-Match": '"2"'}, kind=kind)
    assert closed.body["version"] == 3
    new = app.said()
    assert new not in [one["id"] for one in old], "only one active session is taken over, the newest"
    assert app.said(session="old-003") == "old-003", "the others can still be named"


def test_an_older_session_can_be_named_read_and_closed_before_it_is_taken_over(app: AgentSessions) -> None:
    app.store(sessions=[one | {"isActive": True} for one in legacy_sessions(2)])
    assert app.said("new", session="old-000") == "old-000"
    assert app.contents("old-000") == ["new", "new"]
    assert app.close("old-001", headers={"If-Match": '"0"'}).headers["etag"] == '"1"'
    assert app.head() is None
    assert app.said() == "old-000"


ODD_SESSIONS: dict[str, dict[str, Any]] = {
    "bare": {},
    "numbers as times": {"createdAt": 17, "updatedAt": 18, "isActive": 1},
    "words as times": {"createdAt": "Mon, 1 January", "updatedAt": "later", "metadata": "none", "locationId": 7},
    "a long id": {"id": "x" * 2000, "createdAt": OLD},
    "a long time": {"createdAt": "1" * 5000},
}


@pytest.mark.parametrize("case", ODD_SESSIONS)
def test_odd_older_sessions(app: AgentSessions, case: str) -> None:
    odd = {"id": "odd", "tenantId": "t", "userId": "u"} | ODD_SESSIONS[case]
    app.store(sessions=[odd])
    (listed,) = app.listed()
    assert (listed["id"], listed["isActive"]) == (odd["id"], False)
    assert app.heard(odd["id"]) == []
    assert app.close(odd["id"]).status == 200
    new = app.said()
    assert [one["id"] for one in app.listed()] == [new, odd["id"]]


def test_taking_over_can_be_interrupted_and_overtaken(app: AgentSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    old = legacy_sessions(60)
    old[5]["isActive"] = True
    app.store(sessions=old)
    limited = app.call("GET", "/agent/conversations/t/users/u", context=Context(milliseconds=1000))
    assert (limited.status, limited.headers["retry-after"]) == (503, "1")
    monkeypatch.setattr(takeover, "PAGE", 10)
    real, interrupted = app.database.write, []

    def write(changes: Any) -> None:
        real(changes)
        if not interrupted:
            interrupted.append(True)
            raise Crash

    monkeypatch.setattr(app.database, "write", write)
    with pytest.raises(Crash):
        app.listed()
    head = app.head()
    assert head is not None
    assert head["adopting"]
    apps = environments(app, 4)
    said = at_once(4, lambda i: apps[i].said(f"{i}"))
    assert set(said) == {"old-005"}
    assert [one["id"] for one in app.listed(limit="100")] == [one["id"] for one in old[::-1]]


def test_one_who_is_overtaken_while_taking_over_changes_nothing_more(
    app: AgentSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.store(sessions=[one | {"isActive": True} for one in legacy_sessions(1)])
    real, newer = app.database.write, []

    def write(changes: Any) -> None:
        monkeypatch.undo()
        app.close(app.said("by another"))
        newer.append(app.said("in a new one"))
        real(changes)

    monkeypatch.setattr(app.database, "write", write)
    assert [app.said("overtaken")] == newer
    assert [one["id"] for one in app.listed() if one["isActive"]] == newer


# --- erasing


def fill(app: AgentSessions, tenant: str, user: str, *, sessions: int, messages: int, ttl: int | None = None) -> None:
    """Sessions as the function would have written them, the first of which has all the messages."""
    owner, past = Owner(tenant, user), clock.now() - DAY * SECOND
    items: list[dict[str, Any]] = []
    for n in range(sessions):
        time, session = clock.text(past + n), f"s{n:05}"
        items.append(
            {
                "id": session, "tenantId": tenant, "userId": user, "isActive": n == sessions - 1, "createdAt": time,
                "updatedAt": time, "clock": past + n, "version": 1, "messageCount": messages if n == 0 else 0,
                "countsAll": True,
            }
        )  # fmt: skip
        items.append({"id": owner.partition, "tenantId": f"{time}#{session}", "sessionId": session})
    head = {"id": owner.partition, "tenantId": "active", "ofTenant": tenant, "ofUser": user}
    expiry = {} if ttl is None else {"ttl": ttl}
    app.store(
        sessions=[*items, head | {"activeSessionId": f"s{sessions - 1:05}"}],
        messages=[
            {
                "id": f"{tenant}-{user}-{n:05}", "tenantId": tenant, "sessionId": "s00000", "userId": user,
                "content": f"{n}", "role": "user", "timestamp": clock.text(past + n), **expiry,
            }
            for n in range(messages)
        ],
    )  # fmt: skip


def test_erasing_leaves_nothing_of_the_user_and_all_of_others(engine: Engine, kind: str) -> None:
    with new_agent_sessions(engine, POINT_IN_TIME_RECOVERY_DAYS="35", MESSAGE_TTL_DAYS="90") as app:
        app.said("other", user="v", key="k")
        app.said("other", tenant="s", key="k")
        others = app.everything()
        for n in range(3):
            app.close(app.said(f"{n}", key=f"k{n}"))
        app.said("last", extra={"metadata": {"a": 1}})
        began = clock.now()
        answer = app.erase(kind=kind)
        until = answer.body.pop("restorableUntil")
        assert clock.text(began + 35 * DAY * SECOND) <= until <= clock.text(clock.now() + 35 * DAY * SECOND)
        assert (answer.status, answer.body) == (200, {"complete": True, "sessions": 4, "messages": 8})
        assert sorted_items(app.everything()) == sorted_items(others)
        assert app.listed() == []
        again = app.erase(kind=kind)
        assert (again.status, again.body["sessions"], again.body["messages"]) == (200, 0, 0)
        assert again.body["restorableUntil"] >= until
        new = app.say("again", key="k0")
        assert (new.status, "idempotency-replayed" in new.headers) == (200, False)


def sorted_items(everything: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> list[Any]:
    return [sorted(items, key=lambda item: (item["id"], item["tenantId"])) for items in everything]


def test_a_user_with_10_000_messages_is_erased_in_one_call(engine: Engine) -> None:
    with new_agent_sessions(engine) as app:
        fill(app, "t", "u", sessions=30, messages=10_000, ttl=clock.now() // SECOND - 10)
        app.calls.clear()
        answer = app.erase(context=Context(milliseconds=SECONDS * 1000))
        assert answer.body == {"complete": True, "sessions": 30, "messages": 10_000, "restorableUntil": None}
        assert app.everything() == ([], [])
        if engine.url:
            deletions = [payload for name, payload in app.calls if name == "BatchWriteItem"]
            assert len(deletions) == 400 + 2 * 2
            assert len(app.calls) < 400 + 30 + 70


def test_erasing_is_resumed_where_the_time_ran_out(app: AgentSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(app, "t", "u", sessions=60, messages=500)
    app.said("mine", user="v")
    steps = iter(range(10_000))
    stops = {1, 40, 90, 95, 100}

    def check_time(self: erasure.Erasure) -> None:
        if next(steps) in stops:
            raise erasure.OutOfTime

    monkeypatch.setattr(erasure.Erasure, "_check_time", check_time)
    progress = []
    while True:
        answer = app.erase()
        if answer.status == 200:
            break
        assert (answer.status, answer.headers["retry-after"], answer.body["complete"]) == (202, "1", False)
        assert app.listed() == [], "what is being erased is not shown"
        assert app.say().status == 409
        assert app.say(session="s00059").status in (404, 200)
        progress.append((answer.body["sessions"], answer.body["messages"]))
    assert len(progress) == len(stops)
    assert progress == sorted(progress)
    assert (answer.body["sessions"], answer.body["complete"]) == (60, True)
    assert answer.body["messages"] >= 500
    assert {item["userId"] for item in app.everything()[1]} == {"v"}
    assert app.listed() == []
    assert app.say().status == 200


def test_erasing_with_no_time_left_says_so(app: AgentSessions) -> None:
    app.said()
    answer = app.erase(context=Context(milliseconds=1000))
    assert (answer.status, answer.body) == (202, {"complete": False, "sessions": 0, "messages": 0})
    assert app.erase().body["complete"]
    assert app.everything() == ([], [])


@pytest.mark.parametrize("position", range(1, 14))
def test_erasing_that_crashed_anywhere_is_completed_by_the_next_call(
    app: AgentSessions, monkeypatch: pytest.MonkeyPatch, position: int
) -> None:
    for n in range(3):
        app.close(app.said(f"{n}"))
    app.said("open")
    left = [position]

    def crashing(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real(*arguments)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(app.database, "write", crashing(app.database.write))
        if app.engine.url:  # memory deletes by writing
            patched.setattr(erasure, "delete_many", crashing(erasure.delete_many))
        # the head, four sessions, the messages of each, sessions and entries, the head again
        if position <= 12:
            with pytest.raises(Crash):
                app.erase()
        else:
            assert app.erase().body["complete"]
    # a session's entry may be left without its session: then an index has to be waited for
    monkeypatch.setattr(erasure, "INDEX_LAG_SECONDS", 0)
    assert app.erase().body["complete"]
    assert app.everything() == ([], [])


def test_older_sessions_are_erased_too_taken_over_or_not(app: AgentSessions) -> None:
    app.store(sessions=legacy_sessions(60), messages=[legacy_message(f"m{n}", f"old-{n:03}") for n in range(60)])
    answer = app.erase()
    assert answer.body == {"complete": True, "sessions": 60, "messages": 60, "restorableUntil": None}
    app.store(sessions=legacy_sessions(3), messages=[legacy_message(f"m{n}", f"old-{n:03}") for n in range(3)])
    assert len(app.listed()) == 3
    assert app.erase().body["messages"] == 3
    assert app.everything() == ([], [])


def test_erasing_waits_until_the_index_has_shown_every_message(
    app: AgentSessions, time_of_day: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = app.said("shown")
    app.said("late")
    table = app.app.routes["POST /agent/process"].__self__.store.messages  # type: ignore[attr-defined]
    real, pauses = table.query, []

    def lagging(*arguments: Any, **more: Any) -> Any:
        items, after = real(*arguments, **more)
        return ([item for item in items if len(pauses) > 2 or item["content"] != "late"], after)

    monkeypatch.setattr(table, "query", lagging)
    monkeypatch.setattr(erasure.Erasure, "_pause", lambda _: pauses.append(1))
    assert app.erase().body == {"complete": True, "sessions": 1, "messages": 4, "restorableUntil": None}
    assert len(pauses) == 3
    assert app.everything() == ([], [])
    # some that were counted may have expired long ago: then it ends when the index must have caught up
    session = app.said("kept")
    item = app.session_item(session)
    assert item is not None
    app.store(sessions=[item | {"messageCount": 7}])
    monkeypatch.setattr(erasure.Erasure, "_pause", lambda _: time_of_day.advance(3))
    began = time_of_day.microseconds
    assert app.erase().body["messages"] == 2
    waited = (time_of_day.microseconds - began) / SECOND
    assert erasure.INDEX_LAG_SECONDS <= waited <= erasure.INDEX_LAG_SECONDS + 4
    assert app.everything() == ([], [])


def test_nothing_is_opened_for_a_user_whose_erasure_began_in_between(
    app: AgentSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.close(app.said())
    real = app.database.write

    def write(changes: Any) -> None:
        monkeypatch.undo()
        head = app.head()
        assert head is not None
        app.store(sessions=[head | {"erasing": clock.now()}])
        real(changes)

    monkeypatch.setattr(app.database, "write", write)
    assert app.say("late").status == 409
    assert "late" not in [message["content"] for message in app.everything()[1]]
    assert app.erase().body["messages"] == 2


def test_erasing_and_speaking_at_once_leave_nothing_half(app: AgentSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "INDEX_LAG_SECONDS", 1)
    session = app.said("first")
    apps = environments(app, 6)

    def work(i: int) -> Any:
        if i < 2:
            return apps[i].erase(context=Context(milliseconds=SECONDS * 1000)).status
        return [apps[i].say(f"{i}.{n}", session=session if i == 2 else None).status for n in range(4)]

    erased = at_once(6, work)
    assert erased[:2] == [200, 200]
    assert {status for statuses in erased[2:] for status in statuses} <= {200, 404, 409}
    # what was said after the end is whole: every message belongs to a session that is listed
    sessions, messages = app.everything()
    assert {item["sessionId"] for item in messages} == {one["id"] for one in app.listed()}
    assert {item["id"] for item in sessions if "userId" in item} == {one["id"] for one in app.listed()}
    assert app.erase(context=Context(milliseconds=SECONDS * 1000)).body["complete"]
    assert app.everything() == ([], [])


# --- everything else


def test_an_environment_that_knows_nothing_goes_on_with_what_others_wrote(app: AgentSessions) -> None:
    if not app.engine.url:
        pytest.skip("memory forgets: that is what the tables are for")
    session = app.said("1")
    fresh = app.another()
    assert fresh.said("2") == session
    assert fresh.contents(session) == ["1", "1", "2", "2"]


def test_unknown_paths_and_methods(app: AgentSessions, kind: str) -> None:
    for path in ("/agent", "/agent/sessions", "/agent/sessions/a", "/agent/conversations/t/users", "/agent/process/x"):
        assert app.call("GET", path, kind=kind).status == 404
    for method, path, allowed in (
        ("GET", "/agent/process", "OPTIONS, POST"),
        ("POST", "/agent/conversations/t/users/u", "DELETE, GET, HEAD, OPTIONS"),
        ("DELETE", "/agent/sessions/a/messages", "GET, HEAD, OPTIONS"),
        ("GET", "/agent/sessions/a/close", "OPTIONS, POST"),
    ):
        answer = app.call(method, path, kind=kind)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_the_contract_names_the_routes_that_there_are(app: AgentSessions) -> None:
    assert app.contract.routes == set(app.app.routes)


def test_a_backend_that_there_is_not(engine: Engine) -> None:
    with (
        pytest.raises(RuntimeError, match="REPLY_BACKEND is 'carrier pigeon'; it must be echo or http"),
        new_agent_sessions(engine, REPLY_BACKEND="carrier pigeon"),
    ):
        pass
    assert backends.of({}) is echo
