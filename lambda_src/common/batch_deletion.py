"""Deleting many items, whatever they hold: batches of 25, which DynamoDB bills like single deletes."""

from __future__ import annotations

from common.dynamodb_json import marshal_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.table import Key, Table

MAXIMUM_BATCH = 25


def delete_many(table: Table, keys: Sequence[Key]) -> None:
    """Delete any number of items, each named once. Interrupted, some are deleted: a repeat deletes the rest."""
    for start in range(0, len(keys), MAXIMUM_BATCH):
        batch = keys[start : start + MAXIMUM_BATCH]
        if memory := getattr(table, "database", None):
            memory.write([table.delete(key) for key in batch])
            continue
        requests = [{"DeleteRequest": {"Key": marshal_item(key)}} for key in batch]
        for _ in table.batch("BatchWriteItem", requests, "UnprocessedItems"):  # type: ignore[attr-defined]
            pass
