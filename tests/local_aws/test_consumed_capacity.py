"""The capacity that the embedded DynamoDB counts, and the metrics of what is done with it, with functions and APIs.

Where a real engine is at hand, each answer is held against its own, but for what it counts otherwise than AWS.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract import engines
from tests.local_aws.conftest import Aws, Deploy

TABLES = {"keys": {"ProjectionType": "KEYS_ONLY"}, "all": {"ProjectionType": "ALL"}}
TABLES["some"] = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["kept"]}  # type: ignore[dict-item]
INDEX, LOCAL_INDEX = "by-city", "by-age"
KEY = {"id": {"S": "1"}, "at": {"N": "-12.50"}}
VALUES = {
    "text": {"S": "Zürich"},
    "amount": {"N": "249.99"},
    "large": {"N": "12345678901234567890123456789012345678"},
    "flag": {"BOOL": True},
    "nothing": {"NULL": True},
    "bytes": {"B": b"\x00\x01\x02\x03"},
    "map": {"M": {"a": {"L": [{"S": "x"}, {"N": "0.001"}, {"M": {}}]}, "b": {"NULL": True}}},
    "texts": {"SS": ["a", "bcd"]},
    "numbers": {"NS": ["1", "1000001"]},
    "byte_sets": {"BS": [b"a", b"bc"]},
}


def create(client: Any, name: str, projection: dict[str, Any]) -> None:
    key = [{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key,
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
            {"AttributeName": "city", "AttributeType": "S"},
            {"AttributeName": "age", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": INDEX,
                "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                "Projection": projection,
            }
        ],
        LocalSecondaryIndexes=[
            {
                "IndexName": LOCAL_INDEX,
                "KeySchema": [key[0], {"AttributeName": "age", "KeyType": "RANGE"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def workload(client: Any, table: str) -> Iterator[tuple[str, Any]]:
    """What each of these operations, one after another, says that it consumed."""
    big = {"note": {"S": "z" * 5000}}

    def call(title: str, operation: str, **stated: Any) -> tuple[str, Any]:
        answer = getattr(client, operation)(**stated, ReturnConsumedCapacity="INDEXES")
        return title, answer.get("ConsumedCapacity")

    def put(title: str, item: dict[str, Any]) -> tuple[str, Any]:
        return call(f"put {title}", "put_item", TableName=table, Item={**KEY, **item})

    berlin, oslo = {"city": {"S": "Berlin"}}, {"city": {"S": "Oslo"}}
    yield put("new", {})
    yield put("the same", {})
    yield put("into the index", berlin)
    yield put("what no index holds but one", {**berlin, "other": {"S": "x"}})
    yield put("what one index keeps", {**berlin, "kept": {"S": "x"}})
    yield put("moved", {**oslo, "kept": {"S": "x"}})
    yield put("out of the index", {"kept": {"S": "x"}})
    yield put("larger", {**oslo, **big})
    yield put("larger, moved", {**berlin, **big})
    yield put("smaller", berlin)
    yield put("into the local index", {**berlin, "age": {"N": "7"}})
    yield put("moved there", {**berlin, "age": {"N": "8"}})
    for length in range(860, 1020, 9):  # past the first KB somewhere in between: it shows each byte of the values
        yield call("delete", "delete_item", TableName=table, Key=KEY)
        yield put(f"values and {length}", {**berlin, **VALUES, "padding": {"S": "z" * length}})
    yield call(
        "update",
        "update_item",
        TableName=table,
        Key=KEY,
        UpdateExpression="SET city = :oslo REMOVE padding ADD amount :one",
        ExpressionAttributeValues={":oslo": {"S": "Oslo"}, ":one": {"N": "1"}},
    )
    yield call(
        "update to the same",
        "update_item",
        TableName=table,
        Key=KEY,
        UpdateExpression="SET city = :oslo",
        ExpressionAttributeValues={":oslo": {"S": "Oslo"}},
    )
    items = [{"id": {"S": "many"}, "at": {"N": str(i)}, "note": {"S": "y" * 900}, **oslo} for i in range(12)]
    yield call("batch", "batch_write_item", RequestItems={table: [{"PutRequest": {"Item": item}} for item in items]})
    deleted = [{"DeleteRequest": {"Key": {"id": {"S": "many"}, "at": {"N": str(i)}}}} for i in (1, 99)]
    yield call("batch of deletes", "batch_write_item", RequestItems={table: deleted})
    for consistent in (True, False):
        read = {"TableName": table, "ConsistentRead": consistent}
        many = {"KeyConditionExpression": "id = :id", "ExpressionAttributeValues": {":id": {"S": "many"}}}
        yield call("get", "get_item", **read, Key=KEY)
        yield call("get nothing", "get_item", **read, Key={"id": {"S": "none"}, "at": {"N": "0"}})
        yield call("get a part", "get_item", **read, Key=KEY, ProjectionExpression="city")
        keys = [{"id": item["id"], "at": item["at"]} for item in items]
        request = {table: {"Keys": keys, "ConsistentRead": consistent}}
        yield call("batch of gets", "batch_get_item", RequestItems=request)
        yield call("query", "query", **read, **many)
        yield call("query for nothing", "query", **read, **many | {"ExpressionAttributeValues": {":id": {"S": "no"}}})
        yield call("query, limited", "query", **read, **many, Limit=3)
        yield call("query a part", "query", **read, **many, ProjectionExpression="city")
        yield call("count", "query", **read, **many, Select="COUNT")
        filtered = many["ExpressionAttributeValues"] | {":n": {"S": "nobody"}}  # type: ignore[operator]
        yield call(
            "query, filtered",
            "query",
            **read,
            **many | {"FilterExpression": "city = :n", "ExpressionAttributeValues": filtered},
        )
        yield call("scan", "scan", **read)
        yield call(
            "scan, filtered",
            "scan",
            **read,
            FilterExpression="city = :n",
            ExpressionAttributeValues={":n": {"S": "nobody"}},
        )
        yield call("query a local index", "query", **read, IndexName=LOCAL_INDEX, **many)
    of_city = {"KeyConditionExpression": "city = :c", "ExpressionAttributeValues": {":c": {"S": "Oslo"}}}
    yield call("query the index", "query", TableName=table, IndexName=INDEX, **of_city)
    yield call("scan the index", "scan", TableName=table, IndexName=INDEX)
    written = [
        {"Put": {"TableName": table, "Item": {**KEY, **berlin}}},
        {"Delete": {"TableName": table, "Key": {"id": {"S": "many"}, "at": {"N": "3"}}}},
        {
            "Update": {
                "TableName": table,
                "Key": {"id": {"S": "new"}, "at": {"N": "0"}},
                "UpdateExpression": "SET city = :oslo",
                "ExpressionAttributeValues": {":oslo": {"S": "Oslo"}},
            }
        },
    ]
    yield call("transaction", "transact_write_items", TransactItems=written)
    gets = [{"Get": {"TableName": table, "Key": KEY}}, {"Get": {"TableName": table, "Key": keys[3]}}]
    yield call("transaction of gets", "transact_get_items", TransactItems=gets)
    yield call("delete what is indexed", "delete_item", TableName=table, Key=KEY)
    yield call("delete nothing", "delete_item", TableName=table, Key=KEY)


# DynamoDB Local has no minimum for queries and batches that find nothing, takes whole items for the entries of an index
# in a scan, and sums the items of a transaction before it rounds: https://github.com/awslabs/amazon-dynamodb-local-samples
KNOWN = {
    "dynamodb_local": {
        "query for nothing",
        "query a local index",
        "batch of deletes",
        "batch of gets",
        "scan the index",
        "transaction",
        "transaction of gets",
    },
    "dynoxide": set[str](),
}


@pytest.mark.parametrize("engine_name", KNOWN)
def test_it_is_what_a_real_engine_counts(aws: Aws, engine_name: str) -> None:
    if missing := engines.missing(engine_name):
        pytest.skip(missing)
    with engines.running(engine_name) as engine:
        for kind, projection in TABLES.items():
            name = f"{kind}-{uuid.uuid4().hex[:8]}"
            ours, theirs = aws.client("dynamodb"), engine.boto3
            for client in (ours, theirs):
                create(client, name, projection)
            for (title, mine), (_, other) in zip(workload(ours, name), workload(theirs, name), strict=True):
                if title not in KNOWN[engine_name]:
                    assert mine == other, f"{kind}: {title}"


def summed(aws: Aws, namespace: str, metric: str, **dimensions: str) -> float:
    """Of the last hour and the minutes to come."""
    now = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0)
    query = {
        "Id": "m",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=[query],
        StartTime=now - datetime.timedelta(hours=1),
        EndTime=now + datetime.timedelta(minutes=2),
    )
    return float(sum(answer["MetricDataResults"][0]["Values"]))


@pytest.fixture
def table(aws: Aws) -> str:
    name = f"all-{uuid.uuid4().hex[:8]}"
    create(aws.client("dynamodb"), name, TABLES["all"])
    return name


def test_cloudwatch_has_the_table_and_its_indexes_apart(aws: Aws, table: str) -> None:
    client = aws.client("dynamodb")
    for city in ("Berlin", "Oslo"):
        client.put_item(TableName=table, Item={**KEY, "city": {"S": city}, "note": {"S": "z" * 1500}})
    client.get_item(TableName=table, Key=KEY)
    found = {
        kind: summed(aws, "AWS/DynamoDB", f"Consumed{kind}CapacityUnits", TableName=table) for kind in ("Read", "Write")
    }
    of_index = summed(
        aws, "AWS/DynamoDB", "ConsumedWriteCapacityUnits", TableName=table, GlobalSecondaryIndexName=INDEX
    )
    assert found == {"Read": 0.5, "Write": 2 + 2}
    assert of_index == 2 + (2 + 2)  # put; deleted at one place and put at another


def test_a_write_that_is_refused_by_its_condition_takes_what_it_found(aws: Aws, table: str) -> None:
    client = aws.client("dynamodb")
    client.put_item(TableName=table, Item={**KEY, "note": {"S": "z" * 1500}})
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(TableName=table, Item=KEY, ConditionExpression="attribute_not_exists(id)")
    assert summed(aws, "AWS/DynamoDB", "ConsumedWriteCapacityUnits", TableName=table) == 2 + 2
    assert summed(aws, "AWS/DynamoDB", "ConditionalCheckFailedRequests", TableName=table) == 1


def test_capacity_is_told_only_to_who_asks(aws: Aws, table: str) -> None:
    client = aws.client("dynamodb")
    assert "ConsumedCapacity" not in client.put_item(TableName=table, Item=KEY)
    told = client.put_item(TableName=table, Item=KEY, ReturnConsumedCapacity="TOTAL")["ConsumedCapacity"]
    assert told == {"TableName": table, "CapacityUnits": 1.0}


def test_a_table_tells_its_size(aws: Aws, table: str) -> None:
    """With the 100 bytes that each item and each entry of an index takes more."""
    client = aws.client("dynamodb")
    client.put_item(TableName=table, Item={"id": {"S": "1"}, "at": {"N": "1"}, "city": {"S": "Oslo"}})
    described = client.describe_table(TableName=table)["Table"]
    size = (2 + 1) + (2 + 2) + (4 + 4) + 100
    assert described["TableSizeBytes"] == size
    assert [index["IndexSizeBytes"] for index in described["GlobalSecondaryIndexes"]] == [size]
    assert [index["IndexSizeBytes"] for index in described["LocalSecondaryIndexes"]] == [0]


def test_functions_and_their_logs_are_counted(aws: Aws, deploy: Deploy) -> None:
    function = deploy("def handler(event, context):\n    if event.get('fail'): raise ValueError('no')\n    return 1")
    function.invoke()
    assert function.invoke({"fail": True}).error

    def of_function(metric: str) -> float:
        return summed(aws, "AWS/Lambda", metric, FunctionName=function.name)

    assert (of_function("Invocations"), of_function("Errors"), of_function("Throttles")) == (2, 1, 0)
    assert 0 < of_function("Duration") < 20_000
    assert summed(aws, "AWS/Logs", "IncomingBytes", LogGroupName=f"/aws/lambda/{function.name}") > 100
