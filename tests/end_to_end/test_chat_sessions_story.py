"""The owner's story of the chat sessions, with plain HTTP and a stock AWS client only."""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.end_to_end.checkout import Checkout, wait_for

DAY = 24 * 3600
TABLE = "chat_sessions"


@pytest.fixture
def user() -> str:
    return f"student#{uuid.uuid4().hex}"


@pytest.fixture
def opened(running_stack: Checkout, user: str) -> Iterator[list[str]]:
    """Three sessions of one user; nothing is left of them."""
    sessions = [open_session(running_stack, user) for _ in range(3)]
    yield sessions
    for session in sessions:
        running_stack.call("DELETE", f"/sessions/{session}")


def open_session(stack: Checkout, user: str) -> str:
    status, headers, body = stack.call("POST", "/sessions", {"user_id": user, "pedagogy_mode": "socratic"})
    assert status == 201
    assert headers["location"] == f"/sessions/{body['id']}"
    return str(body["id"])


def say(stack: Checkout, session: str, content: str, tokens: int = 1, **headers: str) -> str:
    message = {"role": "user", "content": content, "tokens": tokens, "context_ids": ["chapter-3"]}
    status, _, body = stack.call("POST", f"/sessions/{session}/messages", message, **headers)
    assert status == 201, body
    return str(body["time"])


def listed(stack: Checkout, user: str) -> list[str]:
    status, _, body = stack.call("GET", f"/users/{user.replace('#', '%23')}/sessions")
    assert status == 200
    return [session["id"] for session in body["sessions"]]


def stored(stack: Checkout, session: str) -> list[dict[str, Any]]:
    """Every item of the session, straight from DynamoDB."""
    items: list[dict[str, Any]] = stack.client("dynamodb").query(
        TableName=TABLE,
        ConsistentRead=True,
        KeyConditionExpression="PK = :session",
        ExpressionAttributeValues={":session": {"S": f"SESSION#{session}"}},
    )["Items"]
    return items


def test_the_table_is_as_its_users_know_it(running_stack: Checkout) -> None:
    dynamodb = running_stack.client("dynamodb")
    table = dynamodb.describe_table(TableName=TABLE)["Table"]
    assert [key["AttributeName"] for key in table["KeySchema"]] == ["PK", "SK"]
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "UserSessionsIndex"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["GSI1PK", "GSI1SK"]
    ttl = dynamodb.describe_time_to_live(TableName=TABLE)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "ttl")


def test_a_conversation_survives_a_cold_start(running_stack: Checkout, opened: list[str], user: str) -> None:
    session = opened[0]
    times = [say(running_stack, session, f"message {i}", tokens=10) for i in range(5)]
    assert times == sorted(set(times))
    _, warm, before = running_stack.call("GET", f"/sessions/{session}?messages=3")
    running_stack.replace_environments("chat_sessions")
    status, cold, after = running_stack.call("GET", f"/sessions/{session}?messages=3")
    assert status == 200
    assert cold["x-execution-environment"] != warm["x-execution-environment"]
    assert after == before
    assert [message["content"] for message in after["messages"]] == ["message 2", "message 3", "message 4"]
    assert (after["total_tokens"], after["message_count"]) == (50, 5)
    assert after["last_accessed"] == times[-1]
    for order, first in (("oldest", "message 0"), ("newest", "message 4")):
        _, _, page = running_stack.call("GET", f"/sessions/{session}/messages?order={order}&limit=2")
        assert page["messages"][0]["content"] == first
        assert page["session"]["id"] == session
        assert page["next_token"]


def test_a_stock_client_sees_the_attributes_it_knows(running_stack: Checkout, opened: list[str], user: str) -> None:
    at = say(running_stack, opened[0], "hello", tokens=7)
    message, head = stored(running_stack, opened[0])
    assert (head["SK"], message["SK"]) == ({"S": "METADATA"}, {"S": f"MESSAGE#{at}"})
    assert head["total_tokens"] == {"N": "7"}
    assert head["pedagogy_mode"] == {"S": "socratic"}
    assert head["user_id"] == {"S": user}
    assert head["last_accessed"] == head["GSI1SK"] == {"S": at}
    assert head["GSI1PK"] == {"S": f"USER#{user}"}
    assert {name: message[name] for name in ("role", "content", "tokens", "context_ids")} == {
        "role": {"S": "user"},
        "content": {"S": "hello"},
        "tokens": {"N": "7"},
        "context_ids": {"L": [{"S": "chapter-3"}]},
    }
    assert int(message["ttl"]["N"]) >= int(head["ttl"]["N"])
    assert abs(int(head["ttl"]["N"]) - time.time() - 30 * DAY) < 600


def test_a_user_s_sessions_come_by_recency(running_stack: Checkout, opened: list[str], user: str) -> None:
    first, second, third = opened
    assert listed(running_stack, user) == [third, second, first]
    say(running_stack, first, "still there?")
    wait_for(lambda: listed(running_stack, user) == [first, third, second], "the index following the table")


