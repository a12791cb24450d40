"""Adds one pet of a type of its own, and gives its id back: the next pet gets the number that it would have had."""

import uuid
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from common import paging
from scripts import aws
from scripts.api_client import ApiClient
from scripts.probes import Reads, Record

PRICE = "19.99"

_NOWHERE = f"/pets?limit=1&next_token={paging.token(999_999_999, 'pets')}"
READS: Reads = (("/pets/999999999", {}), ("/pets?type=doctor-unknown", {}), (_NOWHERE, {}))


def write(api: ApiClient, tables: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[Record]:  # noqa: ARG001
    mark = f"verify-{uuid.uuid4().hex}"
    pet = {"name": mark, "type": mark, "price": float(PRICE)}
    pet_id: int = api.send("POST", "/pets", pet).expect(201).body["id"]
    yield Record(
        table="pets",
        key={"id": {"N": str(pet_id)}},
        attributes={"name": {"S": mark}, "type": {"S": mark}, "price": {"N": PRICE}},
        read_path=f"/pets/{pet_id}",
        shows_it=lambda answer: bool(answer["name"] == mark),
        query_path=f"/pets?type={mark}",
        lists_it=lambda answer: [found["id"] for found in answer["pets"]] == [pet_id],
        remove=lambda: _remove(tables["pets"], pet_id, mark),
    )
    # the list of all pets has an index of its own; from the newest pet on it reads the next ids in a batch, too
    newest = {} if pet_id == 1 else {"next_token": paging.token(pet_id - 1, "pets")}
    api.send("GET", f"/pets?{urlencode({'limit': 1, **newest})}").expect(200)


def _remove(table: str, pet_id: int, name: str) -> None:
    """The pet, if it is still ours, and its id from the counter, unless others were given higher ones meanwhile."""
    dynamodb = aws.client("dynamodb")
    deletion = {
        "TableName": table,
        "Key": {"id": {"N": str(pet_id)}},
        "ConditionExpression": "#name = :name",
        "ExpressionAttributeNames": {"#name": "name"},
        "ExpressionAttributeValues": {":name": {"S": name}},
    }
    giving_back = {
        "TableName": table,
        "Key": {"id": {"N": "0"}},
        "UpdateExpression": "SET #last = :before",
        "ConditionExpression": "#last = :id",
        "ExpressionAttributeNames": {"#last": "last"},
        "ExpressionAttributeValues": {":id": {"N": str(pet_id)}, ":before": {"N": str(pet_id - 1)}},
    }
    try:
        dynamodb.transact_write_items(TransactItems=[{"Delete": deletion}, {"Update": giving_back}])
    except dynamodb.exceptions.TransactionCanceledException:
        try:
            dynamodb.delete_item(**deletion)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return  # it is gone already, or never was in DynamoDB
