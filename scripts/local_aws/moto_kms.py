"""KMS in moto: the rotation period, which the Terraform provider sets and reads. Nothing is rotated."""

from __future__ import annotations

import functools
import json
from typing import Any

from scripts.local_aws.moto_patch import replace

_DAYS_UNLESS_STATED = 365


@functools.cache
def install() -> None:
    """Patches moto."""
    from moto.kms.responses import KmsResponse

    def key_of(response: Any) -> Any:
        return response.kms_backend.keys[response.kms_backend.any_id_to_key_id(response._get_param("KeyId"))]

    @replace(KmsResponse, "enable_key_rotation")
    def enable_key_rotation(original: Any, self: Any) -> Any:
        answer = original(self)
        key_of(self).rotation_period_in_days = self._get_param("RotationPeriodInDays") or _DAYS_UNLESS_STATED
        return answer

    @replace(KmsResponse, "get_key_rotation_status")
    def get_key_rotation_status(original: Any, self: Any) -> str:
        status = json.loads(original(self))
        if status["KeyRotationEnabled"]:
            status["RotationPeriodInDays"] = getattr(key_of(self), "rotation_period_in_days", _DAYS_UNLESS_STATED)
        return json.dumps(status)
