"""moto's tables, at a size: queries that read a partition, transactions and updates that undo what they touched.

moto sorts the whole table for each Query and copies it for each transaction: with ten thousand items that is most of a
second a call. Its own code still does the work here; it is handed less to work on.
"""

from __future__ import annotations

import bisect
import copy
import inspect
import json
import zlib
from typing import Any

from scripts.local_aws.dynamodb_strictness import InvalidError, check_index_keys
from scripts.local_aws.moto_patch import replace

_Key = tuple[Any, Any]
_WHOLE = (None, None)  # segments of a scan that has none
_READS = {"GetItem", "Query", "Scan", "BatchGetItem"}


class _Slots:
    """For each index of a table: its items by the value of the index's partition key."""

    def __init__(self, table: Any) -> None:
        self.definition = _definition(table)
        self._by_value: dict[str, dict[Any, dict[_Key, Any]]] = {name: {} for name, _ in self.definition}
        self._where: dict[_Key, list[tuple[str, Any]]] = {}
        for item in items(table):
            self.put(item)

    def put(self, item: Any) -> None:
        key = (item.hash_key, item.range_key)
        self.drop(key)
        places = []
        for name, attribute in self.definition:
            value = item.attrs.get(attribute)
            if value is not None:
                # The value is kept apart from the item: an update changes the item in place.
                value = copy.deepcopy(value)
                self._by_value[name].setdefault(value, {})[key] = item
                places.append((name, value))
        self._where[key] = places

    def drop(self, key: _Key) -> None:
        for name, value in self._where.pop(key, []):
            slot = self._by_value[name][value]
            slot.pop(key, None)
            if not slot:
                del self._by_value[name][value]

    def items(self, index: str, value: Any) -> list[Any]:
        return list(self._by_value[index].get(value, {}).values())


def _definition(table: Any) -> tuple[tuple[str, str], ...]:
    return tuple(
        (index.name, next(k["AttributeName"] for k in index.schema if k["KeyType"] == "HASH"))
        for index in table.all_indexes()
    )


def items(table: Any) -> list[Any]:
    """All items, as moto holds them."""
    if table.range_key_attr:
        return [item for partition in table.items.values() for item in partition.values()]
    return [item for item in table.items.values() if not isinstance(item, dict)]


def _rest_of_segment(table: Any, segments: tuple[Any, Any], start_key: Any) -> list[Any]:
    """What a scan has not passed yet, in moto's order. moto sorts all of the table for each page."""
    changes = table.__dict__.get("local_aws_changes", 0)
    known = table.__dict__.get("local_aws_scanned")
    if known is None or known[0] != changes:
        known = table.__dict__["local_aws_scanned"] = (changes, {_WHOLE: sorted(items(table), key=_place)})
    ordered: dict[Any, list[Any]] = known[1]
    if segments not in ordered:
        ordered[segments] = [item for item in ordered[_WHOLE] if _is_within(item, *segments)]
    found = ordered[segments]
    return found[bisect.bisect_right(found, _place_of_key(table, start_key), key=_place) :] if start_key else found


def _place(item: Any) -> Any:
    return (item.hash_key, item.range_key) if item.range_key else item.hash_key


def _place_of_key(table: Any, key: Any) -> Any:
    place = key_of(table, key)
    return place if place is None or place[1] else place[0]


def _is_within(item: Any, segment: Any, total: Any) -> bool:
    """moto can't tell where a binary key belongs."""
    value = item.hash_key.value
    value = value if isinstance(value, bytes) else str(value).encode()
    return zlib.crc32(value) % int(total) == int(segment)


def _slots(table: Any) -> _Slots:
    slots = table.__dict__.get("local_aws_slots")
    if slots is None or slots.definition != _definition(table):
        slots = table.__dict__["local_aws_slots"] = _Slots(table)
    found: _Slots = slots
    return found


def current(table: Any, key: _Key) -> Any:
    """The item with a key, without creating anything (`items` is a defaultdict)."""
    found = table.items.get(key[0])
    if found is not None and table.range_key_attr:
        return found.get(key[1])
    return None if isinstance(found, dict) else found


def _reindex(table: Any, key: _Key) -> None:
    """After any change of the item with this key."""
    table.local_aws_changes = table.__dict__.get("local_aws_changes", 0) + 1
    slots: _Slots | None = table.__dict__.get("local_aws_slots")
    if slots is None:
        return
    item = current(table, key)
    if item is None:
        slots.drop(key)
    else:
        slots.put(item)


