"""The chat sessions as their callers see them, in both persistence modes; each answer is held against openapi.yaml."""

import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from moto.dynamodb.responses import DynamoHandler

from common import clock, paging, preconditions
from common.dynamodb_json import marshal_item
from common.errors import Throttled, Unavailable
from tests.contract.chat_sessions import CONTRACT, NAMES, ChatSessions, new_chat_sessions
from tests.contract.engines import Engine
from tests.unit.fake_service import CUT, LOSE, SILENT, FakeService, cancelled, fails, limited, served
from tests.unit.http_events import Context, event

SECOND = 1_000_000
DAY = 24 * 3600
MOVING = {"SESSION_TTL_BASE": "last_accessed"}


class Clock:
    """Time as the function sees it, moved by hand; it ticks with every look, unless it is frozen."""

    def __init__(self) -> None:
        self.microseconds = clock.now()
        self.ticks = 1

    def now(self) -> int:
        self.microseconds += self.ticks
        return self.microseconds

    def advance(self, seconds: float) -> None:
        self.microseconds += int(seconds * SECOND)


@pytest.fixture
def chat(engine: Engine) -> Iterator[ChatSessions]:
    with new_chat_sessions(engine) as chat:
        yield chat


@pytest.fixture
def moving(engine: Engine) -> Iterator[ChatSessions]:
    """Sessions that expire 30 days after their last message."""
    with new_chat_sessions(engine, **MOVING) as chat:
        yield chat


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


