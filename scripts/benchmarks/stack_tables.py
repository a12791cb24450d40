"""The stack's tables on a DynamoDB engine, as Terraform declares them, and its functions' own code on them."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from scripts import cost_model, environments, expected_use, planned_stack
from scripts.applied_state import Instance
from scripts.benchmarks.engines import Engine
from scripts.console import EXIT_FAILED, CommandError
from scripts.function_caller import Caller

ENVIRONMENT_FILE = "terraform/environments/local.toml"
_ENVIRONMENT = "local"
_POLL_SECONDS = 0.5
_ACTIVE_SECONDS = 300.0

Definition = dict[str, Any]


class StackTables(NamedTuple):
    """`environments` are the functions', by system; `definitions` the tables', by the names that they have here."""

    engine: Engine
    environments: Mapping[str, Mapping[str, str]]
    definitions: Mapping[str, Definition]

    def caller(self, system: str) -> Caller:
        return Caller(system, self.environments[system], self.engine.connection)


@contextmanager
def engine(url: str | None) -> Iterator[Engine]:
    """The one at this URL, or the embedded AWS, started for it."""
    if url:
        yield Engine(url)
    else:
        with expected_use.embedded_aws() as running:
            yield Engine(running.endpoint_url)


@cache
def declared() -> tuple[Instance, ...]:
    """Tables and functions as they would be made of this checkout."""
    with expected_use.embedded_aws() as running:
        return planned_stack.of_empty_account(environments.load(_ENVIRONMENT), running)


def systems(instances: Iterable[Instance]) -> set[str]:
    """Those that have a function."""
    return {cost_model.system_of(one) for one in instances if one.type == "aws_lambda_function"}


@contextmanager
def made(engine: Engine, instances: Sequence[Instance], system: str | None = None) -> Iterator[StackTables]:
    """The tables of a system, or of all, empty, under names of their own; they are gone at the end."""
    mark = uuid.uuid4().hex[:8]
    functions = {
        name: expected_use.environment_of(one)
        for one in instances
        if one.type == "aws_lambda_function" and system in (None, name := cost_model.system_of(one))
    }
    used = {value for given in functions.values() for value in given.values()}
    stated = [
        one.attributes for one in instances if one.type == "aws_dynamodb_table" and one.attributes["name"] in used
    ]
    names = {one["name"]: f"bench-{mark}-{one['name']}" for one in stated}
    definitions = {
        names[one["name"]]: expected_use.table_definition(one) | {"TableName": names[one["name"]]} for one in stated
    }
    given = {
        name: {variable: names.get(value, value) for variable, value in environment.items()}
        for name, environment in functions.items()
    }
    with tables(engine, definitions.values()):
        yield StackTables(engine, given, definitions)


def declared_name(made_name: str) -> str:
    return made_name.split("-", 2)[2]


@contextmanager
def tables(engine: Engine, definitions: Iterable[Definition]) -> Iterator[None]:
    """Makes them, and deletes them at the end."""
    dynamodb = engine.client()
    made_here: list[str] = []
    try:
        for definition in definitions:
            dynamodb.create_table(**definition)
            made_here.append(definition["TableName"])
        for name in made_here:
            _wait_until_active(dynamodb, name)
        yield
    finally:
        with suppress(BotoCoreError):  # an engine that has ended has no tables
            for name in made_here:
                dynamodb.delete_table(TableName=name)


def is_shared_by_keys(engine: Engine) -> bool:
    """Whether who signs with other keys sees the same tables, as in AWS; DynamoDB Local can keep them apart."""
    name = f"bench-{uuid.uuid4().hex[:8]}-keys"
    other = boto3.Session("other", "other", region_name=engine.connection["AWS_REGION"])
    dynamodb = other.client("dynamodb", endpoint_url=engine.url)
    with tables(engine, [definition(name, id="S")]):
        try:
            dynamodb.describe_table(TableName=name)
        except ClientError:
            return False
    return True


def definition(name: str, **key: str) -> Definition:
    """Of a table without indexes; `key` maps its key attributes to their types."""
    schema = [{"AttributeName": one, "KeyType": kind} for one, kind in zip(key, ("HASH", "RANGE"), strict=False)]
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": schema,
        "AttributeDefinitions": [{"AttributeName": one, "AttributeType": kind} for one, kind in key.items()],
    }


def _wait_until_active(dynamodb: Any, name: str) -> None:
    deadline = time.monotonic() + _ACTIVE_SECONDS
    while True:
        try:
            status = dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            status = "not there yet"
        if status == "ACTIVE":
            return
        if time.monotonic() > deadline:
            raise CommandError(f"table {name} is {status} after {_ACTIVE_SECONDS:.0f} s.", "", EXIT_FAILED)
        time.sleep(_POLL_SECONDS)
