"""Alarms that are on, that could never go off, and that nobody would hear."""

from tests.glue.diagnosed import APPLY, EDIT, SYSTEM, Diagnosed
from tests.local_aws.conftest import REGION


def test_an_alarm_is_on(stack: Diagnosed) -> None:
    name = f"{stack.name}-errors"
    stack.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="1 >= 1")
    found = stack.only("alarm-in-alarm")
    assert found.cause == "Somebody should look."
    assert found.evidence == "1 >= 1"
    assert found.fix == f"make logs ENV=staging SYSTEM={SYSTEM} SINCE=1h FOLLOW=0"
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="over")
    throttled = f"{stack.table}-read-throttles"
    cloudwatch.set_alarm_state(AlarmName=throttled, StateValue="ALARM", StateReason="1 >= 1")
    assert EDIT.fullmatch(stack.only("alarm-in-alarm").fix)


def test_an_alarm_is_gone(stack: Diagnosed) -> None:
    stack.client("cloudwatch").delete_alarms(AlarmNames=[f"{stack.name}-errors"])
    assert stack.only("alarm-missing").fix == APPLY


SILENT = [
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
]


def test_alarms_that_can_never_go_off(stack: Diagnosed) -> None:
    """Made by hand, with the dimensions that public code uses, or on what is not there."""
    here = {"TABLE": stack.table, "API": stack.api}
    names = [f"{stack.prefix}-staging-{number}" for number in range(len(SILENT))]
    for name, (namespace, metric, dimensions, _) in zip(names, SILENT, strict=True):
        stack.put_alarm(name, namespace, metric, {key: here.get(value, value) for key, value in dimensions.items()})
    found = {each.subject: each for each in stack.examine().findings}
    assert found.keys() == set(names)
    for name, (_, _, _, why) in zip(names, SILENT, strict=True):
        assert (found[name].code, found[name].severity) == ("alarm-cannot-fire", "warning")
        assert why in found[name].what
        assert found[name].fix == f"aws cloudwatch delete-alarms --alarm-names {name} --region {REGION}"


def test_alarms_by_hand_on_what_is_the_stacks(stack: Diagnosed) -> None:
    """Whatever their names; whom they tell is up to whoever made them."""
    stack.put_alarm("Registry: user errors", "AWS/DynamoDB", "UserErrors", {"TableName": stack.table}, AlarmActions=[])
    stack.put_alarm("Registry: throttles", "AWS/Lambda", "Throttles", {"FunctionName": stack.name}, AlarmActions=[])
    scaler = f"TargetTracking-table/{stack.table}-AlarmLow-1"
    stack.put_alarm(scaler, "AWS/DynamoDB", "ConsumedReadCapacityUnits", {"TableName": stack.table})
    cloudwatch = stack.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=scaler, StateValue="ALARM", StateReason="0 < 1")
    assert "--alarm-names 'Registry: user errors'" in stack.only("alarm-cannot-fire").fix
    cloudwatch.delete_alarms(AlarmNames=["Registry: user errors", "Registry: throttles", scaler])


def test_alarms_of_an_environment_whose_name_begins_alike(stack: Diagnosed) -> None:
    name = f"{stack.prefix}-staging-eu-pet-store-errors"
    others = {"Tags": [{"Key": "Environment", "Value": "staging-eu"}]}
    stack.put_alarm(name, "AWS/Lambda", "Errors", {"FunctionName": f"{stack.prefix}-staging-eu-pet-store"}, **others)
    stack.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="1 >= 1")
    assert stack.examine().findings == []


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