@pytest.fixture
def frequent_switches(engine: Engine) -> Iterator[None]:
    """Between threads, so that those of the memory mode meet, too."""
    before = sys.getswitchinterval()
    if engine.url is None:
        sys.setswitchinterval(0.00002)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def one_call_at_a_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto checks a condition and writes in two steps, and takes back what others wrote with a failed transaction."""
    if engine.name == "moto":
        lock, real = threading.RLock(), DynamoHandler.call_action

        def call_action(handler: Any) -> Any:
            with lock:
                return real(handler)

        monkeypatch.setattr(DynamoHandler, "call_action", call_action)


def parts(chat: ChatSessions) -> list[str]:
    """The parts of the last transaction, such as "Put MESSAGE"."""
    _, payload = [call for call in chat.calls if call[0] == "TransactWriteItems"][-1]
    found = []
    for part in payload["TransactItems"]:
        ((name, request),) = part.items()
        key = request.get("Item", request.get("Key"))
        found.append(f"{name} {key['SK']['S'].partition('#')[0] if 'SK' in key else 'marker'}")
    return found


def names(chat: ChatSessions) -> list[str]:
    """The requests since they were last cleared."""
    return [name for name, _ in chat.calls]


def claims(user: str) -> dict[str, Any]:
    return {"claims": {"sub": user, "iss": "https://issuer.example"}}


def message_item(session_id: str, at: str, content: str = "old", **more: Any) -> dict[str, Any]:
    return {
        "PK": f"SESSION#{session_id}",
        "SK": f"MESSAGE#{at}",
        "role": "user",
        "content": content,
        "tokens": 1,
        "context_ids": [],
        **more,
    }


def head_item(session_id: str, user: str = "u", at: str = "2026-01-01T00:00:00.000000Z", **more: Any) -> dict[str, Any]:
    return {
        "PK": f"SESSION#{session_id}",
        "SK": "METADATA",
        "user_id": user,
        "created_at": at,
        "last_accessed": at,
        "total_tokens": 0,
        "pedagogy_mode": None,
        "GSI1PK": f"USER#{user}",
        "GSI1SK": at,
        **more,
    }


# --- opening


def test_a_new_session(chat: ChatSessions, kind: str) -> None:
    answer = chat.create("algebra:1", "student-7", extra={"pedagogy_mode": "socratic"}, kind=kind)
    assert answer.status == 201
    assert answer.headers["location"] == "/sessions/algebra:1"
    assert answer.headers["etag"] == '"1"'
    body = dict(answer.body)
    created, expires = body.pop("created_at"), body.pop("expires_at")
    assert body == {
        "id": "algebra:1",
        "user_id": "student-7",
        "last_accessed": created,
        "pedagogy_mode": "socratic",
        "total_tokens": 0,
        "message_count": 0,
        "version": 1,
    }
    assert created < expires
    read = chat.call("GET", "/sessions/algebra:1", kind=kind)
    assert (read.status, read.body, read.headers["etag"]) == (200, answer.body, '"1"')


def test_ids_that_are_made_are_distinct(chat: ChatSessions) -> None:
    ids = {chat.create(None).body["id"] for _ in range(5)}
    assert len(ids) == 5
    assert all(len(one) == 32 for one in ids)


def test_an_id_that_is_taken_is_a_conflict(chat: ChatSessions) -> None:
    chat.create("s", "u")
    before = chat.stored()
    for user in ("u", "other"):
        answer = chat.create("s", user)
        assert answer.status == 409
    assert chat.stored() == before


def test_opening_costs_one_write_and_with_a_key_a_transaction_of_two(chat: ChatSessions) -> None:
    chat.create(None)
    chat.create(None, headers={"idempotency-key": "k"})
    if chat.engine.url:
        assert names(chat) == ["PutItem", "GetItem", "TransactWriteItems"]
        assert parts(chat) == ["Put METADATA", "Put marker"]


@pytest.mark.parametrize("user", [None, "", " ", "x" * 257, "a\nb", 7, ["u"], "\ud800"])
def test_a_user_that_is_none(chat: ChatSessions, user: Any) -> None:
    body = {"id": "s"} | ({} if user is None else {"user_id": user})
    answer = chat.call("POST", "/sessions", body=body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == ["#/user_id"]
    assert chat.stored() == []


@pytest.mark.parametrize("session_id", ["", "-a", "a b", "a#b", "a/b", "ü", "x" * 129, 7, True, "a\n"])
def test_an_id_that_is_none(chat: ChatSessions, session_id: Any) -> None:
    answer = chat.call("POST", "/sessions", body={"id": session_id, "user_id": "u"})
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == ["#/id"]


def test_opening_again_with_the_same_key_gives_the_first_answer(chat: ChatSessions, kind: str) -> None:
    for session_id in (None, "s"):
        headers = {"idempotency-key": f"key {session_id}"}
        first = chat.create(session_id, headers=headers, kind=kind)
        again = chat.create(session_id, headers=headers, kind=kind)
        assert (first.status, again.status) == (201, 201)
        assert (again.text, again.headers["idempotency-replayed"]) == (first.text, "true")
        assert again.headers["location"] == first.headers["location"]
        other = chat.create(session_id, headers=headers, kind=kind, extra={"pedagogy_mode": "another"})
        assert (other.status, other.body["type"]) == (409, "urn:problem:idempotency-key-reused")
    assert len(chat.listed()) == 2


def test_a_key_counts_for_its_user_only(engine: Engine, kind: str) -> None:
    """Whoever calls may speak for many: a trusted service, or a client whose tokens have one subject."""
    with new_chat_sessions(engine, USER_CLAIM="email") as chat:
        answers = []
        for user in ("ann", "bob"):
            request: dict[str, Any] = {"headers": {"idempotency-key": "k"}, "kind": kind}
            answers.append(chat.create(None, user, **request))
            answers.append(chat.create(None, None, **request, claims={"sub": "client", "email": user}))
        assert [answer.status for answer in answers] == [201] * 4
        assert len({answer.body["id"] for answer in answers}) == 4


def test_of_the_same_opening_sent_at_once_one_is_carried_out(chat: ChatSessions, one_call_at_a_time: None) -> None:
    others = environments(chat, 6)

    def send(one: ChatSessions) -> Any:
        return one.create("s", headers={"idempotency-key": "k"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, others))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1


# --- appending


def test_a_message(chat: ChatSessions, kind: str) -> None:
    chat.create()
    extra = {"role": "assistant", "context_ids": ["c1", "ü #2"]}
    answer = chat.append("s", "line 1\nline 2\t\u0001 👋", 12, extra=extra, kind=kind)
    assert answer.status == 201
    at = answer.body["time"]
    assert answer.body == {
        "session_id": "s",
        "time": at,
        "role": "assistant",
        "tokens": 12,
        "context_ids": ["c1", "ü #2"],
    }
    page = chat.call("GET", "/sessions/s/messages", kind=kind).body
    assert page["messages"] == [
        {
            "time": at,
            "role": "assistant",
            "content": "line 1\nline 2\t\u0001 👋",
            "tokens": 12,
            "context_ids": ["c1", "ü #2"],
        }
    ]
    session = chat.session()
    assert page["session"] == session
    assert session["last_accessed"] == at
    assert (session["total_tokens"], session["message_count"], session["version"]) == (12, 1, 2)


def test_tokens_and_context_may_be_left_out(chat: ChatSessions) -> None:
    chat.create()
    answer = chat.call("POST", "/sessions/s/messages", body={"role": "user", "content": "x"})
    assert (answer.status, answer.body["tokens"], answer.body["context_ids"]) == (201, 0, [])


def test_a_stock_client_sees_the_attributes_of_the_contract(chat: ChatSessions) -> None:
    if not chat.engine.url:
        pytest.skip("memory can't be read from outside")
    chat.create("s", "u", extra={"pedagogy_mode": "socratic"})
    at = chat.append("s", "hello", 5, extra={"context_ids": ["c"]}).body["time"]
    client, table = chat.engine.boto3, chat.sessions.name

    def read(sort_key: str) -> Any:
        return client.get_item(TableName=table, Key={"PK": {"S": "SESSION#s"}, "SK": {"S": sort_key}})["Item"]

    head, message = read("METADATA"), read(f"MESSAGE#{at}")
    assert head["total_tokens"] == {"N": "5"}
    assert head["pedagogy_mode"] == {"S": "socratic"}
    assert head["user_id"] == {"S": "u"}
    assert head["GSI1PK"] == {"S": "USER#u"}
    assert head["GSI1SK"] == head["last_accessed"] == {"S": at}
    assert len(head["created_at"]["S"]) == len("2026-11-21T03:47:12.000000Z")
    assert abs(int(head["ttl"]["N"]) - clock.now() / SECOND - 30 * DAY) < 60
    assert message == {
        "PK": {"S": "SESSION#s"},
        "SK": {"S": f"MESSAGE#{at}"},
        "role": {"S": "user"},
        "content": {"S": "hello"},
        "tokens": {"N": "5"},
        "context_ids": {"L": [{"S": "c"}]},
        "ttl": head["ttl"],
    }


def test_appending_is_one_read_and_one_transaction(chat: ChatSessions) -> None:
    if not chat.engine.url:
        pytest.skip("memory makes no requests")
    chat.create()
    chat.calls.clear()
    chat.append()
    assert names(chat) == ["GetItem", "TransactWriteItems"]
    assert parts(chat) == ["Put MESSAGE", "Update METADATA"]
    chat.append(headers={"idempotency-key": "k"})
    assert parts(chat) == ["Put MESSAGE", "Update METADATA", "Put marker"]
    for _, payload in chat.calls:
        for part in payload.get("TransactItems", ()):
            ((_, request),) = part.items()
            assert "attribute_not_exists" in request["ConditionExpression"], "nothing is overwritten"


def test_the_same_message_again_with_its_key_is_one(chat: ChatSessions, kind: str) -> None:
    chat.create()
    chat.create("t")
    headers = {"idempotency-key": "k"}
    first = chat.append("s", headers=headers, kind=kind)
    again = chat.append("s", headers=headers, kind=kind)
    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (201, first.text, "true")
    assert chat.append("s", "other", headers=headers, kind=kind).status == 409
    assert "idempotency-replayed" not in chat.append("t", headers=headers, kind=kind).headers
    assert (len(chat.contents("s")), len(chat.contents("t"))) == (1, 1)
    assert chat.session()["total_tokens"] == 1


def test_of_the_same_message_sent_at_once_one_is_stored(chat: ChatSessions, one_call_at_a_time: None) -> None:
    chat.create()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: one.append(headers={"idempotency-key": "k"}), environments(chat, 6)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(chat.contents()) == 1


def test_if_match_guards_a_message(chat: ChatSessions, kind: str) -> None:
    chat.create()
    answer = chat.append(headers={"If-Match": '"2"'}, kind=kind)
    assert (answer.status, answer.headers["etag"]) == (412, '"1"')
    assert chat.append(headers={"If-Match": '"1"'}, kind=kind).status == 201
    assert chat.append(headers={"If-Match": '"1"'}, kind=kind).status == 412
    assert chat.append(headers={"If-Match": "*"}, kind=kind).status == 201
    assert len(chat.contents()) == 2


def test_of_messages_on_the_same_version_one_is_stored(chat: ChatSessions, one_call_at_a_time: None) -> None:
    chat.create()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda one: one.append(headers={"If-Match": '"1"'}), environments(chat, 6)))
    assert sorted(answer.status for answer in answers) == [201, 412, 412, 412, 412, 412]
    assert len(chat.contents()) == 1


def test_a_version_that_passes_between_reading_and_writing_is_noticed(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.create()
    head = chat.head()
    chat.append("s", "first")
    read_too_early(chat, monkeypatch, head)
    answer = chat.append("s", "late", headers={"If-Match": '"1"'})
    assert (answer.status, answer.headers["etag"]) == (412, '"2"')
    assert chat.contents() == ["first"]


@pytest.mark.parametrize("is_older", [False, True])
def test_a_session_that_is_deleted_between_reading_and_writing_gets_no_message(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, is_older: bool
) -> None:
    if is_older:
        chat.store({"PK": "SESSION#s", "SK": "METADATA", "user_id": "u"})
    else:
        chat.create()
    chat.load([message_item("s", clock.text(i * SECOND)) for i in range(300)])
    head = chat.head()
    with monkeypatch.context() as within:
        no_time(within)
        chat.call("DELETE", "/sessions/s")
    left = len(chat.stored())
    read_too_early(chat, monkeypatch, head)
    assert chat.append().status == 404
    assert len(chat.stored()) == left > 1


def test_a_session_that_is_made_anew_between_reading_and_writing_is_another(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.create("s", "ann")
    head = chat.head()
    chat.call("DELETE", "/sessions/s")
    chat.create("s", "bob")
    read_too_early(chat, monkeypatch, head)
    assert chat.append("s", "for ann's eyes", **claims("ann")).status == 404
    assert chat.contents() == []


def test_a_message_over_400_kb_is_too_large_and_leaves_nothing(chat: ChatSessions, kind: str) -> None:
    chat.create()
    before = chat.stored()
    for headers in ({}, {"idempotency-key": "k"}):
        assert chat.append("s", "x" * 1_000_000, headers=headers, kind=kind).status == 413
    assert chat.stored() == before
    assert chat.append("s", "x" * 390_000, headers={"idempotency-key": "k"}, kind=kind).status == 201, "nor a marker"


BAD_MESSAGES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, ["#/role", "#/content"]),
    "unknown field": ({"role": "user", "content": "x", "ttl": 1}, ["#/ttl"]),
    "role": ({"role": "a\nb", "content": "x"}, ["#/role"]),
    "long role": ({"role": "x" * 65, "content": "x"}, ["#/role"]),
    "empty content": ({"role": "user", "content": ""}, ["#/content"]),
    "content is a list": ({"role": "user", "content": ["x"]}, ["#/content"]),
    "surrogate": ({"role": "user", "content": "\ud800"}, ["#/content"]),
    "negative tokens": ({"role": "user", "content": "x", "tokens": -1}, ["#/tokens"]),
    "half a token": ({"role": "user", "content": "x", "tokens": 0.5}, ["#/tokens"]),
    "tokens as text": ({"role": "user", "content": "x", "tokens": "5"}, ["#/tokens"]),
    "true tokens": ({"role": "user", "content": "x", "tokens": True}, ["#/tokens"]),
    "context is a text": ({"role": "user", "content": "x", "context_ids": "c"}, ["#/context_ids"]),
    "empty context id": ({"role": "user", "content": "x", "context_ids": ["c", ""]}, ["#/context_ids/1"]),
    "much context": ({"role": "user", "content": "x", "context_ids": ["c"] * 101}, ["#/context_ids"]),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
def test_every_wrong_field_is_named_and_nothing_is_written(chat: ChatSessions, case: str) -> None:
    chat.create()
    before = chat.stored()
    body, pointers = BAD_MESSAGES[case]
    answer = chat.call("POST", "/sessions/s/messages", body=body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == pointers
    assert chat.stored() == before


def test_there_is_nothing_to_append_to(chat: ChatSessions, kind: str) -> None:
    assert chat.append("unknown", kind=kind).status == 404
    assert chat.append("x" * 3000, kind=kind).status == 404
    assert chat.stored("unknown") == []


# --- the session's clock


def test_keys_are_in_order_whatever_the_wall_clock_does(chat: ChatSessions, time_of_day: Clock) -> None:
    chat.create()
    times = []
    for step in ("tick", "freeze", "back an hour", "thaw", "forward a day", "back two days"):
        if step == "freeze":
            time_of_day.ticks = 0
        elif step == "thaw":
            time_of_day.ticks = 1
        elif step != "tick":
            time_of_day.advance({"back an hour": -3600, "forward a day": DAY, "back two days": -2 * DAY}[step])
        times += [chat.append("s", f"{step} {i}").body["time"] for i in range(5)]
    assert times == sorted(set(times))
    assert [message["SK"] for message in chat.stored()[:-1]] == [f"MESSAGE#{at}" for at in times]
    assert chat.session()["last_accessed"] == times[-1]
    assert chat.session()["message_count"] == 30


def test_a_key_that_an_older_application_took_is_left_alone(chat: ChatSessions, time_of_day: Clock) -> None:
    chat.create()
    time_of_day.ticks = 0
    time_of_day.advance(1)
    taken = clock.text(time_of_day.microseconds)
    chat.store(message_item("s", taken))
    assert chat.append("s", "new").body["time"] == clock.text(time_of_day.microseconds + 1)
    assert chat.contents() == ["old", "new"]


WRITERS, MESSAGES = 16, 1000
# moto copies the whole table for each transaction
FEWER_ON_MOTO = 320


def test_many_writers_append_in_the_order_of_commits_and_lose_nothing(
    chat: ChatSessions,
    one_call_at_a_time: None,
    frequent_switches: None,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    """Each writer is an environment of its own, with a wall clock that is up to 0.8 s off."""
    count = FEWER_ON_MOTO if chat.engine.name == "moto" else MESSAGES
    chat.create()
    real, offset = clock.now, threading.local()
    monkeypatch.setattr(clock, "now", lambda: real() + getattr(offset, "microseconds", 0))
    retries = []

    def write(numbered: tuple[int, ChatSessions]) -> list[tuple[float, float, str, str]]:
        writer, one = numbered
        offset.microseconds = (writer - WRITERS // 2) * 100_000
        done = []
        for i in range(writer, count, WRITERS):
            content = f"{writer:02} {i:03}"
            started = time.monotonic()
            answer = one.append("s", content, tokens=3, context=Context(milliseconds=120_000))
            assert answer.status == 201, answer.text
            retries.append(one.usage.retries)
            done.append((started, time.monotonic(), answer.body["time"], content))
        return done

    with ThreadPoolExecutor(WRITERS) as pool:
        done = [one for each in pool.map(write, enumerate(environments(chat, WRITERS))) for one in each]
    record_property("retries", f"{chat.engine.name}: {sum(retries)} of {len(done)} messages, at most {max(retries)}")
    print(f"{chat.engine.name}: {len(done)} messages took {sum(retries)} retries, one message at most {max(retries)}")
    stored = chat.stored()[:-1]
    assert [(item["SK"], item["content"]) for item in stored] == sorted(
        (f"MESSAGE#{at}", text) for *_, at, text in done
    )
    assert len({item["SK"] for item in stored}) == len(done) == count
    head = chat.head()
    assert (head["message_count"], head["total_tokens"], head["version"]) == (len(done), 3 * len(done), len(done) + 1)
    assert f"MESSAGE#{head['last_accessed']}" == stored[-1]["SK"]
    # what was answered before another was sent has the earlier key
    ended = sorted(done, key=lambda one: one[1])
    newest, i = "", 0
    for started, _, at, _ in sorted(done):
        while ended[i][1] < started:
            newest = max(newest, ended[i][2])
            i += 1
        assert at > newest


def test_a_lost_race_needs_no_second_read(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, time_of_day: Clock
) -> None:
    chat.create()
    stale = chat.head()
    time_of_day.advance(60)
    chat.append("s", "first")
    time_of_day.advance(-30)
    monkeypatch.setattr(store_of(chat).table, "get", lambda _: stale)
    chat.calls.clear()
    assert chat.append("s", "second").status == 201
    assert chat.contents() == ["first", "second"]
    if chat.engine.url:
        assert names(chat)[:2] == ["TransactWriteItems", "TransactWriteItems"]


def test_a_writer_whose_clock_is_behind_keeps_up_with_those_that_go_on(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others append all the time, an hour ahead; time passes in the pauses only."""
    from chat_sessions import appending

    chat.create()
    passed = [0.0]
    now = time.monotonic()
    pauses = SimpleNamespace(
        monotonic=lambda: now + passed[0], sleep=lambda seconds: passed.append(passed.pop() + seconds)
    )
    monkeypatch.setattr(appending, "time", pauses)
    real, start = store_of(chat).database.write, clock.now() + 3600 * SECOND

    def write(changes: Any) -> None:
        key = {"PK": "SESSION#s", "SK": "METADATA"}
        others = {"clock_microseconds": start + int(passed[0] * SECOND)}
        real([store_of(chat).table.update(key, set=others)])
        real(changes)

    monkeypatch.setattr(store_of(chat).database, "write", write)
    assert chat.append().status == 201
    assert chat.usage.retries == 1


