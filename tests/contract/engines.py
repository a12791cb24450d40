"""What the tables of the contract tests run on: memory, moto, and real engines where they are at hand.

DYNAMODB_LOCAL_JAR names a DynamoDBLocal.jar (its licence forbids shipping it), DYNAMODB_ENDPOINT a running service.
"""

import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.responses import DynamoHandler
from moto.server import ThreadedMotoServer

from common.dynamodb import DynamoDB
from common.dynamodb_client import DynamoDBClient
from common.dynamodb_json import marshal_item
from common.memory import MemoryDatabase

REGION = "eu-north-1"
START_SECONDS = 20.0


class Engine:
    """`url` is None for memory."""

    def __init__(self, name: str, url: str | None) -> None:
        self.name = name
        self.url = url

    @property
    def environment(self) -> dict[str, str]:
        """What a function is given to use this engine."""
        if self.url is None:
            return {"PERSISTENCE": "memory"}
        return {
            "PERSISTENCE": "dynamodb",
            "AWS_REGION": os.environ.get("AWS_REGION", REGION),
            "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID", "local"),
            "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
            "AWS_ENDPOINT_URL": self.url,
        }

    @property
    def boto3(self) -> Any:
        given = self.environment
        return boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        )

    def database(self) -> MemoryDatabase | DynamoDB:
        return MemoryDatabase() if self.url is None else DynamoDB(DynamoDBClient(self.environment))

    def load(self, database: Any, table: str, items: list[dict[str, Any]]) -> None:
        """Write many items past everything that would be measured."""
        if isinstance(database, MemoryDatabase):
            for item in items:
                database.write([database.tables[table].put(item)])
        elif self.name == "moto":
            # past its HTTP server, which takes half a millisecond an item
            stored = dynamodb_backends[DEFAULT_ACCOUNT_ID][self.environment["AWS_REGION"]].tables[table]
            for item in items:
                stored.put_item(marshal_item(item))
        else:
            client = self.boto3
            for start in range(0, len(items), 25):
                batch = [{"PutRequest": {"Item": marshal_item(item)}} for item in items[start : start + 25]]
                client.batch_write_item(RequestItems={table: batch})

    @contextmanager
    def tables(
        self, projection: str = "KEYS_ONLY", **schemas: tuple[dict[str, str], dict[str, dict[str, str]]]
    ) -> Iterator[dict[str, str]]:
        """Make tables (logical name = key and indexes, attribute to type); gives their names, unique to the caller.

        `projection` is that of all indexes: KEYS_ONLY or ALL.
        """
        suffix = uuid.uuid4().hex[:10]
        names = {logical: f"{logical}-{suffix}" for logical in schemas}
        if self.url is None:
            yield names
            return
        client = self.boto3
        for logical, (key, indexes) in schemas.items():
            client.create_table(**_definition(names[logical], key, indexes, projection))
        try:
            yield names
        finally:
            for name in names.values():
                client.delete_table(TableName=name)


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


ALWAYS = ("memory", "moto")
ELSEWHERE = ("dynamodb_local", "endpoint")


def missing(name: str) -> str | None:
    """Why an engine is not at hand, if it is not."""
    jar = os.environ.get("DYNAMODB_LOCAL_JAR", "")
    if name == "dynamodb_local" and not (shutil.which("java") and Path(jar).is_file()):
        return "DynamoDB Local needs java on PATH and DYNAMODB_LOCAL_JAR naming DynamoDBLocal.jar"
    if name == "endpoint" and not os.environ.get("DYNAMODB_ENDPOINT"):
        return "DYNAMODB_ENDPOINT names no running DynamoDB"
    return None


@contextmanager
def running(name: str) -> Iterator[Engine]:
    if name == "memory":
        yield Engine(name, None)
    elif name == "moto":
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            with _one_at_a_time():
                yield Engine(name, "http://{}:{}".format(*server.get_host_and_port()))
        finally:
            server.stop()
    elif name == "dynamodb_local":
        with _dynamodb_local() as url:
            yield Engine(name, url)
    else:
        yield Engine(name, os.environ["DYNAMODB_ENDPOINT"])


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """moto checks a condition and writes in two steps, and takes back what others wrote with a failed transaction."""
    lock, real = threading.RLock(), DynamoHandler.call_action

    def call_action(self: DynamoHandler) -> Any:
        with lock:
            return real(self)

    with mock.patch.object(DynamoHandler, "call_action", call_action):
        yield


@contextmanager
def _dynamodb_local() -> Iterator[str]:
    jar = os.environ["DYNAMODB_LOCAL_JAR"]
    port = _free_port()
    directory = Path(jar).parent
    process = subprocess.Popen(
        [
            "java",
            f"-Djava.library.path={directory / 'DynamoDBLocal_lib'}",
            "-jar",
            jar,
            "-inMemory",
            "-port",
            str(port),
        ],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        engine = Engine("dynamodb_local", f"http://127.0.0.1:{port}")
        _wait_for(engine)
        yield str(engine.url)
    finally:
        process.terminate()
        process.wait()


def _wait_for(engine: Engine) -> None:
    client, deadline = engine.boto3, time.monotonic() + START_SECONDS
    while True:
        try:
            client.list_tables()
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
        else:
            return


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
