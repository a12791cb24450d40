"""Amazon's DynamoDB Local, where it is at hand: DYNAMODB_LOCAL_JAR names its jar, which may not be shipped here."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

START_SECONDS = 90.0
_POLL_SECONDS = 0.1


def missing() -> str | None:
    """Why it is not at hand, if it is not."""
    jar = os.environ.get("DYNAMODB_LOCAL_JAR", "")
    if not (shutil.which("java") and Path(jar).is_file()):
        return "DynamoDB Local needs java on PATH and DYNAMODB_LOCAL_JAR naming DynamoDBLocal.jar"
    return None


@contextmanager
def running(port: int = 0, *, is_shared: bool = False) -> Iterator[str]:
    """Its URL, on loopback; what it holds is gone at the end. Shared, it has one set of tables for all keys, as AWS."""
    jar = Path(os.environ["DYNAMODB_LOCAL_JAR"])
    options = [f"-Djava.library.path={jar.parent / 'DynamoDBLocal_lib'}", "-jar", str(jar), "-inMemory"]
    options += ["-sharedDb", "-port"] if is_shared else ["-port"]
    with served(["java", *options], port or free_port(), jar.parent) as url:
        yield url


@contextmanager
def served(command: Sequence[str], port: int, folder: Path | None = None) -> Iterator[str]:
    """The URL of an engine in a process of its own; the port is its last argument."""
    process = subprocess.Popen([*command, str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(client(url))
        yield url
    finally:
        process.terminate()
        process.wait()


def client(url: str, region: str = "us-east-1") -> Any:
    """It takes any key, and keeps tables apart by key and region, unless it is shared."""
    session = boto3.Session("local", "local", region_name=region)
    return session.client("dynamodb", endpoint_url=url)


def _wait_for(dynamodb: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            dynamodb.list_tables()
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            return


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
