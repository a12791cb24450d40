"""Rules of DynamoDB that moto does not hold its callers to. Messages are DynamoDB's.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

MAX_DIGITS = 38
TOKEN_SECONDS = 600.0
_ADD = re.compile(r"\bADD\b(?P<body>.*?)(?=\b(?:SET|REMOVE|DELETE)\b|$)", re.IGNORECASE | re.DOTALL)
_ADDEND = re.compile(r"([#\w.\[\]-]+)\s+(:\w+)")

FindTable = Callable[[str], Any]
Parameters = Mapping[str, Any]


class InvalidError(Exception):
    """A ValidationException of DynamoDB."""


def _numbers(value: Any) -> Iterator[str]:
    """All numbers in an attribute value, or in anything made of them."""
    if isinstance(value, Mapping):
        for kind, inner in value.items():
            if kind == "N" and isinstance(inner, str):
                yield inner
            elif kind == "NS" and isinstance(inner, list):
                yield from (number for number in inner if isinstance(number, str))
            else:
                yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)


def _check_numbers(parameters: Parameters) -> None:
    for number in _numbers(parameters):
        try:
            digits = "".join(map(str, Decimal(number).as_tuple().digits)).strip("0")
        except InvalidOperation:
            continue  # moto refuses what is no number
        if len(digits) > MAX_DIGITS:
            raise InvalidError("Attempting to store more than 38 significant digits in a Number")


def _key(table: Any, attributes: Parameters) -> str:
    names = [table.hash_key_attr, *([table.range_key_attr] if table.range_key_attr else [])]
    return json.dumps([_normal(attributes.get(name)) for name in names], sort_keys=True, default=str)


def _normal(value: Any) -> Any:
    """1 and 1.0 are one key."""
    if isinstance(value, Mapping) and "N" in value:
        try:
            return {"N": str(Decimal(value["N"]).normalize())}
        except InvalidOperation:
            return dict(value)
    return value


def check_index_keys(table: Any, item: Parameters) -> None:
    """An attribute that is an index's key must have the declared type."""
    declared = {a["AttributeName"]: a["AttributeType"] for a in table.attr}
    for index in table.all_indexes():
        for key in index.schema:
            name = key["AttributeName"]
            if name in item and isinstance(item[name], Mapping) and name in declared:
                actual = next(iter(item[name]), "")
                if actual != declared[name]:
                    raise InvalidError(
                        f"One or more parameter values were invalid: Type mismatch for Index Key {name} "
                        f"Expected: {declared[name]} Actual: {actual} IndexName: {index.name}"
                    )


def _put_items(action: str, parameters: Parameters) -> Iterator[tuple[str, Parameters]]:
    if action == "PutItem":
        yield parameters.get("TableName", ""), parameters.get("Item", {})
    elif action == "BatchWriteItem":
        for name, requests in parameters.get("RequestItems", {}).items():
            for request in requests:
                if "PutRequest" in request:
                    yield name, request["PutRequest"].get("Item", {})
    elif action == "TransactWriteItems":
        for entry in parameters.get("TransactItems", []):
            if "Put" in entry:
                yield entry["Put"].get("TableName", ""), entry["Put"].get("Item", {})


def _check_batch_write(parameters: Parameters, find: FindTable) -> None:
    requests = parameters.get("RequestItems", {})
    if sum(len(entries) for entries in requests.values()) > 25:
        raise InvalidError("Too many items requested for the BatchWriteItem call")
    for name, entries in requests.items():
        keys = [(e.get("PutRequest") or {}).get("Item") or (e.get("DeleteRequest") or {}).get("Key") for e in entries]
        _refuse_duplicates(find(name), keys, "Provided list of item keys contains duplicates")


def _check_batch_get(parameters: Parameters, find: FindTable) -> None:
    requests = parameters.get("RequestItems", {})
    if sum(len(request.get("Keys", [])) for request in requests.values()) > 100:
        raise InvalidError("Too many items requested for the BatchGetItem call")
    for name, request in requests.items():
        _refuse_duplicates(find(name), request.get("Keys", []), "Provided list of item keys contains duplicates")


def _refuse_duplicates(table: Any, keys: list[Any], message: str) -> None:
    if table is not None:
        seen = [_key(table, key or {}) for key in keys]
        if len(set(seen)) < len(seen):
            raise InvalidError(message)


def _check_transaction(parameters: Parameters, find: FindTable) -> None:
    seen = set()
    for entry in parameters.get("TransactItems", []):
        for operation in entry.values():
            table = find(operation.get("TableName", ""))
            if table is not None:
                place = (table.name, _key(table, operation.get("Item") or operation.get("Key") or {}))
                if place in seen:
                    raise InvalidError("Transaction request cannot include multiple operations on one item")
                seen.add(place)


