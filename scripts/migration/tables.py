"""Which table a person means, and what must be known of it: `agent_profiles.profiles`, or a table's own name."""

from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from scripts import aws, stack
from scripts.console import CommandError, err
from scripts.stack import Stack

PROFILES = "agent_profiles.profiles"


class Table(NamedTuple):
    """`made_at` tells it from another one of its name; `match` is the table by which its profiles are found, if so."""

    name: str
    arn: str
    made_at: str
    key: dict[str, str]  # attribute to type
    indexes: dict[str, dict[str, str]]
    size_bytes: int
    match: str = ""


def find(opened: Stack, named: str) -> Table:
    """The table that `named` is the logical or the real name of."""
    systems = _applied(opened, required="." in named)
    system, _, logical = named.partition(".")
    declared = systems.get(system, {}).get("tables", {})
    profiles = systems.get("agent_profiles", {}).get("tables", {})
    if named == PROFILES:
        stack.require_system(opened, systems, system)
    name = declared[logical]["name"] if logical in declared else named
    match = profiles["match"]["name"] if profiles and profiles["profiles"]["name"] == name else ""
    if logical in declared and systems[system].get("persistence") == "memory":
        back = f"make back-to-dynamodb ENV={opened.environment.name} SYSTEM={system}"
        err.print(f"{system} runs in memory: what {name} holds is seen after `{back}`", markup=False)
    return described(name, match)


def described(name: str, match: str = "") -> Table:
    dynamodb = aws.client("dynamodb")
    try:
        table = dynamodb.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ResourceNotFoundException", "ValidationException"):
            raise
        names = [found for page in dynamodb.get_paginator("list_tables").paginate() for found in page["TableNames"]]
        raise CommandError(
            f"there is no table {name!r} in region {dynamodb.meta.region_name}.",
            f"There are: {', '.join(names[:20])}." if names else "There is no table at all.",
        ) from error
    if table["TableStatus"] not in ("ACTIVE", "UPDATING"):
        raise CommandError(f"table {name} is {table['TableStatus']}.", "Wait until it is ACTIVE, then run this again.")
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    indexes = [*table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])]
    return Table(
        name=table["TableName"],
        arn=table["TableArn"],
        made_at=table["CreationDateTime"].isoformat(),
        key=_keys(table["KeySchema"], types),
        indexes={index["IndexName"]: _keys(index["KeySchema"], types) for index in indexes},
        size_bytes=table.get("TableSizeBytes", 0),
        match=match,
    )


def _applied(opened: Stack, *, required: bool) -> dict[str, Any]:
    try:
        return stack.applied_systems(opened)
    except CommandError:
        if required:
            raise
        return {}


def _keys(schema: list[dict[str, str]], types: dict[str, str]) -> dict[str, str]:
    ordered = sorted(schema, key=lambda key: key["KeyType"] != "HASH")
    return {key["AttributeName"]: types[key["AttributeName"]] for key in ordered}
