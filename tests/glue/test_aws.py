"""The clients of the operator's commands, when DynamoDB's answers don't arrive whole."""

import os

import boto3
import pytest
from botocore.exceptions import ConnectionClosedError

from scripts import aws
from tests.faults.dynamodb_proxy import BY_NAME, FAULTS, WAITED_FOR, Fault, at_call, proxied
from tests.glue.deployed import Deployed

TABLE = "pets-behind-a-proxy"
READ = [fault for fault in FAULTS if fault.fits("DescribeTable") and fault.name not in WAITED_FOR]


@pytest.fixture
def table(deployed: Deployed) -> str:
    dynamodb = boto3.client("dynamodb")
    if TABLE not in dynamodb.list_tables()["TableNames"]:
        dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
    return TABLE


@pytest.mark.parametrize("fault", READ, ids=lambda fault: fault.name)
def test_an_answer_that_is_not_whole_is_asked_for_again(
    table: str, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxied(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
        dynamodb = aws.client("dynamodb")
        proxy.plan = at_call(1, fault)
        assert dynamodb.describe_table(TableName=table)["Table"]["TableName"] == table
        assert len(proxy.injected) == 1


@pytest.mark.parametrize("name", ["cut within the answer's head", "answer that is no JSON"])
def test_no_whole_answer_is_an_error(table: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxied(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
        proxy.plan = lambda _: BY_NAME[name]
        with pytest.raises(ConnectionClosedError):
            aws.client("dynamodb", retries={"total_max_attempts": 2}).describe_table(TableName=table)
        assert len(proxy.injected) == 2
