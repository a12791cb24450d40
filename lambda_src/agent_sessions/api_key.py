"""The key of the reply service: from Secrets Manager, or an SSM parameter; kept for minutes, never logged."""

from __future__ import annotations

import json
import time

from agent_sessions.backends import ReplyFailed
from common.bounded_connection import BoundedConnection
from common.credentials import CredentialSource
from common.dynamodb_client import endpoint
from common.errors import TableError
from common.signature import signed_headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NAME = "API_SERVER_KEY"
LIFE_SECONDS = 300.0
# A secret has 64 KB at most
_MAXIMUM_ANSWER_BYTES = 200_000
_ATTEMPTS = 3
_SECONDS = 3.0
_PAUSE_SECONDS = 0.1


class ApiKey:
    def __init__(self, environment: Mapping[str, str]) -> None:
        secret = environment.get("API_SERVER_KEY_SECRET_ARN")
        parameter = environment.get("API_SERVER_KEY_PARAMETER_NAME")
        if bool(secret) == bool(parameter):
            raise RuntimeError(
                "set one of API_SERVER_KEY_SECRET_ARN (Secrets Manager) and API_SERVER_KEY_PARAMETER_NAME (SSM): "
                "the key itself has no place in the function's environment"
            )
        self._request: dict[str, Any]
        if secret:
            self._api = ("secretsmanager", "secretsmanager", "1.1")
            self._operation, self._request = "GetSecretValue", {"SecretId": secret}
            override = environment.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        else:
            self._api = ("ssm", "AmazonSSM", "1.1")
            self._operation, self._request = "GetParameter", {"Name": parameter, "WithDecryption": True}
            override = None
        self._region, url = endpoint(environment, self._api[0])
        self._connection = BoundedConnection(override or url, _MAXIMUM_ANSWER_BYTES)
        self._connection.path = "/"
        self._credentials = CredentialSource(environment)
        self._key = ""
        self._read_at = 0.0

    def get(self, until: float) -> str:
        """The key; ReplyFailed if it can't be read by the time.monotonic() `until`."""
        if not self._key or time.monotonic() - self._read_at > LIFE_SECONDS:
            return self.renewed(until)
        return self._key

    def renewed(self, until: float) -> str:
        """The key as it is now, since the one at hand was refused."""
        self._key = _key(self._read(until))
        self._read_at = time.monotonic()
        return self._key

    def _read(self, until: float) -> dict[str, Any]:
        body = json.dumps(self._request).encode()
        attempt = 0
        while True:
            attempt += 1
            seconds = min(_SECONDS, until - time.monotonic())
            if seconds <= 0:
                raise ReplyFailed(f"no time was left to read {NAME}")
            status, answer = self._attempt(body, seconds)
            if status == 200:
                return answer
            code = str(answer.get("__type", status)).rpartition("#")[2]
            if attempt == _ATTEMPTS or not (status >= 500 or status == 0 or "Throttl" in code):
                raise ReplyFailed(f"{NAME} can't be read by {self._api[0]}:{self._operation}: {code}")
            time.sleep(min(_PAUSE_SECONDS * attempt, seconds))

    def _attempt(self, body: bytes, seconds: float) -> tuple[int, dict[str, Any]]:
        """Status and answer; status 0, with the reason as its code, where there is none."""
        try:
            headers = signed_headers(
                self._connection.authority,
                self._region,
                self._credentials.get(),
                self._operation,
                body,
                time.time(),
                self._api,
            )
            status, _, content = self._connection.call(headers, body, seconds)
            answer = json.loads(content)
        except (OSError, ValueError, TableError) as error:
            return 0, {"__type": type(error).__name__}
        return (status, answer) if isinstance(answer, dict) else (0, {"__type": "no JSON object"})


def _key(answer: dict[str, Any]) -> str:
    """A secret may hold the key as it is, or as the member API_SERVER_KEY of a JSON object."""
    parameter = answer.get("Parameter")
    found = parameter.get("Value") if isinstance(parameter, dict) else answer.get("SecretString")
    if isinstance(found, str) and found.lstrip().startswith("{"):
        try:
            found = json.loads(found).get(NAME)
        except ValueError:
            found = None
    key = found.strip() if isinstance(found, str) else ""
    if not key or not key.isascii() or not key.isprintable():
        raise ReplyFailed(
            f"what is stored for {NAME} is no key: store printable ASCII, or a JSON object with the member {NAME}"
        )
    return key
