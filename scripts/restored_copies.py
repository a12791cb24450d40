"""Temporary copies of tables, restored from point-in-time recovery or from a backup made for it, and their end.

A copy is named `<table>-drill-<time>-<random>`, and so is the backup. What a killed command left over is known by that.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from botocore.exceptions import ClientError

from scripts import aws
from scripts.console import EXIT_FAILED, CommandError, Progress, err
from scripts.existing_table import Existing

RECOVERY, BACKUP = SOURCES = ("recovery", "backup")

POLL_SECONDS = 2.0
# The latest restorable time follows about five minutes behind.
RECOVERY_DEADLINE_SECONDS = 30 * 60
# A backup has all that was written up to a minute before it was asked for, and nothing from a minute after it on.
BACKUP_MARGIN_SECONDS = 60.0
# DescribeTable may not know a table yet that was just made.
UNKNOWN_AT_FIRST_SECONDS = 10.0
# A younger copy may be that of a drill under way.
LEFT_OVER_AFTER = timedelta(days=1)
_LONGEST_NAME = 255
_TIME = "%Y%m%dT%H%M%SZ"
_SUFFIX_LENGTH = len("-drill-20261128T120000Z-abcdef")
_NOT_YET = datetime.max.replace(tzinfo=UTC)


@dataclass
class Copy:
    """A copy of table `source`, and how it came to be."""

    source: str
    name: str
    restored_from: str
    # The moment that it shows, and when it was asked for, by AWS's clock
    at: datetime = _NOT_YET
    asked_at: datetime = _NOT_YET
    backup_arn: str = ""
    restore_seconds: float = 0.0

    @property
    def is_asked_for(self) -> bool:
        return self.asked_at is not _NOT_YET

    @property
    def age_seconds(self) -> float:
        """How old the data was when the restore was asked for: what a disaster at that moment would have cost."""
        return max(0.0, (self.asked_at - self.at).total_seconds())


def new_copy(table: str, restored_from: str) -> Copy:
    stem = table[: _LONGEST_NAME - _SUFFIX_LENGTH]
    return Copy(table, f"{stem}-drill-{datetime.now(UTC):{_TIME}}-{secrets.token_hex(3)}", restored_from)


def aws_time(table: str) -> datetime:
    """By AWS's clock, whose times it is compared to: that of this machine may be wrong."""
    answer = aws.client("dynamodb").describe_table(TableName=table)
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


# --- the moment that the copy shows --------------------------------------------------------------------------------


def choose_moment(copy: Copy, read_until: datetime, margin_seconds: float, progress: Progress) -> None:
    """Sets `copy.at` to a moment after `read_until`, with a backup where it is restored from one."""
    if copy.restored_from == RECOVERY:
        # Times to restore to are whole seconds; so is `read_until`, cut off.
        copy.at = _restorable_after(copy.source, read_until + timedelta(seconds=1), progress)
    else:
        _wait(margin_seconds, progress, "lets a minute pass, so that the backup has all that was read")
        copy.at = _back_up(copy, progress)


