"""Paging through a whole table, for the one list to which every item of its table belongs."""

from __future__ import annotations

from common.dynamodb_json import marshal_item, unmarshal_item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from common.table import Item, Key, Table


def scan(table: Table, *, limit: int, after: Key | None = None) -> tuple[list[Item], Key | None]:
    """Up to `limit` items in an order that stays, and where to go on; None ends it, see `Table.query`."""
    rows = getattr(table, "rows", None)
    if rows is not None:
        return table.page(rows.values(), [], limit, after)  # type: ignore[attr-defined,no-any-return]
    request: dict[str, Any] = {"Limit": limit, "ConsistentRead": True}
    if after:
        request["ExclusiveStartKey"] = marshal_item(after)
    answer = table.call("Scan", request)  # type: ignore[attr-defined]
    last = answer.get("LastEvaluatedKey")
    return [unmarshal_item(item) for item in answer["Items"]], unmarshal_item(last) if last else None
