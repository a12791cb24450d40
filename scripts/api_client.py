"""Calls a stack's HTTP API, signed or with a token when the API asks for it."""

import json
import os
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from scripts.api_tokens import Token
from scripts.console import EXIT_FAILED, CommandError

REQUEST_ID, ENVIRONMENT_ID = "x-request-id", "x-execution-environment"
_TIMEOUT = urllib3.Timeout(connect=5, read=35)  # API Gateway itself gives up after 30 s
# How long a new API may not know its name, its routes or its permission to call the function; by status, 0 without a
# connection. A function that can't start answers 500 for ever, so that is waited for less.
_SETTLING_SECONDS = {0: 60.0, 404: 60.0, 503: 60.0, 500: 15.0}
_UNCONNECTED = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
_SETTLING_POLL_SECONDS = 1.0


class Answer(NamedTuple):
    """One answer: status, lower-cased headers, parsed body (None when empty), and the round trip in milliseconds."""

    request: str
    status: int
    headers: dict[str, str]
    body: Any
    milliseconds: float

    @property
    def request_id(self) -> str:
        return self.headers.get(REQUEST_ID, "")

    @property
    def environment_id(self) -> str:
        return self.headers.get(ENVIRONMENT_ID, "")

    def expect(self, *statuses: int) -> "Answer":
        if self.status in statuses:
            return self
        said = self.body.get("detail") or self.body.get("message") if isinstance(self.body, dict) else self.body
        if challenge := self.headers.get("www-authenticate"):  # of a token that is not good enough
            said = f"{said} ({challenge})"
        raise CommandError(
            f"{self.request} answered {self.status} instead of {' or '.join(map(str, statuses))}: {said}",
            exit_code=EXIT_FAILED,
        )


class ApiClient:
    """Talks to one system of an API over kept-alive connections. `auth` is the stack's `api_auth`; with jwt each
    request carries `token`."""

    def __init__(self, url: str, auth: str, region: str, connections: int = 64, token: Token | None = None) -> None:
        self._host = urlsplit(url).netloc
        self.url = reachable_url(url)
        # Once: asking for them may take a while, and calls at once must leave at once.
        credentials = boto3.Session().get_credentials() if auth == "iam" else None
        if auth == "iam" and credentials is None:
            raise CommandError("no AWS credentials to sign the API's requests with.", "Sign in first.")
        if auth == "jwt" and token is None:
            raise CommandError("this API asks for tokens, which this command has none of.")
        self._signer = SigV4Auth(credentials, "execute-api", region) if credentials else None
        self.token = token
        self._pool = urllib3.PoolManager(maxsize=connections, timeout=_TIMEOUT, retries=False)
        self.environment_ids: set[str] = set()  # all that have answered
        self._settled = False

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Answer:
        """Until a function has answered once, a request that reached none is sent again for a while."""
        began = time.monotonic()
        while True:
            failure: CommandError | None = None
            try:
                answer = self._send(method, path, body, headers)
            except CommandError as error:
                failure, status = error, 0 if isinstance(error.__cause__, _UNCONNECTED) else -1
            else:
                status = answer.status
                if answer.environment_id:
                    self._settled = True
                    self.environment_ids.add(answer.environment_id)
            if self._settled or time.monotonic() - began > _SETTLING_SECONDS.get(status, -1.0):
                if failure:
                    raise failure
                return answer
            time.sleep(_SETTLING_POLL_SECONDS)

    def _send(self, method: str, path: str, body: Any, given: Mapping[str, str]) -> Answer:
        payload = None if body is None else json.dumps(body).encode()
        headers = {"accept": "application/json", **({"content-type": "application/json"} if payload else {}), **given}
        if urlsplit(self.url).netloc != self._host:
            headers["host"] = self._host  # the front door of the embedded AWS finds the API by its name
        if self.token is not None:
            headers["authorization"] = f"Bearer {self.token.text}"
        if self._signer is not None:
            request = AWSRequest(
                method, f"{self.url}{path}", headers={**headers, "host": self._host}, data=payload or b""
            )
            self._signer.add_auth(request)
            headers = dict(request.headers.items())
        started = time.perf_counter()
        try:
            answer = self._pool.request(method, self.url + path, headers=headers, body=payload)
        except urllib3.exceptions.HTTPError as error:
            raise CommandError(
                f"{method} {self.url}{path} can't be sent: {error}", "Is the API reachable?", EXIT_FAILED
            ) from error
        milliseconds = (time.perf_counter() - started) * 1000
        try:
            parsed = json.loads(answer.data) if answer.data else None
        except ValueError:
            parsed = answer.data.decode(errors="replace")
        return Answer(
            f"{method} {path}",
            answer.status,
            {name.lower(): value for name, value in answer.headers.items()},
            parsed,
            milliseconds,
        )


def reachable_url(url: str) -> str:
    """The API's own address, or that of the embedded AWS's front door when AWS_ENDPOINT_URL names an embedded AWS."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return url.rstrip("/")
    try:
        health = urllib3.request("GET", f"{endpoint}/_local/health", timeout=5, retries=False)
        port = json.loads(health.data)["api_port"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError):
        return url.rstrip("/")  # some other stand-in for AWS
    return f"http://{urlsplit(endpoint).hostname}:{port}"
