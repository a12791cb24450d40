"""Values as DynamoDB holds them: {"S": "x"}, {"N": "249.99"}, … to and from Python values, exactly.

str S, bool BOOL, None NULL, int and Decimal N, bytes B, list and tuple L, dict M, set and frozenset SS, NS or BS.
Numbers come back as int where they are whole and short, as Decimal otherwise, in one form for one value (20.0 is 20).
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal

from common.errors import InvalidValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# DynamoDB's 32 levels count the innermost value
MAXIMUM_DEPTH = 31
MAXIMUM_NAME_BYTES = 65_535
_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Subnormal])


def number(text: str) -> int | Decimal:
    """The number that a JSON or DynamoDB text stands for; InvalidValue where DynamoDB would lose or refuse it."""
    if len(text) < 39 and text.isascii():
        if text.isdigit():
            return int(text)
        # in its one form already
        if text.replace(".", "", 1).isdigit() and text[-1] not in "0.":
            return Decimal(text)
    try:
        value = _NUMBERS.create_decimal(text)
        if not value.is_finite():
            raise InvalidValue(f"{text} is not a number that can be stored")
        value = value.normalize(_NUMBERS)
    except ArithmeticError:
        raise InvalidValue(
            f"the number {text[:48]} can't be stored exactly: at most 38 significant digits, "
            "and a magnitude from 1E-130 to 9.9E+125"
        ) from None
    return int(value) if value == value.to_integral_value() and value.adjusted() < 38 else value


def number_text(value: int | Decimal) -> str:
    """Digits as JSON and DynamoDB take them; plain notation unless that would be mostly zeros."""
    text = str(value)
    if isinstance(value, int):
        return text
    return f"{value:f}" if "E" in text and -9 < value.adjusted() < 38 else text


def marshal(value: Any, depth: int = 0) -> dict[str, Any]:
    """One attribute value."""
    if isinstance(value, str):
        return {"S": _utf8(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (int, Decimal)):
        return {"N": number_text(number(str(value)))}
    if isinstance(value, bytes):
        return {"B": _base64(value)}
    if depth >= MAXIMUM_DEPTH:
        raise InvalidValue(f"values are nested deeper than {MAXIMUM_DEPTH + 1} levels")
    if isinstance(value, dict):
        return {"M": {_name(name): marshal(one, depth + 1) for name, one in value.items()}}
    if isinstance(value, (list, tuple)):
        return {"L": [marshal(one, depth + 1) for one in value]}
    if isinstance(value, (set, frozenset)):
        return _marshal_set(value)
    raise TypeError(f"DynamoDB has no type for {type(value).__name__}; convert it before storing it")


def marshal_item(item: Mapping[str, Any]) -> dict[str, Any]:
    return {_utf8(name): marshal(value) for name, value in item.items()}


def unmarshal(attribute: Mapping[str, Any]) -> Any:
    """The Python value of one attribute value."""
    return unmarshal_item({"": attribute})[""]


def unmarshal_item(item: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {name: _VALUES[kind](value) for name, one in item.items() for ((kind, value),) in [one.items()]}
    except KeyError as unknown:
        raise TypeError(f"DynamoDB answered a value of unknown type {unknown.args[0]}") from None


def _marshal_set(value: set[Any] | frozenset[Any]) -> dict[str, Any]:
    members = [marshal(one) for one in value]
    kinds = {kind for member in members for kind in member}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise InvalidValue("a set holds at least one value, and strings only, numbers only or bytes only")
    kind = kinds.pop()
    return {kind + "S": sorted(member[kind] for member in members)}


def _utf8(text: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidValue("a text holds half of a surrogate pair, which is not valid Unicode") from None
    return text


def _name(name: str) -> str:
    if not 0 < len(_utf8(name).encode()) <= MAXIMUM_NAME_BYTES:
        raise InvalidValue(f"the name of a field must have 1 to {MAXIMUM_NAME_BYTES} bytes")
    return name


def _base64(value: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(value, newline=False).decode()


def _bytes(text: str) -> bytes:
    from binascii import a2b_base64

    return a2b_base64(text)


# By type: a call for each value is most of the time that an item takes
_VALUES: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": number,
    "BOOL": bool,
    "NULL": lambda _: None,
    "M": unmarshal_item,
    "L": lambda value: [_VALUES[kind](one) for each in value for ((kind, one),) in [each.items()]],
    "SS": set,
    "NS": lambda value: {number(one) for one in value},
    "B": _bytes,
    "BS": lambda value: {_bytes(one) for one in value},
}
