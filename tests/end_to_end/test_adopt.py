"""Tables that others made come under Terraform as they are: imported, not one setting changed, no item touched."""

import json
from typing import Any

import pytest

from tests.end_to_end.checkout import Checkout

# What Terraform has to look at is kept small: these tests are about the tables.
SETTINGS = """
systems = ["chat_sessions"]
alarms = { enabled = false }
enable_dashboard = false

[variables.chat_sessions]
# what the old service calls it
table_name = "old-chats"
"""
TABLES = ("Events", "Orders", "Secrets", "old-chats")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Readers",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "dynamodb:GetItem",
            "Resource": "arn:aws:dynamodb:us-east-1:123456789012:table/Events",
        }
    ],
}


def _keys(hash_key: str, range_key: str = "") -> list[dict[str, str]]:
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in ((hash_key, "HASH"), (range_key, "RANGE")) if name
    ]


def _index(name: str, keys: list[dict[str, str]], projection: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": keys, "Projection": projection, **more}


def _make(dynamodb: Any, name: str, types: dict[str, str], keys: list[dict[str, str]], **settings: Any) -> str:
    attributes = [{"AttributeName": attribute, "AttributeType": kind} for attribute, kind in types.items()]
    billing = {} if "ProvisionedThroughput" in settings else {"BillingMode": "PAY_PER_REQUEST"}
    made = dynamodb.create_table(TableName=name, AttributeDefinitions=attributes, KeySchema=keys, **billing, **settings)
    return str(made["TableDescription"]["TableArn"])


def _make_orders(checkout: Checkout) -> None:
    """Provisioned, with an index; some of it autoscaled."""
    _make(
        checkout.client("dynamodb"),
        "Orders",
        {"id": "S", "customer": "S"},
        _keys("id"),
        ProvisionedThroughput={"ReadCapacityUnits": 3, "WriteCapacityUnits": 2},
        GlobalSecondaryIndexes=[
            _index(
                "by-customer",
                _keys("customer"),
                {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["total"]},
                ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 2},
            )
        ],
    )
    scaler = checkout.client("application-autoscaling")
    for resource, kind in (("table/Orders", "Read"), ("table/Orders/index/by-customer", "Write")):
        place = {
            "ServiceNamespace": "dynamodb",
            "ResourceId": resource,
            "ScalableDimension": f"dynamodb:{'index' if '/index/' in resource else 'table'}:{kind}CapacityUnits",
        }
        scaler.register_scalable_target(**place, MinCapacity=1, MaxCapacity=9)
        scaler.put_scaling_policy(
            **place,
            PolicyName=f"DynamoDB{kind}CapacityUtilization:{resource}",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 60.0,
                "PredefinedMetricSpecification": {"PredefinedMetricType": f"DynamoDB{kind}CapacityUtilization"},
            },
        )


def _make_events(checkout: Checkout) -> None:
    """On demand, with all that can be switched on."""
    dynamodb = checkout.client("dynamodb")
    arn = _make(
        dynamodb,
        "Events",
        {"day": "S", "at": "N"},
        _keys("day", "at"),
        Tags=[{"Key": "Team", "Value": "web"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        DeletionProtectionEnabled=True,
    )
    dynamodb.update_time_to_live(
        TableName="Events", TimeToLiveSpecification={"Enabled": True, "AttributeName": "goes_at"}
    )
    dynamodb.update_continuous_backups(
        TableName="Events",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7},
    )
    dynamodb.put_resource_policy(ResourceArn=arn, Policy=json.dumps(POLICY))


def _make_secrets(checkout: Checkout) -> None:
    """Under a key of the customer."""
    key = checkout.client("kms").create_key()["KeyMetadata"]["Arn"]
    encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
    _make(checkout.client("dynamodb"), "Secrets", {"id": "B"}, _keys("id"), SSESpecification=encryption)


def _make_chats(checkout: Checkout) -> None:
    """A system's table under another name, with an index that the system does not know."""
    _make(
        checkout.client("dynamodb"),
        "old-chats",
        {"PK": "S", "SK": "S", "GSI1PK": "S", "GSI1SK": "S", "kind": "S"},
        _keys("PK", "SK"),
        Tags=[{"Key": "Owner", "Value": "ann"}],
        GlobalSecondaryIndexes=[
            _index("UserSessionsIndex", _keys("GSI1PK", "GSI1SK"), {"ProjectionType": "ALL"}),
            _index("by-kind", _keys("kind"), {"ProjectionType": "KEYS_ONLY"}),
        ],
    )


@pytest.fixture(scope="module", autouse=True)
def _others_tables(checkout: Checkout) -> None:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    file.write_text(file.read_text() + SETTINGS)
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    checkout.must("bootstrap", "ENV=local")
    for make in (_make_orders, _make_events, _make_secrets, _make_chats):
        make(checkout)
    dynamodb = checkout.client("dynamodb")
    dynamodb.put_item(TableName="Orders", Item={"id": {"S": "1"}, "customer": {"S": "ann"}})
    dynamodb.put_item(TableName="old-chats", Item={"PK": {"S": "SESSION#1"}, "SK": {"S": "METADATA"}})


def _seen(checkout: Checkout) -> dict[str, Any]:
    """All that AWS tells of the tables, and their items."""
    dynamodb = checkout.client("dynamodb")
    seen = {}
    for name in TABLES:
        table = dynamodb.describe_table(TableName=name)["Table"]
        backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        # The end of what can be restored follows the clock, whoever does what.
        backups["PointInTimeRecoveryDescription"].pop("LatestRestorableDateTime", None)
        seen[name] = {
            "table": table,
            "items": dynamodb.scan(TableName=name)["Items"],
            "ttl": dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"],
            "tags": dynamodb.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
            "backups": backups,
        }
    return seen


def test_tables_of_others_are_taken_over_as_they_are(checkout: Checkout) -> None:
    before = _seen(checkout)
    report = json.loads(checkout.must("adopt", "ENV=local", f"TABLE={','.join(TABLES)}", "JSON=1"))
    assert report["written"]
    assert {one["table"]: one["as"] for one in report["adopted"]} == {
        "Events": "extra",
        "Orders": "extra",
        "Secrets": "extra",
        "old-chats": "chat_sessions.sessions",
    }
    text = (checkout.folder / "terraform" / "environments" / "local.toml").read_text()
    assert "# what the old service calls it" in text
    assert "# Open on purpose" in text

    planned = checkout.must("plan", "ENV=local")
    # Four tables, and the targets and policies of two scaled places.
    assert "Plan: 8 to import, " in planned
    assert " 0 to change, 0 to destroy." in planned
    checkout.must("apply", "ENV=local", "YES=1")
    assert _seen(checkout) == before
    assert (
        json.loads(checkout.run(".venv/bin/python", "-m", "scripts.plan", "--env", "local", "--json").stdout)["changes"]
        is False
    )


def test_what_is_held_is_left_alone(checkout: Checkout) -> None:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    before = file.read_text()
    said = checkout.must("adopt", "ENV=local", "TABLE=Orders")
    assert 'Orders: in the state already, as module.extra_table["Orders"]; nothing to do' in said
    assert file.read_text() == before


def test_a_table_that_is_not_there(checkout: Checkout) -> None:
    ended = checkout.make("adopt", "ENV=local", "TABLE=orders")
    assert ended.exit_code == 2
    assert "error: there is no table orders in region us-east-1. There are: Orders." in ended.stderr
