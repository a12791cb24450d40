"""Tables that exist already are taken into the state as they are: nothing made anew, no item lost."""

import json
from typing import Any

import boto3

from tests.terraform.running import REGION, OpenTerraform, Terraform, drop_backend

CHAT = {
    "TableName": "chat_sessions",
    "KeySchema": [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")],
    "BillingMode": "PAY_PER_REQUEST",
    "Tags": [{"Key": "Owner", "Value": "somebody"}],
}
ITEM = {"PK": {"S": "SESSION#1"}, "SK": {"S": "METADATA"}, "user_id": {"S": "ada"}, "total_tokens": {"N": "7"}}
STACK = {
    "environment": "local",
    "aws_region": REGION,
    "api_auth": "none",
    "deletion_protection": False,
    "lambda_manifest": "tests/fixtures/manifest.json",
    "alarms": {"enabled": False},
}


def test_a_table_made_by_hand_keeps_its_items(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    dynamodb = _dynamodb(aws)
    made = dynamodb.create_table(**CHAT)["TableDescription"]
    dynamodb.put_item(TableName="chat_sessions", Item=ITEM)
    stack = _open(terraform, aws, systems=["chat_sessions"], adopt_tables=["chat_sessions"])

    (table,) = [change for change in _tables(stack) if change["change"]["after"]["name"] == "chat_sessions"]
    assert table["change"]["importing"] == {"id": "chat_sessions"}
    assert table["change"]["actions"] == ["update"]

    stack.run("apply", "tfplan")
    described = dynamodb.describe_table(TableName="chat_sessions")["Table"]
    assert described["CreationDateTime"] == made["CreationDateTime"]
    assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["UserSessionsIndex"]
    assert dynamodb.scan(TableName="chat_sessions")["Items"] == [ITEM]

    # Its name may stay where it is: it is adopted once.
    stack.run("plan", "-detailed-exitcode")


def test_each_table_of_the_stack_can_be_adopted(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    systems = ["agent_profiles", "agent_registry", "agent_sessions", "chat_sessions", "pet_store"]
    stack = _open(terraform, aws, systems=systems)
    wanted = [change["change"]["after"] for change in _tables(stack)]
    for table in wanted:
        _make(aws, table)
    _write_variables(stack, systems=systems, adopt_tables=[table["name"] for table in wanted])
    changes = [change["change"] for change in _tables(stack)]
    assert {change["importing"]["id"] for change in changes} == {table["name"] for table in wanted}
    assert {action for change in changes for action in change["actions"]} <= {"update", "no-op"}


def test_a_table_with_other_keys_is_refused(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    """Terraform would destroy it, with all that it holds, to make one with the right keys."""
    keys = {
        "KeySchema": CHAT["KeySchema"][:1],
        "AttributeDefinitions": CHAT["AttributeDefinitions"][:1],
    }
    _dynamodb(aws).create_table(**(CHAT | keys))
    stack = _open(terraform, aws, systems=["chat_sessions"], adopt_tables=["chat_sessions"])
    refused = stack.run("plan", accept=(1,))
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert "exists with other keys, PK (S) instead of PK (S), SK (S)" in said
    assert "Copy its items into a new table" in said


def test_names_that_are_no_tables_of_the_stack_are_refused(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    """A table of a system that is off, and one that nobody named."""
    names = ["AgentRegistry", "chat-session", "chat_sessions"]
    stack = _open(terraform, aws, systems=["chat_sessions"], adopt_tables=names)
    refused = stack.run("plan", accept=(1,))
    said = " ".join(refused.stderr.replace("│", " ").split())
    assert "adopt_tables: this stack has no table AgentRegistry, chat-session." in said
    assert 'chat_sessions.table_name = "chat_sessions"' in said


def _open(terraform: OpenTerraform, aws: dict[str, str], **variables: Any) -> Terraform:
    stack = terraform("terraform", aws, attached=True)
    drop_backend(stack.directory)
    _write_variables(stack, **variables)
    stack.init()
    return stack


def _write_variables(stack: Terraform, **variables: Any) -> None:
    (stack.directory / "test.auto.tfvars.json").write_text(json.dumps(STACK | variables))


def _tables(stack: Terraform) -> list[dict[str, Any]]:
    """Planned changes of tables; the plan is kept."""
    stack.run("plan", "-out=tfplan")
    return [
        change
        for change in stack.show("tfplan")["resource_changes"]
        if (change["mode"], change["type"]) == ("managed", "aws_dynamodb_table")
    ]


def _make(aws: dict[str, str], table: dict[str, Any]) -> None:
    """A table as planned, but for its indexes and all that can be changed afterwards."""
    keys = [table["hash_key"], *([table["range_key"]] if table["range_key"] else [])]
    types = {attribute["name"]: attribute["type"] for attribute in table["attribute"]}
    _dynamodb(aws).create_table(
        TableName=table["name"],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": types[name]} for name in keys],
        BillingMode="PAY_PER_REQUEST",
    )


def _dynamodb(aws: dict[str, str]) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )
