"""Says something as a user of a tenant of its own, and erases that user afterwards.

Where the API asks for a token, as the token's user; who has said anything before is left alone.
"""

import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

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


def write(api: ApiClient, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:
    tenant, user = f"verify-{uuid.uuid4().hex}", USER
    if api.token:
        tenant, user = api.token.tenant or tenant, api.token.user or user
    headers = {} if api.token else {"x-tenant-id": tenant, "x-user-id": user}
    user_path = f"/agent/conversations/{quote(tenant, safe='')}/users/{quote(user, safe='')}"
    if api.token and api.send("GET", user_path).expect(200).body["sessions"]:
        raise CommandError(
            "the token's user has sessions, which the verification would erase.",
            "Use the token of a user that is there for verification only, in a tenant of its own.",
        )
    # 502: the message is stored all the same, and the logs say why the agent gave no reply
    said = api.send("POST", "/agent/process", {"message": "Is anybody there?"}, headers).expect(200, 502).body
    session, message = said["sessionId"], said["messageId"]

    def remove() -> None:
        _erase(api, user_path)
        _expect_nothing_left(tables, environment, tenant, user, session)

    def lists_session(answer: Any) -> bool:
        return [found["id"] for found in answer["sessions"]] == [session]

    def lists_message(answer: Any) -> bool:
        return message in [found["id"] for found in answer["messages"]]

    yield Record(
        table="sessions",
        key={"id": {"S": session}, "tenantId": {"S": tenant}},
        attributes={"userId": {"S": user}, "isActive": {"BOOL": True}},
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
            "userId": {"S": user},
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


def _expect_nothing_left(
    tables: Mapping[str, str], environment: Mapping[str, str], tenant: str, user: str, session: str
) -> None:
    """By the indexes of both tables; nothing else knows all items of a user, or of a session."""
    shards = [f"{shard}#{tenant}" for shard in range(int(environment.get("TENANT_SHARDS_READ") or 0))]
    by_user, key = environment["TENANT_USER_INDEX_NAME"], "tenantShard" if shards else "tenantId"
    queries = [
        (tables["sessions"], by_user, f"{key} = :of AND userId = :user", {":of": {"S": of}, ":user": {"S": user}})
        for of in shards or [tenant]
    ]
    by_session = environment["SESSION_TIMESTAMP_INDEX_NAME"]
    queries.append((tables["messages"], by_session, "sessionId = :session", {":session": {"S": session}}))
    client = aws.client("dynamodb")
    deadline = time.monotonic() + INDEX_SECONDS
    for table, index, condition, values in queries:
        query = {"TableName": table, "IndexName": index, "KeyConditionExpression": condition}
        while client.query(**query, ExpressionAttributeValues=values)["Items"]:
            if time.monotonic() > deadline:
                raise CommandError(f"{index} of {table} still shows items of {user} in {tenant}", exit_code=EXIT_FAILED)
            time.sleep(POLL_SECONDS)
