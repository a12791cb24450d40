"""With Powertools' router and logger over boto3's resource interface, as its documentation begins."""

import os
from typing import Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from boto3.dynamodb.conditions import Key

logger = Logger(service="agent-registry")
app = APIGatewayHttpResolver()
dynamodb = boto3.resource("dynamodb")
table = dynamodb.Table(os.environ["AGENT_REGISTRY_TABLE_NAME"])


@app.get("/agents")
def discover() -> dict[str, Any]:
    capability = app.current_event.query_string_parameters["capability"].casefold()
    found = table.query(
        IndexName=os.environ["CAPABILITY_INDEX_NAME"],
        KeyConditionExpression=Key("capability").eq(capability),
        Limit=25,
    )
    keys = [{"agentId": item["capabilityOf"]} for item in found["Items"]]
    items = dynamodb.batch_get_item(RequestItems={table.name: {"Keys": keys}})["Responses"][table.name] if keys else []
    return {"agents": [{"id": item.pop("agentId"), **{k: str(v) for k, v in item.items()}} for item in items]}


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
