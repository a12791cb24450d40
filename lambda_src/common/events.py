"""One `Request` from every kind of HTTP event, and one `Answer` that is valid for all of them.

Kinds: API Gateway REST proxy (v1), HTTP API (payload 1.0 and 2.0), Function URL (2.0).
"""

from __future__ import annotations

from common.errors import Problem
from common.exact_json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Request:
    """`route` is the path template that API Gateway matched, if it did; `parameters` are the path's, decoded.

    `deadline` is the time.monotonic() by which the answer must be under way.
    """

    __slots__ = ("context", "deadline", "headers", "method", "parameters", "query", "raw_body", "route", "segments")

    def __init__(self, method: str, segments: list[str]) -> None:
        self.method = method
        self.segments = segments
        self.route = ""
        self.deadline = 0.0
        self.parameters: dict[str, str] = {}
        self.query: dict[str, list[str]] = {}
        self.headers: dict[str, str] = {}
        self.raw_body = b""
        self.context: Mapping[str, Any] = {}

    def one(self, parameter: str) -> str | None:
        """A query parameter that may be given once."""
        values = self.query.get(parameter, [])
        if len(values) > 1:
            raise bad_parameter(parameter, "is given more than once")
        return values[0] if values else None

    def body(self) -> dict[str, Any]:
        """The JSON object in the body; 415 or 400 if there is none."""
        from common.json_input import body_of

        return body_of(self)


class Answer:
    """`body` is any value that JSON can hold; None sends no body."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.body = body
        self.headers = dict(headers or {})

    def proxy_result(self) -> dict[str, Any]:
        kind = {} if self.body is None else {"content-type": "application/json"}
        return {
            "statusCode": self.status,
            "headers": {"cache-control": "no-store", **kind, **self.headers},
            "body": "" if self.body is None else dumps(self.body),
            "isBase64Encoded": False,
        }


def bad_parameter(name: str, detail: str) -> Problem:
    return Problem(400, f"the parameter {name} {detail}", errors=[{"parameter": name, "detail": detail}])


def bad_header(name: str, detail: str) -> Problem:
    return Problem(400, f"the header {name} {detail}", errors=[{"header": name, "detail": detail}])


def read(event: Any) -> Request:
    """A Problem with status 400 for anything that no API Gateway or Function URL sends."""
    try:
        context = event.get("requestContext") or {}
        if event.get("version") == "2.0":
            request = _version_2(event, context)
        else:
            from common.events_version_1 import request_of

            request = request_of(event, context)
        request.context = context
        request.raw_body = _body(event)
        _check_texts(request)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Problem(
            400,
            "the event is no HTTP request of API Gateway (REST or HTTP API) or of a Function URL",
        ) from None
    return request


def _version_2(event: Mapping[str, Any], context: Mapping[str, Any]) -> Request:
    path, stage = event["rawPath"], context.get("stage", "$default")
    if path == f"/{stage}" or path.startswith(f"/{stage}/"):
        path = path[len(stage) + 1 :] or "/"
    # HTTP APIs decode the path, Function URLs hand it on as it came
    is_url = ".lambda-url." in context.get("domainName", "")
    request = Request(context["http"]["method"].upper(), segments(path, encoded=is_url))
    set_route(request, event.get("routeKey", "").partition(" ")[2], event.get("pathParameters"))
    request.headers = {name.lower(): value.strip() for name, value in (event.get("headers") or {}).items()}
    if "rawQueryString" in event:
        request.query = _parsed(event["rawQueryString"])
    else:
        request.query = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    return request


def set_route(request: Request, template: str, parameters: Mapping[str, str] | None) -> None:
    if template and "+}" not in template:
        request.route = template
        request.parameters = dict(parameters or {})


def segments(path: str, *, encoded: bool) -> list[str]:
    """Split before it is decoded, so that an encoded slash stays within its segment."""
    return [decoded(part) if encoded else part for part in path.strip("/").split("/")]


def _check_texts(request: Request) -> None:
    if not isinstance(request.context, dict):
        raise TypeError("an event's context is an object")
    values = [value for values in request.query.values() for value in values]
    texts = [*request.query, *values, *request.parameters.values(), *request.headers.values(), request.route]
    if not all(isinstance(text, str) for text in texts) or not request.method.isascii():
        raise TypeError("an event's method, parameters and headers are texts")


def _parsed(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name:
            found.setdefault(decoded(name.replace("+", " ")), []).append(decoded(value.replace("+", " ")))
    return found


def decoded(text: str) -> str:
    """Percent-decoded UTF-8; 400 where it is none."""
    if "%" not in text:
        return text
    from urllib.parse import unquote

    try:
        return unquote(text, errors="strict")
    except ValueError:
        raise Problem(400, "the path or the query holds percent-encoded bytes that are not UTF-8") from None


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        from binascii import a2b_base64

        return a2b_base64(body, strict_mode=True)
    return body.encode()
