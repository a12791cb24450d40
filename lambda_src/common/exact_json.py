"""JSON whose numbers keep their exact decimal value in both directions."""

from __future__ import annotations

import json
from decimal import Decimal
from json.encoder import encode_basestring

from common.dynamodb_json import number, number_text
from common.errors import InvalidValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """Python values with int and Decimal for numbers; InvalidValue, fit for the caller, where the text is no JSON."""
    try:
        return json.loads(text, parse_int=number, parse_float=number, parse_constant=_no_constant)
    except InvalidValue:
        raise
    except RecursionError:
        raise InvalidValue("the JSON is nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidValue("the text is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidValue(f"not valid JSON: {error.msg} at line {error.lineno} column {error.colno}") from None


def dumps(value: Any) -> str:
    """Compact JSON of str, int, Decimal, bool, None, dict and list (the standard encoder can't write a Decimal)."""
    if isinstance(value, str):
        return encode_basestring(value)
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, Decimal)):
        return number_text(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(name)}:{dumps(one)}" for name, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"JSON has no form for {type(value).__name__}")


def _no_constant(name: str) -> NoReturn:
    raise InvalidValue(f"{name} is not a JSON number")
