"""With boto3's client interface, which spares the resource models."""

import json
import os
from decimal import Decimal
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer

dynamodb = boto3.client("dynamodb")
plain = TypeDeserializer().deserialize


def values(item: dict[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in item.items()}


def agents(event: dict[str, Any]) -> dict[str, Any]:
    table = os.environ["AGENT_REGISTRY_TABLE_NAME"]
    found = dynamodb.query(
        TableName=table,
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression="capability = :capability",
        ExpressionAttributeValues={":capability": {"S": event["queryStringParameters"]["capability"].casefold()}},
        Limit=25,
    )
    keys: list[Any] = [{"agentId": entry["capabilityOf"]} for entry in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys}})["Responses"][table] if keys else []
    shown = ("name", "endpoint", "capabilities", "version", "createdAt", "updatedAt")
    return {"agents": [{"id": item["agentId"], **{name: item[name] for name in shown}} for item in map(values, items)]}


def profile(event: dict[str, Any]) -> dict[str, Any]:
    key: Any = {"id": {"S": event["pathParameters"]["id"]}}
    item = values(dynamodb.get_item(TableName=os.environ["PROFILE_TABLE_NAME"], Key=key, ConsistentRead=True)["Item"])
    return {**item["profile_data"], **{name: item[name] for name in ("id", "version", "createdAt", "updatedAt")}}


def session_messages(event: dict[str, Any]) -> dict[str, Any]:
    session_id, tenant = event["pathParameters"]["id"], event["headers"]["x-tenant-id"]
    key: Any = {"id": {"S": session_id}, "tenantId": {"S": tenant}}
    session = dynamodb.get_item(TableName=os.environ["DYNAMODB_SESSIONS_TABLE"], Key=key, ConsistentRead=True)["Item"]
    found = dynamodb.query(
        TableName=os.environ["DYNAMODB_MESSAGES_TABLE"],
        IndexName=os.environ["SESSION_TIMESTAMP_INDEX_NAME"],
        KeyConditionExpression="sessionId = :session",
        ExpressionAttributeValues={":session": session["id"]},
        Limit=25,
    )
    shown = ("id", "sessionId", "role", "content", "timestamp", "userId")
    own = [item for item in map(values, found["Items"]) if item["tenantId"] == tenant]
    return {"messages": [{name: item[name] for name in shown} for item in own]}


def pets(event: dict[str, Any]) -> dict[str, Any]:
    found = dynamodb.query(
        TableName=os.environ["PET_STORE_TABLE_NAME"],
        IndexName=os.environ["TYPE_PRICE_INDEX_NAME"],
        KeyConditionExpression="#type = :type",
        ExpressionAttributeNames={"#type": "type"},
        ExpressionAttributeValues={":type": {"S": event["queryStringParameters"]["type"]}},
        Limit=25,
    )
    shown = ("id", "name", "type", "price", "version")
    return {"pets": [{name: item[name] for name in shown} for item in map(values, found["Items"])]}


def chat_messages(event: dict[str, Any]) -> dict[str, Any]:
    table, key = os.environ["DYNAMODB_TABLE_NAME"], "SESSION#" + event["pathParameters"]["id"]
    place: Any = {"PK": {"S": key}, "SK": {"S": "METADATA"}}
    head = values(dynamodb.get_item(TableName=table, Key=place, ConsistentRead=True)["Item"])
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="PK = :key AND begins_with(SK, :message)",
        ExpressionAttributeValues={":key": {"S": key}, ":message": {"S": "MESSAGE#"}},
        ConsistentRead=True,
        Limit=25,
    )
    shown = ("role", "content", "tokens", "context_ids")
    return {
        "session": {name: head[name] for name in ("user_id", "created_at", "last_accessed", "total_tokens")},
        "messages": [
            {"time": item["SK"].removeprefix("MESSAGE#"), **{name: item[name] for name in shown}}
            for item in map(values, found["Items"])
        ],
    }


ROUTES = {
    "GET /agents": agents,
    "GET /retrieve/{id}": profile,
    "GET /agent/sessions/{id}/messages": session_messages,
    "GET /pets": pets,
    "GET /sessions/{id}/messages": chat_messages,
}


def number(value: Decimal) -> int | float:
    return int(value) if value % 1 == 0 else float(value)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(ROUTES[event["routeKey"]](event), default=number),
    }
