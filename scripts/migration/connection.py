"""The functions' own client, much lighter than boto3's, for an operator's long work: one a thread."""

import os
import threading
import urllib.request
from collections.abc import Mapping
from typing import Any

import boto3

from common.credentials import Credentials, CredentialSource
from common.dynamodb import DynamoDB
from common.dynamodb_client import DynamoDBClient
from scripts import aws
from scripts.console import CommandError

# A whole page of a busy server, not an answer that a caller waits for
READ_SECONDS = 60.0


class _OperatorsCredentials(CredentialSource):
    """Whatever boto3 finds (a profile, SSO, a role), and renews."""

    def __init__(self, found: Any) -> None:
        super().__init__({})
        self._found = found

    def get(self) -> Credentials:
        now = self._found.get_frozen_credentials()
        return Credentials(now.access_key, now.secret_key, now.token or "")


class _OperatorsClient(DynamoDBClient):
    read_seconds = READ_SECONDS

    def __init__(self, endpoint_url: str, region: str, credentials: CredentialSource) -> None:
        super().__init__({"AWS_REGION": region, "AWS_ENDPOINT_URL": endpoint_url})
        self._credentials = credentials

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        # Nobody reads here what was consumed, and telling it takes a fifth of an engine's time.
        return super().call(operation, {**payload, "ReturnConsumedCapacity": "NONE"})


def require_no_proxy(url: str) -> None:
    """boto3 would use it, and this client can't: better told than tried in vain."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0]
    if scheme == "https" and scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        raise CommandError(
            f"HTTPS_PROXY is set, through which records are not sent: the way to {host} must be direct.",
            f"Where it is, say so: NO_PROXY={host.partition(':')[0]}.",
        )


class Connections:
    """Clients of the environment that `aws.use` chose: `client()` gives the calling thread's own."""

    def __init__(self) -> None:
        meta = aws.client("dynamodb").meta
        self.region, self._endpoint = meta.region_name, meta.endpoint_url
        require_no_proxy(self._endpoint)
        self._credentials = _OperatorsCredentials(boto3.Session().get_credentials())
        self._own = threading.local()
        if bundle := os.environ.get("AWS_CA_BUNDLE"):
            os.environ.setdefault("SSL_CERT_FILE", bundle)

    def client(self) -> DynamoDBClient:
        if not hasattr(self._own, "client"):
            self._own.client = _OperatorsClient(self._endpoint, self.region, self._credentials)
        client: DynamoDBClient = self._own.client
        return client

    def database(self) -> DynamoDB:
        return DynamoDB(self.client())
