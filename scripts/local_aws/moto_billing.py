"""Billing modes in moto: a table that becomes on-demand has no provisioned capacity left, nor have its indexes.

moto keeps reporting the old units, and the Terraform provider refuses to plan: they don't go with on-demand billing.
"""

from __future__ import annotations

import functools
from typing import Any

from scripts.local_aws.moto_patch import replace

_NONE = {"ReadCapacityUnits": 0, "WriteCapacityUnits": 0}


@functools.cache
def install() -> None:
    """Patches moto."""
    from moto.dynamodb.models import DynamoDBBackend

    @replace(DynamoDBBackend, "update_table")
    def update_table(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        table = original(self, *args, **kwargs)
        if table.billing_mode == "PAY_PER_REQUEST":
            for place in (table, *table.global_indexes):
                place.throughput = (place.throughput or {}) | _NONE
        return table
