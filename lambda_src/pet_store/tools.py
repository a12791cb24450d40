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
TEXT, NUMBER = "text", "number"
# The route of each tool, and what its arguments are; gateway_tools.json, made from the contract, describes them
TOOLS: dict[str, tuple[str, dict[str, str]]] = {
    "list_pets": (
        "GET /pets",
        {"type": TEXT, "minPrice": NUMBER, "maxPrice": NUMBER, "limit": NUMBER, "next_token": TEXT},
    ),
    "get_pet": ("GET /pets/{id}", {"id": NUMBER}),
    "add_pet": ("POST /pets", {"name": TEXT, "type": TEXT, "price": NUMBER, IDEMPOTENCY_KEY: TEXT}),
}
# The most that is repeated of what somebody sent
MAXIMUM_SAID = 64
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
    route, kinds = TOOLS[tool]
    if not isinstance(event, dict):
        raise Problem(400, "the arguments must be an object")
    if unknown := [name for name in event if name not in kinds]:
        # whatever it is, the runtime must be able to write it
        said = unknown[0][:MAXIMUM_SAID].encode(errors="replace").decode()
        raise Problem(400, f"{said} is no argument of {tool}; there are {', '.join(kinds)}")
    arguments = {name: _exact(name, kinds[name], value) for name, value in event.items() if value is not None}
    method, _, path = route.partition(" ")
    request = Request(method, path.strip("/").split("/"))
    request.deadline = deadline
    if IDEMPOTENCY_KEY in arguments:
        request.headers["idempotency-key"] = _text(kinds, IDEMPOTENCY_KEY, arguments.pop(IDEMPOTENCY_KEY))
    if method == "POST":
        # the route tells all that is wrong with its body
        request.raw_body = dumps(arguments).encode(errors="surrogatepass")
    elif "{" in path:
        request.parameters = {name: _text(kinds, name, arguments.get(name)) for name in kinds}
    else:
        request.query = {name: [_text(kinds, name, value)] for name, value in arguments.items()}
    return request


def _exact(name: str, kind: str, value: Any) -> Any:
    """A number as it was written, see above; tools take no lists and objects."""
    if isinstance(value, (list, dict)):
        raise Problem(400, f"{name} must be a {kind}")
    return number(repr(value)) if isinstance(value, float) else value


def _text(kinds: Mapping[str, str], name: str, value: Any) -> str:
    """As the query, the path or a header of a request has it."""
    if value is None:
        raise Problem(400, f"{name} is missing")
    is_fit = isinstance(value, str) if kinds[name] == TEXT else isinstance(value, (int, Decimal))
    if isinstance(value, bool) or not is_fit:
        raise Problem(400, f"{name} must be a {kinds[name]}")
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
