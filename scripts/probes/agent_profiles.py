"""Stores one profile with a job of its own, which makes one entry of the match table, and one message to it."""

import uuid
from collections.abc import Iterator, Mapping

from common.sharding import shard_name, shard_of
from scripts.api_client import ApiClient
from scripts.probes import Reads, Record, delete_item

READS: Reads = (
    ("/retrieve/doctor-unknown", {}),
    ("/conversation/doctor-unknown", {}),
    ("/agent/doctor-unknown/conversations", {}),
)


def write(api: ApiClient, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:
    mark = f"verify-{uuid.uuid4().hex}"
    path, profile_key = f"/retrieve/{mark}", {"id": {"S": mark}}
    entry = shard_name(f"job#{mark}", shard_of(mark, int(environment.get("MATCH_SHARDS") or 1)))
    # what has no price comes behind all prices
    entry_key = {"entry": {"S": entry}, "position": {"S": f"~#{mark}"}}

    def remove_entry() -> None:
        delete_item(tables["match"], entry_key)

    def remove_profile() -> None:
        delete_item(tables["profiles"], profile_key)
        remove_entry()

    api.send("POST", "/store", {"id": mark, "name": "Verification", "job": mark.upper()}).expect(201)
    yield Record(
        table="profiles",
        key=profile_key,
        attributes={"name": {"S": "Verification"}, "job": {"S": mark}},
        read_path=path,
        shows_it=lambda answer: bool(answer["id"] == mark),
        query_path=path,
        lists_it=lambda answer: bool(answer["job"] == mark.upper()),
        remove=remove_profile,
    )
    # matching is a POST, which no check repeats: here it proves that the function may ask table and indexes
    api.send("POST", "/match", {"job": mark, "location": mark, "tags": [mark]}).expect(200)
    yield Record(
        table="match",
        key=entry_key,
        attributes={"id": {"S": mark}, "job": {"S": mark}},
        read_path=path,
        shows_it=lambda answer: bool(answer["id"] == mark),
        query_path=path,
        lists_it=lambda answer: bool(answer["id"] == mark),
        remove=remove_entry,
    )
    message = {"conversation_id": mark, "agent_id": mark, "message": "Is this kept?", "sender": "verification"}
    message_id = api.send("POST", "/conversation", message).expect(201).body["message_id"]
    message_key = {"conversation_id": {"S": mark}, "timestamp": {"S": message_id}}
    yield Record(
        table="conversations",
        key=message_key,
        attributes={name: {"S": message[name]} for name in ("agent_id", "message", "sender")},
        read_path=f"/conversation/{mark}",
        shows_it=lambda answer: [found["message_id"] for found in answer["messages"]] == [message_id],
        query_path=f"/agent/{mark}/conversations",
        lists_it=lambda answer: [found["message_id"] for found in answer["messages"]] == [message_id],
        remove=lambda: delete_item(tables["conversations"], message_key),
    )
