"""What the tables of the contract tests run on: memory (as it is, and with all options for scale), moto, and real
engines where they are at hand.

DYNAMODB_LOCAL_JAR names a DynamoDBLocal.jar (its licence forbids shipping it), DYNAMODB_ENDPOINT a running service.
DYNOXIDE names the executable of dynoxide, whose ConsumedCapacity its own tests hold against AWS's; DynamoDB Local's is
wrong for transactions of several items since version 3.0 (github.com/awslabs/amazon-dynamodb-local-samples/issues/31).
"""

import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any
from unittest import mock

import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler
from moto.server import ThreadedMotoServer

from common.dynamodb import DynamoDB
from common.dynamodb_client import DynamoDBClient
from common.dynamodb_json import marshal_item
from common.memory import MemoryDatabase
from scripts import dynamodb_local
from scripts.local_aws import dynamodb_tables
from scripts.local_aws.dynamodb_strictness import Tokens
from tests.ports import free_port

REGION = "eu-north-1"
# An engine beside much else on this machine: what the client does about one that is silent, its own tests prove.
PATIENCE_SECONDS = 60.0
# The options of docs/scale.md: the contracts hold with all of them on, too.
SCALED = {
    "CAPABILITY_SHARDS": "5",
    "CAPABILITY_SHARDS_READ": "7",
    "MATCH_SHARDS": "3",
    "MATCH_SHARDS_READ": "4",
    "TENANT_SHARDS": "3",
    "TENANT_SHARDS_READ": "4",
    "TENANT_USER_INDEX_NAME": "TenantShardUserIndex",
    "ID_BLOCK_SIZE": "10",
    "DELETION_SHARDS": "3",
    "DELETION_SHARDS_READ": "4",
    "RECENCY_GRANULARITY_SECONDS": "1",
}
Schema = tuple[dict[str, str], dict[str, dict[str, str]]]  # key and indexes, attribute to type


