"""With Powertools' router and logger over boto3's resource interface, as its documentation begins."""

import json
import os
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from boto3.dynamodb.conditions import Key


def number(value: Decimal) -> int | float:
    return int(value) if value % 1 == 0 else float(value)


logger = Logger(service="agent-state")
app = APIGatewayHttpResolver(serializer=lambda body: json.dumps(body, default=number))
dynamodb = boto3.resource("dynamodb")


@cache
def table_of(variable: str) -> Any:
    """Made once, as a function of one system has it in its module."""
    return dynamodb.Table(os.environ[variable])


@app.get("/agents")
def agents() -> dict[str, Any]:
    table = table_of("AGENT_REGISTRY_TABLE_NAME")
    capability = app.current_event.query_string_parameters["capability"].casefold()
    found = table.query(
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression=Key("capability").eq(capability),
        Limit=25,
    )
    keys = [{"agentId": entry["capabilityOf"]} for entry in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={table.name: {"Keys": keys}})["Responses"][table.name] if keys else []
    shown = ("name", "endpoint", "capabilities", "version", "createdAt", "updatedAt")
    return {"agents": [{"id": item["agentId"], **{name: item[name] for name in shown}} for item in items]}


@app.get("/retrieve/<profile_id>")
def profile(profile_id: str) -> dict[str, Any]:
    table = table_of("PROFILE_TABLE_NAME")
    item = table.get_item(Key={"id": profile_id}, ConsistentRead=True)["Item"]
    shown = ("id", "version", "createdAt", "updatedAt")
    return {**item["profile_data"], **{name: item[name] for name in shown}}


@app.get("/agent/sessions/<session_id>/messages")
def session_messages(session_id: str) -> dict[str, Any]:
    sessions = table_of("DYNAMODB_SESSIONS_TABLE")
    messages = table_of("DYNAMODB_MESSAGES_TABLE")
    tenant = app.current_event.headers["x-tenant-id"]
    session = sessions.get_item(Key={"id": session_id, "tenantId": tenant}, ConsistentRead=True)["Item"]
    found = messages.query(
        IndexName=os.environ["SESSION_TIMESTAMP_INDEX_NAME"],
        KeyConditionExpression=Key("sessionId").eq(session["id"]),
        Limit=25,
    )
    shown = ("id", "sessionId", "role", "content", "timestamp", "userId")
    own = [item for item in found["Items"] if item["tenantId"] == tenant]
    return {"messages": [{name: item[name] for name in shown} for item in own]}


@app.get("/pets")
def pets() -> dict[str, Any]:
    table = table_of("PET_STORE_TABLE_NAME")
    found = table.query(
        IndexName=os.environ["TYPE_PRICE_INDEX_NAME"],
        KeyConditionExpression=Key("type").eq(app.current_event.query_string_parameters["type"]),
        Limit=25,
    )
    shown = ("id", "name", "type", "price", "version")
    return {"pets": [{name: item[name] for name in shown} for item in found["Items"]]}


@app.get("/sessions/<session_id>/messages")
def chat_messages(session_id: str) -> dict[str, Any]:
    table = table_of("DYNAMODB_TABLE_NAME")
    key = f"SESSION#{session_id}"
    head = table.get_item(Key={"PK": key, "SK": "METADATA"}, ConsistentRead=True)["Item"]
    found = table.query(
        KeyConditionExpression=Key("PK").eq(key) & Key("SK").begins_with("MESSAGE#"), ConsistentRead=True, Limit=25
    )
    shown = ("role", "content", "tokens", "context_ids")
    return {
        "session": {name: head[name] for name in ("user_id", "created_at", "last_accessed", "total_tokens")},
        "messages": [
            {"time": str(item["SK"]).removeprefix("MESSAGE#"), **{name: item[name] for name in shown}}
            for item in found["Items"]
        ],
    }


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
