"""What the function is told by its environment variables, which Terraform sets."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.table import Database


def required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise RuntimeError(f"the environment variable {name} is not set; add it to the function's environment")
    return value


def database(environment: Mapping[str, str]) -> Database:
    """The database of the persistence mode: `dynamodb` (default), or `memory` to roll back to."""
    mode = environment.get("PERSISTENCE", "dynamodb")
    if mode == "memory":
        from common.memory import MemoryDatabase

        return MemoryDatabase()
    if mode != "dynamodb":
        raise RuntimeError(f"PERSISTENCE is {mode!r}; it must be dynamodb or memory")
    from common.dynamodb import DynamoDB
    from common.dynamodb_client import DynamoDBClient

    return DynamoDB(DynamoDBClient(environment))
