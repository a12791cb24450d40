"""Credentials from the environment, and from the endpoint that SnapStart brings."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.credentials import CredentialSource
from common.dynamodb_client import DynamoDBClient
from common.errors import Unavailable
from tests.unit.fake_service import CUT, FakeService, fails, served


def answer(key: str, seconds: float) -> tuple[int, dict[str, Any]]:
    expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return 200, {"AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token", "Expiration": expiration}


@pytest.fixture
def endpoint() -> Iterator[FakeService]:
    with served(FakeService(lambda *_: answer("fresh", 3600))) as endpoint:
        yield endpoint


def source(endpoint: FakeService, **environment: str) -> CredentialSource:
    return CredentialSource({"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{endpoint.url}/role", **environment})


def test_the_environment_s_own() -> None:
    found = CredentialSource({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}).get()
    assert (found.access_key, found.secret_key, found.token, found.expires_at) == ("a", "b", "c", None)


def test_without_any_the_error_says_what_is_missing() -> None:
    with pytest.raises(RuntimeError, match="AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        CredentialSource({}).get()


def test_the_endpoint_is_asked_once_with_its_token(endpoint: FakeService, tmp_path: Path) -> None:
    credentials = source(endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN="sesame")
    assert credentials.get() is credentials.get()
    assert [(path, headers["authorization"]) for path, _, headers in endpoint.requests] == [("/role", "sesame")]
    (tmp_path / "token").write_text("from a file\n")
    source(endpoint, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(tmp_path / "token")).get()
    assert endpoint.requests[-1][2]["authorization"] == "from a file"


def test_they_are_renewed_before_they_end(endpoint: FakeService) -> None:
    endpoint.plan = [answer("old", 200)]
    credentials = source(endpoint)
    assert credentials.get().access_key == "old"
    assert credentials.get().access_key == "fresh"
    assert credentials.get().access_key == "fresh"
    assert len(endpoint.requests) == 2


@pytest.mark.parametrize("trouble", [CUT, (500, {}), (200, {"AccessKeyId": "x"})])
def test_those_at_hand_are_used_to_their_end_while_the_endpoint_fails(endpoint: FakeService, trouble: Any) -> None:
    endpoint.plan = [answer("old", 200), trouble]
    credentials = source(endpoint)
    credentials.get()
    assert credentials.get().access_key == "old"
    endpoint.plan = [trouble]
    credentials.forget()
    with pytest.raises(Unavailable):
        credentials.get()


def test_expired_ones_are_renewed_once_when_dynamodb_says_so(endpoint: FakeService) -> None:
    with served(FakeService()) as service:
        endpoint.plan = [answer("old", 3600)]
        service.plan = [fails("ExpiredTokenException")]
        client = DynamoDBClient(
            {
                "AWS_REGION": "x",
                "AWS_ENDPOINT_URL": service.url,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.url,
            }
        )
        client.call("Query", {})
        used = [headers["authorization"].split("Credential=")[1].split("/")[0] for _, _, headers in service.requests]
    assert used == ["old", "fresh"]


def test_a_restored_snapshot_asks_anew(endpoint: FakeService) -> None:
    credentials = source(endpoint)
    credentials.get()
    credentials.forget()
    credentials.get()
    assert len(endpoint.requests) == 2
