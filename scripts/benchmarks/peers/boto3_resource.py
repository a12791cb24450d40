"""With boto3's resource interface, as most examples have it."""

import json
import os
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

dynamodb = boto3.resource("dynamodb")


@cache
def table_of(variable: str) -> Any:
    """Made once, as a function of one system has it in its module."""
    return dynamodb.Table(os.environ[variable])


def agents(event: dict[str, Any]) -> dict[str, Any]:
    table = table_of("AGENT_REGISTRY_TABLE_NAME")
    capability = event["queryStringParameters"]["capability"].casefold()
    found = table.query(
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression=Key("capability").eq(capability),
        Limit=25,
    )
    keys = [{"agentId": entry["capabilityOf"]} for entry in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={table.name: {"Keys": keys}})["Responses"][table.name] if keys else []
    shown = ("name", "endpoint", "capabilities", "version", "createdAt", "updatedAt")
    return {"agents": [{"id": item["agentId"], **{name: item[name] for name in shown}} for item in items]}


def profile(event: dict[str, Any]) -> dict[str, Any]:
    table = table_of("PROFILE_TABLE_NAME")
    item = table.get_item(Key={"id": event["pathParameters"]["id"]}, ConsistentRead=True)["Item"]
    return {**item["profile_data"], **{name: item[name] for name in ("id", "version", "createdAt", "updatedAt")}}


def session_messages(event: dict[str, Any]) -> dict[str, Any]:
    sessions = table_of("DYNAMODB_SESSIONS_TABLE")
    messages = table_of("DYNAMODB_MESSAGES_TABLE")
    session_id, tenant = event["pathParameters"]["id"], event["headers"]["x-tenant-id"]
    session = sessions.get_item(Key={"id": session_id, "tenantId": tenant}, ConsistentRead=True)["Item"]
    found = messages.query(
        IndexName=os.environ["SESSION_TIMESTAMP_INDEX_NAME"],
        KeyConditionExpression=Key("sessionId").eq(session["id"]),
        Limit=25,
    )
    shown = ("id", "sessionId", "role", "content", "timestamp", "userId")
    own = [item for item in found["Items"] if item["tenantId"] == tenant]
    return {"messages": [{name: item[name] for name in shown} for item in own]}


def pets(event: dict[str, Any]) -> dict[str, Any]:
    table = table_of("PET_STORE_TABLE_NAME")
    found = table.query(
        IndexName=os.environ["TYPE_PRICE_INDEX_NAME"],
        KeyConditionExpression=Key("type").eq(event["queryStringParameters"]["type"]),
        Limit=25,
    )
    shown = ("id", "name", "type", "price", "version")
    return {"pets": [{name: item[name] for name in shown} for item in found["Items"]]}


def chat_messages(event: dict[str, Any]) -> dict[str, Any]:
    table = table_of("DYNAMODB_TABLE_NAME")
    key = "SESSION#" + event["pathParameters"]["id"]
    head = table.get_item(Key={"PK": key, "SK": "METADATA"}, ConsistentRead=True)["Item"]
    found = table.query(
        KeyConditionExpression=Key("PK").eq(key) & Key("SK").begins_with("MESSAGE#"), ConsistentRead=True, Limit=25
    )
    shown = ("role", "content", "tokens", "context_ids")
    return {
        "session": {name: head[name] for name in ("user_id", "created_at", "last_accessed", "total_tokens")},
        "messages": [
            {"time": item["SK"].removeprefix("MESSAGE#"), **{name: item[name] for name in shown}}
            for item in found["Items"]
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
