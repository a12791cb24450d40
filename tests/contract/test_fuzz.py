"""Requests made up from openapi.yaml, good and bad: whatever is sent, the answer is one that the contract declares."""

from typing import Any

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.contract.application import Application
from tests.contract.engines import Engine
from tests.contract.systems import SYSTEMS
from tests.fuzzing import IN_PROCESS_EXAMPLES, budget
from tests.unit.http_events import Context

REASONS = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 304: "Not Modified"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _wsgi(application: Application) -> Any:
    """The function behind a Function URL, as a WSGI application."""
    app = application.app

    def serve(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        headers = {name[5:].lower().replace("_", "-"): v for name, v in environ.items() if name.startswith("HTTP_")}
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = environ["CONTENT_TYPE"]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        result = app(
            {
                "version": "2.0",
                "rawPath": environ["REQUEST_URI"].partition("?")[0],
                "rawQueryString": environ.get("QUERY_STRING", ""),
                "headers": headers,
                "requestContext": {
                    "http": {"method": environ["REQUEST_METHOD"]},
                    "domainName": "x.lambda-url.eu-north-1.on.aws",
                },
                "body": body.decode("latin-1"),
            },
            Context(),
        )
        status = result["statusCode"]
        start_response(f"{status} {REASONS.get(status, 'Problem')}", list(result["headers"].items()))
        return [result["body"].encode()]

    return serve


def _test(system: str) -> Any:
    application = SYSTEMS[system].new(Engine("memory", None)).__enter__()
    schema = schemathesis.openapi.from_dict(application.contract.document)
    schema.app = _wsgi(application)

    @schema.parametrize()
    @budget(IN_PROCESS_EXAMPLES)
    def test(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    return test


for system in SYSTEMS:
    globals()[f"test_every_answer_of_{system}_is_declared"] = _test(system)
