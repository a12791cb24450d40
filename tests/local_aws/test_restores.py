"""Restored tables keep and lose what they do on AWS, and take a moment to be made."""

import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import Aws, wait_for

KEY = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
INDEX = {
    "IndexName": "by-name",
    "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
BUDDY = {"id": {"S": "1"}, "name": {"S": "Buddy"}}


@pytest.fixture
def dynamodb(aws: Aws) -> Any:
    return aws.client("dynamodb")


@pytest.fixture
def table(dynamodb: Any) -> str:
    """A table with all that a restore drops."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("id", "name")],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[INDEX],
        SSESpecification={"Enabled": True},
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        DeletionProtectionEnabled=True,
        Tags=[{"Key": "Project", "Value": "agents"}],
        **KEY,
    )
    dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    _switch_recovery(dynamodb, name, on=True)
    dynamodb.put_item(TableName=name, Item=BUDDY)
    return name


def _switch_recovery(dynamodb: Any, name: str, *, on: bool) -> None:
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": on}
    )


def _described(dynamodb: Any, name: str) -> dict[str, Any]:
    table: dict[str, Any] = dynamodb.describe_table(TableName=name)["Table"]
    return table


def _restored(dynamodb: Any, source: str) -> str:
    copy = f"{source}-copy"
    dynamodb.restore_table_to_point_in_time(SourceTableName=source, TargetTableName=copy, UseLatestRestorableTime=True)
    wait_for(lambda: _described(dynamodb, copy)["TableStatus"] == "ACTIVE")
    return copy


def _code(call: Any, **parameters: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def test_a_copy_is_being_made_for_a_while_in_which_nobody_can_use_or_delete_it(dynamodb: Any, table: str) -> None:
    copy = f"{table}-copy"
    made = dynamodb.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=copy, UseLatestRestorableTime=True
    )["TableDescription"]
    assert (made["TableStatus"], made["RestoreSummary"]["RestoreInProgress"]) == ("CREATING", True)
    assert _code(dynamodb.scan, TableName=copy) == "ResourceNotFoundException"
    assert _code(dynamodb.delete_table, TableName=copy) == "ResourceInUseException"
    assert _code(dynamodb.tag_resource, ResourceArn=made["TableArn"], Tags=[]) == "ResourceInUseException"
    wait_for(lambda: _described(dynamodb, copy)["TableStatus"] == "ACTIVE")
    assert not _described(dynamodb, copy)["RestoreSummary"]["RestoreInProgress"]
    assert dynamodb.scan(TableName=copy)["Items"] == [BUDDY]
    dynamodb.delete_table(TableName=copy)


def test_a_copy_keeps_indexes_billing_and_encryption_and_loses_the_rest(dynamodb: Any, table: str) -> None:
    copy = _restored(dynamodb, table)
    described, source = _described(dynamodb, copy), _described(dynamodb, table)
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert described["SSEDescription"] == source["SSEDescription"]
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["by-name"]
    assert not described["DeletionProtectionEnabled"]
    assert "StreamSpecification" not in described
    assert dynamodb.list_tags_of_resource(ResourceArn=described["TableArn"])["Tags"] == []
    assert dynamodb.describe_time_to_live(TableName=copy)["TimeToLiveDescription"]["TimeToLiveStatus"] == "DISABLED"
    backups = dynamodb.describe_continuous_backups(TableName=copy)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"


def test_a_copy_is_a_table_of_its_own(dynamodb: Any, table: str) -> None:
    copy = _restored(dynamodb, table)
    dynamodb.put_item(TableName=copy, Item={**BUDDY, "name": {"S": "Max"}})
    assert dynamodb.scan(TableName=table)["Items"] == [BUDDY]


def test_the_latest_restorable_time_goes_on(dynamodb: Any, table: str) -> None:
    def latest() -> float:
        described = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
        return float(described["PointInTimeRecoveryDescription"]["LatestRestorableDateTime"].timestamp())

    first = latest()
    wait_for(lambda: latest() > first)


def test_only_a_time_within_the_window_can_be_restored(dynamodb: Any, table: str) -> None:
    now = time.time()
    for wrong in (now - 3600, now + 3600):
        refused = _code(
            dynamodb.restore_table_to_point_in_time,
            SourceTableName=table,
            TargetTableName=f"{table}-copy",
            RestoreDateTime=wrong,
        )
        assert refused == "InvalidRestoreTimeException"
    both = {"RestoreDateTime": now, "UseLatestRestorableTime": True}
    for stated in ({}, both):
        refused = _code(
            dynamodb.restore_table_to_point_in_time,
            SourceTableName=table,
            TargetTableName=f"{table}-copy",
            **stated,
        )
        assert refused == "ValidationException"


def test_without_recovery_there_is_no_point_in_time(dynamodb: Any, table: str) -> None:
    _switch_recovery(dynamodb, table, on=False)
    refused = _code(
        dynamodb.restore_table_to_point_in_time,
        SourceTableName=table,
        TargetTableName=f"{table}-copy",
        UseLatestRestorableTime=True,
    )
    assert refused == "PointInTimeRecoveryUnavailableException"


def test_a_backup_holds_what_was_there_and_a_deleted_table_leaves_one(dynamodb: Any, table: str) -> None:
    backup = dynamodb.create_backup(TableName=table, BackupName="before")["BackupDetails"]["BackupArn"]
    dynamodb.put_item(TableName=table, Item={"id": {"S": "2"}})
    dynamodb.restore_table_from_backup(TargetTableName=f"{table}-copy", BackupArn=backup)
    wait_for(lambda: _described(dynamodb, f"{table}-copy")["TableStatus"] == "ACTIVE")
    assert dynamodb.scan(TableName=f"{table}-copy")["Items"] == [BUDDY]

    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
    dynamodb.delete_table(TableName=table)
    (left,) = (
        each for each in dynamodb.list_backups(TableName=table)["BackupSummaries"] if each["BackupType"] == "SYSTEM"
    )
    assert left["BackupName"] == f"{table}$DeletedTableBackup"
    dynamodb.restore_table_from_backup(TargetTableName=table, BackupArn=left["BackupArn"])
    wait_for(lambda: _described(dynamodb, table)["TableStatus"] == "ACTIVE")
    assert dynamodb.scan(TableName=table)["Count"] == 2
