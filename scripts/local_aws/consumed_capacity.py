"""The capacity that a DynamoDB call takes, by the rules of scripts.capacity_units: in its answer and in CloudWatch.

moto answers half a unit or one, whatever was read or written.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts import capacity_units
from scripts.capacity_units import Index, Item
from scripts.local_aws import dynamodb_tables, metrics
from scripts.local_aws.moto_patch import replace

_NAMESPACE = "AWS/DynamoDB"
_READS = ("GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems")
_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems")
_LISTED = ("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems")
_CONDITION_FAILED = "ConditionalCheckFailedException"
# Sizes are counted anew after so many times what counting took, at the earliest: on AWS they are hours old.
_RECOUNT_PAUSE = 10

_Find = Callable[[str], Any]  # moto's table of a name


class _Change:
    """One write of a call: the item before it, and how to get the one after it."""

    def __init__(self, table: Any, key: Mapping[str, Any], put: Item | None, *, updates: bool) -> None:
        self.table = table
        self._key = key
        self._put = put
        self._updates = updates
        self.before = _stored(table, key)

    def after(self) -> Item | None:
        return _stored(self.table, self._key) if self._updates else self._put


class Meter:
    """Of one call: made before it, then told how it ended."""

    def __init__(self, action: str, parameters: Mapping[str, Any], region: str, find: _Find) -> None:
        self._action, self._parameters, self._region, self._find = action, parameters, region, find
        self._started = time.perf_counter()
        self._changes = list(_changes(action, parameters, find))
        # By table: units of itself (None) and of each of its indexes
        self._units: dict[str, dict[str | None, float]] = {}

    def succeeded(self, result: dict[str, Any]) -> None:
        """Counts, and says so in the answer where it was asked for."""
        if self._action in _READS:
            self._count_reads()
        transactional = self._action == "TransactWriteItems"
        for change in self._changes:
            after = change.after()
            units = capacity_units.change_units(change.before, after, transactional=transactional)
            self._add(change.table.name, None, units)
            for index in _indexes(change.table):
                units = capacity_units.index_units(index, change.before, after)
                if units:
                    self._add(change.table.name, index.name, units)
        result.pop("ConsumedCapacity", None)
        wanted = self._parameters.get("ReturnConsumedCapacity", "NONE")
        if wanted != "NONE":
            told = [self._told(name, units, detailed=wanted == "INDEXES") for name, units in self._units.items()]
            if told:
                result["ConsumedCapacity"] = told if self._action in _LISTED else told[0]
        self._publish()
        for name in self._units:
            where = (("Operation", self._action), ("TableName", name))
            milliseconds = (time.perf_counter() - self._started) * 1000
            metrics.add(self._region, _NAMESPACE, "SuccessfulRequestLatency", where, milliseconds, "Milliseconds")

    def failed(self, error: str) -> None:
        """A write whose condition does not hold takes what writing the item that it found would have taken."""
        if error == _CONDITION_FAILED:
            for change in self._changes:
                self._add(change.table.name, None, capacity_units.change_units(change.before, None))
                where = (("TableName", change.table.name),)
                metrics.add(self._region, _NAMESPACE, "ConditionalCheckFailedRequests", where, 1)
        else:
            metrics.add(self._region, _NAMESPACE, "UserErrors", (), 1)
        self._publish()

    def _count_reads(self) -> None:
        stated = self._parameters
        if self._action in ("Query", "Scan"):
            table, index = self._find(stated["TableName"]), stated.get("IndexName")
            read: list[Item] = table.__dict__.pop("local_aws_read", [])
            if index:
                self._add(table.name, None, 0.0)
            size = sum(map(capacity_units.item_bytes, read))
            units = capacity_units.read_units(size, consistent=bool(stated.get("ConsistentRead")))
            self._add(table.name, index, units)
            return
        transactional = self._action == "TransactGetItems"
        for table, key, consistent in _keys_read(self._action, stated, self._find):
            size = capacity_units.item_bytes(_stored(table, key))
            units = capacity_units.read_units(size, consistent=consistent, transactional=transactional)
            self._add(table.name, None, units)

    def _add(self, table: str, index: str | None, units: float) -> None:
        parts = self._units.setdefault(table, {None: 0.0})
        parts[index] = parts.get(index, 0.0) + units

    def _told(self, name: str, units: Mapping[str | None, float], *, detailed: bool) -> dict[str, Any]:
        # Of transactions alone AWS says whether they read or wrote.
        kinds = ["CapacityUnits"]
        if self._action.startswith("Transact"):
            kinds.append("ReadCapacityUnits" if self._action in _READS else "WriteCapacityUnits")
        told: dict[str, Any] = {"TableName": name, **dict.fromkeys(kinds, sum(units.values()))}
        if not detailed:
            return told
        told["Table"] = dict.fromkeys(kinds, units[None])
        local = {index.name for index in self._find(name).indexes}
        for kind, is_local in (("GlobalSecondaryIndexes", False), ("LocalSecondaryIndexes", True)):
            parts = {
                index: dict.fromkeys(kinds, amount)
                for index, amount in units.items()
                if index is not None and (index in local) is is_local
            }
            told |= {kind: parts} if parts else {}
        return told

    def _publish(self) -> None:
        name = "ConsumedReadCapacityUnits" if self._action in _READS else "ConsumedWriteCapacityUnits"
        for table, units in self._units.items():
            local = {index.name for index in self._find(table).indexes}
            # A local index is a part of its table; a global one has a metric of its own, and the table's is without it.
            own = sum(amount for index, amount in units.items() if index is None or index in local)
            if own:
                metrics.add(self._region, _NAMESPACE, name, (("TableName", table),), own)
            for index, amount in units.items():
                if index is not None and index not in local and amount:
                    where = (("GlobalSecondaryIndexName", index), ("TableName", table))
                    metrics.add(self._region, _NAMESPACE, name, where, amount)


def _stored(table: Any, key: Mapping[str, Any]) -> Item | None:
    place = dynamodb_tables.key_of(table, key)
    item = dynamodb_tables.current(table, place) if place is not None else None
    return None if item is None else _item(item)


def _item(item: Any) -> Item:
    """In DynamoDB's JSON, apart from moto's own, which an update changes in place. Its own way copies all twice."""
    return {name: _attribute(value) for name, value in item.attrs.items()}


def _attribute(held: Any) -> Any:
    """Of moto's DynamoType; what lies in a map or a list may be JSON already."""
    if isinstance(held, dict):
        return held
    value = held.value
    if isinstance(value, dict):
        value = {name: _attribute(inner) for name, inner in value.items()}
    elif isinstance(value, list):
        value = [_attribute(inner) if held.type == "L" else inner for inner in value]
    return {held.type: value}


