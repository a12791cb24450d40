"""The page on which every route of an HTTP API can be tried: `/docs` of the front door.

GET /docs                    the page, for the system that ?system= names, else the first
GET /docs/<system>.json      the system's contract, as far as this API has its routes
GET /docs/<file>             what the page is made from: Swagger UI out of a package, its own style and script

AWS has no such page, so a route of the API goes before it. Nothing here is imported or read until somebody looks.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from scripts import paths, rendering
from scripts.local_aws.http_api_payload import HttpRequest, HttpResponse
from scripts.local_aws.settings import API_PAGE_PATH

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# By the name under /docs; the page's own files lie beside the templates.
_OWN_FILES = {"api_page.css": "text/css", "api_page.js": "text/javascript"}
_SWAGGER_UI = {
    "swagger-ui.css": ("swagger-ui.min.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui-bundle.min.js", "text/javascript"),
}
# Everything comes from here, and requests go nowhere else. Swagger UI needs inline styles, and pictures in data URLs.
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = [
    ("content-security-policy", _CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
]


class Api(NamedTuple):
    """An API as the page shows it. `routes`: the kind of authorisation by route key, `GET /pets/{id}` for example."""

    id: str
    name: str
    base_path: str  # "/<stage>", or "" for the stage $default
    routes: Mapping[str, str]


class Operation(NamedTuple):
    method: str
    path: str
    summary: str
    anchor: str  # where Swagger UI shows it


class Contract(NamedTuple):
    system: str
    document: dict[str, Any]
    operations: list[Operation]


def answer(request: HttpRequest, api: Api, path: str) -> HttpResponse | None:
    """The page or a part of it; None for what it does not have. `path` is the request's, without the stage."""
    if path == f"{API_PAGE_PATH}/":
        return HttpResponse(307, [("location", f"{api.base_path}{API_PAGE_PATH}")], b"")
    if path == API_PAGE_PATH:
        return _sent(request, "text/html", _page(api, request).encode())
    name = path.removeprefix(f"{API_PAGE_PATH}/")
    if name in _OWN_FILES:
        return _sent(request, _OWN_FILES[name], (paths.TEMPLATES / name).read_bytes())
    if name in _SWAGGER_UI:
        file, content_type = _SWAGGER_UI[name]
        return _sent(request, content_type, (_swagger_ui() / file).read_bytes())
    for contract in contracts(api):
        if name == f"{contract.system}.json":
            return _sent(request, "application/json", json.dumps(contract.document, default=str).encode())
    return None


def choice(request: HttpRequest, apis: Iterable[tuple[str, str]]) -> HttpResponse:
    """The page where several APIs, by id and name, could be meant: each has its own under a host name of its own."""
    port = (request.header("host") or "").rpartition(":")[2]
    suffix = f":{port}" if port.isdigit() else ""
    # Browsers take every name below localhost for this machine.
    links = [(name, f"http://{id_}.execute-api.localhost{suffix}{API_PAGE_PATH}") for id_, name in sorted(apis)]
    return _sent(request, "text/html", rendering.render("api_choice.html.j2", links=links).encode())


def contracts(api: Api) -> list[Contract]:
    """Those of this checkout's contract files that the API has routes of."""
    read = [(file.parent.name, _read(file, file.stat().st_mtime_ns)) for file in _files()]
    shown = [_shown(system, document, api) for system, document in read]
    return [contract for contract in shown if contract.operations]


def _files() -> list[Path]:
    return sorted(paths.LAMBDA_SOURCE.glob("*/openapi.yaml"))


@functools.lru_cache(maxsize=32)
def _read(file: Path, _changed: int) -> dict[str, Any]:
    import yaml

    # The loader in C is ten times as fast, where PyYAML has it.
    document: dict[str, Any] = yaml.load(file.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return document


def _shown(system: str, source: Mapping[str, Any], api: Api) -> Contract:
    """The contract with what the API has of it, and as its requests are made here."""
    document = copy.deepcopy(dict(source))
    operations, kinds = [], set()
    for path, item in document["paths"].items():
        shared = item.pop("parameters", [])
        for method in [method for method in METHODS if method in item]:
            kind = api.routes.get(f"{method.upper()} {path}")
            if kind is None:
                del item[method]
                continue
            operation = item[method]
            kinds.add(kind)
            operation["parameters"] = [
                _begun(_resolved(document, parameter)) for parameter in [*shared, *operation.get("parameters", [])]
            ]
            operation.pop("security", None)
            anchor = f"#/{(operation.get('tags') or ['default'])[0]}/{operation['operationId']}"
            operations.append(Operation(method.upper(), path, operation.get("summary", ""), anchor))
    document["paths"] = {path: item for path, item in document["paths"].items() if item}
    document["servers"] = [{"url": api.base_path or "/"}]
    document.pop("security", None)
    document.get("components", {}).pop("securitySchemes", None)
    if "JWT" in kinds:
        token = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        document.setdefault("components", {})["securitySchemes"] = {"token": token}
        document["security"] = [{"token": []}]
    return Contract(system, document, operations)


def _resolved(document: Mapping[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in value:
        return value
    found: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return dict(found)


def _begun(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter as a form begins with it: what may be left out is empty, so that the form as it stands succeeds.

    An `if-match` or a filter that was filled in from its example would refuse or hide what there is.
    """
    if parameter.get("required") or "example" not in parameter:
        return parameter
    example = parameter["example"]
    text = example if isinstance(example, str) else json.dumps(example)
    described = f"{parameter.get('description', '').strip()}\n\nFor example `{text}`".strip()
    return {name: value for name, value in parameter.items() if name != "example"} | {"description": described}


def _page(api: Api, request: HttpRequest) -> str:
    found = contracts(api)
    wanted = parse_qs(request.query).get("system", [""])[0]
    chosen = next((contract for contract in found if contract.system == wanted), found[0] if found else None)
    kinds = set(api.routes.values())
    return rendering.render(
        "api_page.html.j2",
        api=api,
        contracts=found,
        chosen=chosen,
        signed="AWS_IAM" in kinds,
        token="JWT" in kinds,
        address=f"http://{request.header('host') or ''}{api.base_path}",
        others=sorted(_without_contract(api, found)),
    )


def _without_contract(api: Api, found: Iterable[Contract]) -> Iterator[str]:
    """Routes that no contract describes; those for any method are there to refuse the wrong ones."""
    described = {f"{one.method} {one.path}" for contract in found for one in contract.operations}
    known_paths = {route.partition(" ")[2] for route in described}
    for route in api.routes:
        method, _, path = route.partition(" ")
        if route not in described and not (method == "ANY" and path in known_paths):
            yield route


def _swagger_ui() -> Path:
    """The folder of Swagger UI in Powertools, found without importing that."""
    package = importlib.util.find_spec("aws_lambda_powertools")
    if package is None or package.origin is None:
        raise FileNotFoundError("aws-lambda-powertools, which bundles Swagger UI, is not installed")
    return Path(package.origin).parent / "event_handler" / "openapi" / "swagger_ui"


def _sent(request: HttpRequest, content_type: str, body: bytes) -> HttpResponse:
    """The body, unless the browser has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = [("etag", tag), ("cache-control", "no-cache"), *_SECURITY_HEADERS]
    if tag in (request.header("if-none-match") or ""):
        return HttpResponse(304, headers, b"")
    return HttpResponse(200, [("content-type", f"{content_type}; charset=utf-8"), *headers], body)
