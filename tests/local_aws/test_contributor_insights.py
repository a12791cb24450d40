"""Contributor insights tell which keys are used most, under the names that DynamoDB gives its rules."""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import Aws


@pytest.fixture
def table(aws: Aws) -> Iterator[str]:
    dynamodb, name = aws.client("dynamodb"), f"table-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("pk", "sk", "owner")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield name
    dynamodb.delete_table(TableName=name)


def report(aws: Aws, rule: str) -> dict[str, Any]:
    now = datetime.datetime.now(datetime.UTC)
    hour = datetime.timedelta(hours=1)
    answer: dict[str, Any] = aws.client("cloudwatch").get_insight_rule_report(
        RuleName=rule, StartTime=now - hour, EndTime=now + hour, Period=60, MaxContributorCount=2
    )
    return answer


def test_they_are_off_until_somebody_switches_them_on(aws: Aws, table: str) -> None:
    dynamodb = aws.client("dynamodb")
    assert dynamodb.describe_contributor_insights(TableName=table)["ContributorInsightsStatus"] == "DISABLED"
    dynamodb.update_contributor_insights(TableName=table, ContributorInsightsAction="ENABLE")
    found = dynamodb.describe_contributor_insights(TableName=table)
    assert found["ContributorInsightsStatus"] == "ENABLED"
    kinds = [re.fullmatch(rf"DynamoDBContributorInsights-(\w+)-{table}-\d+", rule) for rule in found.pop(
        "ContributorInsightsRuleList"
    )]  # fmt: skip
    assert [kind[1] for kind in kinds if kind] == ["PKC", "PKT", "SKC", "SKT"]
    dynamodb.update_contributor_insights(TableName=table, ContributorInsightsAction="DISABLE")
    assert dynamodb.describe_contributor_insights(TableName=table)["ContributorInsightsStatus"] == "DISABLED"


def test_keys_are_counted_for_the_table_and_for_its_index_apart(aws: Aws, table: str) -> None:
    dynamodb = aws.client("dynamodb")
    for place in ({}, {"IndexName": "by-owner"}):
        dynamodb.update_contributor_insights(TableName=table, ContributorInsightsAction="ENABLE", **place)
    for pk in ("a", "b", "a", "c", "a", "b"):
        dynamodb.get_item(TableName=table, Key={"pk": {"S": pk}, "sk": {"S": "1"}})
    dynamodb.query(
        TableName=table,
        IndexName="by-owner",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": {"S": "ann"}},
    )
    accessed, throttled = dynamodb.describe_contributor_insights(TableName=table)["ContributorInsightsRuleList"][:2]
    found = report(aws, accessed)
    assert found["AggregateValue"] == 6
    assert found["ApproximateUniqueCount"] == 3
    assert [(each["Keys"], each["ApproximateAggregateValue"]) for each in found["Contributors"]] == [
        (["a"], 3.0),
        (["b"], 2.0),
    ]
    assert sum(point["ApproximateValue"] for point in found["Contributors"][0]["Datapoints"]) == 3
    assert report(aws, throttled)["Contributors"] == []
    (of_index, _) = dynamodb.describe_contributor_insights(TableName=table, IndexName="by-owner")[
        "ContributorInsightsRuleList"
    ]
    assert [each["Keys"] for each in report(aws, of_index)["Contributors"]] == [["ann"]]


def test_what_is_not_there_is_told_as_aws_does(aws: Aws) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.client("dynamodb").describe_contributor_insights(TableName="no-such-table")
    with pytest.raises(ClientError) as caught:
        report(aws, "no-such-rule")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
