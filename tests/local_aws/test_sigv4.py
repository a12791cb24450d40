"""Signatures, held against botocore's own."""

from __future__ import annotations

import datetime
import string
from collections.abc import Mapping
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.local_aws.sigv4 import Secret, SignatureError, SignedRequest, verify

SECRETS: Mapping[str, Secret] = {"AKID": Secret("secret"), "ASIA": Secret("other", "token")}
TEXT = st.text(string.ascii_letters + string.digits + " /+%&=~.-_ü{}*", max_size=12)


def signed(
    *, key: str = "AKID", path: str = "/agents", query: str = "", body: bytes = b"", method: str = "POST",
    presigned: bool = False, service: str = "execute-api",
) -> SignedRequest:  # fmt: skip
    secret = SECRETS[key]
    url = f"http://127.0.0.1:4567{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers={"host": "127.0.0.1:4567", "x-tenant-id": " a  b "})
    credentials = Credentials(key, secret.secret_access_key, secret.session_token)
    signer = (SigV4QueryAuth if presigned else SigV4Auth)(credentials, service, "eu-north-1")
    signer.add_auth(request)
    prepared_url = request.url if presigned else url
    headers = [(name.lower(), str(value)) for name, value in request.headers.items()]
    raw = prepared_url.removeprefix("http://127.0.0.1:4567")
    return SignedRequest(method, raw.partition("?")[0], raw.partition("?")[2], headers, body)


def check(request: SignedRequest, now: datetime.datetime | None = None) -> str:
    return verify(request, "execute-api", SECRETS.get, now).access_key_id


@settings(max_examples=150, deadline=None)
@given(
    segments=st.lists(TEXT.filter(lambda s: s not in (".", "..") and "/" not in s), max_size=3),
    pairs=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    body=st.binary(max_size=50),
    presigned=st.booleans(),
)
def test_whatever_botocore_signs_is_taken(
    segments: list[str], pairs: list[tuple[str, str]], body: bytes, presigned: bool
) -> None:
    path = "/" + "/".join(quote(s, safe="-_.~") for s in segments if s)
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    # botocore moves the body of a presigned request into its query
    body = b"" if presigned else body
    assert check(signed(path=path, query=query, body=body, presigned=presigned)) == "AKID"


def test_a_session_needs_its_token() -> None:
    request = signed(key="ASIA")
    assert check(request) == "ASIA"
    without = [(name, value) for name, value in request.headers if name != "x-amz-security-token"]
    with pytest.raises(SignatureError):
        check(SignedRequest(request.method, request.path, request.query, without, request.body))


@pytest.mark.parametrize("change", ["method", "path", "query", "body", "header"])
def test_a_changed_request_is_refused(change: str) -> None:
    good = signed(query="a=1", body=b"{}")
    headers = [(n, "other" if n == "x-tenant-id" and change == "header" else v) for n, v in good.headers]
    changed = SignedRequest(
        "DELETE" if change == "method" else good.method,
        "/other" if change == "path" else good.path,
        "a=2" if change == "query" else good.query,
        headers,
        b"[]" if change == "body" else good.body,
    )
    with pytest.raises(SignatureError, match="does not match"):
        check(changed)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_clock_more_than_five_minutes_off_is_refused(minutes: int) -> None:
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    with pytest.raises(SignatureError, match="five minutes"):
        check(signed(), now)


def test_other_services_and_unknown_keys_are_refused() -> None:
    with pytest.raises(SignatureError, match="signed for lambda"):
        check(signed(service="lambda"))
    with pytest.raises(SignatureError, match="unknown"):
        verify(signed(), "execute-api", lambda _: None)
    with pytest.raises(SignatureError, match="malformed"):
        check(SignedRequest("GET", "/", "", [("authorization", "Bearer x")], b""))
    with pytest.raises(SignatureError) as error:
        check(SignedRequest("GET", "/", "", [], b""))
    assert error.value.missing
