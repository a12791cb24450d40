"""A restore drill on tables of an embedded AWS: what passes, what fails and is named, and that nothing is left."""

import json
import os
import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scripts import drill, restored_copies, table_scan
from scripts.console import CommandError
from scripts.restored_copies import Copy
from scripts.table_scan import ReadLimit
from tests.glue.deployed import BUCKET, KEY, Deployed
from tests.local_aws.conftest import REGION, Aws, wait_for
from tests.recording_guarantees import Guarantee

SYSTEM = "agent_profiles"
MANY = 50_000
READING = [
    "dynamodb:Describe*",
    "dynamodb:List*",
    "dynamodb:Get*",
    "dynamodb:Scan",
    "application-autoscaling:Describe*",
]
TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
}
PET = {"type": {"S": "dog"}, "price": {"N": "249.99"}, "tags": {"SS": ["good", "old"]}}


class Tables:
    """Tables that the state of environment `staging` says are the agent profiles'."""

    def __init__(self, deployed: Deployed) -> None:
        self._deployed = deployed
        self.dynamodb = deployed.aws.client("dynamodb")
        self.names: dict[str, str] = {}

    def make(self, logical: str = "profiles", *, items: int = 0, recovery: bool = True, **settings: Any) -> str:
        """A table with number keys from 1 on."""
        name = f"pets-{uuid.uuid4().hex[:8]}"
        make_table(self.dynamodb, name, recovery=recovery, **settings)
        for number in range(1, items + 1):
            self.dynamodb.put_item(TableName=name, Item=pet(number))
        self.declare(logical, name)
        return name

    def declare(self, logical: str, name: str, persistence: str = "dynamodb") -> None:
        self.names[logical] = name
        tables = {each: {"name": table} for each, table in self.names.items()}
        verification = {"systems": {SYSTEM: {"tables": tables, "persistence": persistence}}}
        resources = [
            {
                "module": f"module.{each}[0]",
                "mode": "managed",
                "type": "aws_dynamodb_table",
                "name": "this",
                "instances": [{"attributes": {"name": table, "arn": self.arn(table)}}],
            }
            for each, table in self.names.items()
        ]
        state = {"version": 4, "outputs": {"verification": {"value": verification}}, "resources": resources}
        self._deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(state).encode())

    def arn(self, name: str) -> str:
        return str(self.dynamodb.describe_table(TableName=name)["Table"]["TableArn"])

    def copies(self) -> list[str]:
        pages = self.dynamodb.get_paginator("list_tables").paginate()
        own = tuple(f"{name}-drill-" for name in self.names.values())
        return [name for page in pages for name in page["TableNames"] if name.startswith(own)]

    def backups(self) -> list[str]:
        return [
            backup["BackupName"]
            for name in self.names.values()
            for backup in self.dynamodb.list_backups(TableName=name)["BackupSummaries"]
        ]


def make_table(dynamodb: Any, name: str, *, recovery: bool = True, **settings: Any) -> None:
    dynamodb.create_table(TableName=name, **{**TABLE, **settings})
    if recovery:
        switch_recovery_on(dynamodb, name)


