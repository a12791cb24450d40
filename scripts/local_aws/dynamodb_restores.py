"""Restored tables: what they keep of their source, and that they take a moment.

moto's copy is there at once, is provisioned and unencrypted whatever the source is, and can be had without
point-in-time recovery. On AWS it is CREATING for a while, in which nobody can read or delete it, and has the source's
billing mode and encryption; what moto drops of tags, TTL, stream, recovery and protection is dropped there too.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableToPointInTime.html

There is no history here: a table is restored as it is at that moment, whichever time is asked for, and the latest
restorable time is now (on AWS about five minutes ago).
"""

from __future__ import annotations

import copy
import datetime
import time
from collections.abc import Callable, Mapping
from typing import Any

from scripts.local_aws.moto_patch import replace

# What whoever restores must be allowed on the new table.
TARGET_ACTIONS = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
_OF_ITEMS = {"DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem"}
_OF_TABLES = {"DeleteTable", "TagResource", "UntagResource", "UpdateTable", "UpdateTimeToLive"}


class RefusedError(Exception):
    """An error of DynamoDB, by its type's name."""

    def __init__(self, type_: str, message: str) -> None:
        super().__init__(message)
        self.type = type_


def check(action: str, parameters: Mapping[str, Any], find: Callable[[str], Any]) -> None:
    """Raises RefusedError for what DynamoDB would refuse. `find` gives moto's table by name or ARN."""
    name = parameters.get("TableName") or parameters.get("ResourceArn") or ""
    if name and (table := find(name)) is not None and _is_being_made(table):
        if action in _OF_ITEMS:
            raise RefusedError("ResourceNotFoundException", "Requested resource not found")
        if action in _OF_TABLES:
            message = f"Attempt to change a resource which is still in use: Table is being created: {table.name}"
            raise RefusedError("ResourceInUseException", message)
        if action == "UpdateContinuousBackups":
            message = f"Backups are being enabled for the table: {table.name}. Please retry later"
            raise RefusedError("ContinuousBackupsUnavailableException", message)
    if action == "RestoreTableToPointInTime" and (source := find(parameters.get("SourceTableName", ""))) is not None:
        _check_time(parameters, source)


def _check_time(parameters: Mapping[str, Any], source: Any) -> None:
    recovery = source.continuous_backups["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] != "ENABLED":
        message = f"Point in time recovery is not enabled for table '{source.name}'"
        raise RefusedError("PointInTimeRecoveryUnavailableException", message)
    at = parameters.get("RestoreDateTime")
    if (at is None) == (not parameters.get("UseLatestRestorableTime")):
        message = "Exactly one of RestoreDateTime and UseLatestRestorableTime must be specified"
        raise RefusedError("ValidationException", message)
    # Times are of whole seconds.
    if at is not None and not int(recovery["EarliestRestorableDateTime"]) <= _seconds(at) <= time.time():
        message = "RestoreDateTime is not between EarliestRestorableDateTime and LatestRestorableDateTime"
        raise RefusedError("InvalidRestoreTimeException", message)


def _seconds(at: datetime.datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def _is_being_made(table: Any) -> bool:
    return bool(time.monotonic() < table.__dict__.get("ready_at", 0.0))


def install(restore_seconds: float) -> None:
    """Patches moto. Once a process; the callers hold the lock of moto_dynamodb."""
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.table import Backup, RestoredPITTable, RestoredTable

    def made_of(source: Any, table: Any) -> Any:
        table.billing_mode = source.billing_mode
        table.sse_specification = copy.deepcopy(source.sse_specification)
        table.ready_at = time.monotonic() + restore_seconds
        return table

    @replace(DynamoDBBackend, "restore_table_to_point_in_time")
    def restore_table_to_point_in_time(original: Any, self: Any, target: str, source: str) -> Any:
        return made_of(self.get_table(source), original(self, target, source))

    @replace(DynamoDBBackend, "restore_table_from_backup")
    def restore_table_from_backup(original: Any, self: Any, target: str, backup_arn: str) -> Any:
        return made_of(self.get_backup(backup_arn).table, original(self, target, backup_arn))

    def describe(original: Any, self: Any, base_key: str = "TableDescription") -> Any:
        described = original(self, base_key)
        if _is_being_made(self):
            described[base_key]["TableStatus"] = "CREATING"
            described[base_key]["RestoreSummary"]["RestoreInProgress"] = True
            for index in described[base_key]["GlobalSecondaryIndexes"]:
                index["IndexStatus"] = "CREATING"
        return described

    replace(RestoredTable, "describe")(describe)
    replace(RestoredPITTable, "describe")(describe)

    def with_latest(described: dict[str, Any]) -> dict[str, Any]:
        recovery = described["PointInTimeRecoveryDescription"]
        latest = {"LatestRestorableDateTime": time.time()} if "LatestRestorableDateTime" in recovery else {}
        return described | {"PointInTimeRecoveryDescription": recovery | latest}

    @replace(DynamoDBBackend, "describe_continuous_backups")
    def describe_continuous_backups(original: Any, self: Any, table_name: str) -> Any:
        return with_latest(original(self, table_name))

    @replace(DynamoDBBackend, "update_continuous_backups")
    def update_continuous_backups(original: Any, self: Any, table_name: str, wanted: Any) -> Any:
        return with_latest(original(self, table_name, wanted))

    @replace(DynamoDBBackend, "delete_table")
    def delete_table(original: Any, self: Any, name: str) -> Any:
        """A table with point-in-time recovery leaves a system backup."""
        table = original(self, name)
        if table.continuous_backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED":
            left = f"{table.name}$DeletedTableBackup"
            backup = Backup(self.account_id, self.region_name, left, table, type_="SYSTEM")
            self.backups[backup.arn] = backup
        return table
