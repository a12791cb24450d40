"""Says something as a user of a tenant of its own, and erases that user afterwards."""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from scripts import aws
from scripts.api_client import ApiClient
from scripts.console import EXIT_FAILED, CommandError
from scripts.probes import Reads, Record

USER = "verification"
ERASING_SECONDS = 120
INDEX_SECONDS = 30  # an index follows its table after a moment
POLL_SECONDS = 0.5

_NOBODY = {"x-tenant-id": "doctor-unknown", "x-user-id": USER}
READS: Reads = (
    (f"/agent/conversations/doctor-unknown/users/{USER}", _NOBODY),
    ("/agent/sessions/doctor-unknown/messages", _NOBODY),
)


def write(api: ApiClient, tables: Mapping[str, str]) -> Iterator[Record]:
    tenant = f"verify-{uuid.uuid4().hex}"
    headers = {"x-tenant-id": tenant, "x-user-id": USER}
    user_path = f"/agent/conversations/{tenant}/users/{USER}"
    # 502: the message is stored all the same, and the logs say why the agent gave no reply
    said = api.send("POST", "/agent/process", {"message": "Is anybody there?"}, headers).expect(200, 502).body
    session, message = said["sessionId"], said["messageId"]

    def remove() -> None:
        _erase(api, user_path)
        _expect_nothing_left(tables, tenant)

    def lists_session(answer: Any) -> bool:
        return [found["id"] for found in answer["sessions"]] == [session]

    def lists_message(answer: Any) -> bool:
        return message in [found["id"] for found in answer["messages"]]

    yield Record(
        table="sessions",
        key={"id": {"S": session}, "tenantId": {"S": tenant}},
        attributes={"userId": {"S": USER}, "isActive": {"BOOL": True}},
        read_path=user_path,
        shows_it=lists_session,
        query_path=user_path,
        lists_it=lists_session,
        remove=remove,
        headers=headers,
    )
    messages_path = f"/agent/sessions/{session}/messages"
    yield Record(
        table="messages",
        key={"id": {"S": message}},
        attributes={
            "tenantId": {"S": tenant},
            "sessionId": {"S": session},
            "userId": {"S": USER},
            "content": {"S": "Is anybody there?"},
            "role": {"S": "user"},
        },
        read_path=messages_path,
        shows_it=lists_message,
        query_path=messages_path,
        lists_it=lists_message,
        remove=remove,
        headers=headers,
    )


def _erase(api: ApiClient, user_path: str) -> None:
    deadline = time.monotonic() + ERASING_SECONDS
    while api.send("DELETE", user_path).expect(200, 202).status == 202:
        if time.monotonic() > deadline:
            raise CommandError(f"DELETE {user_path} is not complete after {ERASING_SECONDS} s", exit_code=EXIT_FAILED)
        time.sleep(POLL_SECONDS)


def _expect_nothing_left(tables: Mapping[str, str], tenant: str) -> None:
    """By the indexes of both tables; nothing else knows all items of a tenant."""
    client = aws.client("dynamodb")
    deadline = time.monotonic() + INDEX_SECONDS
    for table, index in ((tables["sessions"], "TenantUserIndex"), (tables["messages"], "TenantTimestampIndex")):
        while client.query(
            TableName=table,
            IndexName=index,
            KeyConditionExpression="tenantId = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
        )["Items"]:
            if time.monotonic() > deadline:
                raise CommandError(f"{index} of {table} still shows items of {tenant}", exit_code=EXIT_FAILED)
            time.sleep(POLL_SECONDS)
