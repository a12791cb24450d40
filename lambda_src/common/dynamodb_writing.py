"""Changes as DynamoDB's requests: one conditional write, or one transaction."""

from __future__ import annotations

import os

from common.dynamodb_failures import ServiceError
from common.dynamodb_json import marshal, marshal_item
from common.errors import ConditionFailed, ItemTooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from common.change import Change
    from common.dynamodb_client import DynamoDBClient


def write(client: DynamoDBClient, changes: Sequence[Change]) -> None:
    """See `Database.write` in common.table."""
    requests = [_request(change) for change in changes]
    try:
        if len(requests) == 1:
            _write_one(client, requests[0])
        else:
            _write_all(client, requests)
    except ServiceError as error:
        if "tem size" in error.message and "exceeded" in error.message:
            raise ItemTooLarge(error.message) from error
        raise


def _write_one(client: DynamoDBClient, request: dict[str, Any]) -> None:
    try:
        client.call("PutItem" if "Item" in request else "DeleteItem", {**request, "ReturnConsumedCapacity": "TOTAL"})
    except ServiceError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        # When an earlier attempt's answer was lost, what is stored now tells whether it was carried out
        if error.unsure and error.answer.get("Item") == request.get("Item"):
            return
        raise ConditionFailed([0]) from error


def _write_all(client: DynamoDBClient, requests: Sequence[dict[str, Any]]) -> None:
    transaction = {
        "TransactItems": [{"Put" if "Item" in request else "Delete": request} for request in requests],
        # makes a repeat after a lost answer harmless
        "ClientRequestToken": os.urandom(16).hex(),
        "ReturnConsumedCapacity": "TOTAL",
    }
    try:
        client.call("TransactWriteItems", transaction)
    except ServiceError as error:
        reasons = error.answer.get("CancellationReasons") or ()
        failed = [i for i, reason in enumerate(reasons) if reason.get("Code") == "ConditionalCheckFailed"]
        if failed:
            raise ConditionFailed(failed) from error
        error.message += "".join(f" {reason['Message']}" for reason in reasons if reason.get("Message"))
        raise


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
