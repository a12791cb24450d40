"""Global secondary indexes of a table that exists: added and removed one at a time, and filled for a while.

moto has a new index at once, and keeps what was defined for one that is gone. On AWS it is CREATING, with Backfilling,
until it holds the table's items: nobody can query it meanwhile, and no other index of the table can come or go.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.OnlineOps.html
"""

from __future__ import annotations

import datetime
import time
from typing import Any

from scripts.local_aws.dynamodb_strictness import InvalidError
from scripts.local_aws.moto_patch import replace

_ONE_AT_A_TIME = "Subscriber limit exceeded: Only 1 online index can be created or deleted simultaneously per table"

# Every change of an index by UpdateTable since the start: for tests of what was touched, and what was not.
changes: list[dict[str, str]] = []


class LimitExceededError(Exception):
    """A LimitExceededException of DynamoDB."""


def check(action: str, parameters: Any, table: Any) -> None:
    """Raises InvalidError or LimitExceededError for what DynamoDB would refuse."""
    if table is None:
        return
    if action in ("Query", "Scan"):
        index = next((i for i in table.global_indexes if i.name == parameters.get("IndexName")), None)
        if index is not None and _is_filling(index):
            raise InvalidError(f"Cannot read from backfilling global secondary index: {index.name}")
    elif action == "UpdateTable":
        updates = parameters.get("GlobalSecondaryIndexUpdates") or []
        touched = [update[kind] for update in updates for kind in ("Create", "Delete") if kind in update]
        filling = {index.name for index in table.global_indexes if _is_filling(index)}
        # An index can be dropped while it is being filled, but no other one may come or go.
        if len(touched) > 1 or (touched and filling - {touched[0]["IndexName"]}):
            raise LimitExceededError(_ONE_AT_A_TIME)


def _is_filling(index: Any) -> bool:
    return bool(time.monotonic() < index.__dict__.get("filled_at", 0.0))


def install(backfill_seconds: float) -> None:
    """Patches moto. Once a process."""
    from moto.cloudwatch.models import cloudwatch_backends
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.table import GlobalSecondaryIndex, Table

    @replace(DynamoDBBackend, "update_table_global_indexes")
    def update_table_global_indexes(original: Any, self: Any, table: Any, updates: list[dict[str, Any]]) -> None:
        original(self, table, updates)
        # A definition that no key uses is forgotten: Terraform would see it as a change for ever.
        keys = [table.schema, *(index.schema for index in (*table.global_indexes, *table.indexes))]
        used = {key["AttributeName"] for schema in keys for key in schema}
        table.attr = [defined for defined in table.attr if defined["AttributeName"] in used]
        for update in updates:
            for kind, stated in update.items():
                changes.append({"table": table.name, "index": stated["IndexName"], "change": kind.lower()})
                for index in table.global_indexes:
                    if kind == "Create" and index.name == stated["IndexName"]:
                        index.filled_at = time.monotonic() + backfill_seconds

    @replace(GlobalSecondaryIndex, "describe")
    def describe(original: Any, self: Any) -> dict[str, Any]:
        described: dict[str, Any] = original(self)
        return described | ({"IndexStatus": "CREATING", "Backfilling": True} if _is_filling(self) else {})

    @replace(Table, "describe")
    def describe_table(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        for index in self.global_indexes:
            if _is_filling(index):
                percent = 100 * (1 - (index.filled_at - time.monotonic()) / backfill_seconds)
                _publish(cloudwatch_backends[self.account_id][self.region_name], self.name, index.name, percent)
        return original(self, *args, **kwargs)


def _publish(cloudwatch: Any, table: str, index: str, percent: float) -> None:
    """The metric by which AWS tells how far the filling is."""
    dimensions = [{"Name": "TableName", "Value": table}, {"Name": "GlobalSecondaryIndexName", "Value": index}]
    datum = {
        "MetricName": "OnlineIndexPercentageProgress",
        "Dimensions": dimensions,
        "Value": percent,
        "Unit": "Percent",
        "Timestamp": datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
    }
    cloudwatch.put_metric_data("AWS/DynamoDB", [datum])
