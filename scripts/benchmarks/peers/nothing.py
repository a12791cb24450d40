"""The floor: what the runtime itself costs."""

from typing import Any


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": "{}"}
