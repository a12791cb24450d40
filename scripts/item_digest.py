"""One form for items that DynamoDB takes for equal, and its SHA-256: what copies and migrations are compared by.

An item is DynamoDB JSON, as boto3's client has it (binary values are bytes) or as AWS sends it (binary values are
base64). DynamoDB keeps neither a number's spelling (`1.0` is `1`) nor the order of a set or of a map.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from typing import Any

# A number has up to 38 digits; Python's default context would round them to 28.
_EXACT = Context(prec=60)


def canonical_bytes(item: Mapping[str, Any]) -> bytes:
    """The same bytes for equal items, other bytes for others. Raises ValueError for what is no DynamoDB JSON."""
    return _dumped({name: _canonical(value) for name, value in item.items()})


def digest(item: Mapping[str, Any]) -> bytes:
    """The SHA-256 of an item, 32 bytes."""
    return hashlib.sha256(canonical_bytes(item)).digest()


def key_of(item: Mapping[str, Any], key_attributes: Iterable[str]) -> bytes:
    """The canonical bytes of an item's key; raises KeyError where the item lacks a key attribute."""
    return canonical_bytes({name: item[name] for name in key_attributes})


def key_text(key: bytes) -> str:
    """A key's canonical bytes as a person reads them: `PK=SESSION#1, SK=METADATA`."""
    return ", ".join(f"{name}={next(iter(value.values()))}" for name, value in json.loads(key).items())


def _canonical(value: Mapping[str, Any]) -> dict[str, Any]:
    if len(value) != 1:
        raise ValueError(f"an attribute value has one type, not {', '.join(value) or 'none'}")
    ((kind, inner),) = value.items()
    match kind:
        case "S" | "BOOL" | "NULL":
            return {kind: inner}
        case "N":
            return {kind: _number(inner)}
        case "B":
            return {kind: _binary(inner)}
        case "SS":
            return {kind: sorted(inner)}
        case "NS":
            return {kind: sorted(_number(number) for number in inner)}
        case "BS":
            return {kind: sorted(_binary(binary) for binary in inner)}
        case "M":
            return {kind: {name: _canonical(each) for name, each in inner.items()}}
        case "L":
            return {kind: [_canonical(each) for each in inner]}
    raise ValueError(f"there is no attribute type {kind!r}")


def _number(text: str) -> str:
    try:
        number = Decimal(text)
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is no number") from error
    # There is no negative zero in DynamoDB.
    return f"{number.normalize(_EXACT):f}" if number else "0"


def _binary(value: bytes | str) -> str:
    """Base64 of bytes; what is text is base64 already."""
    return value if isinstance(value, str) else base64.b64encode(value).decode()


def _dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
