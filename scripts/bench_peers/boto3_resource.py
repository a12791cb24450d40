"""With boto3's resource interface, as most examples have it."""

import json
import os
from typing import Any

import boto3
from boto3.dynamodb.conditions import Key

dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(os.environ["AGENT_REGISTRY_TABLE_NAME"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    capability = event["queryStringParameters"]["capability"].casefold()
    found = table.query(
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression=Key("capability").eq(capability),
        Limit=25,
    )
    keys = [{"agentId": item["capabilityOf"]} for item in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={table.name: {"Keys": keys}})["Responses"][table.name] if keys else []
    agents = [{"id": item.pop("agentId"), **item} for item in items]
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps({"agents": agents}, default=str),
    }
