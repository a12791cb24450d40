"""A function may do what its role allows on DynamoDB, and nothing else."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.local_aws.conftest import ACCOUNT, REGION, Aws, Deploy, Function, client_for

CALL = """
import boto3
client = boto3.client("dynamodb")
def handler(event, context):
    try:
        getattr(client, event["call"])(**event["parameters"])
    except client.exceptions.ClientError as error:
        response = error.response
        return [response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]]
    return "allowed"
"""
KEY = {"id": {"S": "a"}}


@pytest.fixture(scope="module")
def tables(aws: Aws) -> tuple[str, str]:
    names = (f"t-{uuid.uuid4().hex[:8]}", f"u-{uuid.uuid4().hex[:8]}")
    for name in names:
        aws.client("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("id", "city")],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "by-city",
                    "KeySchema": [{"AttributeName": "city", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    return names


def arn(table: str, index: str | None = None) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}" + (f"/index/{index}" if index else "")


def allow(actions: str | list[str], resource: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


def call(function: Function, name: str, **parameters: Any) -> Any:
    return function.invoke({"call": name, "parameters": parameters}).payload


def test_what_is_not_allowed_is_denied_in_awss_words(deploy: Deploy, tables: tuple[str, str]) -> None:
    table, other = tables
    function = deploy(CALL, statements=[allow("dynamodb:GetItem", arn(table))])
    assert call(function, "get_item", TableName=table, Key=KEY) == "allowed"
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/{function.role_name}/{function.name}"
    for name, action, parameters in [
        ("get_item", "GetItem", {"TableName": other, "Key": KEY}),
        ("put_item", "PutItem", {"TableName": table, "Item": KEY}),
        ("scan", "Scan", {"TableName": table}),
        ("describe_table", "DescribeTable", {"TableName": table}),
    ]:
        assert call(function, name, **parameters) == [
            "AccessDeniedException",
            (
                f"User: {caller} is not authorized to perform: dynamodb:{action} on resource: "
                f"{arn(parameters['TableName'])} because no identity-based policy allows the dynamodb:{action} action"
            ),
            400,
        ]


def test_an_index_is_a_resource_of_its_own(deploy: Deploy, tables: tuple[str, str]) -> None:
    table = tables[0]
    query = {
        "TableName": table,
        "KeyConditionExpression": "city = :c",
        "ExpressionAttributeValues": {":c": {"S": "Berlin"}},
        "IndexName": "by-city",
    }
    on_table = deploy(CALL, statements=[allow("dynamodb:*", arn(table))])
    on_index = deploy(CALL, statements=[allow("dynamodb:Query", arn(table, "by-city"))])
    denied = call(on_table, "query", **query)
    assert denied[0] == "AccessDeniedException"
    assert arn(table, "by-city") in denied[1]
    assert call(on_index, "query", **query) == "allowed"
    assert call(on_index, "get_item", TableName=table, Key=KEY)[0] == "AccessDeniedException"


def test_a_batch_needs_every_table_in_it(deploy: Deploy, tables: tuple[str, str]) -> None:
    one, both = (
        deploy(CALL, statements=[allow(["dynamodb:BatchGetItem", "dynamodb:BatchWriteItem"], resources)])
        for resources in ([arn(tables[0])], [arn(table) for table in tables])
    )
    get = {"RequestItems": {table: {"Keys": [KEY]} for table in tables}}
    write = {"RequestItems": {table: [{"PutRequest": {"Item": KEY}}] for table in tables}}
    for name, parameters in (("batch_get_item", get), ("batch_write_item", write)):
        assert call(one, name, **parameters)[0] == "AccessDeniedException"
        assert call(both, name, **parameters) == "allowed"


@pytest.mark.parametrize(
    ("kind", "action", "extra"),
    [
        ("Put", "PutItem", {}),
        ("Update", "UpdateItem", {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "1"}}}),
        ("Delete", "DeleteItem", {}),
        ("ConditionCheck", "ConditionCheckItem", {"ConditionExpression": "attribute_not_exists(nothing)"}),
    ],
)
def test_a_transaction_is_authorised_by_the_actions_inside(
    deploy: Deploy, tables: tuple[str, str], kind: str, action: str, extra: dict[str, Any]
) -> None:
    table = tables[0]
    named_after_the_call = deploy(CALL, statements=[allow("dynamodb:TransactWriteItems", arn(table))])
    named_after_the_action = deploy(CALL, statements=[allow(f"dynamodb:{action}", arn(table))])
    item = {"TableName": table, ("Item" if kind == "Put" else "Key"): KEY, **extra}
    denied = call(named_after_the_call, "transact_write_items", TransactItems=[{kind: item}])
    assert denied[0] == "AccessDeniedException"
    assert f"perform: dynamodb:{action} on" in denied[1]
    assert call(named_after_the_action, "transact_write_items", TransactItems=[{kind: item}]) == "allowed"


def test_a_transactional_read_needs_get_item(deploy: Deploy, tables: tuple[str, str]) -> None:
    items = [{"Get": {"TableName": table, "Key": KEY}} for table in tables]
    function = deploy(CALL, statements=[allow("dynamodb:GetItem", arn(tables[0]))])
    assert call(function, "transact_get_items", TransactItems=items[:1]) == "allowed"
    assert call(function, "transact_get_items", TransactItems=items)[0] == "AccessDeniedException"


def test_a_denied_transaction_writes_nothing(aws: Aws, deploy: Deploy, tables: tuple[str, str]) -> None:
    function = deploy(CALL, statements=[allow("dynamodb:PutItem", arn(tables[0]))])
    items = [{"Put": {"TableName": table, "Item": {"id": {"S": "half"}}}} for table in tables]
    assert call(function, "transact_write_items", TransactItems=items)[0] == "AccessDeniedException"
    assert "Item" not in aws.client("dynamodb").get_item(TableName=tables[0], Key={"id": {"S": "half"}})


def test_an_explicit_deny_wins(deploy: Deploy, tables: tuple[str, str]) -> None:
    deny = {"Effect": "Deny", "Action": "dynamodb:Scan", "Resource": "*"}
    function = deploy(CALL, statements=[allow("dynamodb:*", "*"), deny])
    assert call(function, "get_item", TableName=tables[0], Key=KEY) == "allowed"
    denied = call(function, "scan", TableName=tables[0])
    assert denied[0] == "AccessDeniedException"
    assert denied[1].endswith("with an explicit deny in an identity-based policy")


def test_leading_keys_bind_a_role_to_partitions(deploy: Deploy, tables: tuple[str, str]) -> None:
    table = tables[0]
    mine = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine#*"]}, "Null": {"dynamodb:LeadingKeys": "false"}}
    function = deploy(CALL, statements=[allow("dynamodb:*", arn(table), Condition=mine)])
    query = {
        "KeyConditionExpression": "#i = :i",
        "ExpressionAttributeNames": {"#i": "id"},
    }
    for key, expected in (("mine#1", "allowed"), ("yours#1", "AccessDeniedException")):
        value = {"S": key}
        answers = [
            call(function, "get_item", TableName=table, Key={"id": value}),
            call(function, "put_item", TableName=table, Item={"id": value}),
            call(function, "query", TableName=table, ExpressionAttributeValues={":i": value}, **query),
            call(
                function, "transact_write_items", TransactItems=[{"Delete": {"TableName": table, "Key": {"id": value}}}]
            ),
        ]
        assert [a if a == "allowed" else a[0] for a in answers] == [expected] * 4
    assert call(function, "scan", TableName=table)[0] == "AccessDeniedException"


def test_attached_policies_count_and_a_boundary_limits(aws: Aws, deploy: Deploy, tables: tuple[str, str]) -> None:
    iam = aws.client("iam")

    def policy(statement: dict[str, Any]) -> str:
        document = json.dumps({"Version": "2012-10-17", "Statement": statement})
        made = iam.create_policy(PolicyName=f"p-{uuid.uuid4().hex[:8]}", PolicyDocument=document)
        return str(made["Policy"]["Arn"])

    function = deploy(CALL)
    assert call(function, "get_item", TableName=tables[0], Key=KEY)[0] == "AccessDeniedException"
    iam.attach_role_policy(RoleName=function.role_name, PolicyArn=policy(allow("dynamodb:*", "*")))
    assert call(function, "get_item", TableName=tables[0], Key=KEY) == "allowed"
    iam.put_role_permissions_boundary(
        RoleName=function.role_name, PermissionsBoundary=policy(allow("dynamodb:PutItem", "*"))
    )
    assert call(function, "get_item", TableName=tables[0], Key=KEY)[0] == "AccessDeniedException"
    assert call(function, "put_item", TableName=tables[0], Item=KEY) == "allowed"


def test_a_wrong_session_token_is_no_credential(aws: Aws, deploy: Deploy, tables: tuple[str, str]) -> None:
    function = deploy("import os\ndef handler(e, c): return dict(os.environ)", statements=[allow("dynamodb:*", "*")])
    variables = function.invoke().payload
    client = client_for(
        aws.running,
        "dynamodb",
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_session_token="forged",
    )
    with pytest.raises(client.exceptions.ClientError, match="UnrecognizedClientException"):
        client.get_item(TableName=tables[0], Key=KEY)


def test_a_signature_with_a_wrong_secret_is_refused(aws: Aws, deploy: Deploy, tables: tuple[str, str]) -> None:
    function = deploy("import os\ndef handler(e, c): return dict(os.environ)", statements=[allow("dynamodb:*", "*")])
    variables = function.invoke().payload
    client = client_for(
        aws.running,
        "dynamodb",
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key="forged",
        aws_session_token=variables["AWS_SESSION_TOKEN"],
    )
    with pytest.raises(client.exceptions.ClientError, match="InvalidSignatureException"):
        client.get_item(TableName=tables[0], Key=KEY)


def test_clients_that_are_no_functions_are_not_checked(aws: Aws, tables: tuple[str, str]) -> None:
    assert aws.client("dynamodb").scan(TableName=tables[0])["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_secret_is_known_by_its_arn_and_a_parameter_by_its_name(aws: Aws, deploy: Deploy) -> None:
    """What the agent sessions' function reads its key from."""
    code = """
import boto3
def handler(event, context):
    client = boto3.client(event["service"])
    try:
        return str(getattr(client, event["call"])(**event["parameters"]))
    except client.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
"""
    ours, theirs = (
        aws.client("secretsmanager").create_secret(Name=f"s-{uuid.uuid4().hex[:8]}", SecretString="the key")["ARN"]
        for _ in range(2)
    )
    aws.client("ssm").put_parameter(Name="/reply/key", Value="the key", Type="SecureString")
    parameter = f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/reply/key"
    allowed = [allow("secretsmanager:GetSecretValue", ours), allow("ssm:GetParameter", parameter)]
    function = deploy(code, statements=allowed)

    def read(service: str, name: str, **parameters: Any) -> str:
        return str(function.invoke({"service": service, "call": name, "parameters": parameters}).payload)

    assert "the key" in read("secretsmanager", "get_secret_value", SecretId=ours)
    assert "the key" in read("secretsmanager", "get_secret_value", SecretId=ours.rpartition(":")[2][:-7])
    assert read("secretsmanager", "get_secret_value", SecretId=theirs) == "AccessDeniedException"
    assert read("secretsmanager", "describe_secret", SecretId=ours) == "AccessDeniedException"
    assert "the key" in read("ssm", "get_parameter", Name="/reply/key", WithDecryption=True)
    assert read("ssm", "get_parameters", Names=["/reply/key"]) == "AccessDeniedException"


def test_every_decision_is_on_record(aws: Aws, deploy: Deploy, tables: tuple[str, str]) -> None:
    function = deploy(CALL, statements=[allow("dynamodb:GetItem", arn(tables[0]))])
    for _ in range(2):
        call(function, "get_item", TableName=tables[0], Key=KEY)
    call(function, "scan", TableName=tables[0])
    role = f"arn:aws:iam::{ACCOUNT}:role/{function.role_name}"
    found = [d for d in aws.local("/_local/iam")["decisions"] if d["role"] == role and "dynamodb" in d["action"]]
    assert found == [
        {"role": role, "action": "dynamodb:GetItem", "resource": arn(tables[0]), "allowed": True, "count": 2},
        {"role": role, "action": "dynamodb:Scan", "resource": arn(tables[0]), "allowed": False, "count": 1},
    ]