def _indexes(table: Any) -> list[Index]:
    keys = [table.hash_key_attr, *([table.range_key_attr] if table.range_key_attr else [])]
    return [
        Index.described({"IndexName": one.name, "KeySchema": one.schema, "Projection": one.projection}, keys)
        for one in table.all_indexes()
    ]


def _changes(action: str, parameters: Mapping[str, Any], find: _Find) -> Iterator[_Change]:
    """The writes that a call states; what is not as it must be is left to moto's refusal."""
    if action in ("PutItem", "UpdateItem", "DeleteItem"):
        stated = [(action.removesuffix("Item"), parameters)]
    elif action == "BatchWriteItem":
        stated = [
            (kind.removesuffix("Request"), {"TableName": name, **request})
            for name, requests in parameters.get("RequestItems", {}).items()
            for entry in requests
            for kind, request in entry.items()
        ]
    elif action == "TransactWriteItems":
        stated = [part for entry in parameters.get("TransactItems", []) for part in entry.items()]
    else:
        return
    for kind, request in stated:
        table = find(request.get("TableName", ""))
        key = request.get("Item") or request.get("Key")
        if table is not None and key and dynamodb_tables.key_of(table, key) is not None:
            yield _Change(table, key, request.get("Item"), updates=kind in ("Update", "ConditionCheck"))