def test_races_without_end_are_a_503_in_time_and_write_nothing(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, time_of_day: Clock
) -> None:
    chat.create()
    real = store_of(chat).database.write
    appended = iter(range(1, 1000))

    def write(changes: Any) -> None:
        if len(changes) > 1 and changes[0].item.get("content") == "late":  # another is always first
            monkeypatch.setattr(store_of(chat).database, "write", real)
            minutes = next(appended)
            time_of_day.advance(60 * minutes)
            chat.append("s", f"first {minutes}")
            time_of_day.advance(-60 * minutes)
            monkeypatch.setattr(store_of(chat).database, "write", write)
        real(changes)

    monkeypatch.setattr(store_of(chat).database, "write", write)
    answer = chat.append("s", "late", context=Context(milliseconds=400))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    contents = chat.contents()
    assert "late" not in contents
    assert chat.session()["message_count"] == len(contents) > 0


# --- reading messages


def test_the_newest_messages_and_the_session_come_from_one_query(chat: ChatSessions, kind: str) -> None:
    chat.create()
    for i in range(7):
        chat.append("s", str(i))
    session = chat.session()
    chat.calls.clear()
    body = chat.call("GET", "/sessions/s", query={"messages": "3"}, kind=kind).body
    token = body.pop("next_token")
    assert [message["content"] for message in body.pop("messages")] == ["4", "5", "6"]
    assert body == session
    newest = chat.call("GET", "/sessions/s/messages", query={"order": "newest", "limit": "3"}, kind=kind).body
    assert [message["content"] for message in newest["messages"]] == ["6", "5", "4"]
    assert newest["session"] == session
    assert newest["next_token"] == token
    if chat.engine.url:
        assert names(chat) == ["Query", "Query"]
        assert [payload["Limit"] for _, payload in chat.calls] == [5, 5]
        assert {payload["ConsistentRead"] for _, payload in chat.calls} == {True}
    rest = chat.call(
        "GET", "/sessions/s/messages", query={"order": "newest", "limit": "100", "next_token": token}, kind=kind
    ).body
    assert [message["content"] for message in rest["messages"]] == ["3", "2", "1", "0"]
    assert "session" not in rest
    assert "next_token" not in rest
    all_of = chat.call("GET", "/sessions/s", query={"messages": "7"}, kind=kind).body
    assert len(all_of["messages"]) == 7
    assert "next_token" not in all_of


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_pages_join_without_gap_or_repeat_and_the_last_has_no_token(chat: ChatSessions, order: str) -> None:
    chat.create()
    contents = [str(i) for i in range(7)]
    for content in contents:
        chat.append("s", content)
    wanted = contents if order == "oldest" else contents[::-1]
    for limit, sizes in ((3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)):
        pages = chat.pages("/sessions/s/messages", "messages", order=order, limit=str(limit))
        assert [len(page) for page in pages] == sizes
        assert [message["content"] for page in pages for message in page] == wanted


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_large_messages_make_shorter_pages_and_none_is_missed(chat: ChatSessions, order: str) -> None:
    """DynamoDB's pages end at 1 MB, a function's answer at 6 MB."""
    chat.create()
    chat.load([message_item("s", f"2026-01-01T00:00:{i:02}.000000Z", "x" * 390_000) for i in range(20)])
    pages = chat.pages("/sessions/s/messages", "messages", order=order, limit="100")
    assert [len(page) for page in pages] == [12, 8]
    times = [message["time"] for page in pages for message in page]
    assert sorted(set(times)) == sorted(times)
    assert len(times) == 20
    with_messages = chat.call("GET", "/sessions/s", query={"messages": "20"})
    assert len(with_messages.body["messages"]) == 12
    assert with_messages.body["messages"][-1]["time"] == "2026-01-01T00:00:19.000000Z"


