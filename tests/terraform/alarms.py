"""Whether an alarm can ever go off, held against the metrics that AWS publishes and the resources that are there."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts import alarm_dimensions

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
    """Alarms that could never go off, and why; each must be on a metric that is known."""
    tables = resources.get("aws_dynamodb_table", ())
    there = alarm_dimensions.Resources(
        {table["name"]: {index["name"] for index in table.get("global_secondary_index", ())} for table in tables},
        {function["function_name"] for function in resources.get("aws_lambda_function", ())},
        {f"{alias['function_name']}:{alias['name']}" for alias in resources.get("aws_lambda_alias", ())},
        {api["id"] for api in resources.get("aws_apigatewayv2_api", ()) if "id" in api},
    )
    found = []
    for address, alarm in alarms:
        assert not alarm.get("metric_query"), f"{address}: hold each metric of the expression against the list, too"
        metric = (alarm["namespace"], alarm["metric_name"])
        assert metric in alarm_dimensions.DIMENSIONS, f"{address}: {metric} is not on the list"
        if why := alarm_dimensions.silent(*metric, alarm.get("dimensions") or {}, there):
            found.append(f"{address}: {why}")
    return found
