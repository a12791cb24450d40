"""Alarms that are on, that could never go off, and that nobody would hear."""

import pytest

from tests.glue.diagnosed import APPLY, EDIT, Diagnosed
from tests.local_aws.conftest import REGION


def test_an_alarm_is_on(stack: Diagnosed) -> None:
    name = f"{stack.name}-errors"
    stack.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="1 >= 1")
    found = stack.only("alarm-in-alarm")
    assert found.cause == "Somebody should look."
    assert found.evidence == "1 >= 1"
    assert f"cloudwatch describe-alarm-history --alarm-name {name}" in found.fix


def test_an_alarm_is_gone(stack: Diagnosed) -> None:
    stack.client("cloudwatch").delete_alarms(AlarmNames=[f"{stack.name}-errors"])
    assert stack.only("alarm-missing").fix == APPLY


@pytest.mark.parametrize(
    ("namespace", "metric", "dimensions", "why"),
    [
        ("AWS/DynamoDB", "SystemErrors", {"TableName": "TABLE"}, "has no series by TableName"),
        ("AWS/DynamoDB", "UserErrors", {"TableName": "TABLE"}, "has no series by TableName"),
        ("AWS/DynamoDB", "ReadThrottleEvents", {"TableName": "Orders"}, "no TableName Orders"),
        (
            "AWS/DynamoDB",
            "ReadThrottleEvents",
            {"TableName": "TABLE", "GlobalSecondaryIndexName": "i"},
            "no GlobalSecondaryIndexName i",
        ),
        ("AWS/Lambda", "Errors", {"FunctionName": "nobody"}, "no FunctionName nobody"),
        ("AWS/ApiGateway", "5XXError", {"ApiId": "API"}, "it is called 5xx"),
    ],
)
def test_an_alarm_that_can_never_go_off(
    stack: Diagnosed, namespace: str, metric: str, dimensions: dict[str, str], why: str
) -> None:
    here = {"TABLE": stack.table, "API": stack.api}
    name = f"{stack.prefix}-staging-by-hand"
    stack.put_alarm(name, namespace, metric, {key: here.get(value, value) for key, value in dimensions.items()})
    found = stack.only("alarm-cannot-fire")
    assert why in found.what
    assert found.fix == f"aws cloudwatch delete-alarms --alarm-names {name} --region {REGION}"


def test_an_alarm_beyond_what_a_function_can_reach(stack: Diagnosed) -> None:
    name = f"{stack.name}-errors"  # Terraform's own, changed by hand
    stack.put_alarm(name, "AWS/Lambda", "Duration", {"FunctionName": stack.name}, Statistic="Maximum", Threshold=10001)
    found = stack.only("alarm-cannot-fire")
    assert "its threshold is 10001, and Duration is at most 10000" in found.what
    assert found.fix == APPLY


def test_an_alarm_that_is_never_over(stack: Diagnosed) -> None:
    stack.put_alarm(
        f"{stack.name}-errors", "AWS/Lambda", "Errors", {"FunctionName": stack.name}, TreatMissingData="breaching"
    )
    assert "treats missing data as 'breaching'" in stack.only("alarm-never-ends").what


def test_an_alarm_that_tells_nobody(stack: Diagnosed) -> None:
    name = f"{stack.name}-errors"
    stack.client("cloudwatch").disable_alarm_actions(AlarmNames=[name])
    found = stack.only("alarm-tells-nobody")
    assert found.fix == f"aws cloudwatch enable-alarm-actions --alarm-names {name} --region {REGION}"
    stack.put_alarm(name, "AWS/Lambda", "Errors", {"FunctionName": stack.name}, AlarmActions=[])
    assert "has no action" in stack.only("alarm-tells-nobody").what


def test_the_alarms_topic_is_gone(stack: Diagnosed) -> None:
    stack.client("sns").delete_topic(TopicArn=stack.topic)
    assert stack.only("alarm-topic-missing").fix == APPLY


def test_nobody_has_subscribed(stack: Diagnosed) -> None:
    sns = stack.client("sns")
    for one in sns.list_subscriptions_by_topic(TopicArn=stack.topic)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])
    assert EDIT.fullmatch(stack.only("nobody-subscribed").fix)
    stack.resources["aws_sns_topic_subscription"] = [{"topic_arn": stack.topic, "endpoint": "ann@example.com"}]
    stack.apply()
    found = stack.only("nobody-subscribed")
    assert "ann@example.com unsubscribed" in found.cause