@pytest.mark.parametrize("query", [{"messages": "0"}, {"messages": "101"}, {"messages": "x"}, {"messages": ""}])
def test_a_number_of_messages_out_of_bounds(chat: ChatSessions, query: dict[str, str]) -> None:
    chat.create()
    answer = chat.call("GET", "/sessions/s", query=query)
    assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "messages")


@pytest.mark.parametrize("order", ["", "up", "Newest"])
def test_an_order_that_is_none(chat: ChatSessions, order: str) -> None:
    chat.create()
    answer = chat.call("GET", "/sessions/s/messages", query={"order": order})
    assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "order")


def test_a_token_of_another_list_is_refused(chat: ChatSessions, kind: str) -> None:
    for session_id in ("s", "t", "1", "10"):
        chat.create(session_id)
        for _ in range(3):
            chat.append(session_id)
    token = chat.call("GET", "/sessions/1/messages", query={"limit": "1"}).body["next_token"]
    users = chat.call("GET", "/users/u/sessions", query={"limit": "1"}).body["next_token"]
    for path, query in (
        ("/sessions/10/messages", {"next_token": token}),
        ("/sessions/1/messages", {"next_token": token, "order": "newest"}),
        ("/sessions/1/messages", {"next_token": token[:-1]}),
        ("/users/u/sessions", {"next_token": token}),
        ("/users/other/sessions", {"next_token": users}),
        ("/sessions/1/messages", {"next_token": users}),
    ):
        answer = chat.call("GET", path, query=query, kind=kind)
        assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "next_token")


@pytest.mark.parametrize(
    "position",
    [{"SK": "x"}, 7, "", ["a"], "x" * 1025, None, ["a", "b", ""], [1, 2, 3], "A", "METADATA#", "MESSAGE"],
)
def test_a_forged_position_is_refused(chat: ChatSessions, position: object) -> None:
    chat.create()
    for path, scope, order in (
        ("/sessions/s/messages", ("messages", "s", "oldest"), {}),
        ("/sessions/s/messages", ("messages", "s", "newest"), {"order": "newest"}),
        ("/users/u/sessions", ("sessions", "u"), {}),
    ):
        answer = chat.call("GET", path, query={"next_token": paging.token(position, *scope), **order})
        assert answer.status == (200 if position is None else 400)


def test_items_of_other_kinds_in_a_session_are_no_messages(chat: ChatSessions) -> None:
    chat.create()
    chat.append("s", "a")
    for sort_key in ("AUDIT", "MESSAGES", "META", "SUMMARY", "ZZZ"):
        chat.store({"PK": "SESSION#s", "SK": sort_key, "content": "none"})
    chat.append("s", "b")
    for order in ("oldest", "newest"):
        for limit in (1, 100):
            assert sorted(chat.contents(order=order, limit=limit)) == ["a", "b"]
    assert [m["content"] for m in chat.session("s", query={"messages": "9"})["messages"]] == ["a", "b"]


def test_a_message_that_is_expired_by_itself_is_not_shown(chat: ChatSessions) -> None:
    """An older application may have given each message a ttl of its own."""
    chat.create()
    chat.store(*(message_item("s", f"2026-01-01T00:00:00.{i:06}Z", str(i), ttl=1) for i in range(30)))
    chat.append("s", "live")
    for order in ("oldest", "newest"):
        assert chat.pages("/sessions/s/messages", "messages", order=order, limit="2")[0][0]["content"] == "live"


