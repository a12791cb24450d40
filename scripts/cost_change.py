"""What a stack costs whether anything is used or not, and what a plan changes of it, at AWS's list prices."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from scripts import price_list
from scripts.price_list import Prices

PROVISIONED_CAPACITY = "provisioned capacity"
_SECONDS_PER_HOUR = 3600
_HIGH_RESOLUTION_SECONDS = 60  # an alarm of a shorter period costs more
_SCALING_POLICY_ALARMS = 4  # that DynamoDB's target tracking makes for each policy
_KEYS = ("aws_kms_key", "aws_kms_external_key", "aws_kms_replica_key")
_BY_USE = {
    "aws_dynamodb_table_replica": "replicas",
    "aws_dynamodb_contributor_insights": "contributor insights",
    "aws_backup_plan": "backup storage",
    "aws_lambda_function": "function invocations",
    "aws_apigatewayv2_api": "API calls",
    "aws_cloudwatch_log_group": "logs",
    "aws_cognito_user_pool": "active callers of the user pool",
}

Resource = tuple[str, Mapping[str, Any]]  # type, values


class CostChange(NamedTuple):
    """US dollars a month, with autoscaled capacity at its minimum.

    `items`: the change by what it is for; `before`, `after`: all that this state pays for; `at_most`: `after` with
    autoscaled capacity at its maximum. `by_use`: what comes on top by use, with how many there are after the apply.
    """

    items: dict[str, float]
    before: float
    after: float
    at_most: float
    by_use: dict[str, int]
    prices: Prices

    @property
    def total(self) -> float:
        return round(self.after - self.before, 2)

    def facts(self) -> dict[str, Any]:
        own = {name: value for name, value in self._asdict().items() if name != "prices"}
        return {"monthly_usd": self.total, **own, **self.prices.facts()}

    def line(self) -> str:
        parts = ", ".join(f"{what} {_dollars(amount)}" for what, amount in self.items.items())
        reach = f" (up to {self.at_most:.2f} as it is scaled)" if self.at_most > self.after else ""
        change = f"{_dollars(self.total)} USD a month{f' ({parts})' if parts else ''}"
        fixed = f"Fixed cost: {change}, from {self.before:.2f} to {self.after:.2f}{reach}; {self.prices.source()}."
        used = ", ".join(f"{what} ({count})" for what, count in self.by_use.items())
        return f"{fixed} Paid by use, not counted: {used}." if used else fixed


def of_plan(planned: Mapping[str, Any], region: str) -> CostChange:
    """The change of a plan as `terraform show -json` tells it."""
    prices = price_list.load(region)
    before = monthly(_resources(planned, "before"), prices)
    after = monthly(_resources(planned, "after"), prices)
    scaled = monthly(_resources(planned, "after"), prices, capacity="max_capacity")
    changes = {
        what: round(after.get(what, 0.0) - before.get(what, 0.0), 2) for what in sorted(before.keys() | after.keys())
    }
    return CostChange(
        {what: amount for what, amount in changes.items() if amount},
        before=round(sum(before.values()), 2),
        after=round(sum(after.values()), 2),
        at_most=round(sum(scaled.values()), 2),
        by_use=dict(sorted(Counter(_paid_by_use(_resources(planned, "after"))).items())),
        prices=prices,
    )


def _resources(planned: Mapping[str, Any], side: str) -> list[Resource]:
    return [
        (resource["type"], resource["change"][side])
        for resource in planned.get("resource_changes", [])
        if resource["mode"] == "managed" and resource["change"][side]
    ]


def monthly(resources: list[Resource], prices: Prices, capacity: str = "min_capacity") -> dict[str, float]:
    """Dollars by what they are for. `capacity`: which end of what is autoscaled counts."""
    scaled = {
        (values["resource_id"], values["scalable_dimension"].rpartition(":")[2]): values[capacity]
        for kind, values in resources
        if kind == "aws_appautoscaling_target" and values.get("service_namespace") == "dynamodb"
        # A target of what is yet to be named is counted as the capacity it starts with.
        if values.get("resource_id")
    }
    functions = {values["function_name"]: values for kind, values in resources if kind == "aws_lambda_function"}
    total: dict[str, float] = {}
    for kind, values in resources:
        for what, amount in _costs(kind, values, functions, scaled, prices.fixed):
            total[what] = total.get(what, 0.0) + amount
    return total


def _costs(
    kind: str,
    values: Mapping[str, Any],
    functions: Mapping[str, Mapping[str, Any]],
    scaled: Mapping[tuple[str, str], int],
    prices: Mapping[str, float],
) -> Iterator[tuple[str, float]]:
    hours = prices["hours_per_month"]
    seconds = hours * _SECONDS_PER_HOUR
    if kind == "aws_dynamodb_table" and values.get("billing_mode") == "PROVISIONED":
        rare = "_infrequent_access" if values.get("table_class") == "STANDARD_INFREQUENT_ACCESS" else ""
        regions = 1 + len(values.get("replica") or [])
        table = f"table/{values.get('name')}"
        indexes = {f"{table}/index/{index.get('name')}": index for index in values.get("global_secondary_index") or []}
        for place, part in {table: values, **indexes}.items():
            writes = scaled.get((place, "WriteCapacityUnits"), part.get("write_capacity") or 0)
            reads = scaled.get((place, "ReadCapacityUnits"), part.get("read_capacity") or 0)
            hourly = writes * prices[f"write_unit_hour{rare}"] + reads * prices[f"read_unit_hour{rare}"]
            yield PROVISIONED_CAPACITY, hourly * hours * regions
    elif kind == "aws_appautoscaling_policy" and values.get("service_namespace") == "dynamodb":
        yield "alarms of autoscaling", _SCALING_POLICY_ALARMS * prices["alarm_metric_month"]
    elif kind == "aws_cloudwatch_metric_alarm":
        queries = [query for query in values.get("metric_query") or [] if query.get("metric")]
        periods = [metric.get("period") or 60 for query in queries for metric in query["metric"]]
        periods = periods or [values.get("period") or 60]
        fine = "_high_resolution" if min(periods) < _HIGH_RESOLUTION_SECONDS else ""
        yield "alarms", len(periods) * prices[f"alarm_metric_month{fine}"]
    elif kind == "aws_cloudwatch_composite_alarm":
        yield "alarms", prices["composite_alarm_month"]
    elif kind == "aws_cloudwatch_dashboard":
        yield "dashboards", prices["dashboard_month"]
    elif kind in _KEYS:
        yield "encryption keys", prices["kms_key_month"]
    elif kind == "aws_secretsmanager_secret":
        yield "secrets", prices["secret_month"]
    elif kind == "aws_vpc_endpoint" and values.get("vpc_endpoint_type") == "Interface":
        zones = len(values.get("subnet_ids") or [None])
        yield "interface endpoints", zones * prices["interface_endpoint_zone_hour"] * hours
    elif kind == "aws_lambda_provisioned_concurrency_config":
        function = functions.get(values.get("function_name") or "", {})
        rate = prices[f"provisioned_concurrency_gigabyte_second_{_architecture(function)}"]
        amount = values.get("provisioned_concurrent_executions") or 0
        yield "provisioned concurrency", amount * _gigabytes(function) * seconds * rate
    elif kind == "aws_lambda_function" and _snapshots(values):
        yield "snapshots", _gigabytes(values) * seconds * prices["snapshot_gigabyte_second"]


def _architecture(function: Mapping[str, Any]) -> str:
    return str((function.get("architectures") or ["x86_64"])[0])


def _gigabytes(function: Mapping[str, Any]) -> float:
    return float(function.get("memory_size") or 128) / 1024


def _snapshots(function: Mapping[str, Any]) -> bool:
    taken = any(block.get("apply_on") == "PublishedVersions" for block in function.get("snap_start") or [])
    return taken and not str(function.get("runtime")).startswith("java")


def _paid_by_use(resources: list[Resource]) -> Iterator[str]:
    for kind, values in resources:
        if kind == "aws_dynamodb_table":
            provisioned = values.get("billing_mode") == "PROVISIONED"
            yield "storage of provisioned tables" if provisioned else "requests and storage of on-demand tables"
        elif kind in _BY_USE:
            yield _BY_USE[kind]


def _dollars(amount: float) -> str:
    return f"{amount:+.2f}" if amount else "0.00"
