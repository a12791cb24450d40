"""A system's function on one engine, called through events; every answer is held against its openapi.yaml."""

import base64
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import yaml
from jsonschema import Draft202012Validator

from common.dynamodb import DynamoDB
from tests.contract.engines import Engine, patient
from tests.unit.http_events import Context, event, template_of

WRITES = ("PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem")


class Answer:
    def __init__(self, result: dict[str, Any]) -> None:
        self.status: int = result["statusCode"]
        self.headers: dict[str, str] = result["headers"]
        self.text: str = result["body"]
        self.body: Any = json.loads(result["body"], parse_float=Decimal) if result["body"] else None


class Contract:
    """A system's openapi.yaml."""

    def __init__(self, file: Path) -> None:
        self.document: dict[str, Any] = yaml.safe_load(file.read_text())
        self.templates = tuple(self.document["paths"])

    @property
    def routes(self) -> set[str]:
        return {f"{method.upper()} {path}" for path, method, _ in self.operations()}

    def operations(self) -> list[tuple[str, str, dict[str, Any]]]:
        methods = ("get", "put", "post", "delete", "patch")
        paths = self.document["paths"].items()
        return [(path, method, item[method]) for path, item in paths for method in methods if method in item]

    def check(self, method: str, path: str, answer: Answer) -> None:
        assert answer.headers["x-request-id"]
        assert answer.headers["x-execution-environment"]
        paths = {template: item for template, item in self.document["paths"].items() if method.lower() in item}
        operation = paths.get(template_of(path, list(paths)) or "", {}).get(method.lower())
        if operation is None:
            assert answer.status in (404, 405, 204), f"{method} {path} is in no contract, yet answers {answer.status}"
            return
        declared = operation["responses"].get(str(answer.status))
        assert declared, f"{method} {path} answered {answer.status}, which openapi.yaml does not declare: {answer.text}"
        declared = self.resolved(declared)
        for name, header in declared.get("headers", {}).items():
            header = self.resolved(header)
            assert name in answer.headers or not header.get("required"), f"header {name} is missing"
            if name in answer.headers:
                self._validator(json.dumps(header["schema"])).validate(answer.headers[name])
        if "content" not in declared:
            assert answer.text == ""
            assert "content-type" not in answer.headers
            return
        schema = declared["content"][answer.headers["content-type"]]["schema"]
        self._validator(json.dumps(schema)).validate(json.loads(answer.text))

    def body_schema(self, method: str, path: str) -> Draft202012Validator:
        body = self.resolved(self.document["paths"][path][method.lower()]["requestBody"])
        return self._validator(json.dumps(body["content"]["application/json"]["schema"]))

    def resolved(self, value: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in value:
            return value
        found: Any = self.document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return found  # type: ignore[no-any-return]

    @cache  # noqa: B019 - as many as the contract has schemas
    def _validator(self, schema: str) -> Draft202012Validator:
        return Draft202012Validator({**json.loads(schema), "components": self.document["components"]})


class Application:
    """`handler` is the system's handler module; `environment` is what Terraform gives the function."""

    handler: ModuleType
    contract: Contract

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        self.engine = engine
        self.environment = dict(environment)
        self.app = self.handler.build(self.environment)
        self.database = self.app._database
        self.calls: list[tuple[str, Any]] = []
        if isinstance(self.database, DynamoDB):
            self._record_calls(patient(self.database))

    def _record_calls(self, database: DynamoDB) -> None:
        real = database._client.call

        def call(operation: str, payload: Any) -> Any:
            self.calls.append((operation, payload))
            return real(operation, payload)

        database._client.call = call  # type: ignore[method-assign]

    def another(self) -> Self:
        """The function in another execution environment: nothing but the tables is shared."""
        return type(self)(self.engine, self.environment)

    def call(
        self,
        method: str,
        path: str,
        *,
        kind: str = "http",
        context: Any = None,
        claims: Mapping[str, Any] | None = None,
        **request: Any,
    ) -> Answer:
        answer = Answer(self.app(self.event(method, path, kind, claims, **request), context or Context()))
        self.contract.check(method, path, answer)
        assert answer.status != 401, "only API Gateway asks who it is"
        return answer

    def event(
        self, method: str, path: str, kind: str = "http", claims: Mapping[str, Any] | None = None, **request: Any
    ) -> dict[str, Any]:
        """`claims`: those of a token that API Gateway has verified."""
        sent = event(kind, method, path, templates=self.contract.templates, **request)
        if claims is not None:
            authorizer = {"claims": dict(claims)} if kind == "rest" else {"jwt": {"claims": dict(claims)}}
            sent["requestContext"]["authorizer"] = authorizer
        return sent

    def call_raw(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """With a body of any bytes, which API Gateway hands on in base64."""
        sent = event("http", method, path, templates=self.contract.templates, body="x", headers=headers)
        sent |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
        answer = Answer(self.app(sent, Context()))
        self.contract.check(method, path, answer)
        return answer

    def whole_tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every item of every table, in DynamoDB JSON, by the environment variable that names the table."""
        found: dict[str, list[dict[str, Any]]] = {}
        for variable, name in self.environment.items():
            if not variable.endswith(("_TABLE", "_TABLE_NAME")):
                continue
            if isinstance(self.database, DynamoDB):
                pages = self.engine.boto3.get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
                found[variable] = [item for page in pages for item in page["Items"]]
            else:
                table = self.database.tables.get(name)
                found[variable] = list(table.rows.values()) if table else []
        return found

    @property
    def writes(self) -> list[str]:
        """What was written, an entry a request; memory counts no requests."""
        return [name for name, _ in self.calls if name in WRITES]

    @property
    def usage(self) -> Any:
        """Of the last call: calls, retries, read_units, write_units."""
        return self.database.usage
