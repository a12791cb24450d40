"""Application Auto Scaling in moto: what the Terraform provider asks of it beyond what moto answers.

Nothing scales by itself here: to try autoscaling, move a table's capacity by UpdateTable, as the scaler would.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from scripts.local_aws.moto_patch import replace

_NOT_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


@functools.cache
def install() -> None:
    """Patches moto."""
    from moto.applicationautoscaling.exceptions import AWSValidationException
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, FakeScalableTarget
    from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse

    @replace(FakeScalableTarget, "__init__")
    def new_target(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        # moto answers null here; the provider looks inside without asking, and crashes.
        self.suspended_state = _NOT_SUSPENDED | (self.suspended_state or {})
        self.tags = {}

    @replace(FakeScalableTarget, "update")
    def update_target(original: Any, self: Any, lowest: Any, highest: Any, suspended_state: Any) -> None:
        original(self, lowest, highest, self.suspended_state | (suspended_state or {}))

    @replace(ApplicationAutoscalingBackend, "put_scaling_policy")
    def put_scaling_policy(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(self.policies)
        policy = original(self, *args, **kwargs)
        # moto makes another policy of one that is put again, and forgets the first one's alarms.
        for key, replaced in before.items():
            if self.policies[key] is not replaced:
                replaced.delete_alarms(self.account_id, self.region_name)
                policy.policy_arn = replaced.policy_arn
        return policy

    def target_of(response: Any, arn: str) -> Any:
        targets: Iterator[Any] = (
            target
            for by_resource in response.applicationautoscaling_backend.targets.values()
            for target in by_resource.values()
            if target.arn == arn
        )
        target = next(targets, None)
        if target is None:
            raise AWSValidationException(f"No scalable target found for resource ARN: {arn}")
        return target

    @replace(ApplicationAutoScalingResponse, "register_scalable_target")
    def register_scalable_target(original: Any, self: Any) -> str:
        answer: str = original(self)
        target_of(self, json.loads(answer)["ScalableTargetARN"]).tags |= self._get_param("Tags") or {}
        return answer

    # moto has no tags on targets, and the provider asks for them.
    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"Tags": target_of(self, self._get_param("ResourceARN")).tags})

    def tag_resource(self: Any) -> str:
        target_of(self, self._get_param("ResourceARN")).tags |= self._get_param("Tags")
        return "{}"

    def untag_resource(self: Any) -> str:
        tags = target_of(self, self._get_param("ResourceARN")).tags
        for key in self._get_param("TagKeys"):
            tags.pop(key, None)
        return "{}"

    for action in (list_tags_for_resource, tag_resource, untag_resource):
        setattr(ApplicationAutoScalingResponse, action.__name__, action)
