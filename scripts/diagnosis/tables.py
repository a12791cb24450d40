"""Tables and indexes: there, here, usable, and as they were applied."""

import functools
import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from scripts import aws, declared_tables
from scripts.diagnosis import applied, fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import RESTORE, Finding, finding
from scripts.environments import Environment

_USABLE = ("ACTIVE", "UPDATING")
_STATUSES = {
    "CREATING": "it is being made or restored; DynamoDB refuses requests until it is ACTIVE",
    "DELETING": "somebody deletes it",
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "its KMS key is switched off, or no longer lets DynamoDB use it; after 7 "
    "days DynamoDB archives the table",
    "ARCHIVING": "its KMS key could not be used for 7 days; DynamoDB makes a backup and takes the table away",
    "ARCHIVED": "its KMS key could not be used for 7 days; only the backup that DynamoDB made is left",
}
# A region that answers takes milliseconds; those that are switched off must hold nobody up.
_IMPATIENT = {"connect_timeout": 2, "read_timeout": 4, "retries": {"mode": "standard", "total_max_attempts": 1}}
_REGIONS_AT_ONCE = 16


def others(examined: Examined) -> Iterator[dict[str, Any]]:
    """Tables of the state that belong to no system, as far as the state declares them."""
    known = {table["name"] for _, table in examined.declared_tables()}
    for table in [] if examined.only else examined.state.of("aws_dynamodb_table"):
        if table["name"] not in known:
            indexes = table.get("global_secondary_index") or []
            yield {
                "name": table["name"],
                **_keys(table),
                "indexes": {index["name"]: _keys(index) for index in indexes},
            }


def _keys(attributes: dict[str, Any]) -> dict[str, Any]:
    return {"hash_key": attributes["hash_key"], "range_key": attributes.get("range_key") or None}


def look(examined: Examined, system: str, declared: dict[str, Any]) -> Iterator[Finding]:
    """Of one table; `declared` is as in the output `verification`, or a part of it."""
    name, environment = declared["name"], examined.environment
    try:
        table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        yield _missing(examined, system, name)
        return
    status = table["TableStatus"]
    if status not in _USABLE:
        yield finding(
            "table-not-active",
            name,
            f"table {name} is {status}",
            _STATUSES.get(status, "DynamoDB says so"),
            _mend(environment, table),
            system=system,
        )
        return
    yield from _indexes(environment, system, declared, table)
    yield from _settings(environment, system, declared)


def _mend(environment: Environment, table: dict[str, Any]) -> str:
    status, name = table["TableStatus"], table["TableName"]
    key = table.get("SSEDescription", {}).get("KMSMasterKeyArn")
    if status == "CREATING":
        return fixes.aws(environment, f"dynamodb wait table-exists --table-name {name}")
    if status == "INACCESSIBLE_ENCRYPTION_CREDENTIALS" and key:
        return fixes.aws(environment, f"kms enable-key --key-id {key}")
    return fixes.apply(environment)


def _missing(examined: Examined, system: str, name: str) -> Finding:
    environment = examined.environment
    regions, code = elsewhere(environment, name), "table-missing"
    where, cause = "nor in any other region", "somebody deleted it outside Terraform"
    if regions:
        code, where = "table-in-another-region", f"but in {', '.join(regions)}"
        cause = "it was made in another region than the stack's"
    what = f"table {name} is not in {environment.region}, {where}"
    if backup := _last_backup(name):
        arguments = f"--target-table-name {name} --backup-arn {shlex.quote(backup)}"
        restore = fixes.aws(environment, f"dynamodb {RESTORE} {arguments}")
        wait = fixes.aws(environment, f"dynamodb wait table-exists --table-name {name}")
        cause = (
            "somebody deleted it; DynamoDB has kept a backup. Restore it before any apply, which would make an empty "
            f"table; afterwards `{fixes.apply(environment)}` sets what a restore drops"
        )
        return finding(code, name, what, cause, f"{restore} && {wait}", system=system)
    here = [table["name"] for _, table in examined.declared_tables()]
    if regions and all(regions[0] in elsewhere(environment, other) for other in here):
        cause += "; all of the stack's tables are there: [aws] region should name it"
        return finding(code, name, what, cause, applied.set_region(environment, regions[0]), system=system)
    cause += f"; there is no backup of it in {environment.region}, so that an apply makes an empty one"
    if regions:
        cause += "; what is in the other must be brought over"
    return finding(code, name, what, cause, fixes.apply(environment), system=system)


def _last_backup(name: str) -> str:
    """ARN of the newest backup, for example the one that DynamoDB makes of a table with recovery at its deletion."""
    with suppress(ClientError, BotoCoreError):
        pages = aws.client("dynamodb").get_paginator("list_backups").paginate(TableName=name, BackupType="ALL")
        backups = [
            backup for page in pages for backup in page["BackupSummaries"] if backup["BackupStatus"] == "AVAILABLE"
        ]
        if backups:
            return str(max(backups, key=lambda backup: backup["BackupCreationDateTime"])["BackupArn"])
    return ""


