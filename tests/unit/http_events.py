"""Events as API Gateway and Function URLs make them of a request.

What is decoded and what is not: REST APIs and Function URLs hand the path on as it came, HTTP APIs decode it.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

KINDS = ("rest", "http", "http_1", "url")
TEMPLATES = ("/agents/register", "/agents", "/agents/{id}")
# More than a call takes anywhere: a machine with much else to do is no fault of the function.
AMPLE_MILLISECONDS = 300_000


class Context:
    """What awslambdaric hands to a handler, as far as it is used."""

    def __init__(self, request_id: str = "request-1", milliseconds: int = AMPLE_MILLISECONDS) -> None:
        self.aws_request_id = request_id
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


def event(
    kind: str,
    method: str,
    path: str,
    *,
    body: Any = None,
    headers: dict[str, str] | None = None,
    query: list[tuple[str, str]] | dict[str, str] | None = None,
    stage: str = "$default",
    encode_body: bool = False,
    templates: Sequence[str] = TEMPLATES,
) -> dict[str, Any]:
    """`path` is the decoded one; `body` is text, or a value to send as JSON."""
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    pairs = list(query.items()) if isinstance(query, dict) else query or []
    sent = {**({"Content-Type": "application/json"} if text else {}), **(headers or {})}
    if encode_body and text is not None:
        text = base64.b64encode(text.encode()).decode()
    common = {"body": text, "isBase64Encoded": encode_body}
    template = template_of(path, templates)
    parameters = _parameters(template, path.strip("/").split("/")) or {} if template else {}
    if kind in ("rest", "http_1"):
        raw = quote(path, safe="/:@~") if kind == "rest" else path
        is_rest = kind == "rest"
        many: dict[str, list[str]] = {}
        for name, value in pairs:
            many.setdefault(name, []).append(value)
        return (
            common
            | ({} if is_rest else {"version": "1.0"})
            | {
                "resource": template or "/{proxy+}",
                "path": raw if is_rest or stage == "$default" else f"/{stage}{raw}",
                "httpMethod": method,
                "headers": sent,
                "multiValueHeaders": {name: [value] for name, value in sent.items()},
                "queryStringParameters": dict(pairs) or None,
                "multiValueQueryStringParameters": many or None,
                "pathParameters": {k: quote(v, safe=":@~") if is_rest else v for k, v in parameters.items()} or None,
                "requestContext": {"stage": "prod" if is_rest else stage, "identity": {"caller": "AROACALLER:session"}},
            }
        )
    is_url = kind == "url"
    raw = quote(path, safe="/:@~") if is_url else path
    made: dict[str, Any] = common | {
        "version": "2.0",
        "routeKey": f"{method} {template}" if template and not is_url else "$default",
        "rawPath": raw if stage == "$default" else f"/{stage}{raw}",
        "rawQueryString": urlencode(pairs),
        "headers": {name.lower(): value for name, value in sent.items()},
        "requestContext": {
            "stage": stage,
            "http": {"method": method, "path": raw},
            "domainName": "x.lambda-url.eu-north-1.on.aws" if is_url else "x.execute-api.eu-north-1.amazonaws.com",
            "authorizer": {"iam": {"callerId": "AROACALLER:session"}},
        },
    }
    if text is None:
        del made["body"]
    if pairs:
        joined: dict[str, str] = {}
        for name, value in parse_qsl(made["rawQueryString"], keep_blank_values=True):
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        made["queryStringParameters"] = joined
    if parameters and not is_url:
        made["pathParameters"] = parameters
    return made


def template_of(path: str, templates: Sequence[str]) -> str | None:
    """The route that API Gateway would choose; a literal goes before a parameter."""
    parts = path.strip("/").split("/")
    fitting = [template for template in templates if _parameters(template, parts) is not None]
    return min(fitting, key=lambda template: template.count("{"), default=None)


def _parameters(template: str, parts: Sequence[str]) -> dict[str, str] | None:
    wanted = template.strip("/").split("/")
    pairs = list(zip(wanted, parts, strict=False))
    if len(wanted) != len(parts) or not all(part and (one[0] == "{" or one == part) for one, part in pairs):
        return None
    return {one[1:-1]: part for one, part in pairs if one[0] == "{"}