class Undo:
    """Remembers items as they are, and puts them back."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, _Key, Any]] = []
        self._streams: dict[int, tuple[Any, int]] = {}

    def remember(self, table: Any, key: _Key) -> None:
        self._before.append((table, key, copy.deepcopy(current(table, key))))
        if table.stream_shard is not None:
            self._streams.setdefault(id(table), (table, len(table.stream_shard.items)))

    def restore(self) -> None:
        for table, key, item in reversed(self._before):
            if item is None:
                if table.range_key_attr:
                    table.items.get(key[0], {}).pop(key[1], None)
                else:
                    table.items.pop(key[0], None)
            elif table.range_key_attr:
                table.items[key[0]][key[1]] = item
            else:
                table.items[key[0]] = item
            _reindex(table, key)
        for table, length in self._streams.values():
            del table.stream_shard.items[length:]


def key_of(table: Any, attributes: Any) -> _Key | None:
    """The key in an item or a key, as moto holds it; None when it is incomplete."""
    from moto.dynamodb.models.dynamo_type import DynamoType

    if table.hash_key_attr not in attributes or (table.range_key_attr and table.range_key_attr not in attributes):
        return None
    range_key = DynamoType(attributes[table.range_key_attr]) if table.range_key_attr else None
    return DynamoType(attributes[table.hash_key_attr]), range_key


def install() -> None:
    """Patches moto. Once a process; the callers hold the lock of moto_dynamodb."""
    from moto.dynamodb.exceptions import MockValidationException
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.dynamo_type import Item
    from moto.dynamodb.models.table import Table
    from moto.dynamodb.responses import DynamoHandler

    signature, scan_signature = inspect.signature(Table.query), inspect.signature(Table.scan)
    in_transaction: list[bool] = []
    in_plain_scan: list[bool] = []

    @replace(Table, "query")
    def query(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        arguments = signature.bind(self, *args, **kwargs).arguments
        index = arguments.get("index_name")
        if not index:
            key = arguments.get("hash_key")
            partition = self.items.get(key)
            found = list(partition.values()) if isinstance(partition, dict) else [partition] if partition else []
        elif any(name == index for name, _ in _definition(self)):
            attribute = dict(_definition(self))[index]
            wanted = dict(arguments.get("hash_key_conditions") or []).get(attribute)
            found = _slots(self).items(index, wanted) if wanted is not None else items(self)
        else:
            return original(self, *args, **kwargs)  # moto's error for an unknown index
        self.all_items = lambda: found
        try:
            return original(self, *args, **kwargs)
        finally:
            del self.all_items

    @replace(Table, "scan")
    def scan(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        bound = scan_signature.bind(self, *args, **kwargs)
        if bound.arguments.get("index_name"):
            return original(self, *args, **kwargs)
        found = _rest_of_segment(self, bound.arguments.pop("segments", _WHOLE), bound.arguments["exclusive_start_key"])
        self.all_items = lambda: found
        # moto copies each item, though only a projection changes what is copied.
        if not bound.arguments.get("projection_expression"):
            in_plain_scan.append(True)
        try:
            return original(*bound.args, **bound.kwargs)
        finally:
            in_plain_scan.clear()
            del self.all_items

    @replace(Item, "__deepcopy__")
    def deepcopy_item(original: Any, self: Any, memo: dict[int, Any]) -> Any:
        return self if in_plain_scan else original(self, memo)

    @replace(Table, "put_item")
    def put_item(original: Any, self: Any, item_attrs: Any, *args: Any, **kwargs: Any) -> Any:
        item = original(self, item_attrs, *args, **kwargs)
        _reindex(self, (item.hash_key, item.range_key))
        return item

    @replace(Table, "delete_item")
    def delete_item(original: Any, self: Any, hash_key: Any, range_key: Any) -> Any:
        item = original(self, hash_key, range_key)
        _reindex(self, (hash_key, range_key))
        return item

    @replace(DynamoDBBackend, "update_item")
    def update_item(original: Any, self: Any, table_name: str, key: Any, *args: Any, **kwargs: Any) -> Any:
        """moto leaves a failed update half done, a new item's key in the table among other things."""
        table = self.get_table(table_name)
        undo, place = Undo(), key_of(table, key)
        if place is not None:
            undo.remember(table, place)
        try:
            item = original(self, table_name, key, *args, **kwargs)
            check_index_keys(table, item.to_json()["Attributes"])
        except InvalidError as error:
            undo.restore()
            raise MockValidationException(str(error)) from error
        except BaseException:
            undo.restore()
            raise
        _reindex(table, (item.hash_key, item.range_key))
        return item

    @replace(DynamoDBBackend, "transact_write_items")
    def transact_write_items(original: Any, self: Any, transact_items: Any) -> Any:
        undo = Undo()
        for entry in transact_items:
            for operation in entry.values():
                table = self.tables.get(str(operation.get("TableName", "")).rsplit("/", 1)[-1])
                place = key_of(table, operation.get("Item") or operation.get("Key") or {}) if table else None
                if place is not None:
                    undo.remember(table, place)
        in_transaction.append(True)
        try:
            return original(self, transact_items)
        except BaseException:
            undo.restore()
            raise
        finally:
            in_transaction.pop()

    @replace(DynamoHandler, "serialized")
    def serialized(original: Any, self: Any, action_result: Any) -> Any:
        """moto walks the service model for each value of each item; these answers are JSON already."""
        result = action_result.result
        if isinstance(result, dict) and self._get_action() in _READS:
            try:
                body = json.dumps({name: value for name, value in result.items() if value is not None})
            except TypeError:  # binary values
                return original(self, action_result)
            return 200, {**self.response_headers, "Content-Type": "application/x-amz-json-1.0"}, body
        return original(self, action_result)

    @replace(Item, "is_within_segment")
    def is_within_segment(_original: Any, self: Any, segments: Any) -> bool:
        return segments == _WHOLE or _is_within(self, *segments)

    def deepcopy_table(self: Any, memo: dict[int, Any]) -> Any:
        # moto copies each table before a transaction, to put it back: `undo` does that, item by item.
        if in_transaction:
            return self
        kind: Any = type(self)
        twin = memo[id(self)] = kind.__new__(kind)
        for name, value in self.__dict__.items():
            if name not in ("local_aws_slots", "local_aws_scanned"):
                setattr(twin, name, copy.deepcopy(value, memo))
        return twin

    Table.__deepcopy__ = deepcopy_table