def test_the_newest_messages_and_the_session_are_one_query(running_stack: Checkout, opened: list[str]) -> None:
    for i in range(3):
        say(running_stack, opened[0], str(i))
    _, headers, _ = running_stack.call("GET", f"/sessions/{opened[0]}?messages=2")
    request_id = headers["x-request-id"]

    def line() -> dict[str, Any] | None:
        lines = [json.loads(text) for text in running_stack.log_messages("chat_sessions") if text.startswith("{")]
        return next((one for one in lines if one.get("request_id") == request_id), None)

    assert wait_for(line, "the log line of the request")["calls"] == 1


def test_writers_at_once_lose_nothing(running_stack: Checkout, opened: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        times = list(pool.map(lambda i: say(running_stack, opened[0], str(i), tokens=3), range(24)))
    items = stored(running_stack, opened[0])
    assert [item["SK"]["S"] for item in items[:-1]] == sorted(f"MESSAGE#{at}" for at in times)
    assert items[-1]["total_tokens"] == {"N": "72"}
    assert items[-1]["message_count"] == {"N": "24"}


def test_a_message_that_is_sent_again_is_one(running_stack: Checkout, opened: list[str]) -> None:
    key = uuid.uuid4().hex
    times = {say(running_stack, opened[0], "once", idempotency_key=key) for _ in range(3)}
    assert len(times) == 1
    assert len(stored(running_stack, opened[0])) == 2


def test_a_session_of_31_days_is_invisible_while_it_is_stored(
    running_stack: Checkout, opened: list[str], user: str
) -> None:
    old, *others = opened
    say(running_stack, old, "long ago")
    created = time.time() - 31 * DAY
    running_stack.client("dynamodb").update_item(
        TableName=TABLE,
        Key={"PK": {"S": f"SESSION#{old}"}, "SK": {"S": "METADATA"}},
        UpdateExpression="SET created_at = :created, #ttl = :ttl",
        ExpressionAttributeNames={"#ttl": "ttl"},
        ExpressionAttributeValues={
            ":created": {"S": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
            ":ttl": {"N": str(int(created + 30 * DAY))},
        },
    )
    before = stored(running_stack, old)
    message = {"role": "user", "content": "anybody?"}
    for method, path, body in (
        ("GET", f"/sessions/{old}", None),
        ("GET", f"/sessions/{old}?messages=5", None),
        ("GET", f"/sessions/{old}/messages", None),
        ("GET", f"/sessions/{old}/messages?order=newest", None),
        ("POST", f"/sessions/{old}/messages", message),
        ("DELETE", f"/sessions/{old}", None),
    ):
        status, _, answer = running_stack.call(method, path, body)
        assert (status, answer["title"]) == (404, "Not Found"), path
    assert sorted(listed(running_stack, user)) == sorted(others)
    assert stored(running_stack, old) == before
    assert len(before) == 2


def test_a_deleted_session_is_gone_at_once(running_stack: Checkout, opened: list[str], user: str) -> None:
    session = opened[1]
    for i in range(30):
        say(running_stack, session, str(i))
    assert running_stack.call("DELETE", f"/sessions/{session}")[0] == 204
    assert running_stack.call("GET", f"/sessions/{session}")[0] == 404
    assert session not in listed(running_stack, user)
    assert stored(running_stack, session) == []


def test_an_interrupted_deletion_is_finished_by_the_hourly_action(
    running_stack: Checkout, opened: list[str], user: str
) -> None:
    """A function that was killed after its first write leaves this."""
    session = opened[2]
    say(running_stack, session, "left behind")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    tombstone = {"deleted_at": now, "user_id": user, "GSI1PK": "DELETING", "GSI1SK": now}
    running_stack.client("dynamodb").put_item(
        TableName=TABLE,
        Item={
            "PK": {"S": f"SESSION#{session}"},
            "SK": {"S": "METADATA"},
            "version": {"N": "2"},
            **{name: {"S": value} for name, value in tombstone.items()},
        },
    )
    assert running_stack.call("GET", f"/sessions/{session}/messages")[0] == 404
    assert session not in listed(running_stack, user)
    answer = running_stack.client("lambda").invoke(
        FunctionName=running_stack.function_name("chat_sessions"), Payload=b'{"action": "finish-deletions"}'
    )
    assert "FunctionError" not in answer
    assert stored(running_stack, session) == []


def test_an_hourly_rule_asks_for_that(running_stack: Checkout) -> None:
    events = running_stack.client("events")
    found = [
        rule["ScheduleExpression"]
        for rule in events.list_rules()["Rules"]
        for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        if json.loads(target.get("Input", "null")) == {"action": "finish-deletions"}
    ]
    assert found == ["rate(1 hour)"]