def test_a_reader_with_the_present_version_gets_304(chat: ChatSessions, kind: str) -> None:
    chat.create()
    chat.append()
    for query in ({}, {"messages": "5"}):
        answer = chat.call("GET", "/sessions/s", headers={"If-None-Match": '"2"'}, query=query, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (304, '"2"')
        assert chat.call("GET", "/sessions/s", headers={"If-None-Match": '"1"'}, query=query, kind=kind).status == 200


# --- a user's sessions


def test_a_user_s_sessions_come_by_recency(chat: ChatSessions, time_of_day: Clock, kind: str) -> None:
    for session_id in "abc":
        chat.create(session_id)
    assert chat.listed() == ["c", "b", "a"]
    chat.append("a")
    assert chat.listed() == ["a", "c", "b"]
    chat.append("b")
    assert chat.listed(limit=1) == chat.listed(limit=2) == ["b", "a", "c"]
    page = chat.call("GET", "/users/u/sessions", kind=kind).body
    assert page["sessions"] == [chat.session(one) for one in "bac"]


def test_users_do_not_meet(chat: ChatSessions, kind: str) -> None:
    users = ["1", "10", "1#", "1#10", "USER#1", "#", "ü 👋", "a+b", "50%", "DELETING"]
    for i, user in enumerate(users):
        assert chat.create(f"s{i}", user).status == 201
    for i, user in enumerate(users):
        answer = chat.call("GET", f"/users/{user}/sessions", kind=kind)
        assert [session["id"] for session in answer.body["sessions"]] == [f"s{i}"]


def test_a_user_of_whom_nothing_is_known_has_an_empty_list(chat: ChatSessions, kind: str) -> None:
    answer = chat.call("GET", "/users/nobody/sessions", kind=kind)
    assert (answer.status, answer.body) == (200, {"sessions": []})
    assert chat.call("GET", f"/users/{'x' * 3000}/sessions", kind=kind).status == 400


def test_what_a_lagging_index_still_shows_is_not_shown(chat: ChatSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(30):
        chat.create(f"s{i:02}")
    table = store_of(chat).table
    lagging = table.query("USER#u", index="UserSessionsIndex", limit=100, backwards=True)[0]
    real = table.query

    def query(partition: Any, **how: Any) -> Any:
        if how.get("index") != "UserSessionsIndex":
            return real(partition, **how)
        after = how.get("after")
        left = [one for one in lagging if after is None or one["GSI1SK"] < after["GSI1SK"]]
        page = left[: how["limit"]]
        return page, (page[-1] if len(left) > len(page) else None)

    monkeypatch.setattr(table, "query", query)
    assert len(chat.listed(limit=10)) == 30
    for i in range(30):
        if i not in (3, 17, 29):
            assert chat.call("DELETE", f"/sessions/s{i:02}").status == 204
    chat.append("s17")  # moved, but the index shows it at its old place
    chat.create("s05", "another")
    assert chat.listed(limit=2) == ["s29", "s17", "s03"]
    lagging.insert(0, lagging[12] | {"GSI1SK": "9"})  # seen at both places
    assert lagging[13]["PK"] == "SESSION#s17"
    assert chat.listed(limit=100) == ["s17", "s29", "s03"]


# --- cost


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_list_costs_its_page_whatever_there_is(chat: ChatSessions, count: int) -> None:
    if not chat.engine.url:
        pytest.skip("memory makes no requests")
    chat.create("s", "other")
    chat.load([message_item("s", clock.text(i * SECOND), f"m{i}") for i in range(count)])
    chat.load([head_item(f"s{i:05}", at=clock.text(i * SECOND), clock_microseconds=i, version=1) for i in range(count)])

    def cost(path: str, **query: str) -> tuple[list[str], float]:
        chat.calls.clear()
        answer = chat.call("GET", path, query=query)
        assert answer.status == 200
        assert len(answer.body.get("messages", answer.body.get("sessions", [0] * 10))) == 10
        return names(chat), chat.usage.read_units

    limit = {"limit": "10"}
    calls, units = cost("/sessions/s/messages", **limit)
    assert calls == ["GetItem", "Query"]
    # 11 messages of 100 bytes are one unit, as is the head; moto makes units up
    assert units == 2 or chat.engine.name == "moto"
    calls, units = cost("/sessions/s/messages", order="newest", **limit)
    assert calls == ["Query"]
    assert units == 1 or chat.engine.name == "moto"
    token = chat.call("GET", "/sessions/s/messages", query={"order": "newest", **limit}).body["next_token"]
    assert cost("/sessions/s/messages", order="newest", next_token=token, **limit)[0] == ["GetItem", "Query"]
    assert cost("/sessions/s", messages="10")[0] == ["Query"]
    calls, units = cost("/users/u/sessions", **limit)
    assert calls == ["Query", "BatchGetItem"]
    assert units <= 11 or chat.engine.name == "moto"
    assert chat.calls[0][1]["Limit"] == 11
    ((_, request),) = chat.calls[1][1]["RequestItems"].items()
    assert (len(request["Keys"]), request["ConsistentRead"]) == (10, True)


# --- expiry


def test_a_session_of_31_days_is_nowhere_although_it_is_stored(chat: ChatSessions, time_of_day: Clock) -> None:
    chat.create("old")
    chat.append("old", "hello", headers={"idempotency-key": "k"})
    chat.create("other")
    time_of_day.advance(29 * DAY)
    assert chat.contents("old") == ["hello"]
    assert chat.append("old", "again").status == 201, "a message does not move the end"
    assert sorted(chat.listed()) == ["old", "other"]
    time_of_day.advance(2 * DAY)
    stored = chat.stored("old")
    assert len(stored) == 3
    assert chat.session("old") == 404
    assert chat.session("old", query={"messages": "5"}) == 404
    for order in ("oldest", "newest"):
        assert chat.call("GET", "/sessions/old/messages", query={"order": order}).status == 404
    assert chat.append("old").status == 404
    assert chat.call("DELETE", "/sessions/old").status == 404
    assert chat.listed() == []
    assert chat.stored("old") == stored
    assert {item["ttl"] for item in stored} == {stored[-1]["ttl"]}


def test_the_end_may_come_between_reading_and_writing(
    chat: ChatSessions, time_of_day: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.create()
    end = chat.head()["ttl"] * SECOND
    real = preconditions.check

    def check(*given: Any) -> None:
        real(*given)
        time_of_day.microseconds = end

    monkeypatch.setattr(preconditions, "check", check)
    assert chat.append().status == 404
    assert len(chat.stored()) == 1


def test_an_expired_session_s_id_can_be_taken_and_nothing_of_it_returns(chat: ChatSessions, time_of_day: Clock) -> None:
    chat.create("s", "u")
    chat.append("s", "old")
    time_of_day.advance(31 * DAY)
    assert chat.create("s", "another").status == 201
    assert chat.contents("s") == []
    assert (chat.listed("u"), chat.listed("another")) == ([], ["s"])


def test_messages_without_a_head_do_not_appear_in_a_new_session(chat: ChatSessions) -> None:
    """DynamoDB's TTL deletes in any order."""
    chat.store(message_item("s", "2026-01-01T00:00:00.000000Z"))
    assert chat.session() == 404
    assert chat.call("GET", "/sessions/s/messages").status == 404
    assert chat.create().status == 201
    assert chat.contents() == []


@pytest.mark.parametrize("base", ["created_at", "last_accessed"])
def test_zero_days_are_no_end(engine: Engine, base: str, time_of_day: Clock) -> None:
    with new_chat_sessions(engine, SESSION_TTL_DAYS="0", SESSION_TTL_BASE=base) as chat:
        assert "expires_at" not in chat.create().body
        chat.append()
        time_of_day.advance(10_000 * DAY)
        assert chat.append().status == 201
        assert not [item for item in chat.stored() if "ttl" in item]


def test_with_the_last_message_as_the_base_a_session_lives_on(moving: ChatSessions, time_of_day: Clock) -> None:
    moving.create()
    for i in range(12):
        time_of_day.advance(20 * DAY)
        answer = moving.append("s", str(i))
        assert answer.status == 201
        head, *_ = [item for item in moving.stored() if item["SK"] == "METADATA"]
        messages = [item for item in moving.stored() if item["SK"] != "METADATA"]
        assert head["ttl"] == clock.seconds_up(head["clock_microseconds"]) + 30 * DAY
        assert len(messages) == i + 1
        assert all(message["ttl"] >= head["ttl"] for message in messages), "a message would go before its session"
    time_of_day.advance(31 * DAY)
    assert moving.session() == 404
    assert moving.append().status == 404


def test_messages_are_redated_at_most_once_a_period(moving: ChatSessions, time_of_day: Clock) -> None:
    moving.create()
    redated, days = 0, 60
    for _ in range(days):
        time_of_day.advance(DAY)
        before = {item["SK"]: item["ttl"] for item in moving.stored() if item["SK"] != "METADATA"}
        moving.append()
        redated += any(item["ttl"] != before.get(item["SK"], item["ttl"]) for item in moving.stored()[:-1])
        head = moving.head()
        assert all(item["ttl"] >= head["ttl"] for item in moving.stored())
    assert 1 <= redated <= days / 7


def test_redating_writes_a_hundred_messages_at_a_time(moving: ChatSessions, time_of_day: Clock) -> None:
    moving.create()
    ttl = moving.head()["messages_ttl"]
    moving.load([message_item("s", clock.text(i * SECOND), ttl=ttl) for i in range(250)])
    time_of_day.advance(20 * DAY)
    moving.calls.clear()
    assert moving.append().status == 201
    calls = names(moving)
    head, messages = moving.head(), moving.stored()[:-1]
    assert {message["ttl"] for message in messages} == {head["messages_ttl"]}
    assert head["ttl"] <= head["messages_ttl"]
    assert not {"next_messages_ttl", "redated_to"} & set(head)
    if moving.engine.url:
        assert calls == [
            *("GetItem", "UpdateItem"),
            *(["Query", "TransactWriteItems"] * 3),
            *("UpdateItem", "TransactWriteItems"),
        ]
    moving.calls.clear()
    moving.append()
    if moving.engine.url:
        assert names(moving) == ["GetItem", "TransactWriteItems"]


def test_redating_that_was_interrupted_goes_on_and_the_session_stays_within_its_messages(
    moving: ChatSessions, time_of_day: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chat_sessions import redating

    moving.create()
    ttl = moving.head()["messages_ttl"]
    moving.load([message_item("s", clock.text(i * SECOND), ttl=ttl) for i in range(250)])
    time_of_day.advance(20 * DAY)
    monkeypatch.setattr(redating, "RESERVED_SECONDS", 1000.0)  # no time at all
    for redated in (100, 200):
        assert moving.append().status == 201
        head, messages = moving.head(), moving.stored()[:-1]
        assert sum(message["ttl"] > ttl for message in messages[:250]) == redated
        assert head["ttl"] == ttl, "not past the oldest of its messages"
        assert all(message["ttl"] >= head["next_messages_ttl"] for message in messages[250:])
    assert moving.append().status == 201
    head = moving.head()
    assert head["ttl"] == clock.seconds_up(head["clock_microseconds"]) + 30 * DAY
    assert all(item["ttl"] >= head["ttl"] for item in moving.stored())


def test_a_message_that_comes_while_others_are_redated_is_not_left_behind(
    moving: ChatSessions, time_of_day: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its writer read the head before that was announced, and writes when all older messages have been passed."""
    moving.create()
    moving.append("s", "first")
    time_of_day.advance(7 * DAY - 60)
    slow = moving.another() if moving.engine.url else moving
    stale = moving.head()
    time_of_day.advance(120)
    database = store_of(moving).database
    real = database.write

    def write(changes: Any) -> None:
        if changes[0].update and "messages_ttl" in changes[0].update.set:  # about to conclude
            monkeypatch.setattr(database, "write", real)
            time_of_day.advance(-90)  # the slow writer's wall clock
            read_too_early(slow, monkeypatch, stale)
            assert slow.append("s", "slow").status == 201
            time_of_day.advance(90)
        real(changes)

    monkeypatch.setattr(database, "write", write)
    assert moving.append("s", "redates").status == 201
    head, messages = moving.head(), moving.stored()[:-1]
    assert [message["content"] for message in messages] == ["first", "slow", "redates"]
    assert head["messages_ttl"] > stale["messages_ttl"]
    assert all(message["ttl"] >= head["messages_ttl"] for message in messages)


def test_a_session_that_is_deleted_while_it_is_redated_stays_deleted(
    moving: ChatSessions, time_of_day: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving.create()
    moving.append()
    time_of_day.advance(20 * DAY)
    database = store_of(moving).database
    real, writes = database.write, iter([0, 1])

    def write(changes: Any) -> None:
        if next(writes, None) == 1:  # announced, and about to redate
            monkeypatch.setattr(database, "write", real)
            assert moving.call("DELETE", "/sessions/s").status == 204
        real(changes)

    monkeypatch.setattr(database, "write", write)
    assert moving.append().status == 404
    assert moving.stored() == []


@pytest.mark.parametrize("first", ["created_at", "last_accessed"])
def test_the_base_can_be_changed(engine: Engine, first: str, time_of_day: Clock) -> None:
    second = "last_accessed" if first == "created_at" else "created_at"
    with new_chat_sessions(engine, SESSION_TTL_BASE=first) as chat:
        chat.create()
        chat.append()
        chat.app = chat.handler.build(chat.environment | {"SESSION_TTL_BASE": second}) if engine.url else chat.app
        if not engine.url:
            pytest.skip("memory is gone with a deployment")
        time_of_day.advance(20 * DAY)
        before = chat.head()["ttl"]
        assert chat.append().status == 201
        assert (chat.head()["ttl"] > before) is (second == "last_accessed")
        assert all(item["ttl"] >= chat.head()["ttl"] for item in chat.stored())


@pytest.mark.parametrize(
    "wrong", [{"SESSION_TTL_DAYS": "-1"}, {"SESSION_TTL_BASE": "updated_at"}, {"SESSION_TTL_DAYS": "soon"}]
)
def test_a_wrong_setting_is_our_error(wrong: dict[str, str]) -> None:
    with new_chat_sessions(Engine("memory", None), **wrong) as chat:
        assert chat.create().status == 500


# --- deleting


def test_deleting_takes_the_session_and_its_messages(chat: ChatSessions, kind: str) -> None:
    chat.create("s:1")
    chat.create("s:10")
    chat.append("s:1")
    chat.append("s:10")
    answer = chat.call("DELETE", "/sessions/s:1", kind=kind)
    assert (answer.status, answer.text) == (204, "")
    assert chat.stored("s:1") == []
    assert chat.listed() == ["s:10"]
    assert chat.contents("s:10") == ["hello"]
    assert chat.call("DELETE", "/sessions/s:1", kind=kind).status == 404
    assert chat.create("s:1").status == 201
    assert chat.contents("s:1") == []


def test_deleting_honours_if_match(chat: ChatSessions, kind: str) -> None:
    chat.create()
    chat.append()
    for tags in ('"1"', 'W/"2"'):
        answer = chat.call("DELETE", "/sessions/s", headers={"If-Match": tags}, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (412, '"2"')
    assert chat.call("DELETE", "/sessions/s", headers={"If-Match": '"2"'}, kind=kind).status == 204
    assert chat.call("DELETE", "/sessions/s", headers={"If-Match": "*"}, kind=kind).status == 412


def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from chat_sessions import deletion

    monkeypatch.setattr(deletion, "RESERVED_SECONDS", 1000.0)


def test_an_interrupted_deletion_hides_the_session_and_is_gone_on_with(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    chat.create("s", "u")
    chat.load([message_item("s", clock.text(i * SECOND)) for i in range(600)])
    no_time(monkeypatch)
    headers = {"If-Match": '"1"'}
    assert chat.call("DELETE", "/sessions/s", headers=headers, kind=kind).status == 204
    left = len(chat.stored())
    assert left == 600 - 249 + 1
    assert chat.session() == 404
    assert chat.session("s", query={"messages": "5"}) == 404
    for order in ("oldest", "newest"):
        assert chat.call("GET", "/sessions/s/messages", query={"order": order}, kind=kind).status == 404
    assert chat.append().status == 404
    assert chat.listed() == []
    assert not {"ttl", "created_at", "last_accessed", "total_tokens", "pedagogy_mode"} & set(chat.head())
    answer = chat.create("s", "another")
    assert answer.status == 409
    assert len(chat.stored()) < left, "who wants the id helps"
    assert chat.call("DELETE", "/sessions/s", headers={"If-Match": '"7"'}, kind=kind).status == 412
    assert chat.call("DELETE", "/sessions/s", headers=headers, kind=kind).status == 204
    assert chat.stored() == []
    assert chat.create("s", "another").status == 201


def test_every_interruption_leaves_something_that_the_hourly_action_finishes(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each write in turn, as a crash or a timeout would."""

    class Killed(BaseException):
        pass

    if not chat.engine.url:
        pytest.skip("memory goes with the environment that is killed")
    for survived in range(1, 8):
        chat.create("s")
        chat.load([message_item("s", clock.text(i * SECOND)) for i in range(60)])
        killed = chat.another()
        client = killed.database._client  # type: ignore[union-attr]
        real, writes = client.call, iter(range(survived))

        def call(operation: str, payload: Any, real: Any = real, writes: Any = writes) -> Any:
            if operation in ("PutItem", "DeleteItem", "BatchWriteItem") and next(writes, None) is None:
                raise Killed
            return real(operation, payload)

        monkeypatch.setattr(client, "call", call)
        try:
            killed.call("DELETE", "/sessions/s")
            is_complete = True
        except Killed:
            is_complete = False
        assert chat.session() == 404
        assert is_complete is (chat.stored() == [])
        assert is_complete is (survived >= 5), "a tombstone, three batches of messages, and the tombstone again"
        assert chat.act("finish-deletions", Context()) == {"finished": 0 if is_complete else 1, "unfinished": 0}
        assert chat.stored() == []


def test_the_hourly_action_finishes_all_that_is_left(chat: ChatSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as within:
        no_time(within)
        for i in range(30):
            chat.create(f"s{i}")
            chat.load([message_item(f"s{i}", clock.text(k * SECOND)) for k in range(260 if i < 2 else 1)])
            assert chat.call("DELETE", f"/sessions/s{i}").status == 204
        chat.create("live")
        assert chat.act("finish-deletions", Context()) == {"finished": 0, "unfinished": 0}, "it keeps within its time"
    assert len(chat.stored("s0")) == 12
    assert chat.act("finish-deletions", Context()) == {"finished": 2, "unfinished": 0}
    assert chat.stored("s0") == chat.stored("s1") == []
    assert chat.session("live")["id"] == "live"


def test_a_tombstone_that_can_not_be_removed_keeps_no_other_from_it(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as within:
        no_time(within)
        for session_id in "abc":
            chat.create(session_id)
            chat.load([message_item(session_id, clock.text(k * SECOND)) for k in range(260)])
            chat.call("DELETE", f"/sessions/{session_id}")
    table = store_of(chat).table
    real = table.query

    def query(partition: Any, **how: Any) -> Any:
        if partition == "SESSION#a":
            raise Throttled("too hot")
        return real(partition, **how)

    monkeypatch.setattr(table, "query", query)
    with pytest.raises(Throttled):
        chat.act("finish-deletions", Context())
    monkeypatch.undo()
    assert chat.stored("b") == chat.stored("c") == []
    assert chat.stored("a") != []


@pytest.mark.parametrize("trouble", [Throttled("x"), Unavailable("x")])
def test_a_deletion_is_done_for_its_caller_when_the_rest_fails(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    from chat_sessions import deletion

    chat.create()
    chat.append()

    def fail(*_: Any) -> None:
        raise trouble

    with monkeypatch.context() as within:
        within.setattr(deletion, "delete_many", fail)
        assert chat.call("DELETE", "/sessions/s").status == 204
    assert chat.session() == 404
    assert chat.call("DELETE", "/sessions/s").status == 204
    assert chat.stored() == []


@pytest.mark.parametrize("kind", ["rest", "http", "http_1", "url"])
def test_no_http_request_can_ask_for_the_action(chat: ChatSessions, kind: str) -> None:
    for path in ("/", "/finish-deletions", "/sessions"):
        body, query = {"action": "finish-deletions"}, {"action": "finish-deletions"}
        sent = event(kind, "POST", path, body=body, query=query, headers={"action": "finish-deletions"})
        assert chat.app(sent, Context())["statusCode"] in (400, 404)
    for unknown in ("seed", "", None, ["finish-deletions"], {}):
        assert chat.act(unknown, Context())["statusCode"] == 400
    assert chat.app({"action": "finish-deletions", "body": ""}, Context())["statusCode"] == 400


def test_messages_and_a_deletion_at_once_leave_no_orphans(chat: ChatSessions, one_call_at_a_time: None) -> None:
    chat.create()
    statuses: list[int] = []

    def append(one: ChatSessions) -> None:
        while (status := one.append(context=Context(milliseconds=60_000)).status) == 201:
            statuses.append(status)
        statuses.append(status)

    *writers, deleter = environments(chat, 5)
    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(append, one) for one in writers]
        while len(statuses) < 8:
            pass
        assert deleter.call("DELETE", "/sessions/s", context=Context(milliseconds=60_000)).status == 204
        for one in running:
            one.result()
    assert set(statuses) == {201, 404}
    assert chat.stored() == []


def test_a_slow_finisher_leaves_a_new_session_of_the_same_id_alone(
    chat: ChatSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its look at the messages and their removal, others finish, and the id is taken anew."""
    chat.create()
    chat.append("s", "old")
    from chat_sessions import deletion

    slow = chat.another() if chat.engine.url else chat
    table = store_of(slow).table
    real, queries = table.query, iter([True])

    def query(partition: Any, **how: Any) -> Any:
        if partition == "SESSION#s" and next(queries, None):
            deletion.purge(store_of(chat), "s", time.monotonic() + 10)
            assert chat.create().status == 201
            chat.append("s", "new")
        return real(partition, **how)

    monkeypatch.setattr(table, "query", query)
    assert slow.call("DELETE", "/sessions/s").status == 204
    assert chat.contents() == ["new"]


# --- what an older application wrote

LEGACY: dict[str, list[dict[str, Any]]] = {
    "as the contract has it": [
        head_item("old", at="2026-01-01T00:00:00.123456", total_tokens=7, pedagogy_mode="direct"),
        message_item("old", "2026-01-01T00:00:00.123456"),
    ],
    "without fractions": [
        head_item("old", at="2026-01-01T00:00:00"),
        message_item("old", "2026-01-01T00:00:00"),
        message_item("old", "2026-01-01T00:00:00.5"),
    ],
    "with an offset": [
        head_item("old", at="2026-01-01T00:00:00+00:00"),
        message_item("old", "2026-01-01T00:00:00.999999+00:00"),
    ],
    "ahead of the clock": [
        head_item("old", at="2099-01-01T00:00:00.000001"),
        message_item("old", "2099-12-31T23:59:59.999999"),
    ],
    "no times": [head_item("old", at="x"), message_item("old", "17"), message_item("old", "2025-99-01T00:00:00")],
    "bare": [{"PK": "SESSION#old", "SK": "METADATA", "user_id": "u"}],
    "odd": [
        head_item("old", total_tokens="many", version="1.0", message_count="7", ttl="soon", pedagogy_mode=3),
        {"PK": "SESSION#old", "SK": "MESSAGE#0", "role": 7, "content": None, "context_ids": {"b", "a"}},
    ],
    "with a version": [head_item("old", version=9, total_tokens=Decimal("1.5"))],
}  # fmt: skip


@pytest.mark.parametrize("form", LEGACY)
@pytest.mark.parametrize("base", ["created_at", "last_accessed"])
def test_an_older_application_s_session_is_read_and_continued(engine: Engine, form: str, base: str) -> None:
    with new_chat_sessions(engine, SESSION_TTL_BASE=base) as chat:
        chat.store(*LEGACY[form])
        read = chat.call("GET", "/sessions/old", headers={"if-none-match": '"0"'})
        assert (read.status, read.headers["etag"]) == (200, '"0"')
        old = len(LEGACY[form]) - 1
        tokens = read.body["total_tokens"]
        times = [chat.append("old", f"new {i}", 2).body["time"] for i in range(3)]
        assert times == sorted(set(times))
        assert chat.contents("old")[old:] == ["new 0", "new 1", "new 2"]
        assert chat.contents("old", "newest")[:3] == ["new 2", "new 1", "new 0"]
        session = chat.session("old")
        assert (session["version"], session["total_tokens"]) == (3, tokens + 6)
        assert session["last_accessed"] == times[-1]
        assert chat.listed() == ["old"], "also where the old application had left the index out"
        if form != "odd":
            assert not [item for item in chat.stored("old") if "ttl" in item], "it is given no end"
        assert chat.call("DELETE", "/sessions/old").status == 204
        assert chat.stored("old") == []


def test_an_older_application_s_ttl_decides_and_its_messages_get_as_much(
    moving: ChatSessions, time_of_day: Clock
) -> None:
    ttl = clock.now() // SECOND + 10 * DAY
    moving.store(
        head_item("old", ttl=ttl),
        message_item("old", "2026-01-01T00:00:00", ttl=ttl - DAY),
        message_item("old", "2026-01-01T00:00:01"),
        message_item("old", "2026-01-01T00:00:02", "gone", ttl=1),
    )
    assert moving.append("old", "new").status == 201
    head = moving.head("old")
    assert head["ttl"] > ttl
    assert moving.contents("old") == ["old", "old", "new"]
    assert all(m["ttl"] >= head["ttl"] for m in moving.stored("old") if m.get("content") != "gone")
    time_of_day.advance(11 * DAY)
    assert moving.append("old", "newer").status == 201


def test_an_older_application_s_ids_may_have_any_form(chat: ChatSessions, kind: str) -> None:
    for session_id in ("with space", "ümlaut", "a+b", "50%", "a#b"):
        chat.store(head_item(session_id))
        assert chat.call("GET", f"/sessions/{session_id}", kind=kind).body["id"] == session_id
        assert chat.append(session_id, kind=kind).status == 201
        assert len(chat.call("GET", f"/sessions/{session_id}/messages", kind=kind).body["messages"]) == 1
        assert chat.call("DELETE", f"/sessions/{session_id}", kind=kind).status == 204


# --- behind a token


def test_a_token_s_user_is_the_user(chat: ChatSessions, kind: str) -> None:
    answer = chat.create(None, None, kind=kind, **claims("ann"))
    assert (answer.status, answer.body["user_id"]) == (201, "ann")
    assert chat.create(None, "ann", kind=kind, **claims("ann")).status == 201
    before = chat.whole_tables()
    assert chat.create(None, "bob", kind=kind, **claims("ann")).status == 403
    assert chat.whole_tables() == before
    assert len(chat.call("GET", "/users/ann/sessions", kind=kind, **claims("ann")).body["sessions"]) == 2
    assert chat.call("GET", "/users/bob/sessions", kind=kind, **claims("ann")).status == 403


def test_behind_a_token_no_id_can_be_taken_and_so_none_be_tried(chat: ChatSessions, kind: str) -> None:
    chat.create("taken", "bob")
    before = chat.whole_tables()
    for user in ("ann", "bob"):
        for session_id in ("taken", "free"):
            answer = chat.create(session_id, None, kind=kind, **claims(user))
            assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, "#/id")
    assert chat.whole_tables() == before


def test_a_session_of_another_is_none(chat: ChatSessions, kind: str) -> None:
    chat.create("s", "bob")
    chat.append("s")
    before = chat.stored()
    for method, path, more in (
        ("GET", "/sessions/s", {}),
        ("GET", "/sessions/s", {"query": {"messages": "5"}}),
        ("GET", "/sessions/s/messages", {}),
        ("GET", "/sessions/s/messages", {"query": {"order": "newest"}}),
        ("POST", "/sessions/s/messages", {"body": {"role": "user", "content": "x"}}),
        ("DELETE", "/sessions/s", {}),
    ):
        for headers in ({}, {"If-Match": '"2"'} if method == "DELETE" else {}):
            answer = chat.call(method, path, kind=kind, headers=headers, **more, **claims("ann"))
            assert answer.status == (412 if headers else 404), f"{method} {path}"
        assert chat.call(method, path, kind=kind, **more, claims={"iss": "x"}).status == 403
    token = chat.call("GET", "/users/bob/sessions", query={"limit": "1"}).body.get("next_token", "")
    assert chat.call("GET", "/users/ann/sessions", query={"next_token": token}, **claims("ann")).status in (200, 400)
    assert chat.stored() == before
    assert chat.append("s", kind=kind, **claims("bob")).status == 201


def test_another_s_tombstone_is_none_either(chat: ChatSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    chat.create("s", "bob")
    chat.load([message_item("s", clock.text(i * SECOND)) for i in range(300)])
    with monkeypatch.context() as within:
        no_time(within)
        assert chat.call("DELETE", "/sessions/s", **claims("bob")).status == 204
    left = len(chat.stored())
    assert chat.call("DELETE", "/sessions/s", **claims("ann")).status == 404
    assert len(chat.stored()) == left > 0
    assert chat.call("DELETE", "/sessions/s", **claims("bob")).status == 204
    assert chat.stored() == []


def test_the_claim_is_a_setting(engine: Engine) -> None:
    with new_chat_sessions(engine, USER_CLAIM="email") as chat:
        answer = chat.create(None, None, claims={"sub": "x", "email": "ann@example.com"})
        assert answer.body["user_id"] == "ann@example.com"
        assert chat.create(None, None, **claims("ann")).status == 403
        assert chat.create(None, None, claims={"email": "x" * 3000}).status == 400


# --- when DynamoDB fails

HEAD_ANSWER = {"Item": marshal_item(head_item("s", clock_microseconds=1, version=1, message_count=0))}
ROUTES: dict[str, dict[str, Any]] = {
    "POST /sessions": {"body": {"user_id": "u"}},
    "GET /sessions/s": {},
    "DELETE /sessions/s": {},
    "POST /sessions/s/messages": {"body": {"role": "user", "content": "x"}},
    "GET /sessions/s/messages": {},
    "GET /users/u/sessions": {},
}


@pytest.fixture
def service() -> Iterator[FakeService]:
    with served(FakeService()) as service:
        yield service


@pytest.fixture
def failing(service: FakeService) -> ChatSessions:
    engine = Engine("fake", service.url)
    return ChatSessions(engine, {**engine.environment, **NAMES})


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("trouble", "status"),
    [(fails("ThrottlingException"), 429), (fails("InternalServerError", 500), 503), (CUT, 503), (SILENT, 503)],
    ids=["throttled", "failing", "cut off", "silent"],
)
def test_every_route_says_so_in_time(
    failing: ChatSessions,
    service: FakeService,
    route: str,
    trouble: Any,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.plan = [trouble] * 100
    method, path = route.split(" ")
    context = limited(failing.database._client, trouble, monkeypatch)
    answer = failing.call(method, path, context=context, **ROUTES[route])
    assert answer.status == status
    assert int(answer.headers["retry-after"]) >= 1
    assert NAMES["DYNAMODB_TABLE_NAME"] not in answer.text


def test_a_message_whose_answer_was_lost_is_stored_once(failing: ChatSessions, service: FakeService) -> None:
    done: list[str] = []

    def serve(operation: str, request: Any) -> tuple[int, Any]:
        if operation == "TransactWriteItems":
            done.append(request["ClientRequestToken"])
        return 200, {}

    service.serve = serve
    service.plan = [(200, HEAD_ANSWER), LOSE, cancelled("None", "TransactionConflict")]
    assert failing.append().status == 201
    assert service.operations == ["GetItem"] + ["TransactWriteItems"] * 3
    assert len(set(done)) == 1, "by its token DynamoDB knows it again"


def test_the_head_that_stood_against_a_message_is_read_where_it_is_not_told(
    failing: ChatSessions, service: FakeService
) -> None:
    told, untold = (cancelled("None", "ConditionalCheckFailed") for _ in range(2))
    told[1]["CancellationReasons"][1]["Item"] = HEAD_ANSWER["Item"]
    service.plan = [(200, HEAD_ANSWER), told, untold, (200, HEAD_ANSWER)]
    assert failing.append().status == 201
    assert service.operations == [
        "GetItem",
        "TransactWriteItems",
        "TransactWriteItems",
        "GetItem",
        "TransactWriteItems",
    ]


# --- everything else


def test_an_environment_that_knows_nothing_finds_everything(chat: ChatSessions) -> None:
    if not chat.engine.url:
        pytest.skip("memory forgets: that is what the tables are for")
    chat.create()
    chat.append("s", "kept")
    fresh = chat.another()
    assert fresh.session() == chat.session()
    assert (fresh.contents(), fresh.listed()) == (["kept"], ["s"])


def test_only_what_the_function_may_do_is_asked_for(chat: ChatSessions, monkeypatch: pytest.MonkeyPatch) -> None:
    if not chat.engine.url:
        pytest.skip("memory makes no requests")
    chat.create(headers={"idempotency-key": "k"})
    chat.append(headers={"idempotency-key": "k"})
    chat.listed()
    chat.contents(order="newest")
    chat.call("DELETE", "/sessions/s")
    chat.act("finish-deletions", Context())
    allowed = {
        *("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"),
        "TransactWriteItems",
    }
    assert set(names(chat)) <= allowed
    for name, payload in chat.calls:
        if name == "TransactWriteItems":
            assert {kind for part in payload["TransactItems"] for kind in part} <= {"Put", "Update", "Delete"}
            assert len(payload["TransactItems"]) <= 3
        if name in ("GetItem", "Query") and "IndexName" not in payload:
            assert payload["ConsistentRead"] is True


def test_wrong_methods(chat: ChatSessions, kind: str) -> None:
    for method, path, allowed in (
        ("PUT", "/sessions/s", "DELETE, GET, HEAD, OPTIONS"),
        ("GET", "/sessions", "OPTIONS, POST"),
        ("DELETE", "/sessions/s/messages", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/users/u/sessions", "GET, HEAD, OPTIONS"),
    ):
        answer = chat.call(method, path, kind=kind)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)


def test_the_contract_names_the_routes_that_there_are(chat: ChatSessions) -> None:
    assert CONTRACT.routes == set(chat.app.routes)


def test_the_contract_says_what_the_code_enforces() -> None:
    from chat_sessions import bodies

    schemas = CONTRACT.document["components"]["schemas"]
    session, message = schemas["NewSession"]["properties"], schemas["NewMessage"]["properties"]
    assert session["id"]["pattern"] == f"^{bodies.ID_PATTERN}$"
    assert session["user_id"]["maxLength"] == bodies.MAXIMUM_USER
    assert session["pedagogy_mode"]["maxLength"] == bodies.MAXIMUM_MODE
    assert message["role"]["maxLength"] == bodies.MAXIMUM_ROLE
    assert message["content"]["maxLength"] == bodies.MAXIMUM_CONTENT
    assert message["tokens"]["maximum"] == bodies.MAXIMUM_TOKENS
    assert message["context_ids"]["maxItems"] == bodies.MAXIMUM_CONTEXT_IDS
    assert message["context_ids"]["items"]["maxLength"] == bodies.MAXIMUM_CONTEXT_ID


def environments(chat: ChatSessions, count: int) -> list[ChatSessions]:
    """Several execution environments over the same tables; memory is one environment's own."""
    return [chat.another() if chat.engine.url else chat for _ in range(count)]


def store_of(chat: ChatSessions) -> Any:
    return chat.app.routes["GET /sessions/{id}"].__self__.store  # type: ignore[attr-defined]


def read_too_early(chat: ChatSessions, monkeypatch: pytest.MonkeyPatch, head: dict[str, Any]) -> None:
    """The next read gives a head as it was once, as to a writer that others overtake."""
    table, early = store_of(chat).table, iter([head])
    real = table.get

    def get(key: Any) -> Any:
        return next(early, None) or real(key)

    monkeypatch.setattr(table, "get", get)
