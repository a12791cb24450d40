"""Compares tables in AWS with what Terraform's output `verification` declares them to be."""

from typing import Any

from botocore.exceptions import ClientError

from scripts import aws

# Null where there is nothing to compare: on-demand tables have no units, an autoscaler moves them by itself, and only
# a customer's key is named.
_NULL_IS_ANY = ("read_capacity", "write_capacity", "kms_key_arn")


def differences(declared: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    """What is not as declared, one text each; settings that are not declared, or not known, are left out."""
    found = [f"{name} is {status}" for name, status in actual["statuses"].items() if status != "ACTIVE"]
    found += _compared(declared, actual, "")
    indexes, wanted = actual["indexes"], declared["indexes"]
    if indexes.keys() != wanted.keys():
        found.append(f"indexes are {_listed(indexes)}, declared {_listed(wanted)}")
    for name in sorted(indexes.keys() & wanted.keys()):
        found += _compared(wanted[name], indexes[name], f"index {name}: ")
    return found


def actual_table(name: str) -> dict[str, Any]:
    """The table's settings in the words of the output `verification`, with `statuses` of table and indexes."""
    dynamodb = aws.client("dynamodb")
    table = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    stream = table.get("StreamSpecification", {})
    indexes = table.get("GlobalSecondaryIndexes", [])
    recovering = recovery.get("PointInTimeRecoveryStatus") == "ENABLED"
    return {
        "name": table["TableName"],
        **_keys(table["KeySchema"]),
        "billing_mode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        **_capacity(table),
        "point_in_time_recovery_days": recovery.get("RecoveryPeriodInDays", 35) if recovering else 0,
        "ttl_attribute": ttl.get("AttributeName") if ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING") else None,
        "deletion_protection": table.get("DeletionProtectionEnabled", False),
        **_encryption(table.get("SSEDescription", {})),
        "stream_view_type": stream.get("StreamViewType") if stream.get("StreamEnabled") else None,
        "table_class": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "indexes": {
            index["IndexName"]: {
                **_keys(index["KeySchema"]),
                **_capacity(index),
                "projection_type": index["Projection"]["ProjectionType"],
                "non_key_attributes": sorted(index["Projection"].get("NonKeyAttributes", [])),
            }
            for index in indexes
        },
        "statuses": {
            table["TableName"]: table["TableStatus"],
            **{f"{table['TableName']}/{index['IndexName']}": index["IndexStatus"] for index in indexes},
        },
    }


def _compared(declared: dict[str, Any], actual: dict[str, Any], where: str) -> list[str]:
    return [
        f"{where}{setting} is {actual[setting]!r}, declared {wanted!r}"
        for setting, wanted in declared.items()
        if setting in actual and setting != "indexes" and not (setting in _NULL_IS_ANY and wanted is None)
        if actual[setting] != (sorted(wanted) if isinstance(wanted, list) else wanted)
    ]


def _listed(indexes: dict[str, Any]) -> str:
    return ", ".join(sorted(indexes)) or "none"


def _keys(schema: list[dict[str, str]]) -> dict[str, str | None]:
    by_type = {key["KeyType"]: key["AttributeName"] for key in schema}
    return {"hash_key": by_type["HASH"], "range_key": by_type.get("RANGE")}


def _capacity(described: dict[str, Any]) -> dict[str, int]:
    units = described.get("ProvisionedThroughput", {})
    return {"read_capacity": units.get("ReadCapacityUnits", 0), "write_capacity": units.get("WriteCapacityUnits", 0)}


def _encryption(description: dict[str, Any]) -> dict[str, str]:
    """The type and the key, as far as they can be known."""
    if description.get("Status") not in ("ENABLED", "ENABLING", "UPDATING"):
        return {"encryption": "AWS_OWNED"}
    arn = description.get("KMSMasterKeyArn", "")
    try:
        manager = aws.client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyManager"]
    except ClientError:  # without kms:DescribeKey only the key itself can be compared
        return {"kms_key_arn": arn}
    return {"encryption": f"{manager}_MANAGED", "kms_key_arn": arn}
