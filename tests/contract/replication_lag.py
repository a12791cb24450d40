"""Replicas that lag: an application's eventually consistent reads show its tables as they once were."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from tests.contract.application import Application


@contextmanager
def lagging(app: Application) -> Iterator[None]:
    """Batches that are not read consistently show what is stored at the beginning; indexes know of nothing newer."""
    if not app.engine.url:
        pytest.skip("memory is one copy, which is always current")
    keys = {name: _keys(app, name) for name in _tables(app)}
    before = {app.environment[variable]: items for variable, items in app.whole_tables().items()}
    stored = {name: {_text(item, keys[name]): item for item in items} for name, items in before.items()}
    real = app.database._client.call

    def call(operation: str, payload: Any) -> Any:
        answer = real(operation, payload)
        if operation == "Query" and "IndexName" in payload:
            table = payload["TableName"]
            answer["Items"] = [item for item in answer["Items"] if _text(item, keys[table]) in stored[table]]
        elif operation == "BatchGetItem":
            for table, wanted in payload["RequestItems"].items():
                if not wanted["ConsistentRead"]:
                    found = (stored[table].get(_text(key, keys[table])) for key in wanted["Keys"])
                    answer["Responses"][table] = [item for item in found if item]
        return answer

    with mock.patch.object(app.database._client, "call", call):
        yield


def _tables(app: Application) -> list[str]:
    return [app.environment[name] for name in app.environment if name.endswith(("_TABLE", "_TABLE_NAME"))]


def _keys(app: Application, table: str) -> list[str]:
    return [key["AttributeName"] for key in app.engine.boto3.describe_table(TableName=table)["Table"]["KeySchema"]]


def _text(item: dict[str, Any], keys: list[str]) -> str:
    return json.dumps([item[key] for key in keys])
