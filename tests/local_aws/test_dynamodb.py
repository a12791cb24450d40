"""DynamoDB's rules that moto alone does not keep, and tables that stay fast and whole."""

from __future__ import annotations

import concurrent.futures
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local_aws.dynamodb_strictness import Tokens
from tests.local_aws.conftest import Aws, client_for


@pytest.fixture(scope="module")
def client(aws: Aws) -> Any:
    return aws.client("dynamodb")


def make_table(client: Any, **kwargs: Any) -> str:
    """Items by id; index by-city (city, n)."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "city", "AttributeType": "S"},
            {"AttributeName": "n", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-city",
                "KeySchema": [
                    {"AttributeName": "city", "KeyType": "HASH"},
                    {"AttributeName": "n", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        **kwargs,
    )
    return name


@pytest.fixture
def table(client: Any) -> str:
    return make_table(client)


def key(id_: str) -> dict[str, Any]:
    return {"id": {"S": id_}}


def item(id_: str, city: str, n: int) -> dict[str, Any]:
    return {**key(id_), "city": {"S": city}, "n": {"N": str(n)}}


def by_city(client: Any, table: str, city: str, **kwargs: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.query(
        TableName=table,
        IndexName="by-city",
        KeyConditionExpression="#c = :c",
        ExpressionAttributeNames={"#c": "city"},
        ExpressionAttributeValues={":c": {"S": city}},
        **kwargs,
    )
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [found["id"]["S"] for found in answer["Items"]]


def refused(call: Any, code: str = "ValidationException", **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        call(**parameters)
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error.value.response["Error"]["Message"])


# -- rules ------------------------------------------------------------------------------------------------------


def test_a_batch_has_25_writes_and_100_reads(client: Any, table: str) -> None:
    puts = [{"PutRequest": {"Item": key(str(n))}} for n in range(26)]
    assert "Too many items" in refused(client.batch_write_item, RequestItems={table: puts})
    client.batch_write_item(RequestItems={table: puts[:25]})
    keys = [key(str(n)) for n in range(101)]
    assert "Too many items" in refused(client.batch_get_item, RequestItems={table: {"Keys": keys}})
    assert len(client.batch_get_item(RequestItems={table: {"Keys": keys[:100]}})["Responses"][table]) == 25


def test_a_batch_names_an_item_once(client: Any, table: str) -> None:
    other = make_table(client)
    twice = [{"PutRequest": {"Item": key("a")}}, {"DeleteRequest": {"Key": key("a")}}]
    message = "Provided list of item keys contains duplicates"
    assert refused(client.batch_write_item, RequestItems={table: twice}) == message
    assert refused(client.batch_get_item, RequestItems={table: {"Keys": [key("a"), key("a")]}}) == message
    client.batch_write_item(RequestItems={table: twice[:1], other: twice[:1]})


def test_a_transaction_names_an_item_once(client: Any, table: str) -> None:
    delete = {"Delete": {"TableName": table, "Key": key("a")}}
    message = refused(
        client.transact_write_items, TransactItems=[delete, {"Put": {"TableName": table, "Item": key("a")}}]
    )
    assert message == "Transaction request cannot include multiple operations on one item"
    get = {"Get": {"TableName": table, "Key": key("a")}}
    refused(client.transact_get_items, TransactItems=[get, get])


def test_an_index_key_has_the_declared_type(client: Any, table: str) -> None:
    wrong = {**key("a"), "city": {"N": "1"}}
    message = (
        "One or more parameter values were invalid: Type mismatch for Index Key city Expected: S Actual: N "
        "IndexName: by-city"
    )
    assert refused(client.put_item, TableName=table, Item=wrong) == message
    assert refused(client.batch_write_item, RequestItems={table: [{"PutRequest": {"Item": wrong}}]}) == message
    refused(client.transact_write_items, TransactItems=[{"Put": {"TableName": table, "Item": wrong}}])
    client.put_item(TableName=table, Item=item("a", "Berlin", 1))
    update = {"UpdateExpression": "SET city = :c", "ExpressionAttributeValues": {":c": {"N": "1"}}}
    assert "Type mismatch" in refused(client.update_item, TableName=table, Key=key("a"), **update)
    refused(client.update_item, TableName=table, Key=key("new"), **update)
    assert client.get_item(TableName=table, Key=key("a"))["Item"] == item("a", "Berlin", 1)
    assert "Item" not in client.get_item(TableName=table, Key=key("new"))


@pytest.mark.parametrize("number", ["1" * 39, "0." + "1" * 39, "-" + "12" * 20])
def test_a_number_has_38_digits(client: Any, table: str, number: str) -> None:
    message = "Attempting to store more than 38 significant digits in a Number"
    for value in ({"N": number}, {"NS": ["1", number]}, {"M": {"deep": {"L": [{"N": number}]}}}):
        assert refused(client.put_item, TableName=table, Item={**key("a"), "v": value}) == message
    client.put_item(TableName=table, Item={**key("a"), "v": {"N": "1" * 38 + "000"}})


def test_a_start_key_belongs_to_its_query(client: Any, table: str) -> None:
    for n in range(3):
        client.put_item(TableName=table, Item=item(str(n), "Berlin", n))
    start = by_city(client, table, "Berlin", Limit=1)["LastEvaluatedKey"]
    assert ids(by_city(client, table, "Berlin", ExclusiveStartKey=start)) == ["1", "2"]
    outside = "The provided starting key is outside query boundaries based on provided conditions"
    assert outside in refused(lambda **k: by_city(client, table, "Paris", **k), ExclusiveStartKey=start)
    for malformed in (key("0"), {**start, "extra": {"S": "x"}}, {**start, "n": {"S": "1"}}):
        assert "starting key is invalid" in refused(
            lambda **k: by_city(client, table, "Berlin", **k), ExclusiveStartKey=malformed
        )


@pytest.mark.parametrize("days", [0, 36])
def test_the_recovery_window_is_1_to_35_days(aws: Aws, client: Any, table: str, days: int) -> None:
    specification = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": days}
    unchecked = client_for(aws.running, "dynamodb", parameter_validation=False)  # botocore refuses 0 by itself
    call = {"TableName": table, "PointInTimeRecoverySpecification": specification}
    assert f"Value '{days}'" in refused(unchecked.update_continuous_backups, **call)
    specification["RecoveryPeriodInDays"] = 35
    client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification=specification)


def test_add_takes_numbers_and_sets(client: Any, table: str) -> None:
    client.put_item(TableName=table, Item={**key("a"), "name": {"S": "x"}, "tags": {"SS": ["a"]}})

    def add(name: str, value: dict[str, Any]) -> Any:
        return client.update_item(
            TableName=table,
            Key=key("a"),
            UpdateExpression="SET seen = :t ADD #n :v",
            ExpressionAttributeNames={"#n": name},
            ExpressionAttributeValues={":v": value, ":t": {"BOOL": True}},
        )

    assert "incorrect data type" in refused(lambda: add("name", {"N": "1"}))
    assert "operator: ADD, operand type: STRING" in refused(lambda: add("fresh", {"S": "1"}))
    assert "incorrect data type" in refused(lambda: add("tags", {"N": "1"}))
    add("count", {"N": "2"})
    add("tags", {"SS": ["b"]})
    assert client.get_item(TableName=table, Key=key("a"))["Item"]["tags"] == {"SS": ["a", "b"]}


def test_a_repeated_transaction_writes_once(client: Any, table: str) -> None:
    def count(by: str, token: str) -> Any:
        update = {
            "TableName": table,
            "Key": key("counter"),
            "UpdateExpression": "ADD n :by",
            "ExpressionAttributeValues": {":by": {"N": by}},
        }
        return client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=token)

    token = uuid.uuid4().hex
    count("1", token)
    count("1", token)
    refused(lambda: count("2", token), "IdempotentParameterMismatchException")
    count("1", uuid.uuid4().hex)
    assert client.get_item(TableName=table, Key=key("counter"))["Item"]["n"] == {"N": "2"}


def test_a_cancelled_transactions_token_can_be_used_again(client: Any, table: str) -> None:
    put = {"TableName": table, "Item": key("late"), "ConditionExpression": "attribute_exists(id)"}
    token = uuid.uuid4().hex
    call = {"TransactItems": [{"Put": put}], "ClientRequestToken": token}
    refused(client.transact_write_items, "TransactionCanceledException", **call)
    client.put_item(TableName=table, Item=key("late"))
    client.transact_write_items(**call)


def test_a_token_is_forgotten_after_ten_minutes() -> None:
    now = [0.0]
    tokens = Tokens(lambda: now[0])
    request = {"ClientRequestToken": "t", "TransactItems": [1]}
    assert tokens.seen("r", request) == "new"
    tokens.remember("r", request)
    now[0] = 599.0
    assert tokens.seen("r", request) == "same"
    assert tokens.seen("r", {**request, "TransactItems": [2]}) == "different"
    assert tokens.seen("elsewhere", request) == "new"
    now[0] = 601.0
    assert tokens.seen("r", request) == "new"


# -- tables -----------------------------------------------------------------------------------------------------


def test_an_index_follows_every_kind_of_write(client: Any, table: str) -> None:
    def found() -> tuple[list[str], list[str]]:
        return ids(by_city(client, table, "Berlin")), ids(by_city(client, table, "Paris"))

    assert found() == ([], [])
    client.put_item(TableName=table, Item=item("a", "Berlin", 2))
    client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item("b", "Berlin", 1)}}]})
    client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": item("c", "Paris", 1)}}])
    client.put_item(TableName=table, Item=key("unindexed"))
    assert found() == (["b", "a"], ["c"])
    move = {"UpdateExpression": "SET city = :c", "ExpressionAttributeValues": {":c": {"S": "Paris"}}}
    client.update_item(TableName=table, Key=key("a"), **move)
    assert found() == (["b"], ["c", "a"])
    client.put_item(TableName=table, Item=key("b"))
    client.update_item(TableName=table, Key=key("c"), UpdateExpression="REMOVE n")
    assert found() == ([], ["a"])
    client.delete_item(TableName=table, Key=key("a"))
    assert found() == ([], [])


def test_a_cancelled_transaction_leaves_no_trace(client: Any) -> None:
    table = make_table(client, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})
    client.put_item(TableName=table, Item=item("old", "Berlin", 1))
    assert ids(by_city(client, table, "Berlin")) == ["old"]
    change = {"UpdateExpression": "SET city = :c", "ExpressionAttributeValues": {":c": {"S": "Paris"}}}
    refused(
        client.transact_write_items,
        "TransactionCanceledException",
        TransactItems=[
            {"Put": {"TableName": table, "Item": item("new", "Berlin", 1)}},
            {"Update": {"TableName": table, "Key": key("old"), **change}},
            {"Delete": {"TableName": table, "Key": key("third"), "ConditionExpression": "attribute_exists(id)"}},
        ],
    )
    assert client.scan(TableName=table)["Items"] == [item("old", "Berlin", 1)]
    assert (ids(by_city(client, table, "Berlin")), ids(by_city(client, table, "Paris"))) == (["old"], [])


def test_a_failed_update_leaves_nothing_behind(client: Any, table: str) -> None:
    update = {"UpdateExpression": "SET a = b", "ConditionExpression": "attribute_not_exists(id)"}
    refused(client.update_item, TableName=table, Key=key("ghost"), **update)
    assert "Item" not in client.get_item(TableName=table, Key=key("ghost"))


def test_sort_keys_and_binary_values_work_as_before(client: Any) -> None:
    name = f"t-{uuid.uuid4().hex[:10]}"
    schema = [("PK", "HASH"), ("SK", "RANGE")]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in schema],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in schema],
    )
    for n in (2, 1, 3):
        client.put_item(TableName=name, Item={"PK": {"S": "p"}, "SK": {"S": str(n)}, "data": {"B": bytes([n])}})
    client.put_item(TableName=name, Item={"PK": {"S": "other"}, "SK": {"S": "1"}})
    query = {
        "TableName": name,
        "KeyConditionExpression": "PK = :p AND SK >= :s",
        "ExpressionAttributeValues": {":p": {"S": "p"}, ":s": {"S": "2"}},
        "ScanIndexForward": False,
    }
    assert [i["data"]["B"] for i in client.query(**query)["Items"]] == [b"\x03", b"\x02"]
    first = client.query(**query, Limit=1)
    rest = client.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [i["SK"]["S"] for i in first["Items"] + rest["Items"]] == ["3", "2"]
    query["ExpressionAttributeValues"][":p"] = {"S": "nobody"}
    assert client.query(**query)["Items"] == []


def test_racing_writers_never_both_win(client: Any, table: str) -> None:
    def put(n: int) -> bool:
        try:
            client.put_item(
                TableName=table, Item=item("one", "Berlin", n), ConditionExpression="attribute_not_exists(id)"
            )
        except client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(put, range(40))) == 1


def test_concurrent_queries_do_not_mix(client: Any, table: str) -> None:
    for start in range(0, 1200, 25):
        puts = [{"PutRequest": {"Item": item(f"{n:05}", f"city-{n % 4}", n)}} for n in range(start, start + 25)]
        client.batch_write_item(RequestItems={table: puts})

    def cities(n: int) -> set[str]:
        return {found["city"]["S"] for found in by_city(client, table, f"city-{n % 4}")["Items"]}

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(cities, range(24))) == [{f"city-{n % 4}"} for n in range(24)]


def test_a_query_and_a_transaction_do_not_depend_on_the_tables_size(client: Any, table: str) -> None:
    for start in range(0, 3000, 25):
        puts = [{"PutRequest": {"Item": item(f"{n:05}", f"city-{n % 100}", n)}} for n in range(start, start + 25)]
        client.batch_write_item(RequestItems={table: puts})
    assert len(by_city(client, table, "city-7")["Items"]) == 30

    def best(call: Any) -> float:
        times = []
        # Among so many there is one that nothing else on this machine held up.
        for _ in range(40):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return min(times)

    def query(name: str) -> float:
        return best(lambda: by_city(client, name, "city-7", Limit=10))

    def transact(name: str) -> float:
        put = {"Put": {"TableName": name, "Item": item("extra", "city-1", 1)}}
        return best(lambda: client.transact_write_items(TransactItems=[put]))

    small = make_table(client)
    puts = [{"PutRequest": {"Item": item(f"{n:05}", "city-7", n)}} for n in range(25)]
    client.batch_write_item(RequestItems={small: puts})
    assert query(table) < 2 * query(small) + 0.002
    assert transact(table) < 2 * transact(small) + 0.002


def test_segments_are_scanned_page_by_page_while_others_write(client: Any) -> None:
    name = f"t-{uuid.uuid4().hex[:10]}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "B"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
    )

    def own(pk: int, sk: int) -> dict[str, Any]:
        return {"pk": {"B": b"%d" % pk}, "sk": {"N": str(sk)}}

    keys = [(pk, sk) for pk in range(12, 0, -1) for sk in (20, 3, 100)]
    for pk, sk in keys:
        client.put_item(TableName=name, Item=own(pk, sk))
    found = []
    for segment in range(3):
        scan = {"TableName": name, "Segment": segment, "TotalSegments": 3, "Limit": 2, "ConsistentRead": True}
        page = client.scan(**scan)
        found += page["Items"]
        while start := page.get("LastEvaluatedKey"):
            # Where the last page ended need not be there any more.
            client.delete_item(TableName=name, Key=start)
            page = client.scan(**scan, ExclusiveStartKey=start)
            found += page["Items"]
    assert sorted((int(each["pk"]["B"]), int(each["sk"]["N"])) for each in found) == sorted(keys)
