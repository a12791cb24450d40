"""With boto3's client interface, which spares the resource models."""

import json
import os
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer

dynamodb = boto3.client("dynamodb")
TABLE = os.environ["AGENT_REGISTRY_TABLE_NAME"]
plain = TypeDeserializer().deserialize


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    capability = event["queryStringParameters"]["capability"].casefold()
    found = dynamodb.query(
        TableName=TABLE,
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression="capability = :capability",
        ExpressionAttributeValues={":capability": {"S": capability}},
        Limit=25,
    )
    keys: list[Any] = [{"agentId": item["capabilityOf"]} for item in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys}})["Responses"][TABLE] if keys else []
    agents = []
    for item in items:
        values = {name: plain(value) for name, value in item.items()}
        agents.append({"id": values.pop("agentId"), **values})
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"agents": agents}, default=str),
    }