class Engine:
    """`url` is None for memory; `scaled` is memory with the options of docs/scale.md on."""

    def __init__(self, name: str, url: str | None) -> None:
        self.name = name
        self.url = url
        # Tables for the next test: making and removing them took half of the tests' time.
        self._emptied: dict[str, list[str]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What a function is given to use this engine."""
        if self.url is None:
            return {"PERSISTENCE": "memory"} | (SCALED if self.name == "scaled" else {})
        return {
            "PERSISTENCE": "dynamodb",
            "AWS_REGION": os.environ.get("AWS_REGION", REGION),
            "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", "local"),
            "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
            "AWS_ENDPOINT_URL": self.url,
        }

    @cached_property
    def boto3(self) -> Any:
        given = self.environment
        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def writers(self) -> int:
        """How many to let write at once: moto works on one call at a time, in Python."""
        return 4 if self.name == "moto" else 16

    def database(self) -> MemoryDatabase | DynamoDB:
        return MemoryDatabase() if self.url is None else patient(DynamoDB(DynamoDBClient(self.environment)))

    def load(self, database: Any, table: str, items: list[dict[str, Any]]) -> None:
        """Write many items past everything that would be measured."""
        if isinstance(database, MemoryDatabase):
            for item in items:
                database.write([database.tables[table].put(item)])
        elif self.name == "moto":
            # past its HTTP server, which takes half a millisecond an item
            stored = self._moto_tables[table]
            for item in items:
                stored.put_item(marshal_item(item))
        else:
            client = self.boto3
            for start in range(0, len(items), 25):
                batch = [{"PutRequest": {"Item": marshal_item(item)}} for item in items[start : start + 25]]
                client.batch_write_item(RequestItems={table: batch})

    @contextmanager
    def tables(self, projection: str = "KEYS_ONLY", **schemas: Schema) -> Iterator[dict[str, str]]:
        """Make tables (logical name = key and indexes, attribute to type); gives their names, unique to the caller.

        `projection` is that of all indexes: KEYS_ONLY or ALL.
        """
        if self.url is None:
            yield {logical: _unique(logical) for logical in schemas}
            return
        names = {logical: self._table(logical, *schema, projection) for logical, schema in schemas.items()}
        try:
            yield names
        finally:
            for logical, name in names.items():
                self._take_back(name, schemas[logical], _kind(logical, *schemas[logical], projection))

    def _table(self, logical: str, key: dict[str, str], indexes: dict[str, dict[str, str]], projection: str) -> str:
        emptied = self._emptied.get(_kind(logical, key, indexes, projection))
        if emptied:
            return emptied.pop()
        name = _unique(logical)
        self.boto3.create_table(**_definition(name, key, indexes, projection))
        return name

    def _take_back(self, name: str, schema: Schema, kind: str) -> None:
        if self._empty(name, [*schema[0]]):
            self._emptied.setdefault(kind, []).append(name)
        else:
            self.boto3.delete_table(TableName=name)

    def _empty(self, name: str, key: list[str]) -> bool:
        """False where that takes longer than a new table."""
        if self.name == "moto":
            table = self._moto_tables[name]
            for item in dynamodb_tables.items(table):
                table.delete_item(item.hash_key, item.range_key)
            return True
        if self.name != "dynamodb_local":
            return False
        attributes = {f"#{place}": attribute for place, attribute in enumerate(key)}
        found = self.boto3.scan(
            TableName=name, ProjectionExpression=",".join(attributes), ExpressionAttributeNames=attributes, Limit=50
        )
        if "LastEvaluatedKey" in found:
            return False
        for start in range(0, len(found["Items"]), 25):
            batch = [{"DeleteRequest": {"Key": item}} for item in found["Items"][start : start + 25]]
            self.boto3.batch_write_item(RequestItems={name: batch})
        return True

    @property
    def _moto_tables(self) -> Any:
        return dynamodb_backends[DEFAULT_ACCOUNT_ID][self.environment["AWS_REGION"]].tables


def patient(database: DynamoDB) -> DynamoDB:
    database._client.read_seconds = PATIENCE_SECONDS
    return database


def _unique(logical: str) -> str:
    return f"{logical}-{uuid.uuid4().hex[:10]}"


def _kind(*schema: object) -> str:
    return repr(schema)


def _definition(name: str, key: dict[str, str], indexes: dict[str, dict[str, str]], projection: str) -> dict[str, Any]:
    attributes = {**key, **{name: kind for schema in indexes.values() for name, kind in schema.items()}}
    definition: dict[str, Any] = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(key),
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes.items()],
    }
    if indexes:
        definition["GlobalSecondaryIndexes"] = [
            {"IndexName": index, "KeySchema": _key_schema(schema), "Projection": {"ProjectionType": projection}}
            for index, schema in indexes.items()
        ]
    return definition


def _key_schema(schema: dict[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(schema, ("HASH", "RANGE"), strict=False)]


ALWAYS = ("memory", "scaled", "moto")
ELSEWHERE = ("dynamodb_local", "endpoint")


def missing(name: str) -> str | None:
    """Why an engine is not at hand, if it is not."""
    if name == "dynamodb_local":
        return dynamodb_local.missing()
    if name == "dynoxide" and not shutil.which(os.environ.get("DYNOXIDE", "")):
        return "DYNOXIDE names no executable of dynoxide"
    if name == "endpoint" and not os.environ.get("DYNAMODB_ENDPOINT"):
        return "DYNAMODB_ENDPOINT names no running DynamoDB"
    return None


@contextmanager
def running(name: str) -> Iterator[Engine]:
    if name in ("memory", "scaled"):
        yield Engine(name, None)
    elif name == "moto":
        _at_a_size()
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            with _one_at_a_time():
                yield Engine(name, "http://{}:{}".format(*server.get_host_and_port()))
        finally:
            server.stop()
    elif name == "dynamodb_local":
        with dynamodb_local.running(free_port()) as url:
            yield Engine(name, url)
    elif name == "dynoxide":
        with dynamodb_local.served([os.environ["DYNOXIDE"], "--port"], free_port()) as url:
            yield Engine(name, url)
    else:
        yield Engine(name, os.environ["DYNAMODB_ENDPOINT"])


@cache
def _at_a_size() -> None:
    """As in the embedded AWS: by itself, moto copies a table for each item of a transaction, which took longer than
    a client waits where the table had ten thousand items and the machine other work."""
    dynamodb_tables.install()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """moto checks a condition and writes in two steps, takes back what others wrote with a failed transaction, and
    does not know a transaction again by its token."""
    lock, real, tokens = threading.RLock(), DynamoHandler.call_action, Tokens()

    def call_action(self: DynamoHandler) -> Any:
        if self._get_action() != "TransactWriteItems":
            with lock:
                return real(self)
        with lock:
            if tokens.seen(self.region, self.params) == "same":
                return 200, {}, "{}"
            answer = real(self)
            if answer[0] == 200:
                tokens.remember(self.region, self.params)
            return answer

    with mock.patch.object(DynamoHandler, "call_action", call_action):
        yield
