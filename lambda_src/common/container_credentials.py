"""Credentials from the endpoint that Lambda offers instead of environment variables where SnapStart is on."""

from __future__ import annotations

import json
import time
from calendar import timegm
from pathlib import Path

from common.credentials import Credentials
from common.http_connection import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def fetch(environment: Mapping[str, str]) -> Credentials:
    """OSError, ValueError or KeyError if the endpoint does not answer as it should."""
    token = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if token_file := environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        token = Path(token_file).read_text().strip()
    connection = Connection(environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"])
    try:
        connection.open(1.0)
        status, _, body = connection.exchange("GET", {"authorization": token} if token else {}, b"", 2.0)
    finally:
        connection.close()
    if status != 200:
        raise ValueError(f"the endpoint answered {status}")
    found = json.loads(body)
    expires_at = timegm(time.strptime(found["Expiration"][:19], "%Y-%m-%dT%H:%M:%S"))
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found.get("Token", ""), expires_at)
