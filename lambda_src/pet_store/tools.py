"""Calls of the tools by an AgentCore Gateway.

The event is the flat map of arguments; the tool's name stands in the client context, behind the name of the gateway's
target: `<target>___<tool>`. A tool is one of the routes: its arguments become a request, so that every rule of the
contract holds here, too. The gateway takes whatever is returned for a success, and what is raised for an error of its
own, so a failure is said in the answer: {"ok": false, "error": …}.

Lambda's runtime has read the event's numbers as floats before the function sees them. The shortest decimal that gives
the same float is taken for what was written: 19.99 stays 19.99, 20.0 is 20. That is exact up to 15 digits.
"""

from __future__ import annotations

from decimal import Decimal

from common.dynamodb_json import number, number_text
from common.errors import Problem
from common.events import Request
from common.exact_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from common.router import Route

SEPARATOR = "___"
IDEMPOTENCY_KEY = "idempotencyKey"
# The route of each tool, and its arguments; gateway_tools.json, made from the contract, describes them
TOOLS: dict[str, tuple[str, tuple[str, ...]]] = {
    "list_pets": ("GET /pets", ("type", "minPrice", "maxPrice", "limit", "next_token")),
    "get_pet": ("GET /pets/{id}", ("id",)),
    "add_pet": ("POST /pets", ("name", "type", "price", IDEMPOTENCY_KEY)),
}
# What a caller who tries again may hope for
RETRYABLE = (429, 503)
CODES = {
    400: "invalid_argument",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "throttled",
    503: "unavailable",
}


def answer(
    routes: Mapping[str, Route], name: Any, event: Any, deadline: float, line: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """The status of the route's answer, and what the gateway gets, never an exception:

    {"ok": true, "data": what the route answers} or {"ok": false, "error": {"code", "message", "retryable"}}.
    What the log has to know is added to its line.
    """
    try:
        tool = line["tool"] = _tool(name)
        done = routes[TOOLS[tool][0]](_request(tool, event, deadline))
    except Exception as error:  # noqa: BLE001 - whatever happens is said in the answer
        from common.problems import answer_to

        problem = answer_to(error, line).body
        status = problem["status"]
        code = "unknown_tool" if isinstance(error, _UnknownTool) else CODES.get(status, "internal")
        said = {"code": code, "message": _message(problem), "retryable": status in RETRYABLE}
        return status, {"ok": False, "error": said}
    return done.status, {"ok": True, "data": done.body}


class _UnknownTool(Problem):
    pass


def _tool(name: Any) -> str:
    if isinstance(name, str):
        _, separator, behind = name.partition(SEPARATOR)
        tool = behind if separator else name
        if tool in TOOLS:
            return tool
    raise _UnknownTool(404, f"there is no such tool; there are {', '.join(TOOLS)}")


def _request(tool: str, event: Any, deadline: float) -> Request:
    """The request that the arguments stand for; one that is null is left out."""
    route, names = TOOLS[tool]
    if not isinstance(event, dict):
        raise Problem(400, "the arguments must be an object")
    arguments = {name: _exact(name, value) for name, value in event.items() if value is not None}
    if unknown := [name for name in arguments if name not in names]:
        raise Problem(400, f"{unknown[0]} is no argument of {tool}; there are {', '.join(names)}")
    method, _, path = route.partition(" ")
    request = Request(method, path.strip("/").split("/"))
    request.deadline = deadline
    if IDEMPOTENCY_KEY in arguments:
        request.headers["idempotency-key"] = _text(IDEMPOTENCY_KEY, arguments.pop(IDEMPOTENCY_KEY))
    if method == "POST":
        request.raw_body = dumps(arguments).encode(errors="surrogatepass")
    elif "{" in path:
        request.parameters = {name: _text(name, arguments.get(name)) for name in names}
    else:
        request.query = {name: [_text(name, value)] for name, value in arguments.items()}
    return request


def _exact(name: str, value: Any) -> Any:
    """A number as it was written, see above; tools take no lists and objects."""
    if isinstance(value, (list, dict)):
        raise Problem(400, f"{name} must be a text or a number")
    return number(repr(value)) if isinstance(value, float) else value


def _text(name: str, value: Any) -> str:
    """A text, or a number as the query or the path of a request has it."""
    if value is None:
        raise Problem(400, f"{name} is missing")
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise Problem(400, f"{name} must be a text or a number")
    return value if isinstance(value, str) else number_text(value)


def _message(problem: dict[str, Any]) -> str:
    """One text, naming each argument that is wrong."""
    errors = problem.get("errors")
    if not errors:
        return str(problem["detail"])
    return "; ".join(f"{_place(error)} {error['detail']}" for error in errors)


def _place(error: dict[str, str]) -> str:
    if "header" in error:
        return IDEMPOTENCY_KEY
    return error.get("parameter") or error["pointer"].removeprefix("#/")
