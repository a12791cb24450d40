"""Alarms: those that are on, those that could never go off, and those that nobody would hear."""

import shlex
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from scripts import alarm_dimensions, aws
from scripts.diagnosis import fixes
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import Finding, finding

# Series of events have no data point while nothing happens: with any other setting, an alarm that was on stays on.
_EVENTS = frozenset({
    "ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors", "ThrottledRequests", "UserErrors",
    "ConditionalCheckFailedRequests", "Errors", "Throttles", "DeadLetterErrors", "5xx", "4xx",
    "ProvisionedConcurrencySpilloverInvocations",
})  # fmt: skip
# Application Auto Scaling's own: on whenever there is little to do.
_SCALERS = "TargetTracking-"
_GREATER = ("GreaterThanOrEqualToThreshold", "GreaterThanThreshold")


def look(examined: Examined) -> Iterator[Finding]:
    """All alarms of the stack: of the state, and those made by hand."""
    applied = {alarm["alarm_name"]: alarm for alarm in examined.state.of("aws_cloudwatch_metric_alarm")}
    listed = _actual()
    managed = [alarm for alarm in listed if alarm["AlarmName"] in applied]
    for name in sorted(applied.keys() - {alarm["AlarmName"] for alarm in managed}):
        yield finding(
            "alarm-missing",
            name,
            f"there is no alarm {name}",
            "somebody deleted it outside Terraform",
            fixes.apply(examined.environment),
        )
    resources = _resources(examined)
    for alarm in managed:
        yield from _one(examined, alarm, resources, managed=True)
    yield from _topics(examined, managed)
    # last: whose they are takes one more permission to know
    for alarm in listed:
        if alarm["AlarmName"] not in applied and _is_ours(examined, alarm):
            yield from _one(examined, alarm, resources, managed=False)


def _actual() -> list[dict[str, Any]]:
    pages = (
        aws.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    )
    return [alarm for page in pages for kind in ("MetricAlarms", "CompositeAlarms") for alarm in page.get(kind, ())]


def _is_ours(examined: Examined, alarm: dict[str, Any]) -> bool:
    """Of an alarm that is not in the state: whether it watches what is, or is called as the stack's are.

    The environments `prod` and `prod-eu` begin alike: then the alarm's tag tells.
    """
    name, environment = alarm["AlarmName"], examined.environment
    if name.startswith(_SCALERS):
        return False
    if _watches(examined, alarm):
        return True
    if not name.startswith(f"{environment.stack_name}-"):
        return False
    tags = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"]
    start = environment.stack_name.removesuffix(environment.name)
    others = [tag["Value"] for tag in tags if tag["Key"] == "Environment" and tag["Value"] != environment.name]
    return not any(name.startswith(f"{start}{other}-") for other in others)


def _watches(examined: Examined, alarm: dict[str, Any]) -> bool:
    state = examined.state
    ours = {
        *(table["name"] for table in state.of("aws_dynamodb_table")),
        *(function["function_name"] for function in state.of("aws_lambda_function")),
        *(api["id"] for api in state.of("aws_apigatewayv2_api")),
    }
    return any(not ours.isdisjoint(dimensions.values()) for _, _, dimensions in _metrics(alarm))


def _resources(examined: Examined) -> alarm_dimensions.Resources:
    state = examined.state
    return alarm_dimensions.Resources(
        {
            table["name"]: {index["name"] for index in table.get("global_secondary_index") or ()}
            for table in state.of("aws_dynamodb_table")
        },
        {function["function_name"] for function in state.of("aws_lambda_function")},
        {f"{alias['function_name']}:{alias['name']}" for alias in state.of("aws_lambda_alias")},
        {api["id"] for api in state.of("aws_apigatewayv2_api")},
    )


def _state(examined: Examined, alarm: dict[str, Any]) -> Iterator[Finding]:
    if alarm["StateValue"] != "ALARM":
        return
    since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    name = alarm["AlarmName"]
    yield finding(
        "alarm-in-alarm",
        name,
        f"alarm {name} is on" + (f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""),
        alarm.get("AlarmDescription") or "it has no description",
        _remedy(examined, alarm),
        evidence=alarm.get("StateReason", ""),
    )


def _remedy(examined: Examined, alarm: dict[str, Any]) -> str:
    """By what it watches: the function's log, more capacity, or else the alarm's own history."""
    metric, environment = alarm.get("MetricName", ""), examined.environment
    dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions", ())}
    systems = [
        system for system, made in examined.systems.items() if made["function_name"] == dimensions.get("FunctionName")
    ]
    if systems and metric in ("Errors", "Duration", "DeadLetterErrors"):
        return f"{fixes.make(environment, 'logs')} SYSTEM={systems[0]} SINCE=1h FOLLOW=0"
    if "Throttle" in metric or metric.startswith("Consumed") or "Concurren" in metric:
        return fixes.edit_and_apply(environment)
    return fixes.aws(environment, f"cloudwatch describe-alarm-history --alarm-name {_quoted(alarm)} --max-records 5")


def _quoted(alarm: dict[str, Any]) -> str:
    return shlex.quote(alarm["AlarmName"])