def elsewhere(environment: Environment, name: str) -> list[str]:
    """The other regions that have a table of this name."""
    return list(_elsewhere(environment.region, environment.partition, name))


@functools.cache
def _elsewhere(region: str, partition: str, name: str) -> tuple[str, ...]:
    others = [other for other in _regions(partition) if other != region]
    with ThreadPoolExecutor(_REGIONS_AT_ONCE) as pool:
        found = list(pool.map(lambda other: _is_in(other, name), others))
    return tuple(other for other, there in zip(others, found, strict=True) if there)


def _is_in(region: str, name: str) -> bool:
    try:
        aws.client("dynamodb", region_name=region, **_IMPATIENT).describe_table(TableName=name)
    except (ClientError, BotoCoreError):  # also: switched off for this account, or not allowed
        return False
    return True


@functools.cache
def _regions(partition: str) -> tuple[str, ...]:
    """Those that the account uses; all that there are where it does not say."""
    try:
        answer = aws.client("ec2").describe_regions(
            Filters=[{"Name": "opt-in-status", "Values": ["opt-in-not-required", "opted-in"]}]
        )
        return tuple(sorted(region["RegionName"] for region in answer["Regions"]))
    except (ClientError, BotoCoreError):
        return tuple(boto3.Session().get_available_regions("dynamodb", partition_name=partition))


def forget() -> None:
    """What was learned of regions: another run may find another world."""
    _elsewhere.cache_clear()
    _regions.cache_clear()


def _indexes(
    environment: Environment, system: str, declared: dict[str, Any], table: dict[str, Any]
) -> Iterator[Finding]:
    name = table["TableName"]
    indexes = {index["IndexName"]: index for index in table.get("GlobalSecondaryIndexes", [])}
    places = [(name, declared, table)] + [
        (f"{name}/{index}", wanted, indexes[index]) for index, wanted in declared["indexes"].items() if index in indexes
    ]
    for place, wanted, actual in places:
        keys = {key["KeyType"]: key["AttributeName"] for key in actual["KeySchema"]}
        if (keys["HASH"], keys.get("RANGE")) != (wanted["hash_key"], wanted["range_key"]):
            yield finding(
                "keys-differ",
                place,
                f"{place} has the keys {_shown(keys['HASH'], keys.get('RANGE'))}, "
                f"applied were {_shown(wanted['hash_key'], wanted['range_key'])}",
                "it was made by hand, or by another program: reads and writes are refused as invalid. Keys can't be "
                "changed; the plan shows what a new one costs",
                fixes.make(environment, "plan"),
                system=system,
            )
    for index in declared["indexes"]:
        if index not in indexes:
            yield finding(
                "index-missing",
                f"{name}/{index}",
                f"table {name} has no index {index}",
                "somebody removed it outside Terraform, or a migration was left half-way: queries on it fail",
                fixes.apply(environment),
                system=system,
            )
        elif (status := indexes[index]["IndexStatus"]) not in _USABLE:
            yield finding(
                "index-not-active",
                f"{name}/{index}",
                f"index {index} of table {name} is {status}",
                "DynamoDB fills it: minutes to hours, by the table's size; queries on it fail until it is ACTIVE"
                if status == "CREATING"
                else "somebody removes it",
                "until ["
                f' "$({fixes.aws(environment, f"dynamodb describe-table --table-name {name}")} --output text --query '
                f'"Table.GlobalSecondaryIndexes[?IndexName==\'{index}\'].IndexStatus")" = ACTIVE ]; do sleep 15; done'
                if status == "CREATING"
                else fixes.apply(environment),
                system=system,
            )


def _shown(hash_key: str, range_key: str | None) -> str:
    return f"{hash_key} and {range_key}" if range_key else hash_key


def _settings(environment: Environment, system: str, declared: dict[str, Any]) -> Iterator[Finding]:
    """What else is not as applied; keys, indexes and statuses have been told."""
    name = declared["name"]
    actual = declared_tables.actual_table(name)
    told = ("hash_key", "range_key")
    wanted = {key: value for key, value in declared.items() if key not in told}
    wanted["indexes"] = {
        index: {key: value for key, value in settings.items() if key not in told}
        for index, settings in declared["indexes"].items()
        if index in actual["indexes"]
    }
    different = declared_tables.differences(wanted, actual | {"statuses": {}, "indexes": _only(actual, wanted)})
    if different:
        yield finding(
            "table-settings-differ",
            name,
            f"table {name}: {'; '.join(different)}",
            "somebody changed it outside Terraform; `make drift` shows each attribute",
            fixes.apply(environment),
            system=system,
            evidence=json.dumps(different),
        )


def _only(actual: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    return {index: settings for index, settings in actual["indexes"].items() if index in wanted["indexes"]}
