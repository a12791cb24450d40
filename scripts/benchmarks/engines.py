"""A DynamoDB engine by its URL: AWS's own, one that somebody runs, or one that was started for a bench."""

import os
from functools import cache
from typing import Any, NamedTuple

import boto3
from botocore.config import Config

# An engine beside much else on this machine
_PATIENT = Config(read_timeout=120, retries={"mode": "standard", "max_attempts": 5})


class Engine(NamedTuple):
    """Who asks it signs with the process's keys, where there are some: engines on this machine take any."""

    url: str

    @property
    def connection(self) -> dict[str, str]:
        """What a function is given to use it."""
        given = {
            "PERSISTENCE": "dynamodb",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_REGION": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            "AWS_ACCESS_KEY_ID": os.environ.get("AWS_ACCESS_KEY_ID") or "local",
            "AWS_SECRET_ACCESS_KEY": os.environ.get("AWS_SECRET_ACCESS_KEY") or "local",
        }
        token = os.environ.get("AWS_SESSION_TOKEN")
        return given | ({"AWS_SESSION_TOKEN": token} if token else {})

    def client(self) -> Any:
        return _client(self)

    def table(self, name: str) -> Any:
        """As a resource of boto3's."""
        return _session(self).resource("dynamodb", endpoint_url=self.url, config=_PATIENT).Table(name)


@cache
def _client(engine: Engine) -> Any:
    return _session(engine).client("dynamodb", endpoint_url=engine.url, config=_PATIENT)


@cache
def _session(engine: Engine) -> boto3.Session:
    given = engine.connection
    keys = (given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given.get("AWS_SESSION_TOKEN"))
    return boto3.Session(*keys, region_name=given["AWS_REGION"])
