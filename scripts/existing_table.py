"""A table as AWS has it, and as a plan has it, in the words of the variables `tables` and `extra_tables`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import aws, declared_tables
from scripts.console import EXIT_FAILED, CommandError

Settings = dict[str, Any]

TABLE = "aws_dynamodb_table.this"
_INSIGHTS = 'aws_dynamodb_contributor_insights.this["{}"]'

# What the autoscaling of a place is called in AWS, by what it is called in the variables.
_DIMENSIONS = {"read": "ReadCapacityUnits", "write": "WriteCapacityUnits"}
_METRICS = {"read": "DynamoDBReadCapacityUtilization", "write": "DynamoDBWriteCapacityUtilization"}


class Existing(NamedTuple):
    name: str
    keys: Settings
    settings: Settings


def read(name: str, region: str) -> Existing:
    """Reads all that belongs to a table. Raises CommandError for one that can't be adopted, with the reason."""
    dynamodb = aws.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise CommandError(
            f"there is no table {name} in region {region}.", _near(dynamodb, name) or "Is it in another region?"
        ) from error
    _refuse(table)
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    known = declared_tables.actual_table(name)
    provisioned = known["billing_mode"] == "PROVISIONED"
    scaling = _scaling(name) if provisioned else {}
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    settings: Settings = {
        "billing_mode": known["billing_mode"],
        **_capacity(known, scaling, "table", provisioned=provisioned),
        "on_demand_throughput": _caps(table),
        "point_in_time_recovery_days": known["point_in_time_recovery_days"],
        "deletion_protection": known["deletion_protection"],
        "encryption": _encryption(known),
        "ttl": {"attribute": ttl["AttributeName"], "enabled": True}
        if ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING")
        else None,
        "stream_view_type": known["stream_view_type"],
        "table_class": known["table_class"],
        "tags": _tags(dynamodb, table["TableArn"]),
        "contributor_insights": _insights(dynamodb, name),
        "resource_policy": _policy(dynamodb, table["TableArn"]),
        "replicas": {
            replica["RegionName"]: _replica(name, replica, known)
            for replica in table.get("Replicas", [])
            if replica["RegionName"] != region
        },
        "indexes": {
            index["IndexName"]: {
                **_keys(index["KeySchema"], types),
                "projection_type": index["Projection"]["ProjectionType"],
                "non_key_attributes": sorted(index["Projection"].get("NonKeyAttributes", [])),
                **_capacity(
                    known["indexes"][index["IndexName"]],
                    scaling,
                    f"index {index['IndexName']}",
                    provisioned=provisioned,
                ),
                "on_demand_throughput": _caps(index),
                "contributor_insights": _insights(dynamodb, name, index["IndexName"]),
            }
            for index in table.get("GlobalSecondaryIndexes", [])
        },
    }
    return Existing(name, _keys(table["KeySchema"], types), settings)


