"""Scalable targets and policies read back as AWS gives them: the Terraform provider crashes on anything less."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import Aws

READS = {"ServiceNamespace": "dynamodb", "ScalableDimension": "dynamodb:table:ReadCapacityUnits"}


@pytest.fixture
def client(aws: Aws) -> Any:
    return aws.client("application-autoscaling")


def test_a_target_tells_what_is_suspended_and_keeps_its_tags(client: Any) -> None:
    place = {**READS, "ResourceId": "table/tagged"}
    arn = client.register_scalable_target(**place, MinCapacity=5, MaxCapacity=40, Tags={"Team": "agents"})[
        "ScalableTargetARN"
    ]
    (target,) = client.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=["table/tagged"])[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (5, 40)
    assert set(target["SuspendedState"].values()) == {False}
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"Team": "agents"}

    client.tag_resource(ResourceARN=arn, Tags={"Stage": "test"})
    client.untag_resource(ResourceARN=arn, TagKeys=["Team"])
    assert client.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"Stage": "test"}

    client.register_scalable_target(**place, SuspendedState={"DynamicScalingInSuspended": True})
    (target,) = client.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=["table/tagged"])[
        "ScalableTargets"
    ]
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }


def test_tags_of_an_unknown_target_are_refused(client: Any) -> None:
    with pytest.raises(ClientError, match="No scalable target found"):
        client.list_tags_for_resource(ResourceARN="arn:aws:application-autoscaling:eu-north-1:123456789012:x/none")


def test_a_policy_put_again_keeps_its_arn_and_leaves_no_alarms(aws: Aws, client: Any) -> None:
    place = {**READS, "ResourceId": "table/again", "PolicyName": "reads"}
    client.register_scalable_target(**READS, ResourceId="table/again", MinCapacity=5, MaxCapacity=40)

    def put(percent: float) -> Any:
        tracking = {
            "TargetValue": percent,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
        }
        return client.put_scaling_policy(
            **place, PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=tracking
        )["PolicyARN"]

    assert put(70.0) == put(50.0)
    (policy,) = client.describe_scaling_policies(ServiceNamespace="dynamodb", ResourceId="table/again")[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 50.0

    client.delete_scaling_policy(**place)
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-table/again")["MetricAlarms"]
    assert alarms == []
