"""The owner's story of the agent sessions, with plain HTTP and a stock AWS client only."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from tests.end_to_end.checkout import Checkout, wait_for

SYSTEM = "agent_sessions"
SESSIONS, MESSAGES = "ai-agent-sessions", "ai-agent-messages"
USERS = ("user-1", "user-10")


class Tenants(NamedTuple):
    acme: str
    globex: str


@pytest.fixture
def tenants(running_stack: Checkout) -> Iterator[Tenants]:
    """Two tenants with the same user ids, one's name the beginning of the other's; nothing is left of them."""
    mark = uuid.uuid4().hex
    made = Tenants(mark, f"{mark}0")
    yield made
    for tenant in made:
        for user in USERS:
            erase(running_stack, tenant, user)


def say(stack: Checkout, tenant: str, user: str, message: str, session: str | None = None, **headers: str) -> Any:
    body = {"message": message, "metadata": {"channel": "web", "score": 0.5}}
    status, _, answer = stack.call(
        "POST",
        "/agent/process",
        body if session is None else body | {"sessionId": session},
        x_tenant_id=tenant,
        x_user_id=user,
        **headers,
    )
    assert status == 200, answer
    return answer


def sessions_of(stack: Checkout, tenant: str, user: str) -> list[tuple[str, bool]]:
    status, _, answer = stack.call("GET", f"/agent/conversations/{tenant}/users/{user}")
    assert status == 200
    return [(session["id"], session["isActive"]) for session in answer["sessions"]]


def messages_of(stack: Checkout, tenant: str, session: str, order: str = "oldest") -> list[tuple[str, str]]:
    status, _, answer = stack.call("GET", f"/agent/sessions/{session}/messages?order={order}", x_tenant_id=tenant)
    assert status == 200
    return [(message["role"], message["content"]) for message in answer["messages"]]


def erase(stack: Checkout, tenant: str, user: str) -> Any:
    while True:
        status, _, answer = stack.call("DELETE", f"/agent/conversations/{tenant}/users/{user}")
        assert status in (200, 202)
        assert answer["complete"] == (status == 200)
        if answer["complete"]:
            return answer


def indexed(stack: Checkout, table: str, index: str, attribute: str, value: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = stack.client("dynamodb").query(
        TableName=table,
        IndexName=index,
        KeyConditionExpression=f"{attribute} = :value",
        ExpressionAttributeValues={":value": {"S": value}},
    )["Items"]
    return items


def test_the_tables_are_those_that_clients_know(running_stack: Checkout) -> None:
    dynamodb = running_stack.client("dynamodb")
    keys = {}
    for name in (SESSIONS, MESSAGES):
        table = dynamodb.describe_table(TableName=name)["Table"]
        assert table["TableStatus"] == "ACTIVE"
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        keys[name] = [key["AttributeName"] for key in table["KeySchema"]]
        keys |= {
            index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
            for index in table["GlobalSecondaryIndexes"]
        }
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    assert keys == {
        SESSIONS: ["id", "tenantId"],
        "TenantUserIndex": ["tenantId", "userId"],
        MESSAGES: ["id"],
        "SessionTimestampIndex": ["sessionId", "timestamp"],
        "TenantTimestampIndex": ["tenantId", "timestamp"],
    }
    ttl = dynamodb.describe_time_to_live(TableName=MESSAGES)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", "ttl")


def test_a_conversation_outlives_its_execution_environment(running_stack: Checkout, tenants: Tenants) -> None:
    tenant, user = tenants.acme, "user-1"
    first = say(running_stack, tenant, user, "What is the weather like?", x_location_id="berlin-1")
    assert first["reply"] == "What is the weather like?", "the echo backend"
    session = first["sessionId"]
    # read straight from DynamoDB
    dynamodb = running_stack.client("dynamodb")
    item = dynamodb.get_item(TableName=SESSIONS, Key={"id": {"S": session}, "tenantId": {"S": tenant}})["Item"]
    assert (item["userId"], item["locationId"], item["isActive"]) == ({"S": user}, {"S": "berlin-1"}, {"BOOL": True})
    assert item["metadata"] == {"M": {"channel": {"S": "web"}, "score": {"N": "0.5"}}}
    assert item["createdAt"]["S"] < item["updatedAt"]["S"]
    message = dynamodb.get_item(TableName=MESSAGES, Key={"id": {"S": first["messageId"]}})["Item"]
    assert message["tenantId"] == {"S": tenant}
    assert message["sessionId"] == {"S": session}
    assert message["userId"] == {"S": user}
    assert (message["role"], message["content"]) == ({"S": "user"}, {"S": "What is the weather like?"})
    assert message["metadata"] == item["metadata"]
    assert message["timestamp"] == item["createdAt"]
    # by the indexes that other applications use
    assert [one["id"]["S"] for one in indexed(running_stack, SESSIONS, "TenantUserIndex", "tenantId", tenant)] == [
        session
    ]
    for index, attribute, value in (
        ("SessionTimestampIndex", "sessionId", session),
        ("TenantTimestampIndex", "tenantId", tenant),
    ):
        roles = [one["role"]["S"] for one in indexed(running_stack, MESSAGES, index, attribute, value)]
        assert roles == ["user", "agent"]
    # a cold start, and the conversation goes on
    running_stack.replace_environments(SYSTEM)
    assert messages_of(running_stack, tenant, session) == [("user", first["reply"]), ("agent", first["reply"])]
    assert say(running_stack, tenant, user, "And tomorrow?")["sessionId"] == session
    newest = messages_of(running_stack, tenant, session, "newest")
    assert [content for _, content in newest] == ["And tomorrow?"] * 2 + ["What is the weather like?"] * 2


def test_a_closed_session_gives_way_to_a_new_one(running_stack: Checkout, tenants: Tenants) -> None:
    tenant, user = tenants.acme, "user-1"
    old = say(running_stack, tenant, user, "1")["sessionId"]
    status, headers, closed = running_stack.call("POST", f"/agent/sessions/{old}/close", x_tenant_id=tenant)
    assert (status, closed["isActive"], headers["etag"]) == (200, False, f'"{closed["version"]}"')
    new = say(running_stack, tenant, user, "2")["sessionId"]
    assert new != old
    assert sessions_of(running_stack, tenant, user) == [(new, True), (old, False)]
    body = {"message": "3", "sessionId": old}
    status, _, problem = running_stack.call("POST", "/agent/process", body, x_tenant_id=tenant, x_user_id=user)
    assert (status, problem["title"]) == (409, "Conflict")
    assert len(messages_of(running_stack, tenant, old)) == 2


def test_two_first_messages_at_once_open_one_session(running_stack: Checkout, tenants: Tenants) -> None:
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda n: say(running_stack, tenants.acme, "user-1", str(n)), range(4)))
    assert len({answer["sessionId"] for answer in said}) == 1
    assert len(sessions_of(running_stack, tenants.acme, "user-1")) == 1
    assert len(messages_of(running_stack, tenants.acme, said[0]["sessionId"])) == 8


def test_a_repeated_message_is_stored_once(running_stack: Checkout, tenants: Tenants) -> None:
    answers = [say(running_stack, tenants.acme, "user-1", "once", idempotency_key="k") for _ in range(3)]
    assert answers == [answers[0]] * 3
    assert len(messages_of(running_stack, tenants.acme, answers[0]["sessionId"])) == 2
    other = say(running_stack, tenants.globex, "user-1", "once", idempotency_key="k")
    assert other["messageId"] != answers[0]["messageId"]


def test_tenants_and_users_can_not_reach_each_other(running_stack: Checkout, tenants: Tenants) -> None:
    own = {
        (tenant, user): say(running_stack, tenant, user, f"secret of {tenant} {user}")["sessionId"]
        for tenant in tenants
        for user in USERS
    }
    assert len(set(own.values())) == 4
    for (tenant, user), session in own.items():
        assert sessions_of(running_stack, tenant, user) == [(session, True)]
        assert {content for _, content in messages_of(running_stack, tenant, session)} == {f"secret of {tenant} {user}"}
    mine = own[tenants.acme, "user-1"]
    for tenant, user in ((tenants.globex, "user-1"), (tenants.acme, "user-10"), ("active", "user-1")):
        headers = {"x_tenant_id": tenant, "x_user_id": user}
        for method, path, body in (
            ("GET", "/agent/sessions/{}/messages", None),
            ("POST", "/agent/sessions/{}/close", None),
            ("POST", "/agent/process", {"message": "let me in"}),
        ):
            answers = []
            for session in (mine, "0" * 32):
                sent = body and body | {"sessionId": session}
                answers.append(running_stack.call(method, path.format(session), sent, **headers))
            assert [status for status, _, _ in answers] == [404, 404]
            assert answers[0][2] == answers[1][2], "as if it did not exist"
    path = f"/agent/conversations/{tenants.acme}/users/user-1"
    assert running_stack.call("GET", path, x_tenant_id=tenants.globex)[0] == 403
    assert running_stack.call("DELETE", path, x_user_id="user-10")[0] == 403
    assert len(messages_of(running_stack, tenants.acme, mine)) == 2


def test_erasing_a_user_is_complete_and_says_how_long_it_could_be_undone(
    running_stack: Checkout, tenants: Tenants
) -> None:
    kept = say(running_stack, tenants.globex, "user-1", "kept")["sessionId"]
    for n in range(3):
        session = say(running_stack, tenants.acme, "user-1", f"{n}")["sessionId"]
        running_stack.call("POST", f"/agent/sessions/{session}/close", x_tenant_id=tenants.acme)
    fill(running_stack, tenants.acme, "user-1", session, 1000)
    began = time.time()
    answer = erase(running_stack, tenants.acme, "user-1")
    assert (answer["sessions"], answer["messages"]) == (3, 1006)
    until = datetime.strptime(answer["restorableUntil"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    window = running_stack.client("dynamodb").describe_continuous_backups(TableName=MESSAGES)
    days = window["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"].get("RecoveryPeriodInDays", 35)
    assert began - 60 < until.timestamp() - days * 24 * 3600 < time.time() + 60
    wait_for(lambda: not indexed(running_stack, MESSAGES, "TenantTimestampIndex", "tenantId", tenants.acme), "erasing")
    assert indexed(running_stack, SESSIONS, "TenantUserIndex", "tenantId", tenants.acme) == []
    everything = running_stack.client("dynamodb").scan(TableName=SESSIONS, ConsistentRead=True)["Items"]
    assert tenants.acme not in {item.get("ofTenant", item["tenantId"])["S"] for item in everything}
    assert sessions_of(running_stack, tenants.acme, "user-1") == []
    assert [content for _, content in messages_of(running_stack, tenants.globex, kept)] == ["kept", "kept"]
    assert erase(running_stack, tenants.acme, "user-1")["messages"] == 0


def fill(stack: Checkout, tenant: str, user: str, session: str, count: int) -> None:
    """Messages as an application wrote them that knows nothing of this one."""
    client = stack.client("dynamodb")
    for start in range(0, count, 25):
        batch = [
            {
                "id": {"S": f"{session}-{n}"},
                "tenantId": {"S": tenant},
                "sessionId": {"S": session},
                "userId": {"S": user},
                "content": {"S": f"message {n}"},
                "role": {"S": "user"},
                "timestamp": {"S": f"2024-01-01T00:00:00.{n:06}Z"},
            }
            for n in range(start, start + 25)
        ]
        client.batch_write_item(RequestItems={MESSAGES: [{"PutRequest": {"Item": item}} for item in batch]})


def test_the_logs_tell_of_no_error(running_stack: Checkout) -> None:
    messages = running_stack.log_messages(SYSTEM)
    assert messages
    assert not [message for message in messages if '"ERROR"' in message or "errorType" in message]