def switch_recovery_on(dynamodb: Any, name: str) -> None:
    dynamodb.update_continuous_backups(
        TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def pet(number: int) -> dict[str, Any]:
    return {"id": {"N": str(number)}, "name": {"S": f"Pet {number}"}, **PET}


@pytest.fixture
def tables(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    monkeypatch.setattr(restored_copies, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(restored_copies, "BACKUP_MARGIN_SECONDS", 0.0)
    made = Tables(deployed)
    yield made
    assert made.copies() == []
    assert not [name for name in made.backups() if "-drill-" in name]


def run_drill(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    restored: Callable[[Copy], None] | None = None,
    *,
    table: str = "",
    source: str = "",
) -> dict[str, Any]:
    """The report of a drill in which `restored` is called with each copy before it is read."""
    if restored:
        monkeypatch.setattr(drill, "run_drills", partial(drill.run_drills, restored=restored))
    try:
        drill.main(env="staging", system=SYSTEM, table=table, source=source, read_units=0, json_output=True)
    except CommandError as error:
        if error.exit_code != 1:
            raise
        failure = error.message
    else:
        failure = ""
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report | {"failure": failure}


# --- what is compared ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(embedded_aws: Aws) -> Iterator[str]:
    """A table of fifty thousand items."""
    name = f"many-{uuid.uuid4().hex[:8]}"
    dynamodb, s3 = embedded_aws.client("dynamodb"), embedded_aws.client("s3")
    items = ({"id": {"N": str(number)}, "price": PET["price"]} for number in range(1, MANY + 1))
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="items.json", Body="\n".join(json.dumps({"Item": item}) for item in items).encode())
    imported = dynamodb.import_table(
        S3BucketSource={"S3Bucket": name},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters=TABLE | {"TableName": name},
    )
    arn = imported["ImportTableDescription"]["ImportArn"]
    status = partial(dynamodb.describe_import, ImportArn=arn)
    wait_for(lambda: status()["ImportTableDescription"]["ImportStatus"] == "COMPLETED", timeout=300)
    switch_recovery_on(dynamodb, name)
    s3.delete_object(Bucket=name, Key="items.json")
    s3.delete_bucket(Bucket=name)
    yield name
    dynamodb.delete_table(TableName=name)


def test_a_table_of_fifty_thousand_items_passes_and_fails_with_one_altered(
    tables: Tables,
    many: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    guarantee: Guarantee,
) -> None:
    tables.declare("profiles", many)
    report = run_drill(capsys, monkeypatch)
    (found,) = report["tables"]
    assert report["passed"]
    assert (found["items"], found["items_in_copy"], found["unchanged"]) == (MANY, MANY, MANY)
    assert found["checksums"]["source"] == found["checksums"]["copy"]

    def alter(copy: Copy) -> None:
        tables.dynamodb.update_item(
            TableName=copy.name,
            Key={"id": {"N": "31415"}},
            UpdateExpression="SET price = :price",
            ExpressionAttributeValues={":price": {"N": "249.98999"}},
        )

    restored = found["items_in_copy"]
    report = run_drill(capsys, monkeypatch, alter)
    (found,) = report["tables"]
    unnoticed = 1 - len(found["wrong_items"])
    guarantee("restore", items=MANY, lost=MANY - restored, altered_in_the_copy=1, unnoticed=unnoticed)
    assert not report["passed"]
    assert found["wrong_items"] == [{"what": "altered", "key": "id=31415"}]
    assert found["checksums"]["source"] != found["checksums"]["copy"]
    assert report["failure"] == f"the drill failed: {many}: 1 altered."


def test_missing_and_additional_items_are_named(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=30)

    def spoil(copy: Copy) -> None:
        tables.dynamodb.delete_item(TableName=copy.name, Key={"id": {"N": "7"}})
        tables.dynamodb.put_item(TableName=copy.name, Item=pet(1000))

    report = run_drill(capsys, monkeypatch, spoil)
    assert report["tables"][0]["wrong_items"] == [
        {"what": "missing", "key": "id=7"},
        {"what": "extra", "key": "id=1000"},
    ]


def test_a_number_spelled_otherwise_and_a_set_in_another_order_are_the_same(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=3)
    same = {**pet(1), "price": {"N": "249.9900"}, "tags": {"SS": ["old", "good"]}}
    report = run_drill(capsys, monkeypatch, lambda copy: tables.dynamodb.put_item(TableName=copy.name, Item=same))
    assert report["passed"]


def test_who_writes_meanwhile_raises_no_false_alarm_and_hides_none(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tables.make(items=60)
    ended = threading.Event()
    rounds: list[int] = []

    def write() -> None:
        """Changes, makes and deletes other items than the first ten."""
        while not ended.is_set():
            number = 11 + len(rounds) % 40
            changed = {**pet(number), "visits": {"N": str(len(rounds))}}
            tables.dynamodb.put_item(TableName=name, Item=changed)
            tables.dynamodb.put_item(TableName=name, Item=pet(10_000 + len(rounds)))
            tables.dynamodb.delete_item(TableName=name, Key={"id": {"N": str(10_000 + len(rounds) // 2)}})
            rounds.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: rounds)
        report = run_drill(capsys, monkeypatch)
        assert report["passed"], report["failure"]
        assert report["tables"][0]["changed_meanwhile"]
        assert report["tables"][0]["created_meanwhile"]
        spoil = {**pet(3), "price": {"N": "1"}}
        report = run_drill(capsys, monkeypatch, lambda copy: tables.dynamodb.put_item(TableName=copy.name, Item=spoil))
        assert {"what": "altered", "key": "id=3"} in report["tables"][0]["wrong_items"]
        assert not report["passed"]
    finally:
        ended.set()
        writer.join()


def test_items_with_two_keys_are_named_by_both(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tables.make(
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("PK", "SK")],
    )
    for sort_key in ("METADATA", "MESSAGE#1"):
        tables.dynamodb.put_item(TableName=name, Item={"PK": {"S": "SESSION#ä"}, "SK": {"S": sort_key}})
    lost = {"PK": {"S": "SESSION#ä"}, "SK": {"S": "MESSAGE#1"}}
    report = run_drill(capsys, monkeypatch, lambda copy: tables.dynamodb.delete_item(TableName=copy.name, Key=lost))
    assert report["tables"][0]["wrong_items"] == [{"what": "missing", "key": "PK=SESSION#ä, SK=MESSAGE#1"}]


def test_an_empty_table_passes(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make()
    report = run_drill(capsys, monkeypatch)
    assert report["passed"]
    assert report["tables"][0]["items"] == 0


# --- settings, and the runbook -------------------------------------------------------------------------------------

INDEX = {
    "IndexName": "by-type",
    "KeySchema": [{"AttributeName": "type", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
TYPED = [{"AttributeName": "id", "AttributeType": "N"}, {"AttributeName": "type", "AttributeType": "S"}]


def test_what_a_restore_drops_is_told_with_the_way_to_set_it_again(
    tables: Tables, deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tables.make(
        items=2,
        AttributeDefinitions=TYPED,
        GlobalSecondaryIndexes=[INDEX],
        DeletionProtectionEnabled=True,
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        Tags=[{"Key": "Project", "Value": "agent's"}],
    )
    tables.dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    report = run_drill(capsys, monkeypatch)
    assert report["passed"], report
    again = {one["name"]: one["again"] for one in report["tables"][0]["to_set_again"]}
    assert again.keys() == {"ttl", "point_in_time_recovery_days", "deletion_protection", "stream_view_type", "tags"}
    new = f"{name}-restored-{datetime.now(UTC):%Y%m%d}"
    assert again["ttl"] == (
        f"aws dynamodb update-time-to-live --table-name {new} "
        "--time-to-live-specification Enabled=true,AttributeName=ttl"
    )

    runbook = (deployed.folder / "staging" / f"restore-runbook-{SYSTEM}.md").read_text()
    (command,) = re.findall(r"^aws dynamodb restore-table-to-point-in-time.*$", runbook, flags=re.MULTILINE)
    assert f"--source-table-name {name} --target-table-name {new}" in command
    assert "terraform -chdir=terraform state rm 'module.profiles[0].aws_dynamodb_table.this'" in runbook
    assert f'+adopt_tables = ["{new}"]' in runbook
    assert "{{" not in runbook


def test_an_index_that_the_copy_lacks_fails(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=1, AttributeDefinitions=TYPED, GlobalSecondaryIndexes=[INDEX])

    def drop(copy: Copy) -> None:
        delete = {"Delete": {"IndexName": "by-type"}}
        tables.dynamodb.update_table(TableName=copy.name, GlobalSecondaryIndexUpdates=[delete])

    report = run_drill(capsys, monkeypatch, drop)
    assert not report["passed"]
    assert report["tables"][0]["wrong_settings"] == ["index by-type is missing"]
    assert report["runbook"] is None


def test_provisioned_capacity_is_kept_and_left_to_the_tables_users(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(
        items=20,
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 400, "WriteCapacityUnits": 5},
    )
    rates, pages = [], table_scan.pages

    def noted(name: str, limit: ReadLimit) -> Iterator[table_scan.Items]:
        rates.append(limit.units_per_second)
        return pages(name, limit)

    monkeypatch.setattr(table_scan, "pages", noted)
    assert run_drill(capsys, monkeypatch)["passed"]
    assert rates == [100.0, 400.0, 100.0]


def test_reading_threads_share_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    limit = ReadLimit(2.5)
    assert [limit.pause_seconds(units) for units in (5, 5, 0.5)] == pytest.approx([2.0, 4.0, 4.2])
    assert ReadLimit(None).pause_seconds(1e9) == 0


# --- where it is restored from -------------------------------------------------------------------------------------


def test_without_recovery_a_backup_is_made_and_deleted(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=3, recovery=False)
    seen: list[str] = []
    report = run_drill(capsys, monkeypatch, lambda _copy: seen.extend(tables.backups()))
    assert report["passed"]
    assert report["tables"][0]["restored_from"] == "backup"
    assert seen == [report["tables"][0]["copy"]]


def test_a_source_that_is_not_to_be_had_is_told(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tables.make(recovery=False)
    with pytest.raises(CommandError, match=f"point-in-time recovery of {name} is off") as caught:
        run_drill(capsys, monkeypatch, source="recovery")
    assert caught.value.exit_code == 2
    with pytest.raises(CommandError, match="FROM=tape is none"):
        run_drill(capsys, monkeypatch, source="tape")


# --- which tables --------------------------------------------------------------------------------------------------


def test_the_systems_own_tables_are_drilled_or_one_by_either_name(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (tables.make(logical) for logical in ("profiles", "idempotency", "match"))
    profiles, markers, match = made
    for wanted, drilled in (("", [profiles, match]), (profiles, [profiles]), ("idempotency", [markers])):
        report = run_drill(capsys, monkeypatch, table=wanted)
        assert [found["table"] for found in report["tables"]] == drilled
    with pytest.raises(CommandError, match="has no table 'birds'") as caught:
        run_drill(capsys, monkeypatch, table="birds")
    assert caught.value.exit_code == 2


def test_a_system_that_is_off_is_refused_and_one_in_memory_is_drilled(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=1)
    with pytest.raises(CommandError, match="no system 'agent_registry'") as caught:
        drill.main(env="staging", system="agent_registry", table="", source="", read_units=0, json_output=True)
    assert caught.value.exit_code == 2
    tables.declare("profiles", tables.names["profiles"], persistence="memory")
    assert run_drill(capsys, monkeypatch)["passed"]


# --- nothing is left (the fixture looks, after each test) ----------------------------------------------------------


@pytest.mark.parametrize("recovery", [True, False])
@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_copy_and_backup_go_when_it_fails(
    tables: Tables,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    recovery: bool,
    failure: type[BaseException],
) -> None:
    tables.make(items=1, recovery=recovery)

    def fail(_copy: Copy) -> None:
        raise failure

    with pytest.raises(failure):
        run_drill(capsys, monkeypatch, fail)


def test_interrupted_while_the_copy_is_being_made_it_goes_too(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=1)

    def interrupt() -> None:
        wait_for(tables.copies, timeout=60)
        os.kill(os.getpid(), signal.SIGINT)

    # Where the tests run in the background, a shell has made them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_drill(capsys, monkeypatch)
    finally:
        interrupting.join()
        signal.signal(signal.SIGINT, before)


def _as_a_role_that_may(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, *statements: dict[str, Any]) -> None:
    role = f"operator-{uuid.uuid4().hex[:8]}"
    iam, sts = deployed.aws.client("iam"), deployed.aws.client("sts")
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}]}
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    policy = {"Version": "2012-10-17", "Statement": [{"Resource": "*", **statement} for statement in statements]}
    iam.put_role_policy(RoleName=role, PolicyName="operator", PolicyDocument=json.dumps(policy))
    keys = sts.assume_role(RoleArn=arn, RoleSessionName="operator")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it has the other keys


def test_who_may_not_restore_is_told_and_leaves_nothing(
    tables: Tables, deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = tables.make(items=1)
    _as_a_role_that_may(deployed, monkeypatch, {"Effect": "Allow", "Action": [*READING, "s3:GetObject"]})
    with pytest.raises(ClientError, match=f"not authorized to perform: dynamodb:RestoreTableToPointInTime.*{name}"):
        run_drill(capsys, monkeypatch)


def test_a_copy_that_can_not_be_deleted_is_named_with_the_command_for_it(
    tables: Tables, deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.make(items=1)
    forbidden = {"Effect": "Deny", "Action": "dynamodb:DeleteTable"}
    _as_a_role_that_may(deployed, monkeypatch, {"Effect": "Allow", "Action": "*"}, forbidden)
    with pytest.raises(ClientError, match="DeleteTable"):
        drill.main(env="staging", system=SYSTEM, table="", source="", read_units=0, json_output=False)
    (copy,) = tables.copies()
    assert (
        f"the copy {copy} is left; delete it: aws dynamodb delete-table --table-name {copy}" in capsys.readouterr().err
    )
    tables.dynamodb.delete_table(TableName=copy)


def test_what_killed_drills_left_is_removed_once_it_is_a_day_old(
    tables: Tables, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = tables.make(items=1), tables.make("match")
    old, now = (f"{at:%Y%m%dT%H%M%SZ}" for at in (datetime.now(UTC) - timedelta(days=2), datetime.now(UTC)))

    def restore(source: str, copy: str) -> str:
        tables.dynamodb.restore_table_to_point_in_time(
            SourceTableName=source, TargetTableName=copy, UseLatestRestorableTime=True
        )
        wait_for(lambda: tables.dynamodb.describe_table(TableName=copy)["Table"]["TableStatus"] == "ACTIVE")
        return copy

    left = restore(name, f"{name}-drill-{old}-abcdef")
    protected = restore(name, f"{name}-drill-{old}-bbbbbb")
    tables.dynamodb.update_table(TableName=protected, DeletionProtectionEnabled=True)
    stay = [
        protected,
        restore(name, f"{name}-drill-{now}-abcdef"),  # of a drill that may be under way
        restore(name, f"{name}-drill-{old}-abcdefg"),  # not a drill's name
        restore(other, f"{name}-drill-{old}-cccccc"),  # not of this table
    ]
    backup = f"{name}-drill-{old}-abcdef"
    tables.dynamodb.create_backup(TableName=name, BackupName=backup)
    tables.dynamodb.create_backup(TableName=name, BackupName="kept")

    report = run_drill(capsys, monkeypatch, table="profiles")
    assert report["removed_left_over"] == [left, f"backup {backup}"]
    assert sorted(tables.copies()) == sorted(stay)
    assert tables.backups() == ["kept"]
    tables.dynamodb.update_table(TableName=protected, DeletionProtectionEnabled=False)
    for copy in stay:
        tables.dynamodb.delete_table(TableName=copy)