def _one(
    examined: Examined, alarm: dict[str, Any], resources: alarm_dimensions.Resources, *, managed: bool
) -> Iterator[Finding]:
    yield from _state(examined, alarm)
    name, environment = alarm["AlarmName"], examined.environment
    why = [reason for metric in _metrics(alarm) if (reason := alarm_dimensions.silent(*metric, resources))]
    why += _out_of_reach(examined, alarm)
    remove = fixes.aws(environment, f"cloudwatch delete-alarms --alarm-names {_quoted(alarm)}")
    if why:
        yield finding(
            "alarm-cannot-fire",
            name,
            f"alarm {name} can never go off: {'; '.join(why)}",
            "CloudWatch takes an alarm on any metric, also on one that nobody publishes"
            + (": somebody changed it outside Terraform" if managed else ": it was made by hand"),
            fixes.apply(environment) if managed else remove,
        )
    if not managed:
        return  # whom it tells, and when it ends, is up to whoever made it
    events = [metric for _, metric, _ in _metrics(alarm) if metric in _EVENTS]
    missing = alarm.get("TreatMissingData", "missing")
    if events and missing != "notBreaching":
        yield finding(
            "alarm-never-ends",
            name,
            f"alarm {name} treats missing data as {missing!r}",
            f"{events[0]} has no data point while all is well: once on, the alarm is never over",
            fixes.apply(environment),
        )
    if not alarm.get("ActionsEnabled", True):
        yield finding(
            "alarm-tells-nobody",
            name,
            f"the actions of alarm {name} are switched off",
            "somebody silenced it, for example for some maintenance",
            fixes.aws(environment, f"cloudwatch enable-alarm-actions --alarm-names {_quoted(alarm)}"),
        )
    elif not alarm.get("AlarmActions"):
        yield finding(
            "alarm-tells-nobody",
            name,
            f"alarm {name} has no action",
            "it changes its colour, and tells nobody: somebody took its topic away",
            fixes.apply(environment),
        )


def _metrics(alarm: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of what it watches, also within an expression."""
    for metric in (
        [alarm]
        if "MetricName" in alarm
        else [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
    ):
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions", ())}
        yield metric["Namespace"], metric["MetricName"], dimensions


def _out_of_reach(examined: Examined, alarm: dict[str, Any]) -> Iterator[str]:
    """Thresholds above what the function's own limits let happen."""
    if alarm.get("Namespace") != "AWS/Lambda" or alarm.get("ComparisonOperator") not in _GREATER:
        return
    dimensions = {one["Name"]: one["Value"] for one in alarm.get("Dimensions", ())}
    function = next(
        (
            each
            for each in examined.state.of("aws_lambda_function")
            if each["function_name"] == dimensions.get("FunctionName")
        ),
        None,
    )
    if function is None:
        return
    most = {
        "Duration": (function.get("timeout") or 0) * 1000,
        "ConcurrentExecutions": function.get("reserved_concurrent_executions", -1),
    }.get(alarm.get("MetricName", ""), -1)
    threshold = alarm["Threshold"]
    beyond = threshold > most or (threshold == most and alarm["ComparisonOperator"] == "GreaterThanThreshold")
    if most > 0 and beyond:
        yield f"its threshold is {threshold:.0f}, and {alarm['MetricName']} is at most {most}"


def _topics(examined: Examined, alarms: list[dict[str, Any]]) -> Iterator[Finding]:
    arns = sorted({action for alarm in alarms for action in alarm.get("AlarmActions", ()) if ":sns:" in action})
    for arn in arns:
        try:
            yield from _topic(examined, arn)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NotFound", "NotFoundException"):
                raise
            yield finding(
                "alarm-topic-missing",
                arn,
                f"there is no topic {arn}",
                "somebody deleted it outside Terraform, or alarms.topic_arn names none: alarms go off and nobody is "
                "told",
                fixes.apply(examined.environment),
            )


def _topic(examined: Examined, arn: str) -> Iterator[Finding]:
    topics = aws.client("sns", region_name=arn.split(":")[3])
    topics.get_topic_attributes(TopicArn=arn)
    pages = topics.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    subscriptions = [one for page in pages for one in page["Subscriptions"]]
    waiting = [one["Endpoint"] for one in subscriptions if one["SubscriptionArn"] == "PendingConfirmation"]
    declared = [one["endpoint"] for one in examined.state.of("aws_sns_topic_subscription") if one["topic_arn"] == arn]
    environment = examined.environment
    missing = sorted(set(declared) - {one["Endpoint"] for one in subscriptions})
    subscribe = fixes.aws(
        environment, f"sns subscribe --topic-arn {arn} --protocol email --notification-endpoint YOU@EXAMPLE.COM"
    )
    if missing:
        cause, fix = f"{', '.join(missing)} unsubscribed, or was removed", fixes.apply(environment)
    elif waiting and len(waiting) == len(subscriptions):
        cause, fix = f"{', '.join(waiting)} never followed the link in the mail that confirms it", subscribe
    elif not subscriptions and not environment.embedded:  # here, nobody could be told
        cause, fix = "alarms.subscribers is empty", fixes.edit_and_apply(environment)
    else:
        return
    yield finding("nobody-subscribed", arn, f"nobody gets what topic {arn.split(':')[-1]} is told", cause, fix)
