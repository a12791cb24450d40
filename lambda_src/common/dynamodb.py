"""Tables in DynamoDB."""

from __future__ import annotations

from common.change import Writing
from common.dynamodb_client import DynamoDBClient
from common.dynamodb_json import marshal, marshal_item, unmarshal_item
from common.errors import Throttled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from common.change import Change, Usage
    from common.table import Item, Key, KeySchema


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
        from common.dynamodb_writing import write

        write(self._client, changes)


class DynamoDBTable(Writing):
    """A `Table`, see common.table."""

    def __init__(self, client: DynamoDBClient, name: str, key: KeySchema, indexes: Mapping[str, KeySchema]) -> None:
        super().__init__(name, key)
        self._client = client
        self._indexes = indexes

    def get(self, key: Key) -> Item | None:
        answer = self.call("GetItem", {"Key": marshal_item(key), "ConsistentRead": True})
        return unmarshal_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key], *, settled: Callable[[Item], bool] | None = None) -> list[Item]:
        if settled is None:
            return self._get_many(keys, consistent=True)
        found = [item for item in self._get_many(keys, consistent=False) if settled(item)]
        known = [{name: item[name] for name in self._key} for item in found]
        return found + self.get_many([key for key in keys if key not in known])

    def _get_many(self, keys: Sequence[Key], *, consistent: bool) -> list[Item]:
        found: list[Item] = []
        wanted = {"Keys": [marshal_item(key) for key in keys], "ConsistentRead": consistent} if keys else None
        for answer in self.batch("BatchGetItem", wanted, "UnprocessedKeys"):
            found += map(unmarshal_item, answer["Responses"].get(self.name, ()))
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
        answer = self.call("Query", request)
        last = answer.get("LastEvaluatedKey")
        return [unmarshal_item(item) for item in answer["Items"]], unmarshal_item(last) if last else None

    def add(self, key: Key, attribute: str, amount: int) -> int:
        answer = self.call(
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

    def batch(self, operation: str, requests: Any, left: str) -> Iterator[dict[str, Any]]:
        """The answers to one batch on this table, sent again until nothing of it is `left` unprocessed."""
        wanted, attempt = {self.name: requests} if requests else {}, 0
        while wanted:
            answer = self._client.call(operation, {"RequestItems": wanted, "ReturnConsumedCapacity": "TOTAL"})
            yield answer
            wanted = answer.get(left) or {}
            if wanted:
                self._client.usage.retries += 1
                self._client.pause(attempt, Throttled("parts of a batch were left unprocessed"))
                attempt += 1

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """One operation on this table."""
        return self._client.call(operation, {"TableName": self.name, **request, "ReturnConsumedCapacity": "TOTAL"})
