"""make reshard: what is stored comes to the shards that are written to, and what is not read is told of."""

import json
import uuid
from decimal import Decimal
from typing import Any

import boto3
import pytest

from common.dynamodb_json import marshal_item, unmarshal_item
from common.sharding import shard_name, shard_of
from scripts import reshard
from scripts.console import CommandError
from scripts.migration import shards
from tests.glue.deployed import BUCKET, KEY, Deployed

ENV = "staging"


class Sharded:
    """A system's tables, and the command in this process."""

    def __init__(self, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
        self.deployed, self.capsys = deployed, capsys
        self.dynamodb = boto3.client("dynamodb")
        self.names: dict[str, str] = {}

    def state(self, system: str, tables: dict[str, dict[str, str]], **counts: int) -> None:
        """As an apply leaves it."""
        for logical, key in tables.items():
            if logical not in self.names:
                self.names[logical] = f"{logical}-{uuid.uuid4().hex[:8]}"
                self.dynamodb.create_table(
                    TableName=self.names[logical],
                    BillingMode="PAY_PER_REQUEST",
                    AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in key.items()],
                    KeySchema=[
                        {"AttributeName": name, "KeyType": kind}
                        for name, kind in zip(key, ("HASH", "RANGE"), strict=False)
                    ],
                )
        declared = {"tables": {logical: {"name": name} for logical, name in self.names.items()}}
        outputs = {"verification": {"value": {"systems": {system: declared}}}, "shards": {"value": {system: counts}}}
        state = json.dumps({"version": 4, "outputs": outputs})
        self.deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=state.encode())
        self.deployed.build("none")

    def put(self, logical: str, *items: dict[str, Any]) -> None:
        for item in items:
            self.dynamodb.put_item(TableName=self.names[logical], Item=marshal_item(item))

    def items(self, logical: str) -> list[dict[str, Any]]:
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.names[logical])
        return [unmarshal_item(item) for page in pages for item in page["Items"]]

    def run(self, system: str, *, dry_run: bool = False, workers: int = 2) -> dict[str, Any]:
        self.capsys.readouterr()
        reshard.main(env=ENV, system=system, workers=workers, dry_run=dry_run, json_output=True)
        result: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return result["tables"]  # type: ignore[no-any-return]