def _keys_read(
    action: str, parameters: Mapping[str, Any], find: _Find
) -> Iterator[tuple[Any, Mapping[str, Any], bool]]:
    if action == "GetItem":
        yield find(parameters["TableName"]), parameters["Key"], bool(parameters.get("ConsistentRead"))
    elif action == "BatchGetItem":
        for name, request in parameters["RequestItems"].items():
            for key in request["Keys"]:
                yield find(name), key, bool(request.get("ConsistentRead"))
    else:
        for entry in parameters["TransactItems"]:
            yield find(entry["Get"]["TableName"]), entry["Get"]["Key"], True


def metered(handler: Any, find: _Find, call: Callable[[], Any]) -> Any:
    """The answer of `call`, which carries out the handler's request, with the capacity that it took."""
    action = handler._get_action()
    if action not in _READS and action not in _WRITES:
        return call()
    meter = handler.local_aws_meter = Meter(action, handler.params, handler.region, find)
    answer = call()
    if answer[0] != 200:
        meter.failed(str(json.loads(answer[2]).get("__type", "")).rpartition("#")[2])
    return answer


def install() -> None:
    """Patches moto. Once a process; the callers hold the lock of moto_dynamodb."""
    from moto.dynamodb.models.table import Table
    from moto.dynamodb.responses import DynamoHandler

    @replace(DynamoHandler, "serialized")
    def serialized(original: Any, self: Any, action_result: Any) -> Any:
        meter: Meter | None = self.__dict__.get("local_aws_meter")
        if meter is not None and isinstance(action_result.result, dict):
            meter.succeeded(action_result.result)
        return original(self, action_result)

    for name in ("query", "scan"):
        _note_what_is_read(Table, name)

    @replace(Table, "describe")
    def describe(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        described = original(self, *args, **kwargs)
        sizes = _sizes(self)
        for table in described.values():
            _, table["TableSizeBytes"] = sizes[None]
            for index in (*table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])):
                index["ItemCount"], index["IndexSizeBytes"] = sizes[index["IndexName"]]
        return described


def _note_what_is_read(table: type, name: str) -> None:
    """What is read counts, not what a filter or a projection leaves of it: without these it is asked for once more."""
    from moto.dynamodb.comparisons import OpDefault

    signature = inspect.signature(getattr(table, name))
    unfiltered: dict[str, Any] = {
        "filters": {},
        "filter_expression": None,
        "projection_expressions": None,
        "projection_expression": None,
    }
    unfiltered = {name: value for name, value in unfiltered.items() if name in signature.parameters}

    @replace(table, name)
    def read(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *args, **kwargs)
        arguments = signature.bind(self, *args, **kwargs).arguments
        found = answer[0]
        filters = [arguments.get(name) for name in (*unfiltered, "filter_kwargs")]
        if any(stated and not isinstance(stated, OpDefault) for stated in filters):
            arguments.pop("filter_kwargs", None)
            del arguments["self"]
            found = original(self, **arguments | unfiltered)[0]
        self.local_aws_read = [_item(item) for item in found]
        return answer


def _sizes(table: Any) -> dict[str | None, tuple[int, int]]:
    """Items and bytes, of the table (None) and of each index."""
    started, indexes = time.monotonic(), _indexes(table)
    changes = table.__dict__.get("local_aws_changes", 0)
    known: _Sizes | None = table.__dict__.get("local_aws_sizes")
    if known and known.indexes == indexes and (known.changes == changes or started < known.good_until):
        return known.sizes
    sizes: dict[str | None, tuple[int, int]] = dict.fromkeys((None, *(index.name for index in indexes)), (0, 0))
    for item in map(_item, dynamodb_tables.items(table)):
        for name, held in ((None, item), *((index.name, index.entry(item)) for index in indexes)):
            if held is not None:
                size = capacity_units.item_bytes(held) + capacity_units.STORAGE_OVERHEAD_BYTES
                sizes[name] = (sizes[name][0] + 1, sizes[name][1] + size)
    ended = time.monotonic()
    table.local_aws_sizes = _Sizes(indexes, changes, ended + _RECOUNT_PAUSE * (ended - started), sizes)
    return sizes


class _Sizes(NamedTuple):
    """As counted when a table had had so many `changes`; good for some time whatever changes (time.monotonic())."""

    indexes: list[Index]
    changes: int
    good_until: float
    sizes: dict[str | None, tuple[int, int]]