def _check_add(expression: str, names: Mapping[str, str], values: Parameters, item: Parameters) -> None:
    for clause in _ADD.finditer(expression):
        for path, placeholder in _ADDEND.findall(clause["body"]):
            value = values.get(placeholder)
            if not isinstance(value, Mapping):
                continue
            kind = next(iter(value), "")
            if kind not in ("N", "NS", "SS", "BS"):
                words = {"S": "STRING", "M": "MAP", "L": "LIST", "B": "BINARY", "BOOL": "BOOLEAN", "NULL": "NULL"}
                raise InvalidError(
                    "Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD, "
                    f"operand type: {words.get(kind, kind)}"
                )
            current = item.get(names.get(path, path))
            if isinstance(current, Mapping) and next(iter(current), "") != kind:
                raise InvalidError("An operand in the update expression has an incorrect data type")


def _check_updates(
    action: str, parameters: Parameters, find: FindTable, read: Callable[[Any, Any], Parameters]
) -> None:
    updates = [parameters] if action == "UpdateItem" else []
    if action == "TransactWriteItems":
        updates = [entry["Update"] for entry in parameters.get("TransactItems", []) if "Update" in entry]
    for update in updates:
        table = find(update.get("TableName", ""))
        if table is not None and "ADD" in (update.get("UpdateExpression") or "").upper():
            _check_add(
                update["UpdateExpression"],
                update.get("ExpressionAttributeNames") or {},
                update.get("ExpressionAttributeValues") or {},
                read(table, update.get("Key") or {}),
            )


def _check_start_key(parameters: Parameters, find: FindTable) -> None:
    start = parameters.get("ExclusiveStartKey")
    table = find(parameters.get("TableName", ""))
    if not start or table is None:
        return
    schema = list(table.schema)
    hash_attribute = table.hash_key_attr
    index = next((i for i in table.all_indexes() if i.name == parameters.get("IndexName")), None)
    if index is not None:
        schema += index.schema
        hash_attribute = next(k["AttributeName"] for k in index.schema if k["KeyType"] == "HASH")
    declared = {a["AttributeName"]: a["AttributeType"] for a in table.attr}
    wanted = {key["AttributeName"] for key in schema}
    if set(start) != wanted or any(next(iter(start[name]), "") != declared[name] for name in wanted):
        raise InvalidError("The provided starting key is invalid")
    names = parameters.get("ExpressionAttributeNames") or {}
    for name, value in re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", parameters.get("KeyConditionExpression") or ""):
        if names.get(name, name) == hash_attribute:
            partition = (parameters.get("ExpressionAttributeValues") or {}).get(value)
            if _normal(partition) != _normal(start[hash_attribute]):
                raise InvalidError("The provided starting key is outside query boundaries based on provided conditions")


def _check_recovery_window(parameters: Parameters) -> None:
    days = (parameters.get("PointInTimeRecoverySpecification") or {}).get("RecoveryPeriodInDays")
    if days is not None and not 1 <= int(days) <= 35:
        bound = "greater than or equal to 1" if int(days) < 1 else "less than or equal to 35"
        raise InvalidError(
            f"1 validation error detected: Value '{days}' at 'pointInTimeRecoverySpecification.recoveryPeriodInDays' "
            f"failed to satisfy constraint: Member must have value {bound}"
        )


def check(action: str, parameters: Parameters, find: FindTable, read: Callable[[Any, Any], Parameters]) -> None:
    """Raises InvalidError for what DynamoDB would refuse. `find` gives moto's table, `read` an item by its key."""
    if action in ("PutItem", "UpdateItem", "BatchWriteItem", "TransactWriteItems"):
        _check_numbers(parameters)
    if action == "BatchWriteItem":
        _check_batch_write(parameters, find)
    elif action == "BatchGetItem":
        _check_batch_get(parameters, find)
    elif action in ("TransactWriteItems", "TransactGetItems"):
        _check_transaction(parameters, find)
    elif action == "Query":
        _check_start_key(parameters, find)
    elif action == "UpdateContinuousBackups":
        _check_recovery_window(parameters)
    for name, item in _put_items(action, parameters):
        if (table := find(name)) is not None:
            check_index_keys(table, item)
    _check_updates(action, parameters, find, read)


class Tokens:
    """ClientRequestToken of TransactWriteItems: a repetition within ten minutes writes nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._done: dict[tuple[str, str], tuple[float, str]] = {}

    @staticmethod
    def _digest(parameters: Parameters) -> str:
        relevant = {key: value for key, value in parameters.items() if key != "ClientRequestToken"}
        relevant.pop("ReturnConsumedCapacity", None)
        return hashlib.sha256(json.dumps(relevant, sort_keys=True, default=str).encode()).hexdigest()

    def seen(self, region: str, parameters: Parameters) -> str:
        """ "new", "same" (answer as before, write nothing) or "different" (IdempotentParameterMismatchException)."""
        token = parameters.get("ClientRequestToken")
        if not token:
            return "new"
        limit = self._clock() - TOKEN_SECONDS
        self._done = {key: entry for key, entry in self._done.items() if entry[0] > limit}
        entry = self._done.get((region, token))
        if entry is None:
            return "new"
        return "same" if entry[1] == self._digest(parameters) else "different"

    def remember(self, region: str, parameters: Parameters) -> None:
        if token := parameters.get("ClientRequestToken"):
            self._done[(region, token)] = (self._clock(), self._digest(parameters))
