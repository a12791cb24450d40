"""Items of any table, lossless: a line `{"Item": {"id": {"S": "1"}, …}}` each, as DynamoDB's own exports have them.

JSON without DynamoDB's types ({"id": "1"}) is taken, too: it becomes what the functions would make of it.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from common.change import Change, Writing
from common.dynamodb_json import marshal_item, unmarshal_item
from common.errors import InvalidValue, Refused
from common.memory import MAXIMUM_ITEM_BYTES, item_size
from common.table import Item
from scripts import item_digest
from scripts.migration.match_entries import MatchEntries
from scripts.migration.records import InvalidRecordError, Judgement, Record
from scripts.migration.state import KEPT, PRESENT

_MAXIMUM_KEY_BYTES = (2048, 1024)
_TYPES: dict[str, type] = {
    "S": str, "N": str, "B": str, "BOOL": bool, "NULL": bool, "M": dict, "L": list, "SS": list, "NS": list, "BS": list
}  # fmt: skip


class ItemRecords:
    """`Kind` of a table's items. `key` and each of `indexes` map attributes to types; `match` is for profiles."""

    form = "items"
    first_version: int | None = None

    def __init__(
        self, name: str, key: Mapping[str, str], indexes: Mapping[str, Mapping[str, str]], match: str = ""
    ) -> None:
        self._table = Writing(name, key)
        self._key, self._indexes = key, indexes
        self.entries = MatchEntries(name, match) if match else None

    def body(self, value: Any) -> dict[str, Any]:
        """The item in DynamoDB JSON, in its normal form."""
        if not isinstance(value, dict):
            raise InvalidRecordError("a record is a JSON object")
        try:
            if value.keys() == {"Item"} and isinstance(value["Item"], dict):
                for name, attribute in value["Item"].items():
                    _check_attribute(attribute, name)
                value = unmarshal_item(value["Item"])
            return marshal_item(value)
        except InvalidValue as error:
            raise InvalidRecordError(str(error)) from None

    def check(self, body: Any, length: int) -> None:  # noqa: ARG002  the item's own size is exact
        item = body
        for (name, kind), most in zip(self._key.items(), _MAXIMUM_KEY_BYTES, strict=False):
            if name not in item:
                raise InvalidRecordError(f"the key attribute {name} is missing")
            _check_key(name, kind, item[name])
            if kind != "N" and _bytes(item[name]) > most:
                raise InvalidRecordError(f"the key attribute {name} has more than {most} bytes")
        for index, keys in self._indexes.items():
            for name, kind in keys.items():
                if name in item:
                    _check_key(f"{name} of index {index}", kind, item[name])
        if (size := item_size(item)) > MAXIMUM_ITEM_BYTES:
            raise InvalidRecordError(f"the item has {size} bytes, of {MAXIMUM_ITEM_BYTES} at most")

    def record(self, body: Any) -> Record:
        return Record(self.record_key(body), item_digest.digest(body), body)

    def key(self, record_key: str) -> Item:
        return unmarshal_item(json.loads(record_key))

    def record_key(self, item: dict[str, Any]) -> str:
        return item_digest.key_of(item, self._key).decode()

    def new(self, record: Record) -> tuple[Change, list[Change]]:
        item = unmarshal_item(record.body)
        own = self._table.put(item, expect={next(iter(self._key)): None})
        return own, self.entries.of(item) if self.entries else []

    def judge(self, record: Record, stored: Item) -> Judgement:
        same = item_digest.digest(marshal_item(stored)) == record.digest
        return Judgement(PRESENT) if same else Judgement(KEPT, detail="the table holds another item")

    def replacing(self, record: Record, stored: Item) -> tuple[list[Change], int | None]:
        raise Refused(f"an item that differs is never replaced: {record.key}, {len(stored)} attributes")

    def digest(self, item: dict[str, Any]) -> bytes | None:
        return item_digest.digest(item)

    def version(self, item: dict[str, Any]) -> int | None:  # noqa: ARG002  not every table has one
        return None

    def exported(self, item: dict[str, Any]) -> tuple[str, bytes, str]:
        text = json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return self.record_key(item), item_digest.digest(item), text


def _check_attribute(attribute: Any, name: str) -> None:
    if not isinstance(attribute, dict) or len(attribute) != 1:
        raise InvalidRecordError(f'{name} is no attribute value of DynamoDB, such as {{"S": "text"}}')
    ((kind, value),) = attribute.items()
    fits = isinstance(value, _TYPES.get(kind, ()))
    if not fits or (kind == "NULL" and not value):
        raise InvalidRecordError(f"{name} has type {kind}, but not such a value")
    if kind in ("B", "BS"):
        for one in [value] if kind == "B" else value:
            try:
                base64.b64decode(one, validate=True)
            except (binascii.Error, TypeError, ValueError):
                raise InvalidRecordError(f"{name} is no base64") from None
    elif kind == "M":
        for inner, one in value.items():
            _check_attribute(one, f"{name}.{inner}")
    elif kind == "L":
        for position, one in enumerate(value):
            _check_attribute(one, f"{name}[{position}]")
    if kind in ("SS", "NS", "BS") and (not value or not all(isinstance(one, str) for one in value)):
        raise InvalidRecordError(f"{name} is no set: a list of one or more texts")


def _check_key(name: str, kind: str, attribute: Mapping[str, Any]) -> None:
    if kind not in attribute:
        raise InvalidRecordError(f"the key attribute {name} has type {next(iter(attribute))}, not {kind}")
    if attribute[kind] == "":
        raise InvalidRecordError(f"the key attribute {name} is empty")


def _bytes(attribute: Mapping[str, Any]) -> int:
    return item_size({"": attribute})
