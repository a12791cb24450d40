"""Whether an alarm can ever go off, held against the metrics that AWS publishes and the resources that are there."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

# Under which dimensions a service publishes a metric. CloudWatch takes an alarm with any others, and it stays silent.
DIMENSIONS: dict[tuple[str, str], tuple[set[str], ...]] = {
    ("AWS/DynamoDB", "ReadThrottleEvents"): ({"TableName"}, {"TableName", "GlobalSecondaryIndexName"}),
    ("AWS/DynamoDB", "WriteThrottleEvents"): ({"TableName"}, {"TableName", "GlobalSecondaryIndexName"}),
    ("AWS/DynamoDB", "ConsumedReadCapacityUnits"): ({"TableName"}, {"TableName", "GlobalSecondaryIndexName"}),
    ("AWS/DynamoDB", "ConsumedWriteCapacityUnits"): ({"TableName"}, {"TableName", "GlobalSecondaryIndexName"}),
    ("AWS/DynamoDB", "SystemErrors"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "ThrottledRequests"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "SuccessfulRequestLatency"): ({"TableName", "Operation"},),
    ("AWS/DynamoDB", "ConditionalCheckFailedRequests"): ({"TableName"},),
    ("AWS/DynamoDB", "UserErrors"): (set(),),
    ("AWS/Lambda", "Errors"): ({"FunctionName"}, {"FunctionName", "Resource"}),
    ("AWS/Lambda", "Throttles"): ({"FunctionName"}, {"FunctionName", "Resource"}),
    ("AWS/Lambda", "Duration"): ({"FunctionName"}, {"FunctionName", "Resource"}),
    ("AWS/Lambda", "ConcurrentExecutions"): ({"FunctionName"}, {"FunctionName", "Resource"}),
    ("AWS/Lambda", "DeadLetterErrors"): ({"FunctionName"}, {"FunctionName", "Resource"}),
    ("AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations"): ({"FunctionName", "Resource"},),
    ("AWS/ApiGateway", "5xx"): ({"ApiId"}, {"ApiId", "Stage"}),
    ("AWS/ApiGateway", "Latency"): ({"ApiId"}, {"ApiId", "Stage"}),
}
OPERATIONS = {
    "BatchGetItem", "BatchWriteItem", "DeleteItem", "ExecuteStatement", "ExecuteTransaction", "GetItem", "PutItem",
    "Query", "Scan", "TransactGetItems", "TransactWriteItems", "UpdateItem",
}  # fmt: skip

Resources = Mapping[str, list[dict[str, Any]]]
Alarms = list[tuple[str, dict[str, Any]]]


def planned(plan: dict[str, Any]) -> Resources:
    """Attributes of the planned resources, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in plan["resource_changes"]:
        found.setdefault(resource["type"], []).append(resource["change"]["after"])
    return found


def planned_alarms(plan: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Alarms whose dimensions are known in the plan: all but those of the API, whose id AWS has yet to give."""
    for resource in plan["resource_changes"]:
        change = resource["change"]
        if resource["type"] == "aws_cloudwatch_metric_alarm":
            if change["after_unknown"].get("dimensions"):
                assert change["after"]["namespace"] == "AWS/ApiGateway", resource["address"]
            else:
                yield resource["address"], change["after"]


def applied(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources of a state, those of all modules."""

    def walk(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from module.get("resources", ())
        for child in module.get("child_modules", ()):
            yield from walk(child)

    return list(walk(state["values"]["root_module"]))


def by_type(resources: list[dict[str, Any]]) -> Resources:
    """Attributes of applied resources, by type."""
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in resources:
        found.setdefault(resource["type"], []).append(resource["values"])
    return found


def silent(resources: Resources, alarms: Alarms) -> list[str]:
    """Alarms that could never go off, and why."""
    tables = {table["name"]: table for table in resources.get("aws_dynamodb_table", ())}
    there: dict[str, Collection[str]] = {
        "TableName": tables.keys(),
        "Operation": OPERATIONS,
        "FunctionName": {function["function_name"] for function in resources.get("aws_lambda_function", ())},
        "Resource": {f"{alias['function_name']}:{alias['name']}" for alias in resources.get("aws_lambda_alias", ())},
        "ApiId": {api["id"] for api in resources.get("aws_apigatewayv2_api", ()) if "id" in api},
    }
    found = []
    for address, alarm in alarms:
        assert not alarm.get("metric_query"), f"{address}: hold each metric of the expression against the list, too"
        metric, dimensions = (alarm["namespace"], alarm["metric_name"]), alarm.get("dimensions") or {}
        if set(dimensions) not in DIMENSIONS.get(metric, ()):
            found.append(f"{address}: {metric} has no series by {sorted(dimensions)}")
            continue
        indexes = {
            index["name"] for index in tables.get(dimensions.get("TableName"), {}).get("global_secondary_index", ())
        }
        known = there | {"GlobalSecondaryIndexName": indexes}
        found += [f"{address}: no {name} {value}" for name, value in dimensions.items() if value not in known[name]]
    return found
