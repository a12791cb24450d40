"""Backup plans, selections and rotation read back as AWS gives them: the Terraform provider asks for all of it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import Aws

SELECTION = {
    "SelectionName": "tables",
    "IamRoleArn": "arn:aws:iam::123456789012:role/backup",
    "Resources": ["arn:aws:dynamodb:eu-north-1:123456789012:table/Agents"],
}


@pytest.fixture
def backup(aws: Aws) -> Any:
    return aws.client("backup")


def test_a_plan_can_be_changed_and_made_again_under_its_name(backup: Any) -> None:
    plan = backup.create_backup_plan(BackupPlan=_plan("cron(0 5 * * ? *)"), BackupPlanTags={"Team": "agents"})
    assert backup.list_tags(ResourceArn=plan["BackupPlanArn"])["Tags"] == {"Team": "agents"}

    backup.update_backup_plan(BackupPlanId=plan["BackupPlanId"], BackupPlan=_plan("cron(0 6 * * ? *)"))
    changed = backup.get_backup_plan(BackupPlanId=plan["BackupPlanId"])
    assert [rule["ScheduleExpression"] for rule in changed["BackupPlan"]["Rules"]] == ["cron(0 6 * * ? *)"]
    assert changed["VersionId"] != plan["VersionId"]

    backup.delete_backup_plan(BackupPlanId=plan["BackupPlanId"])
    again = backup.create_backup_plan(BackupPlan=_plan("cron(0 5 * * ? *)"))
    backup.delete_backup_plan(BackupPlanId=again["BackupPlanId"])


def test_a_selection_comes_and_goes(backup: Any) -> None:
    plan = backup.create_backup_plan(BackupPlan=_plan("cron(0 5 * * ? *)", "selected"))["BackupPlanId"]
    made = backup.create_backup_selection(BackupPlanId=plan, BackupSelection=SELECTION)["SelectionId"]
    assert backup.get_backup_selection(BackupPlanId=plan, SelectionId=made)["BackupSelection"] == SELECTION
    backup.delete_backup_selection(BackupPlanId=plan, SelectionId=made)
    with pytest.raises(ClientError, match="Cannot find Backup selection"):
        backup.get_backup_selection(BackupPlanId=plan, SelectionId=made)
    backup.delete_backup_plan(BackupPlanId=plan)


def test_a_key_tells_how_often_it_is_rotated(aws: Aws) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert "RotationPeriodInDays" not in kms.get_key_rotation_status(KeyId=key)
    kms.enable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 365
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90


def _plan(schedule: str, name: str = "tables") -> dict[str, Any]:
    rule = {"RuleName": "daily", "TargetBackupVaultName": "vault", "ScheduleExpression": schedule}
    return {"BackupPlanName": name, "Rules": [rule]}
