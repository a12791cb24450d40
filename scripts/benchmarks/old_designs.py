"""How the five applications stored and found things before: scan and filter, the whole history in one item.

Written as their authors would write them well: every page followed, conditions left to DynamoDB, nothing read twice.
Items are in DynamoDB's JSON.
"""

from collections.abc import Mapping
from typing import Any

from boto3.dynamodb.conditions import ConditionBase
from botocore.exceptions import ClientError

from scripts import capacity_units

Item = dict[str, Any]
MAXIMUM_ITEM_BYTES = 400 * 1024
_TIME = "2026-11-21T03:47:12.{:06}Z"


def agent(number: int, capability: str, capabilities: int) -> Item:
    name = f"agent-{number:08}"
    own = [f"{name}-capability-{i}" for i in range(capabilities - 1)]
    return {
        "agentId": {"S": name},
        "name": {"S": f"Agent {name}"},
        "endpoint": {"S": f"https://{name}.example.com/agent"},
        "capabilities": {"L": [{"S": one} for one in (capability, *own)]},
        "createdAt": {"S": _TIME.format(number)},
        "updatedAt": {"S": _TIME.format(number)},
    }


def profile(number: int, record: Mapping[str, Any]) -> Item:
    """`record` is in plain JSON, texts only; its id is made."""
    given = {"id": {"S": f"profile-{number:08}"}} | {name: {"S": value} for name, value in record.items()}
    return {**given, "timestamp": {"S": _TIME.format(number)}, "profile_data": {"M": given}}


def session(number: int, tenant: str, user: str) -> Item:
    return {
        "id": {"S": f"{number:032x}"},
        "tenantId": {"S": tenant},
        "userId": {"S": user},
        "isActive": {"BOOL": False},
        "createdAt": {"S": _TIME.format(number)},
        "updatedAt": {"S": _TIME.format(number)},
    }


def pet(number: int, name: str, kind: str, price: str) -> Item:
    return {"id": {"N": str(number)}, "name": {"S": name}, "type": {"S": kind}, "price": {"N": price}}


def scanned(table: Any, condition: ConditionBase | None = None) -> tuple[float, int]:
    """Read units of a scan of the whole table, and how many items met the condition.

    Only their count is asked for, not the items: it takes as many units, and less time.
    """
    return _pages(table.scan, {} if condition is None else {"FilterExpression": condition})


def queried(table: Any, condition: ConditionBase) -> tuple[float, int]:
    """Read units of a whole partition, and its items."""
    return _pages(table.query, {"KeyConditionExpression": condition})


def _pages(call: Any, request: dict[str, Any]) -> tuple[float, int]:
    """Pages end at 1 MB. The limit is far behind that: without one, DynamoDB Local reads on to the end each time."""
    units, count = 0.0, 0
    while True:
        answer = call(**request, Select="COUNT", ReturnConsumedCapacity="TOTAL")
        units += answer["ConsumedCapacity"]["CapacityUnits"]
        count += answer["Count"]
        if "LastEvaluatedKey" not in answer:
            return units, count
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        request["Limit"] = 3 * max(1, answer["ScannedCount"])


def highest_id(table: Any) -> int:
    """What the next id comes after: a scan of all ids."""
    request: dict[str, Any] = {"ProjectionExpression": "id"}
    highest = 0
    while True:
        answer = table.scan(**request)
        highest = max([highest, *(int(item["id"]) for item in answer["Items"])])
        if "LastEvaluatedKey" not in answer:
            return highest
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def history(messages: int, content_bytes: int) -> Item:
    """A session that holds all its messages."""
    return {"id": {"S": f"{1:032x}"}, "history": {"L": [_message(number, content_bytes) for number in range(messages)]}}


def _message(number: int, content_bytes: int) -> Item:
    return {
        "M": {
            "role": {"S": "user"},
            "content": {"S": "x" * content_bytes},
            "timestamp": {"S": _TIME.format(number)},
        }
    }


def most_messages(content_bytes: int) -> int:
    """With how many messages an item of the whole history is full."""
    empty = capacity_units.item_bytes(history(0, content_bytes))
    each = capacity_units.item_bytes(history(1, content_bytes)) - empty
    return (MAXIMUM_ITEM_BYTES - empty) // each


def history_units(dynamodb: Any, table: str, messages: int, content_bytes: int) -> tuple[float, float] | None:
    """Units of reading the history, and of writing it back with a message more; None where it does not fit any more."""
    if messages > most_messages(content_bytes):
        return None  # what is far too long, some engines don't even read
    before = history(messages - 1, content_bytes)
    try:
        dynamodb.put_item(TableName=table, Item=before)
        read = dynamodb.get_item(TableName=table, Key={"id": before["id"]}, ReturnConsumedCapacity="TOTAL")
        written = dynamodb.put_item(
            TableName=table, Item=history(messages, content_bytes), ReturnConsumedCapacity="TOTAL"
        )
    except ClientError as error:
        if "size" not in error.response["Error"]["Message"]:
            raise
        return None
    return read["ConsumedCapacity"]["CapacityUnits"], written["ConsumedCapacity"]["CapacityUnits"]
