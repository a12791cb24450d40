"""JSON whose numbers keep their exact decimal value; json_input.py reads it."""

from __future__ import annotations

from decimal import Decimal
from json.encoder import encode_basestring

from common.dynamodb_json import number_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


def dumps(value: Any) -> str:
    """Compact JSON of str, int, Decimal, bool, None, dict and list (the standard encoder can't write a Decimal)."""
    try:
        return _FORMS[type(value)](value)
    except KeyError as unknown:
        raise TypeError(f"JSON has no form for {unknown.args[0].__name__}") from None


def _object(value: dict[str, Any]) -> str:
    return "{" + ",".join([f"{encode_basestring(name)}:{_FORMS[type(one)](one)}" for name, one in value.items()]) + "}"


def _array(value: Iterable[Any]) -> str:
    return "[" + ",".join([_FORMS[type(one)](one) for one in value]) + "]"


# By type: most of the time that an answer takes is spent here
_FORMS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring,
    int: str,
    Decimal: number_text,
    dict: _object,
    list: _array,
    tuple: _array,
    bool: lambda value: "true" if value else "false",
    type(None): lambda _: "null",
}
