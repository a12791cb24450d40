"""Opens one session with one message; its end is days away even if it can't be removed.

Of a user of its own, or of the token's user, where the API asks for a token.
"""

import uuid
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from scripts import aws
from scripts.api_client import ApiClient
from scripts.console import EXIT_FAILED, CommandError
from scripts.probes import Reads, Record

TOKENS = 7

READS: Reads = (("/sessions/doctor-unknown", {}), ("/users/doctor-unknown/sessions", {}))


def write(api: ApiClient, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:  # noqa: ARG001
    mark = uuid.uuid4().hex
    user, content = (api.token and api.token.user) or f"verify-{mark}", "Is this kept?"
    opened = api.send("POST", "/sessions", {"user_id": user, "pedagogy_mode": "verification"}).expect(201)
    session = opened.body["id"]
    path = f"/sessions/{session}"

    def remove() -> None:
        api.send("DELETE", path).expect(204, 404)
        left = aws.client("dynamodb").query(
            TableName=tables["sessions"],
            ConsistentRead=True,
            KeyConditionExpression="PK = :session",
            ExpressionAttributeValues={":session": {"S": f"SESSION#{session}"}},
        )
        if left["Items"]:
            raise CommandError(f"{left['Count']} items are left of {path}, which was deleted", exit_code=EXIT_FAILED)

    yield Record(
        table="sessions",
        key={"PK": {"S": f"SESSION#{session}"}, "SK": {"S": "METADATA"}},
        attributes={
            "user_id": {"S": user},
            "pedagogy_mode": {"S": "verification"},
            "GSI1PK": {"S": f"USER#{user}"},
        },
        read_path=path,
        shows_it=lambda answer: bool(answer["id"] == session),
        query_path=f"/users/{quote(user, safe='')}/sessions",
        lists_it=lambda answer: session in [found["id"] for found in answer["sessions"]],
        remove=remove,
    )
    message = {"role": "user", "content": content, "tokens": TOKENS}
    time = api.send("POST", f"{path}/messages", message).expect(201).body["time"]
    yield Record(
        table="sessions",
        key={"PK": {"S": f"SESSION#{session}"}, "SK": {"S": f"MESSAGE#{time}"}},
        attributes={"role": {"S": "user"}, "content": {"S": content}, "tokens": {"N": str(TOKENS)}},
        read_path=f"{path}?messages=1",
        shows_it=lambda answer: [found["time"] for found in answer["messages"]] == [time],
        query_path=f"{path}/messages?order=newest",
        lists_it=lambda answer: [found["content"] for found in answer["messages"]] == [content],
        remove=remove,
    )
