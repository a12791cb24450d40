"""What DynamoDB counts: the bytes of an item, and the capacity units that reading and writing it takes.

Items are in DynamoDB's JSON: {"id": {"S": "a"}, "price": {"N": "2.5"}}.
Sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
Units: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
Indexes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
"""

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

READ_UNIT_BYTES = 4096
WRITE_UNIT_BYTES = 1024
# Each stored item takes so many bytes of storage more than its size; so does its entry in an index.
STORAGE_OVERHEAD_BYTES = 100
_TRANSACTIONAL = 2
_COLLECTION_BYTES = 3
_MEMBER_BYTES = 1
_MAXIMUM_NUMBER_BYTES = 21

Item = Mapping[str, Mapping[str, Any]]


class Index(NamedTuple):
    """A secondary index: its own key attributes, and all that its entries hold (None: everything)."""

    name: str
    keys: tuple[str, ...]
    attributes: frozenset[str] | None

    @classmethod
    def described(cls, index: Mapping[str, Any], table_keys: Iterable[str]) -> "Index":
        """As DescribeTable and CreateTable have it."""
        keys = tuple(key["AttributeName"] for key in index["KeySchema"])
        projection = index["Projection"]
        if projection["ProjectionType"] == "ALL":
            return cls(index["IndexName"], keys, None)
        return cls(index["IndexName"], keys, frozenset({*keys, *table_keys, *projection.get("NonKeyAttributes", [])}))

    def entry(self, item: Item | None) -> Item | None:
        """What the index holds of an item; None where it has no entry, for want of a key attribute."""
        if item is None or any(key not in item for key in self.keys):
            return None
        if self.attributes is None:
            return item
        return {name: value for name, value in item.items() if name in self.attributes}


def item_bytes(item: Item | None) -> int:
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items()) if item else 0


def value_bytes(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return number_bytes(value)
    if kind in ("BOOL", "NULL"):
        return 1
    if kind == "M":
        return _COLLECTION_BYTES + sum(_MEMBER_BYTES + len(n.encode()) + value_bytes(v) for n, v in value.items())
    if kind == "L":
        return _COLLECTION_BYTES + sum(_MEMBER_BYTES + value_bytes(one) for one in value)
    if kind == "B":
        return _binary_bytes(value)
    if kind == "SS":
        return sum(len(one.encode()) for one in value)
    if kind == "NS":
        return sum(map(number_bytes, value))
    return sum(map(_binary_bytes, value))


@functools.lru_cache(maxsize=100_000)  # the same numbers are met again and again
def number_bytes(text: str) -> int:
    """About one byte for two significant digits, one more, and one for a minus."""
    mantissa, _, exponent = text.strip().lower().partition("e")
    negative = mantissa.startswith("-")
    whole, _, fraction = mantissa.lstrip("+-").partition(".")
    # A byte holds a pair of digits, and the pairs begin at the point: a shift by an odd power of ten moves them.
    shift = int(exponent or 0)
    digits = whole + fraction
    point = len(whole) + shift
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    if not stripped:
        return 1
    padded = len(stripped) + point % 2
    return min(_MAXIMUM_NUMBER_BYTES, math.ceil(padded / 2) + 1 + negative)


def _binary_bytes(value: bytes | str) -> int:
    """Of bytes as boto3 has them, or of their base64 as it is sent."""
    return len(value) if isinstance(value, bytes) else len(value) * 3 // 4 - value.count("=")


def read_units(size: int, *, consistent: bool, transactional: bool = False) -> float:
    """4 KB each, at least one; half where the read is only eventually consistent, double in a transaction."""
    units = max(1, math.ceil(size / READ_UNIT_BYTES))
    if transactional:
        return float(units * _TRANSACTIONAL)
    return float(units) if consistent else units / 2


def write_units(size: int, *, transactional: bool = False) -> float:
    """1 KB each, at least one; double in a transaction. The larger of the item before and after counts."""
    return float(max(1, math.ceil(size / WRITE_UNIT_BYTES)) * (_TRANSACTIONAL if transactional else 1))


def change_units(before: Item | None, after: Item | None, *, transactional: bool = False) -> float:
    """What a put, an update or a delete takes of the table itself."""
    return write_units(max(item_bytes(before), item_bytes(after)), transactional=transactional)


def index_units(index: Index, before: Item | None, after: Item | None) -> float:
    """What the same takes of an index: nothing where its entry stays as it is; a moved key is a delete and a put.

    In a transaction no more: an index is not a part of it (measured by others: github.com/nubo-db/dynoxide/pull/188).
    """
    old, new = index.entry(before), index.entry(after)
    if old == new:
        return 0.0
    if old is not None and new is not None and any(old[key] != new[key] for key in index.keys):
        return write_units(item_bytes(old)) + write_units(item_bytes(new))
    return write_units(max(item_bytes(old), item_bytes(new)))
