"""Changes as DynamoDB's requests: one conditional write, or one transaction."""

from __future__ import annotations

import os

from common.dynamodb_failures import ServiceError
from common.dynamodb_json import marshal, marshal_item, unmarshal_item
from common.errors import ConditionFailed, ItemTooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from common.change import Change, Update
    from common.dynamodb_client import DynamoDBClient
    from common.table import Item


def write(client: DynamoDBClient, changes: Sequence[Change]) -> None:
    """See `Database.write` in common.table."""
    requests = [_request(change) for change in changes]
    try:
        # what is added must not be added again after a lost answer: only a transaction has a token against that
        if len(requests) == 1 and not (changes[0].update and changes[0].update.add):
            _write_one(client, changes[0], *requests[0])
        else:
            _write_all(client, requests)
    except ServiceError as error:
        if "tem size" in error.message and "exceeded" in error.message:
            raise ItemTooLarge(error.message) from error
        raise


def _write_one(client: DynamoDBClient, change: Change, action: str, request: dict[str, Any]) -> None:
    try:
        client.call(f"{action}Item", {**request, "ReturnConsumedCapacity": "TOTAL"})
    except ServiceError as error:
        if error.code != "ConditionalCheckFailedException":
            raise
        found = _item(error.answer.get("Item"))
        # When an earlier attempt's answer was lost, what is stored now tells whether it was carried out
        if error.unsure and _is_made(change.update, _item(request.get("Item")), found):
            return
        raise ConditionFailed([0], {0: found}) from error


def _is_made(update: Update | None, item: Item | None, found: Item | None) -> bool:
    """Whether `found` is what a change leaves. As values: sets and numbers may be written in another form."""
    if update is None:
        return found == item
    return (
        found is not None
        and all(found.get(name) == value for name, value in update.set.items())
        and not any(name in found for name in update.remove)
    )


def _write_all(client: DynamoDBClient, requests: Sequence[tuple[str, dict[str, Any]]]) -> None:
    transaction = {
        "TransactItems": [{action: request} for action, request in requests],
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
            raise ConditionFailed(failed, {i: _item(reasons[i].get("Item")) for i in failed}) from error
        error.message += "".join(f" {reason['Message']}" for reason in reasons if reason.get("Message"))
        raise


def _item(stored: dict[str, Any] | None) -> Item | None:
    return unmarshal_item(stored) if stored else None


def _request(change: Change) -> tuple[str, dict[str, Any]]:
    """Put, Update or Delete, with its request: alone or as a part of a transaction."""
    names: dict[str, str] = {}
    values: dict[str, Any] = {}

    def name(attribute: str) -> str:
        return names.setdefault(attribute, f"#{len(names)}")

    def value(one: Any) -> str:
        values[f":{len(values)}"] = marshal(one)
        return f":{len(values) - 1}"

    request: dict[str, Any] = {"TableName": change.table}
    if change.item is not None:
        request["Item"] = marshal_item(change.item)
    else:
        request["Key"] = marshal_item(change.key)
    if change.update:
        clauses = {
            "SET": [f"{name(attribute)} = {value(one)}" for attribute, one in change.update.set.items()],
            "ADD": [f"{name(attribute)} {value(one)}" for attribute, one in change.update.add.items()],
            "REMOVE": [name(attribute) for attribute in change.update.remove],
        }
        request["UpdateExpression"] = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    parts = [
        f"attribute_not_exists({name(attribute)})" if one is None else f"{name(attribute)} = {value(one)}"
        for attribute, one in change.expect.items()
    ]
    for attribute, one in change.below.items():
        parts.append(f"(attribute_not_exists({name(attribute)}) OR {name(attribute)} < {value(one)})")
    if change.unexpired_at is not None:
        parts.append(f"(attribute_not_exists({name('ttl')}) OR {name('ttl')} > {value(change.unexpired_at)})")
    if parts:
        condition = " AND ".join(parts)
        if change.or_expired_at is not None:
            condition = f"({condition}) OR {name('ttl')} <= {value(change.or_expired_at)}"
        request["ConditionExpression"] = condition
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if names:
        request["ExpressionAttributeNames"] = {placeholder: attribute for attribute, placeholder in names.items()}
    if values:
        request["ExpressionAttributeValues"] = values
    return "Put" if change.item is not None else "Update" if change.update else "Delete", request
