"""Events of REST APIs, and of HTTP APIs with payload format 1.0."""

from __future__ import annotations

from common.events import Request, decoded, segments, set_route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def request_of(event: Mapping[str, Any], context: Mapping[str, Any]) -> Request:
    parameters = event.get("pathParameters") or {}
    path = event["path"]
    # REST APIs leave the path as it came; an HTTP API's 1.0 events are decoded and name the stage
    is_rest = "version" not in event
    if is_rest:
        parameters = {name: decoded(value) for name, value in parameters.items()}
    elif path.startswith(f"/{context.get('stage')}/"):
        path = path[len(context["stage"]) + 1 :]
    request = Request(event["httpMethod"].upper(), segments(path, encoded=is_rest))
    set_route(request, event.get("resource") or "", parameters)
    headers = event.get("multiValueHeaders") or {name: [value] for name, value in (event.get("headers") or {}).items()}
    request.headers = {name.lower(): ", ".join(values).strip() for name, values in headers.items()}
    request.query = event.get("multiValueQueryStringParameters") or {
        name: [value] for name, value in (event.get("queryStringParameters") or {}).items()
    }
    return request