@pytest.fixture
def sharded(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> Sharded:
    return Sharded(deployed, capsys)


AGENTS = {"agents": {"agentId": "S"}}
IDS = [f"agent-{number}" for number in range(30)]


def entry(agent: str, capability: str = "x") -> dict[str, Any]:
    return {"agentId": f"capability#x#{agent}", "capability": capability, "capabilityOf": agent, "ttl": 2_000_000_000}


def test_entries_move_to_their_shards_once_and_back(sharded: Sharded) -> None:
    sharded.state("agent_registry", AGENTS, write=4, read=4)
    others = [{"agentId": "agent-1", "name": "An agent", "indexed": True}, {"agentId": "capability#of nobody"}]
    before = [*map(entry, IDS), *others]
    sharded.put("agents", *before)
    wanted = {agent: shard_name("x", shard_of(agent, 4)) for agent in IDS}
    moved = sum(name != "x" for name in wanted.values())
    figures = {"examined": 30, "moved": moved, "changed_meanwhile": 0}
    assert sharded.run("agent_registry", dry_run=True) == {"agents": {**figures, "shards_in_use": 1}}
    assert sorted(map(str, sharded.items("agents"))) == sorted(map(str, before))
    assert sharded.run("agent_registry") == {"agents": {**figures, "shards_in_use": 4}}
    found = {item["capabilityOf"]: item for item in sharded.items("agents") if "capabilityOf" in item}
    assert found == {agent: entry(agent, wanted[agent]) for agent in IDS}
    assert sharded.run("agent_registry")["agents"]["moved"] == 0
    sharded.state("agent_registry", AGENTS, write=1, read=4)
    assert sharded.run("agent_registry") == {"agents": {**figures, "shards_in_use": 1}}
    assert sorted(map(str, sharded.items("agents"))) == sorted(map(str, before))


def test_what_a_function_changes_meanwhile_is_left_as_it_is(sharded: Sharded, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded.state("agent_registry", AGENTS, write=4, read=4)
    gone, moved = (one for one in IDS if shard_of(one, 4) == 1), (one for one in IDS if shard_of(one, 4) == 2)
    gone_id, moved_id = next(gone), next(moved)
    sharded.put("agents", entry(gone_id), entry(moved_id))
    real = shards.carry_out

    def late(database: Any, changes: Any) -> bool:
        sharded.dynamodb.delete_item(
            TableName=sharded.names["agents"], Key=marshal_item({"agentId": f"capability#x#{gone_id}"})
        )
        sharded.put("agents", entry(moved_id, "x  3"))
        return real(database, changes)

    monkeypatch.setattr(shards, "carry_out", late)
    # one worker reads both before either changes
    assert sharded.run("agent_registry", workers=1)["agents"]["changed_meanwhile"] == 2
    assert sharded.items("agents") == [entry(moved_id, "x  3")]


def test_shards_that_hold_something_but_are_not_read_are_told(sharded: Sharded) -> None:
    sharded.state("agent_registry", AGENTS, write=2, read=2)
    sharded.put("agents", entry("agent-1", "x  9"))
    with pytest.raises(CommandError, match="only 2 shards are read, but 10 hold something"):
        reshard.main(env=ENV, system="agent_registry", workers=1, dry_run=True, json_output=False)
    reshard.main(env=ENV, system="agent_registry", workers=1, dry_run=False, json_output=False)


def test_sessions_and_messages_are_given_their_shards(sharded: Sharded) -> None:
    tables = {"sessions": {"id": "S", "tenantId": "S"}, "messages": {"id": "S"}}
    sharded.state("agent_sessions", tables, write=3, read=3)
    session = {"id": "s", "tenantId": "a#b", "userId": "u"}
    head = {"id": "user#digest", "tenantId": "active", "ofUser": "u"}
    message = {"id": "m", "tenantId": "a#b", "sessionId": "s", "timestamp": "2024"}
    odd = {"id": "odd", "tenantId": 7}
    sharded.put("sessions", session, head)
    sharded.put("messages", message, odd)
    assert {table: result["moved"] for table, result in sharded.run("agent_sessions").items()} == {
        "sessions": 1, "messages": 1
    }  # fmt: skip
    assert session | {"tenantShard": f"{shard_of('u', 3)}#a#b"} in sharded.items("sessions")
    assert head in sharded.items("sessions")
    assert message | {"tenantShard": f"{shard_of('s', 3)}#a#b"} in sharded.items("messages")
    assert odd in sharded.items("messages")
    assert all(result["moved"] == 0 for result in sharded.run("agent_sessions").values())


def test_pets_of_older_applications_come_into_the_ranges_of_their_ids(sharded: Sharded) -> None:
    sharded.state("pet_store", {"pets": {"id": "N"}})
    counter, odd, own = {"id": 0, "last": 250, "seeded": True}, {"id": Decimal("1.5")}, {"id": 7, "idRange": 0}
    sharded.put(
        "pets", counter, odd, own, *({"id": one, "name": "Old"} for one in (99, 100)), {"id": 250, "idRange": 9}
    )
    figures = {"examined": 4, "moved": 3, "changed_meanwhile": 0, "shards_in_use": 1}
    assert sharded.run("pet_store", dry_run=True) == {"pets": figures}
    assert sharded.run("pet_store") == {"pets": figures}
    assert {item["id"]: item.get("idRange") for item in sharded.items("pets")} == {
        0: None, Decimal("1.5"): None, 7: 0, 99: 0, 100: 1, 250: 2
    }  # fmt: skip
    assert sharded.run("pet_store") == {"pets": figures | {"moved": 0}}
    assert counter in sharded.items("pets")


def test_who_has_no_shards_is_told_so(sharded: Sharded) -> None:
    sharded.state("agent_registry", AGENTS)
    with pytest.raises(CommandError, match="has no shards in environment 'staging'"):
        reshard.main(env=ENV, system="agent_registry", workers=1, dry_run=False, json_output=False)
    for system, said in (
        ("token_claims", "nothing to be moved"),
        ("chat_sessions", "within the hour"),
        ("", "is named"),
    ):
        with pytest.raises(CommandError, match=said):
            reshard.main(env=ENV, system=system, workers=1, dry_run=False, json_output=False)