def _restorable_after(table: str, wanted: datetime, progress: Progress) -> datetime:
    deadline = time.monotonic() + RECOVERY_DEADLINE_SECONDS
    while True:
        described = aws.client("dynamodb").describe_continuous_backups(TableName=table)
        recovery = described["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            raise CommandError(f"point-in-time recovery of {table} was switched off meanwhile.", exit_code=EXIT_FAILED)
        latest = recovery.get("LatestRestorableDateTime")
        if latest and latest.replace(microsecond=0) >= wanted:
            moment: datetime = latest.replace(microsecond=0).astimezone(UTC)
            return moment
        until = f"restorable up to {latest.astimezone(UTC):%H:%M:%S}" if latest else "not restorable yet"
        if time.monotonic() > deadline:
            raise CommandError(
                f"{table} is {until} after {RECOVERY_DEADLINE_SECONDS / 60:.0f} minutes, not up to "
                f"{wanted.astimezone(UTC):%H:%M:%S}: its recovery lags.",
                "See https://health.aws.amazon.com, or drill from a backup: FROM=backup.",
                EXIT_FAILED,
            )
        progress.update(f"{table}: {until} UTC, waits for {wanted.astimezone(UTC):%H:%M:%S}")
        time.sleep(POLL_SECONDS)


def _back_up(copy: Copy, progress: Progress) -> datetime:
    dynamodb = aws.client("dynamodb")
    made = dynamodb.create_backup(TableName=copy.source, BackupName=copy.name)["BackupDetails"]
    copy.backup_arn = made["BackupArn"]
    while made["BackupStatus"] == "CREATING":
        progress.update(f"{copy.source}: backup is being made")
        time.sleep(POLL_SECONDS)
        made = dynamodb.describe_backup(BackupArn=copy.backup_arn)["BackupDescription"]["BackupDetails"]
    created: datetime = made["BackupCreationDateTime"].astimezone(UTC)
    return created


def wait_until_past(copy: Copy, margin_seconds: float, progress: Progress) -> None:
    """Until what is read of the source now is of after the moment that the copy shows."""
    margin = margin_seconds if copy.restored_from == BACKUP else 0.0
    ahead = (copy.at - aws_time(copy.source)).total_seconds() + margin
    _wait(ahead, progress, "lets a minute pass, so that what the backup may have of it is seen as changed")


def _wait(seconds: float, progress: Progress, why: str) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        progress.update(f"{why} ({left:.0f} s)")
        time.sleep(min(left, POLL_SECONDS))


# --- making it -----------------------------------------------------------------------------------------------------


def start_restore(copy: Copy) -> None:
    dynamodb = aws.client("dynamodb")
    copy.asked_at = aws_time(copy.source)
    try:
        if copy.backup_arn:
            dynamodb.restore_table_from_backup(TargetTableName=copy.name, BackupArn=copy.backup_arn)
        else:
            dynamodb.restore_table_to_point_in_time(
                SourceTableName=copy.source, TargetTableName=copy.name, RestoreDateTime=copy.at
            )
    except dynamodb.exceptions.TableAlreadyExistsException:
        pass  # a repetition within boto3: nobody else knows the name
    except ClientError:
        copy.asked_at = _NOT_YET  # refused: there is nothing to delete
        raise
    _tag(copy)


def _tag(copy: Copy) -> None:
    """Says what it is to whoever finds it; a table that is being made may refuse that, and is told again later."""
    dynamodb = aws.client("dynamodb")
    try:
        arn = dynamodb.describe_table(TableName=copy.name)["Table"]["TableArn"]
        tags = [{"Key": key, "Value": value} for key, value in _tags(copy).items()]
        dynamodb.tag_resource(ResourceArn=arn, Tags=tags)
    except (dynamodb.exceptions.ResourceInUseException, dynamodb.exceptions.ResourceNotFoundException):
        pass


def _tags(copy: Copy) -> dict[str, str]:
    return {"Purpose": "restore drill, to be deleted", "DrillOf": copy.source}


def without_own_tags(copy: Copy, existing: Existing) -> Existing:
    """The copy as the restore made it."""
    tags = {key: value for key, value in existing.settings["tags"].items() if key not in _tags(copy)}
    return existing._replace(settings={**existing.settings, "tags": tags})


def wait_until_made(copies: Sequence[Copy], began: float, progress: Progress) -> None:
    """Until DynamoDB has restored them, with their indexes; `began` is of time.monotonic."""
    known: set[str] = set()
    pending = list(copies)
    while pending:
        for copy in pending:
            if _is_made(copy.name, known, began):
                copy.restore_seconds = time.monotonic() - began
                _tag(copy)
        pending = [copy for copy in pending if not copy.restore_seconds]
        if pending:
            progress.update(f"{time.monotonic() - began:.0f} s, {', '.join(copy.source for copy in pending)}")
            time.sleep(POLL_SECONDS)


def _is_made(name: str, known: set[str], began: float) -> bool:
    described = _described(name)
    if described is None:
        if name in known or time.monotonic() - began > UNKNOWN_AT_FIRST_SECONDS:
            raise CommandError(f"DynamoDB gave up restoring {name}: it is gone.", exit_code=EXIT_FAILED)
        return False
    known.add(name)
    status = described["TableStatus"]
    if status not in ("CREATING", "UPDATING", "ACTIVE"):
        raise CommandError(f"the restored {name} is {status}.", exit_code=EXIT_FAILED)
    return status == "ACTIVE" and not _is_under_way(described)


def _is_under_way(described: dict[str, Any]) -> bool:
    indexes = described.get("GlobalSecondaryIndexes", [])
    return bool(described.get("RestoreSummary", {}).get("RestoreInProgress")) or any(
        index["IndexStatus"] != "ACTIVE" for index in indexes
    )


def _described(table: str) -> dict[str, Any] | None:
    dynamodb = aws.client("dynamodb")
    try:
        described: dict[str, Any] = dynamodb.describe_table(TableName=table)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return None
    return described


# --- its end -------------------------------------------------------------------------------------------------------


def delete_copy(copy: Copy, progress: Progress) -> None:
    """Deletes what there is of it; says how to do that by hand where it can't."""
    if not copy.is_asked_for:
        return
    with_hint = f"aws dynamodb delete-table --table-name {copy.name}"
    _told(f"the copy {copy.name} is left", with_hint, lambda: delete_table(copy.name, progress, just_made=True))


def delete_table(name: str, progress: Progress, *, just_made: bool = False) -> None:
    """Deletes a table and waits until it is gone; one that is still being made can be deleted only when it is there."""
    known, unknown_until = not just_made, time.monotonic() + UNKNOWN_AT_FIRST_SECONDS
    dynamodb = aws.client("dynamodb")
    while True:
        described = _described(name)
        if described is None:
            if known or time.monotonic() > unknown_until:
                return
        else:
            known = True
            if described["TableStatus"] != "DELETING":
                try:
                    dynamodb.delete_table(TableName=name)
                    continue
                except dynamodb.exceptions.ResourceInUseException:
                    progress.update(f"{name}: DynamoDB must have made it first")
                except dynamodb.exceptions.ResourceNotFoundException:
                    return
        time.sleep(POLL_SECONDS)


def delete_backup(copy: Copy, progress: Progress) -> None:
    """Deletes the backup that was made for a copy."""
    if copy.restored_from != BACKUP:
        return

    def delete() -> None:
        # Interrupted while it was made, only its name is known.
        arns = (
            [copy.backup_arn] if copy.backup_arn else [arn for arn, name in _backups(copy.source) if name == copy.name]
        )
        for arn in arns:
            _delete_backup(arn, progress)

    by_hand = f"aws dynamodb delete-backup --backup-arn {copy.backup_arn or '(see aws dynamodb list-backups)'}"
    _told(f"the backup {copy.name} is left", by_hand, delete)


def _delete_backup(arn: str, progress: Progress) -> None:
    dynamodb = aws.client("dynamodb")
    while True:
        try:
            dynamodb.delete_backup(BackupArn=arn)
        except dynamodb.exceptions.BackupNotFoundException:
            return
        except dynamodb.exceptions.BackupInUseException:
            progress.update("the backup is in use")
            time.sleep(POLL_SECONDS)
        else:
            return


def _told(what: str, by_hand: str, delete: Callable[[], None]) -> None:
    try:
        delete()
    except BaseException:
        err.print(f"[red]{what}[/red]; delete it: {by_hand}", markup=True)
        raise


def _backups(table: str) -> Iterator[tuple[str, str]]:
    pages = aws.client("dynamodb").get_paginator("list_backups").paginate(TableName=table, BackupType="USER")
    for page in pages:
        for backup in page["BackupSummaries"]:
            yield backup["BackupArn"], backup["BackupName"]


# --- what a killed drill left --------------------------------------------------------------------------------------


def began_at(name: str, table: str) -> datetime | None:
    """When the drill of `table` began that made what is called so; None where the name is no drill's of it."""
    stem = re.escape(table[: _LONGEST_NAME - _SUFFIX_LENGTH])
    match = re.fullmatch(rf"{stem}-drill-(\d{{8}}T\d{{6}}Z)-[0-9a-f]{{6}}", name)
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def remove_left_over(table: str, progress: Progress) -> list[str]:
    """Deletes copies and backups of drills of `table` that were killed more than a day ago; returns their names.

    A copy is one by its name and by what DynamoDB says it was restored from, and nobody has protected it since.
    Younger ones are named: their drill may be under way.
    """
    dynamodb = aws.client("dynamodb")
    removed = []
    source_arn = dynamodb.describe_table(TableName=table)["Table"]["TableArn"]
    for name in list(_drill_tables(table)):
        described = _described(name)
        if described is None or described.get("RestoreSummary", {}).get("SourceTableArn") != source_arn:
            continue
        if described.get("DeletionProtectionEnabled"):
            err.print(f"{name} is protected from deletion: somebody uses it; it stays", markup=False)
        elif _is_left_over(name, table):
            delete_table(name, progress)
            removed.append(name)
        else:
            by_hand = f"aws dynamodb delete-table --table-name {name}"
            err.print(f"{name} is there: another drill is under way, or was killed; then: {by_hand}", markup=False)
    for arn, name in list(_backups(table)):
        if _is_left_over(name, table):
            _delete_backup(arn, progress)
            removed.append(f"backup {name}")
    return removed


def _is_left_over(name: str, table: str) -> bool:
    began = began_at(name, table)
    return began is not None and datetime.now(UTC) - began > LEFT_OVER_AFTER


def _drill_tables(table: str) -> Iterator[str]:
    for page in aws.client("dynamodb").get_paginator("list_tables").paginate():
        yield from (name for name in page["TableNames"] if began_at(name, table))
