"""What a stack is expected to use: its functions' own code is called as callers would, and what that takes is counted.

The calls are made in this process, on tables in an embedded AWS that is started for it and ends with it: no account is
asked. So the figures follow the code and the tables' indexes as they are, whatever they become.
"""

import contextlib
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from scripts import capacity_modes, capacity_units, consumption, cost_model, volumes
from scripts.applied_state import Instance
from scripts.capacity_units import Index
from scripts.console import EXIT_FAILED, CommandError, Progress
from scripts.cost_model import FunctionUse, Place, TableUse, Use
from scripts.dynamodb_local import free_port
from scripts.function_caller import Caller, Units
from scripts.local_aws import control
from scripts.local_aws.control import Running
from scripts.price_list import Prices
from scripts.volumes import Volumes

_HOURS_PER_DAY = 24
_SECONDS_PER_HOUR = 3600


class RouteUse(NamedTuple):
    """What one call of a route takes in the mean: capacity units, bytes of logs, and bytes by which tables grow."""

    units: Units
    log_bytes: float
    stored_bytes: Mapping[tuple[str, str], float]


@contextlib.contextmanager
def embedded_aws() -> Iterator[Running]:
    """One of its own, on free ports, that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="cost-") as folder:
        try:
            running = control.start(Path(folder), port=free_port(), api_port=free_port(), timeout=60)
        except control.LocalAwsError as error:
            raise CommandError(error.message, error.next_step, EXIT_FAILED) from error
        try:
            yield running
        finally:
            control.stop(Path(folder))


def of_stack(
    instances: Sequence[Instance], expected: Volumes, prices: Prices, running: Running, region: str, progress: Progress
) -> tuple[Use, dict[str, dict[str, RouteUse]]]:
    """What these resources would use in a month, and what a call of each route takes, by system."""
    seconds, scaled = prices.fixed["hours_per_month"] * _SECONDS_PER_HOUR, scalings(instances)
    tables = [one for one in instances if one.type == "aws_dynamodb_table"]
    functions = {cost_model.system_of(one): one for one in instances if one.type == "aws_lambda_function"}
    dynamodb = client("dynamodb", running, region)
    for table in tables:
        dynamodb.create_table(**table_definition(table.attributes))
    measured = {}
    for system, function in functions.items():
        if system in expected.systems:
            progress.update(f"calling {system}")
            measured[system] = routes_of(system, function, expected, running, region, tables)
    units: Units = {}
    stored: dict[tuple[str, str], float] = {}
    log_bytes: dict[str, float] = {}
    calls: dict[str, float] = {}
    for system, routes in measured.items():
        said = expected.systems[system]
        for route, use in routes.items():
            count = said.calls[route]
            calls[system] = calls.get(system, 0.0) + count
            log_bytes[system] = log_bytes.get(system, 0.0) + count * use.log_bytes
            for place, amount in use.units.items():
                units[place] = units.get(place, 0.0) + count * amount
        for thing, route in volumes.workload(system).STORED.items():
            # A month's, where nobody says how much there is.
            count = said.calls[route] if said.settings[thing] is None else said.settings[thing]
            for where, amount in routes[route].stored_bytes.items():
                stored[where] = stored.get(where, 0.0) + count * amount
    return Use(
        seconds=seconds,
        period_seconds=seconds / _HOURS_PER_DAY,
        tables=tuple(_table_use(one, units, stored, expected, scaled, seconds / _HOURS_PER_DAY) for one in tables),
        functions=tuple(
            FunctionUse(
                system,
                calls.get(system, 0.0),
                calls.get(system, 0.0)
                * expected.settings["function_milliseconds"]
                / 1000
                * consumption.gigabytes(function),
                consumption.architecture(function),
            )
            for system, function in functions.items()
        ),
        api_requests=sum(calls.values()),
        log_bytes=log_bytes,
        fixed=cost_model.fixed_costs(instances, prices),
    ), measured


def routes_of(
    system: str, function: Instance, expected: Volumes, running: Running, region: str, tables: Sequence[Instance]
) -> dict[str, RouteUse]:
    """By route of one system."""
    stated = environment_of(function)
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    connection = {"AWS_REGION": region, "AWS_ENDPOINT_URL": running.endpoint_url, **keys}
    hint = f"Its settings in [volumes.{system}] ask for what its contract does not allow."
    caller = Caller(system, stated, connection, hint)
    dynamodb = client("dynamodb", running, region)
    settings = expected.systems[system].settings
    making = set(volumes.workload(system).STORED.values())
    units: dict[str, Units] = {}
    log_bytes: dict[str, float] = {}
    growth: dict[str, list[tuple[float, dict[tuple[str, str], float]]]] = {}
    for sample in volumes.workload(system).samples(caller.send, settings):
        route = sample.route
        before = _stored_bytes(dynamodb, tables) if route in making else {}
        caller.begin()
        answer = sample.call()
        log_bytes[route] = log_bytes.get(route, 0.0) + sample.share * caller.log_bytes
        taken = units.setdefault(route, {})
        for place, amount in caller.units.items():
            taken[place] = taken.get(place, 0.0) + sample.share * amount
        if route in making and answer.status == _made(system):
            after = _stored_bytes(dynamodb, tables)
            grown = {place: after[place] - before[place] for place in after}
            growth.setdefault(route, []).append((sample.share, grown))
    return {route: RouteUse(units[route], log_bytes[route], _mean(growth.get(route, []))) for route in units}


def _mean(growth: Sequence[tuple[float, Mapping[tuple[str, str], float]]]) -> dict[tuple[str, str], float]:
    """Of the calls that make something new, weighed by their share."""
    shares = sum(share for share, _ in growth)
    places = {place for _, grown in growth for place in grown}
    return {place: sum(share * grown[place] for share, grown in growth) / shares for place in places} if shares else {}


def _made(system: str) -> int:
    return 200 if system == "agent_sessions" else 201


class Scaling(NamedTuple):
    """Between which units a second a scaler moves, and at what use it aims: 0.7 for 70 %."""

    least: float
    most: float
    target: float


def scalings(instances: Sequence[Instance]) -> dict[tuple[str, str, str], Scaling]:
    """By table, index ("" for the table itself) and kind: `read` or `write`."""
    found = {}
    policies = [one.attributes for one in instances if one.type == "aws_appautoscaling_policy"]
    for target in [one.attributes for one in instances if one.type == "aws_appautoscaling_target"]:
        if target.get("service_namespace") == "dynamodb" and target.get("resource_id"):
            percents = [
                settings["target_value"]
                for policy in policies
                for settings in policy.get("target_tracking_scaling_policy_configuration") or []
                if (policy.get("resource_id"), policy.get("scalable_dimension"))
                == (target["resource_id"], target["scalable_dimension"])
            ]
            _, table, *index = target["resource_id"].split("/")
            kind = "read" if "Read" in target["scalable_dimension"] else "write"
            aim = percents[0] / 100 if percents else capacity_modes.TARGET_UTILISATION
            found[table, "/".join(index[1:]), kind] = Scaling(target["min_capacity"], target["max_capacity"], aim)
    return found


def shortages(instances: Sequence[Instance], use: Use) -> Iterator[str]:
    """Where more is expected in the busiest hour than the provisioned capacity may become."""
    scaled = scalings(instances)
    for table in use.tables:
        for place in table.places if table.is_provisioned else ():
            paid = {"read": (place.reads, place.provisioned_reads), "write": (place.writes, place.provisioned_writes)}
            for kind, (units, provisioned) in paid.items():
                scaling = scaled.get((table.name, place.name, kind))
                most = scaling.most if scaling else provisioned
                peak = max(units, default=0.0) / use.period_seconds
                if peak > most:
                    what = f"index {place.name} of table {table.name}" if place.name else f"table {table.name}"
                    yield (
                        f"Too little capacity: {what} gets {peak:,.0f} {kind}s a second in the busiest hour, and is "
                        f"provisioned for {most:,.0f}; the others are throttled."
                    )


def _table_use(
    table: Instance,
    units: Units,
    stored: Mapping[tuple[str, str], float],
    expected: Volumes,
    scaled: Mapping[tuple[str, str, str], Scaling],
    period_seconds: float,
) -> TableUse:
    """A period is the same hour of all days of a month."""
    stated = table.attributes
    name = stated["name"]
    provisioned = stated.get("billing_mode") == "PROVISIONED"
    peak_to_mean = expected.settings["peak_to_mean"]

    def place(index: str, capacity: Mapping[str, Any]) -> Place:
        def paid(kind: str, hours: Sequence[float]) -> float:
            scaling = scaled.get((name, index, kind))
            if not provisioned or not scaling:
                return float(capacity.get(f"{kind}_capacity") or 0) if provisioned else 0.0
            needed = [units / period_seconds / scaling.target for units in hours]
            return sum(min(max(math.ceil(one), scaling.least), scaling.most) for one in needed) / len(needed)

        reads, writes = (
            capacity_modes.shaped(units.get((name, index, kind), 0.0) / _HOURS_PER_DAY, peak_to_mean, _HOURS_PER_DAY)
            for kind in ("read", "write")
        )
        return Place(index, reads, writes, paid("read", reads), paid("write", writes))

    recovers = any(block.get("enabled") for block in stated.get("point_in_time_recovery") or [])
    own = stored.get((name, ""), 0.0)
    return TableUse(
        system=cost_model.system_of(table),
        name=name,
        is_provisioned=provisioned,
        infrequent_access="INFREQUENT" in (stated.get("table_class") or ""),
        places=(
            place("", stated),
            *(place(index["name"], index) for index in stated.get("global_secondary_index") or []),
        ),
        storage_bytes=sum(amount for (table_name, _), amount in stored.items() if table_name == name),
        recovery_bytes=own if recovers else 0.0,
    )


def _stored_bytes(dynamodb: Any, tables: Sequence[Instance]) -> dict[tuple[str, str], float]:
    """What the items of each table take, and their entries in each global index."""
    found: dict[tuple[str, str], float] = {}
    for table in tables:
        definition = table_definition(table.attributes)
        keys = [key["AttributeName"] for key in definition["KeySchema"]]
        indexes = [Index.described(index, keys) for index in definition.get("GlobalSecondaryIndexes", [])]
        local = [Index.described(index, keys) for index in definition.get("LocalSecondaryIndexes", [])]
        found |= {(definition["TableName"], place): 0.0 for place in ("", *(index.name for index in indexes))}
        pages = dynamodb.get_paginator("scan").paginate(TableName=definition["TableName"])
        for item in (item for page in pages for item in page["Items"]):
            held = [("", item), *((index.name, index.entry(item)) for index in indexes)]
            for place, entry in [*held, *(("", index.entry(item)) for index in local)]:
                if entry is not None:
                    size = capacity_units.item_bytes(entry) + capacity_units.STORAGE_OVERHEAD_BYTES
                    found[definition["TableName"], place] += size
    return found


def environment_of(function: Instance) -> dict[str, str]:
    """The variables that a function is given; those that only an apply knows are left out."""
    stated = (function.attributes.get("environment") or [{}])[0].get("variables") or {}
    return {name: value for name, value in stated.items() if value is not None}


def table_definition(stated: Mapping[str, Any]) -> dict[str, Any]:
    """CreateTable's request for a table as Terraform states it, on demand whatever it is."""

    def schema(one: Mapping[str, Any], hash_key: str | None = None) -> list[dict[str, str]]:
        keys = [(hash_key or one["hash_key"], "HASH"), (one.get("range_key"), "RANGE")]
        return [{"AttributeName": name, "KeyType": kind} for name, kind in keys if name]

    def index(one: Mapping[str, Any], hash_key: str | None = None) -> dict[str, Any]:
        projection: dict[str, Any] = {"ProjectionType": one["projection_type"]}
        if one.get("non_key_attributes"):
            projection["NonKeyAttributes"] = list(one["non_key_attributes"])
        return {"IndexName": one["name"], "KeySchema": schema(one, hash_key), "Projection": projection}

    definition: dict[str, Any] = {
        "TableName": stated["name"],
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema(stated),
        "AttributeDefinitions": [
            {"AttributeName": one["name"], "AttributeType": one["type"]} for one in stated["attribute"]
        ],
    }
    if found := stated.get("global_secondary_index"):
        definition["GlobalSecondaryIndexes"] = [index(one) for one in found]
    if found := stated.get("local_secondary_index"):
        definition["LocalSecondaryIndexes"] = [index(one, stated["hash_key"]) for one in found]
    return definition


def client(service: str, running: Running, region: str) -> Any:
    """A boto3 client of that embedded AWS, whatever this process is pointed at."""
    given = control.client_environment(running, region=region)
    return boto3.client(
        service,
        endpoint_url=running.endpoint_url,
        region_name=region,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
    )
