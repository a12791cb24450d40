"""JSON that callers send: read so that numbers keep their exact decimal value."""

from __future__ import annotations

import json

from common.dynamodb_json import number
from common.errors import InvalidValue, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from common.events import Request


def body_of(request: Request) -> dict[str, Any]:
    """See Request.body."""
    kind, _, options = request.headers.get("content-type", "application/json").lower().partition(";")
    kind = kind.strip()
    if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        raise Problem(415, "the body is not said to be JSON; send content-type: application/json")
    if "charset" in options and "utf-8" not in options:
        raise Problem(415, "the body must be UTF-8")
    if not request.raw_body:
        raise Problem(400, "the body is empty; a JSON object is needed")
    try:
        value = loads(request.raw_body)
    except InvalidValue as error:
        raise Problem(400, f"the body can't be read: {error}") from None
    if not isinstance(value, dict):
        raise Problem(400, "the body must be a JSON object")
    return value


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


def _no_constant(name: str) -> NoReturn:
    raise InvalidValue(f"{name} is not a JSON number")
