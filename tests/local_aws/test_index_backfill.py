"""A new index of an existing table: filled for a while, one at a time, as on AWS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local_aws import control
from tests.local_aws.conftest import client_for, wait_for
from tests.ports import free_port

# Long enough for all that is asked meanwhile, also where much else runs.
SECONDS = 8.0


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Running]:
    """An embedded AWS that takes its time to fill an index."""
    folder: Path = tmp_path_factory.mktemp("slow")
    running = control.start(folder, port=free_port(), api_port=free_port(), options=["--index-backfill", str(SECONDS)])
    yield running
    control.stop(folder)


@pytest.fixture(scope="module")
def client(slow: control.Running) -> Any:
    return client_for(slow, "dynamodb")


def _change(kind: str, name: str) -> dict[str, Any]:
    stated: dict[str, Any] = {"IndexName": name}
    if kind == "Create":
        stated |= {
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    return {kind: stated}


def _update(client: Any, *changes: dict[str, Any]) -> Any:
    return client.update_table(TableName="things", GlobalSecondaryIndexUpdates=list(changes))


def _indexes(client: Any) -> dict[str, tuple[str, bool]]:
    described = client.describe_table(TableName="things")["Table"].get("GlobalSecondaryIndexes", [])
    return {index["IndexName"]: (index["IndexStatus"], index.get("Backfilling", False)) for index in described}


def _refusal(call: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_index_is_filled_before_it_answers(slow: control.Running, client: Any) -> None:
    client.create_table(
        TableName="things",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[_change("Create", "first")["Create"]],
    )
    client.put_item(TableName="things", Item={"id": {"S": "1"}})
    # What a table is made with is there at once.
    assert _indexes(client) == {"first": ("ACTIVE", False)}

    one_at_a_time = (
        "LimitExceededException",
        "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table",
    )
    assert _refusal(lambda: _update(client, _change("Create", "one"), _change("Create", "two"))) == one_at_a_time
    assert _refusal(lambda: _update(client, _change("Create", "one"), _change("Delete", "first"))) == one_at_a_time

    _update(client, _change("Create", "second"))
    assert _indexes(client) == {"first": ("ACTIVE", False), "second": ("CREATING", True)}
    assert _refusal(lambda: _update(client, _change("Create", "third"))) == one_at_a_time
    assert _refusal(lambda: _update(client, _change("Delete", "first"))) == one_at_a_time

    def query() -> Any:
        return client.query(
            TableName="things",
            IndexName="second",
            KeyConditionExpression="id = :id",
            ExpressionAttributeValues={":id": {"S": "1"}},
        )["Items"]

    assert _refusal(query) == ("ValidationException", "Cannot read from backfilling global secondary index: second")
    metrics = client_for(slow, "cloudwatch").list_metrics(MetricName="OnlineIndexPercentageProgress")["Metrics"]
    assert {dimension["Value"] for dimension in metrics[0]["Dimensions"]} == {"things", "second"}

    wait_for(lambda: _indexes(client)["second"] == ("ACTIVE", False))
    assert query() == [{"id": {"S": "1"}}]
    _update(client, _change("Delete", "first"))
    assert list(_indexes(client)) == ["second"]


def test_an_index_can_be_dropped_while_it_is_filled(client: Any) -> None:
    _update(client, _change("Create", "unwanted"))
    _update(client, _change("Delete", "unwanted"))
    assert list(_indexes(client)) == ["second"]


def test_a_definition_that_no_key_uses_is_forgotten(client: Any) -> None:
    def defined(*names: str) -> list[dict[str, str]]:
        return [{"AttributeName": name, "AttributeType": "S"} for name in names]

    def attributes() -> list[str]:
        table = client.describe_table(TableName="defined")["Table"]
        return sorted(one["AttributeName"] for one in table["AttributeDefinitions"])

    index = {
        "IndexName": "by-other",
        "KeySchema": [{"AttributeName": "other", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
    client.create_table(
        TableName="defined",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=defined("id"),
    )
    client.update_table(
        TableName="defined",
        AttributeDefinitions=defined("id", "other", "unused"),
        GlobalSecondaryIndexUpdates=[{"Create": index}],
    )
    assert attributes() == ["id", "other"]
    client.update_table(TableName="defined", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "by-other"}}])
    assert attributes() == ["id"]