def stated(settings: Settings) -> Settings:
    """Settings as a person would write them: without those that are not set."""
    return {
        name: stated(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if value not in (None, [], {}) and not (name == "contributor_insights" and not value)
    }


def parts(existing: Existing) -> Settings:
    """What a table has beside it that is imported with it: the variable `adopt_table_parts`."""
    settings = existing.settings
    places = {"table": settings} | {f"index {name}": index for name, index in settings["indexes"].items()}
    found = {
        "autoscaling": sorted(f"{place} {kind}" for place, of in places.items() for kind in of["autoscaling"]),
        "contributor_insights": sorted(place for place, of in places.items() if of["contributor_insights"]),
    }
    return {part: value for part, value in found.items() if value}


def _near(dynamodb: Any, name: str) -> str:
    names = [found for page in dynamodb.get_paginator("list_tables").paginate() for found in page["TableNames"]]
    near = [found for found in names if found.lower() == name.lower()] or names[:10]
    return f"There are: {', '.join(near)}." if near else "There is no table at all."


def _refuse(table: Mapping[str, Any]) -> None:
    name, status = table["TableName"], table["TableStatus"]
    if status != "ACTIVE":
        raise CommandError(f"table {name} is {status}.", "Wait until it is ACTIVE, then run this again.", EXIT_FAILED)
    busy = [i["IndexName"] for i in table.get("GlobalSecondaryIndexes", []) if i["IndexStatus"] != "ACTIVE"]
    if busy:
        raise CommandError(
            f"index {', '.join(busy)} of table {name} is being made or removed.", "Wait, then run this again."
        )
    if local := [index["IndexName"] for index in table.get("LocalSecondaryIndexes", [])]:
        raise CommandError(
            f"table {name} has local secondary indexes ({', '.join(local)}), which the table module has not: they "
            "exist from a table's creation to its end, and Terraform would make the table anew without them.",
            "Leave this table out; or copy its items into a table with global secondary indexes, and adopt that.",
        )


def _keys(schema: Iterable[Mapping[str, str]], types: Mapping[str, str]) -> Settings:
    by_type = {key["KeyType"]: {"name": key["AttributeName"], "type": types[key["AttributeName"]]} for key in schema}
    return {"hash_key": by_type["HASH"], "range_key": by_type.get("RANGE")}


def _capacity(stated: Mapping[str, Any], scaling: Mapping[str, Settings], place: str, *, provisioned: bool) -> Settings:
    scaled = scaling.get(place, {})
    units = {kind: stated[f"{kind}_capacity"] if provisioned else None for kind in _DIMENSIONS}
    # A scaler that has not come round to it yet: what it moves the units to.
    units |= {kind: min(max(units[kind], how["min"]), how["max"]) for kind, how in scaled.items()}
    return {"read_capacity": units["read"], "write_capacity": units["write"], "autoscaling": scaled}


def _scaling(table: str) -> dict[str, Settings]:
    """How each place scales."""
    scaler = aws.client("application-autoscaling")
    found: dict[str, Settings] = {}
    pages = scaler.get_paginator("describe_scalable_targets").paginate(ServiceNamespace="dynamodb")
    for target in (target for page in pages for target in page["ScalableTargets"]):
        _, name, *index = target["ResourceId"].split("/")
        if name != table:
            continue
        place = f"index {index[1]}" if index else "table"
        kind = next(kind for kind, units in _DIMENSIONS.items() if target["ScalableDimension"].endswith(units))
        tracking = _tracking(scaler, target, kind)
        percent = tracking["TargetValue"]
        found.setdefault(place, {})[kind] = {
            "min": target["MinCapacity"],
            "max": target["MaxCapacity"],
            "target_percent": int(percent) if percent == int(percent) else percent,
        }
    return found


def _tracking(scaler: Any, target: Mapping[str, Any], kind: str) -> Settings:
    """The one policy that the module knows, under its name: to track how much of the capacity is used."""
    policies = scaler.describe_scaling_policies(
        ServiceNamespace="dynamodb",
        ResourceId=target["ResourceId"],
        ScalableDimension=target["ScalableDimension"],
    )["ScalingPolicies"]
    name = f"{_METRICS[kind]}:{target['ResourceId']}"
    tracking = policies[0].get("TargetTrackingScalingPolicyConfiguration", {}) if len(policies) == 1 else {}
    metric = tracking.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
    if metric != _METRICS[kind] or policies[0]["PolicyName"] != name:
        raise CommandError(
            f"{target['ResourceId']} ({target['ScalableDimension']}) scales by "
            f"{', '.join(policy['PolicyName'] for policy in policies) or 'no policy'}: the table module has one policy "
            f"for it, {name}, which tracks {_METRICS[kind]}, and AWS renames none.",
            "Put the scaling under that policy, or deregister it (aws application-autoscaling), then run this again.",
        )
    return dict(tracking)


def _caps(described: Mapping[str, Any]) -> Settings | None:
    caps = described.get("OnDemandThroughput", {})
    stated = {
        "max_read_request_units": caps.get("MaxReadRequestUnits", -1),
        "max_write_request_units": caps.get("MaxWriteRequestUnits", -1),
    }
    return {name: units for name, units in stated.items() if units > 0} or None


def _encryption(stated: Mapping[str, Any]) -> Settings:
    kind = stated.get("encryption", "CUSTOMER_MANAGED")
    return {"type": kind, **({"kms_key_arn": stated["kms_key_arn"]} if kind == "CUSTOMER_MANAGED" else {})}


def _tags(dynamodb: Any, arn: str) -> dict[str, str]:
    pages = dynamodb.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    # AWS's own tags (aws:cloudformation:…) can't be set, and Terraform does not look at them.
    return {
        tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"] if not tag["Key"].lower().startswith("aws:")
    }


def _replica(name: str, described: Mapping[str, Any], stated: Mapping[str, Any]) -> Settings:
    region = described["RegionName"]
    backups = aws.client("dynamodb", region_name=region).describe_continuous_backups(TableName=name)
    recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    key = (
        described.get("KMSMasterKeyId") if stated.get("encryption", "CUSTOMER_MANAGED") == "CUSTOMER_MANAGED" else None
    )
    return {
        "point_in_time_recovery": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
        "kms_key_arn": key,
        # Terraform's own doing, of which an imported table knows nothing.
        "propagate_tags": False,
    }


def _insights(dynamodb: Any, name: str, index: str = "") -> bool:
    place = {"TableName": name, **({"IndexName": index} if index else {})}
    # The embedded AWS has none.
    missing = ("ResourceNotFoundException", "InternalFailure", "UnknownOperationException")
    answer = _or_none(lambda: dynamodb.describe_contributor_insights(**place), *missing)
    return bool(answer) and answer["ContributorInsightsStatus"] in ("ENABLED", "ENABLING")


def _policy(dynamodb: Any, arn: str) -> str | None:
    answer = _or_none(lambda: dynamodb.get_resource_policy(ResourceArn=arn), "PolicyNotFoundException")
    return str(answer["Policy"]) if answer else None


def _or_none(call: Callable[[], Any], *codes: str) -> Any:
    try:
        return call()
    except ClientError as error:
        if any(code in error.response["Error"]["Code"] for code in codes):
            return None
        raise


# --- the same of a plan --------------------------------------------------------------------------------------------


def planned_tables(plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Resources of each planned table's module, by the module's address."""
    modules: dict[str, dict[str, Any]] = {}
    for module in plan.get("planned_values", {}).get("root_module", {}).get("child_modules", []):
        resources = {
            resource["address"].removeprefix(f"{module['address']}."): resource for resource in module["resources"]
        }
        if TABLE in resources:
            modules[module["address"]] = {address: resource["values"] for address, resource in resources.items()}
    return modules


def planned_keys(resources: Mapping[str, Any]) -> Settings:
    table = resources[TABLE]
    types = _types(table)
    return {"hash_key": _key(table["hash_key"], types), "range_key": _key(table["range_key"], types)}


def planned_settings(resources: Mapping[str, Any]) -> Settings:
    """What the stack would set of a table, in the words of `read`."""
    table, types = resources[TABLE], _types(resources[TABLE])
    encryption, ttl = _first(table["server_side_encryption"]), _first(table["ttl"])
    recovery = _first(table["point_in_time_recovery"])
    key = encryption.get("kms_key_arn")
    scaling = _planned_scaling(resources)
    provisioned = table["billing_mode"] == "PROVISIONED"
    return {
        "billing_mode": table["billing_mode"],
        **_capacity(table, scaling, "table", provisioned=provisioned),
        "on_demand_throughput": _planned_caps(table),
        "point_in_time_recovery_days": recovery.get("recovery_period_in_days") or 35 if recovery.get("enabled") else 0,
        "deletion_protection": bool(table["deletion_protection_enabled"]),
        "encryption": {"type": "CUSTOMER_MANAGED", "kms_key_arn": key}
        if key
        else {"type": "AWS_MANAGED" if encryption.get("enabled") else "AWS_OWNED"},
        "ttl": {"attribute": ttl["attribute_name"], "enabled": True} if ttl.get("enabled") else None,
        "stream_view_type": table["stream_view_type"] if table["stream_enabled"] else None,
        "table_class": table["table_class"] or "STANDARD",
        "tags": table["tags"] or {},
        "contributor_insights": _INSIGHTS.format("table") in resources,
        "resource_policy": next(
            (of["policy"] for address, of in resources.items() if address.startswith("aws_dynamodb_resource_policy.")),
            None,
        ),
        "replicas": {
            replica["region_name"]: {
                "point_in_time_recovery": bool(replica.get("point_in_time_recovery")),
                "kms_key_arn": replica.get("kms_key_arn") or None,
                "propagate_tags": bool(replica.get("propagate_tags")),
            }
            for replica in table.get("replica") or []
        },
        "indexes": {
            index["name"]: {
                "hash_key": _key(index["hash_key"], types),
                "range_key": _key(index["range_key"], types),
                "projection_type": index["projection_type"],
                "non_key_attributes": sorted(index["non_key_attributes"] or []),
                **_capacity(index, scaling, f"index {index['name']}", provisioned=provisioned),
                "on_demand_throughput": _planned_caps(index),
                "contributor_insights": _INSIGHTS.format(f"index {index['name']}") in resources,
            }
            for index in table["global_secondary_index"]
        },
    }


def _types(table: Mapping[str, Any]) -> dict[str, str]:
    return {attribute["name"]: attribute["type"] for attribute in table["attribute"]}


def _key(name: str | None, types: Mapping[str, str]) -> Settings | None:
    return {"name": name, "type": types[name]} if name else None


def _first(blocks: list[Any] | None) -> Settings:
    return dict(blocks[0]) if blocks else {}


def _planned_caps(described: Mapping[str, Any]) -> Settings | None:
    return {
        name: units for name, units in _first(described.get("on_demand_throughput")).items() if (units or 0) > 0
    } or None


def _planned_scaling(resources: Mapping[str, Any]) -> dict[str, Settings]:
    found: dict[str, Settings] = {}
    for address, values in resources.items():
        kind, _, rest = address.partition('["')
        place, _, what = rest.removesuffix('"]').rpartition(" ")
        scaled = found.setdefault(place, {}).setdefault(what, {}) if kind.startswith("aws_appautoscaling_") else {}
        if kind == "aws_appautoscaling_target.this":
            scaled |= {"min": values["min_capacity"], "max": values["max_capacity"]}
        elif kind == "aws_appautoscaling_policy.this":
            tracking = _first(values["target_tracking_scaling_policy_configuration"])
            scaled |= {"target_percent": tracking["target_value"]}
    return found
