"""Tables in DynamoDB."""

from __future__ import annotations

import os

from common.dynamodb_client import DynamoDBClient, ServiceError
from common.dynamodb_json import marshal, marshal_item, unmarshal_item
from common.errors import ConditionFailed, ItemTooLarge, Throttled
from common.table import Writing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from common.table import Change, Item, Key, KeySchema, Usage


class DynamoDB:
    """A `Database`, see common.table."""

    def __init__(self, client: DynamoDBClient) -> None:
        self._client = client
        self.begin = client.begin
        self.warm = client.warm
        self.forget = client.forget

    @property
    def usage(self) -> Usage:
        return self._client.usage

    def table(self, name: str, key: KeySchema, indexes: Mapping[str, KeySchema] | None = None) -> DynamoDBTable:
        return DynamoDBTable(self._client, name, key, indexes or {})

    def write(self, changes: Sequence[Change]) -> None:
        requests = [_request(change) for change in changes]
        try:
            if len(changes) == 1:
                self._write_one(changes[0], requests[0])
            else:
                self._write_all(changes, requests)
        except ServiceError as error:
            if "tem size" in error.message and "exceeded" in error.message:
                raise ItemTooLarge(error.message) from error
            raise

    def _write_one(self, change: Change, request: dict[str, Any]) -> None:
        operation = "DeleteItem" if change.item is None else "PutItem"
        try:
            self._client.call(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
        except ServiceError as error:
            if error.code != "ConditionalCheckFailedException":
                raise
            # When an earlier attempt's answer was lost, what is stored now tells whether it was carried out
            stored = error.answer.get("Item")
            if error.unsure and stored == request.get("Item"):
                return
            raise ConditionFailed([0]) from error

    def _write_all(self, changes: Sequence[Change], requests: Sequence[dict[str, Any]]) -> None:
        actions = [
            {"Delete" if change.item is None else "Put": request}
            for change, request in zip(changes, requests, strict=True)
        ]
        try:
            self._client.call(
                "TransactWriteItems",
                {
                    "TransactItems": actions,
                    # makes a repeat after a lost answer harmless
                    "ClientRequestToken": os.urandom(16).hex(),
                    "ReturnConsumedCapacity": "TOTAL",
                },
            )
        except ServiceError as error:
            reasons = error.answer.get("CancellationReasons") or ()
            failed = [i for i, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
            if failed:
                raise ConditionFailed(failed) from error
            for reason in reasons:
                if reason.get("Message"):
                    error.message = str(reason["Message"])
            raise


class DynamoDBTable(Writing):
    """A `Table`, see common.table."""

    def __init__(self, client: DynamoDBClient, name: str, key: KeySchema, indexes: Mapping[str, KeySchema]) -> None:
        super().__init__(name, key)
        self._client = client
        self._indexes = indexes

    def get(self, key: Key) -> Item | None:
        answer = self._call("GetItem", {"Key": marshal_item(key), "ConsistentRead": True})
        return unmarshal_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        found: list[Item] = []
        wanted = {self.name: {"Keys": [marshal_item(key) for key in keys], "ConsistentRead": True}}
        attempt = 0
        while wanted:
            answer = self._client.call("BatchGetItem", {"RequestItems": wanted, "ReturnConsumedCapacity": "TOTAL"})
            found += map(unmarshal_item, answer["Responses"].get(self.name, ()))
            wanted = answer.get("UnprocessedKeys") or {}
            if wanted:
                self._client.usage.retries += 1
                self._client.pause(attempt, Throttled("keys of a batch were left unprocessed"))
                attempt += 1
        return found

    def query(
        self,
        partition: Any,
        *,
        index: str | None = None,
        limit: int,
        after: Key | None = None,
        between: tuple[Any, Any] | None = None,
        backwards: bool = False,
    ) -> tuple[list[Item], Key | None]:
        names = list(self._indexes[index] if index else self._key)
        request: dict[str, Any] = {
            "KeyConditionExpression": "#p = :p",
            "ExpressionAttributeNames": {"#p": names[0]},
            "ExpressionAttributeValues": {":p": marshal(partition)},
            "Limit": limit,
            "ScanIndexForward": not backwards,
        }
        if between:
            request["KeyConditionExpression"] += " AND #s BETWEEN :low AND :high"
            request["ExpressionAttributeNames"]["#s"] = names[1]
            request["ExpressionAttributeValues"].update({":low": marshal(between[0]), ":high": marshal(between[1])})
        if index:
            request["IndexName"] = index
        else:
            request["ConsistentRead"] = True
        if after:
            request["ExclusiveStartKey"] = marshal_item(after)
        answer = self._call("Query", request)
        last = answer.get("LastEvaluatedKey")
        return [unmarshal_item(item) for item in answer["Items"]], unmarshal_item(last) if last else None

    def add(self, key: Key, attribute: str, amount: int) -> int:
        answer = self._call(
            "UpdateItem",
            {
                "Key": marshal_item(key),
                "UpdateExpression": "ADD #a :amount",
                "ExpressionAttributeNames": {"#a": attribute},
                "ExpressionAttributeValues": {":amount": marshal(amount)},
                "ReturnValues": "UPDATED_NEW",
            },
        )
        return int(unmarshal_item(answer["Attributes"])[attribute])

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._client.call(operation, {"TableName": self.name, **request, "ReturnConsumedCapacity": "TOTAL"})


def _request(change: Change) -> dict[str, Any]:
    """A PutItem or DeleteItem request, or the same as a part of a transaction."""
    request: dict[str, Any] = {"TableName": change.table}
    if change.item is None:
        request["Key"] = marshal_item(change.key)
    else:
        request["Item"] = marshal_item(change.item)
    if not change.expect:
        return request
    names, values, parts = {}, {}, []
    for i, (name, value) in enumerate(change.expect.items()):
        names[f"#{i}"] = name
        if value is None:
            parts.append(f"attribute_not_exists(#{i})")
        else:
            parts.append(f"#{i} = :{i}")
            values[f":{i}"] = marshal(value)
    condition = " AND ".join(parts)
    if change.or_expired_at is not None:
        condition = f"({condition}) OR #ttl <= :now"
        names["#ttl"] = "ttl"
        values[":now"] = marshal(change.or_expired_at)
    request["ConditionExpression"] = condition
    request["ExpressionAttributeNames"] = names
    request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if values:
        request["ExpressionAttributeValues"] = values
    return request
