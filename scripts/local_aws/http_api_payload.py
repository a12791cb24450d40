"""Payload format 2.0: the event that an HTTP API sends to a function, and what it makes of the answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus

_TEXT_TYPES = ("application/json", "application/xml", "application/javascript")
# Between the function and its client stands API Gateway: these speak of one connection only.
_HOP_BY_HOP = {"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclasses.dataclass(frozen=True)
class HttpRequest:
    """A request as received: path and query raw, header names lower-case, repeated headers repeated."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    protocol: str = "HTTP/1.1"

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclasses.dataclass(frozen=True)
class Route:
    """Where a request goes; all that the event's requestContext says of it."""

    account_id: str
    api_id: str
    domain_name: str
    stage: str
    route_key: str
    path_parameters: Mapping[str, str]
    stage_variables: Mapping[str, str]
    authorizer: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class MalformedAnswerError(Exception):
    """The function's answer is no HTTP response."""


def is_text(content_type: str | None) -> bool:
    """Whether a body is passed on as text. Measured on AWS by others: text/* and these three, nothing else."""
    plain = (content_type or "").partition(";")[0].strip().lower()
    return plain.startswith("text/") or plain in _TEXT_TYPES


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _query_parameters(query: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in query.split("&") if part]
    return _joined([(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs])


def event(request: HttpRequest, route: Route, request_id: str, trace_id: str) -> dict[str, Any]:
    now = time.time()
    cookies = [cookie.strip() for name, value in request.headers if name == "cookie" for cookie in value.split(";")]
    headers = _joined([(name, value) for name, value in request.headers if name != "cookie"])
    headers |= {
        "host": headers.get("host", route.domain_name),
        "x-amzn-trace-id": trace_id,
        "x-forwarded-for": ", ".join(filter(None, [headers.get("x-forwarded-for"), request.source_ip])),
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "content-length": str(len(request.body)),
    }
    path = unquote(request.path)
    context: dict[str, Any] = {
        "accountId": route.account_id,
        "apiId": route.api_id,
        "domainName": route.domain_name,
        "domainPrefix": route.domain_name.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": route.route_key,
        "stage": route.stage,
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }
    if route.authorizer:
        context["authorizer"] = route.authorizer
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.route_key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        made["cookies"] = cookies
    if request.query:
        made["queryStringParameters"] = _query_parameters(request.query)
    if route.path_parameters:
        made["pathParameters"] = dict(route.path_parameters)
    if route.stage_variables:
        made["stageVariables"] = dict(route.stage_variables)
    if request.body:
        if is_text(request.header("content-type")):
            made["body"] = request.body.decode("utf-8", "replace")
        else:
            made["body"] = base64.b64encode(request.body).decode()
            made["isBase64Encoded"] = True
    return made


def response(payload: bytes) -> HttpResponse:
    """The HTTP response in a function's answer. Raises MalformedAnswerError."""
    try:
        answer = json.loads(payload)
    except ValueError as error:
        raise MalformedAnswerError("the function's answer is not JSON") from error
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return HttpResponse(200, [("content-type", "application/json")], body.encode())
    status = answer["statusCode"]
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        raise MalformedAnswerError(f"statusCode {answer['statusCode']!r} is not a number from 100 to 599")
    headers = _response_headers(answer)
    if not any(name == "content-type" for name, _ in headers) and answer.get("body"):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    return HttpResponse(status, headers, _response_body(answer))


def _response_headers(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    given = answer.get("headers") or {}
    if not isinstance(given, dict):
        raise MalformedAnswerError("headers is not an object")
    for name, value in given.items():
        if not isinstance(value, (str, int, float)):
            raise MalformedAnswerError(f"the header {name} is neither text nor number")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if any(character in name + text for character in "\r\n\0"):
            raise MalformedAnswerError(f"the header {name!r} contains a line break")
        if name.lower() not in _HOP_BY_HOP:
            found.append((name.lower(), text))
    cookies = answer.get("cookies") or []
    if not isinstance(cookies, list):
        raise MalformedAnswerError("cookies is not a list")
    return found + [("set-cookie", str(cookie)) for cookie in cookies]


def _response_body(answer: Mapping[str, Any]) -> bytes:
    body = answer.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedAnswerError("body is not text")
    if answer.get("isBase64Encoded"):
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise MalformedAnswerError("body is not base64, though isBase64Encoded says so") from error
    return body.encode()
