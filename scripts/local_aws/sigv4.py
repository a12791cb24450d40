"""Checks of Signature Version 4, in the Authorization header or in the query.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import posixpath
import re
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote

MAX_SKEW = datetime.timedelta(minutes=5)
_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<signed>[^,\s]+),"
    r"\s*Signature=(?P<signature>[0-9a-f]{64})$"
)


class SignatureError(Exception):
    """Why a request is not taken; `missing` when it carries no signature at all."""

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


@dataclasses.dataclass(frozen=True)
class SignedRequest:
    """A request as received: path and query raw, header names lower-case, repeated headers repeated."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


@dataclasses.dataclass(frozen=True)
class Secret:
    secret_access_key: str
    session_token: str | None = None


@dataclasses.dataclass(frozen=True)
class Signature:
    access_key_id: str
    region: str
    service: str


def _parameters(query: str) -> list[tuple[str, str]]:
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        # The SDKs send a blank as %20; a plus sign that was sent stays one.
        pairs.append((unquote(name), unquote(value)))
    return pairs


def _canonical_query(pairs: Sequence[tuple[str, str]]) -> str:
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _canonical_path(path: str) -> str:
    normal = posixpath.normpath(path or "/")
    normal = "/" + normal.lstrip("/")
    if path.endswith("/") and not normal.endswith("/"):
        normal += "/"
    return quote(normal, safe="/-_.~")


def _canonical_headers(request: SignedRequest, signed: Sequence[str]) -> str:
    lines = []
    for name in signed:
        values = [" ".join(value.split()) for key, value in request.headers if key == name]
        if not values:
            raise SignatureError(f"the signed header {name} is missing")
        lines.append(f"{name}:{','.join(values)}\n")
    return "".join(lines)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _signature(secret: str, scope: Sequence[str], timestamp: str, canonical: str) -> str:
    key = ("AWS4" + secret).encode()
    for part in scope:
        key = _hmac(key, part)
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return _hmac(key, f"AWS4-HMAC-SHA256\n{timestamp}\n{'/'.join(scope)}\n{digest}").hex()


def _time(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    except ValueError as error:
        raise SignatureError("the date is malformed") from error


def verify(
    request: SignedRequest,
    service: str,
    find: Callable[[str], Secret | None],
    now: datetime.datetime | None = None,
) -> Signature:
    """Who signed the request. Raises SignatureError."""
    pairs = _parameters(request.query)
    query = dict(pairs)
    now = now or datetime.datetime.now(datetime.UTC)
    if "X-Amz-Signature" in query:
        credential, signed_names = query.get("X-Amz-Credential", ""), query.get("X-Amz-SignedHeaders", "")
        signature, timestamp = query["X-Amz-Signature"], query.get("X-Amz-Date", "")
        token = query.get("X-Amz-Security-Token")
        pairs = [(name, value) for name, value in pairs if name != "X-Amz-Signature"]
        expires = _time(timestamp) + datetime.timedelta(seconds=int(query.get("X-Amz-Expires", "0")))
        if not _time(timestamp) - MAX_SKEW <= now <= expires:
            raise SignatureError("the signature has expired")
    else:
        authorization = request.header("authorization")
        if not authorization:
            raise SignatureError("the request is not signed", missing=True)
        parsed = _AUTHORIZATION.match(authorization.strip())
        if not parsed:
            raise SignatureError("the Authorization header is malformed")
        credential, signed_names, signature = parsed["credential"], parsed["signed"], parsed["signature"]
        timestamp = request.header("x-amz-date") or ""
        token = request.header("x-amz-security-token")
        if abs(now - _time(timestamp)) > MAX_SKEW:
            raise SignatureError("the request's clock is more than five minutes off")
    access_key_id, *scope = credential.split("/")
    if len(scope) != 4 or scope[3] != "aws4_request" or scope[0] != timestamp[:8]:
        raise SignatureError("the credential scope is malformed")
    if scope[2] != service:
        raise SignatureError(f"the request is signed for {scope[2]}, not for {service}")
    secret = find(access_key_id)
    if secret is None:
        raise SignatureError("the access key is unknown")
    if secret.session_token is not None and token != secret.session_token:
        raise SignatureError("the session token is not that of the access key")
    signed = signed_names.split(";")
    if "host" not in signed:
        raise SignatureError("the host header is not signed")
    declared = request.header("x-amz-content-sha256")
    body_hash = hashlib.sha256(request.body).hexdigest()
    if declared not in (None, "UNSIGNED-PAYLOAD", body_hash):
        raise SignatureError("the body does not match x-amz-content-sha256")
    canonical = "\n".join(
        [
            request.method,
            _canonical_path(request.path),
            _canonical_query(pairs),
            _canonical_headers(request, signed),
            signed_names,
            declared or body_hash,
        ]
    )
    if not hmac.compare_digest(_signature(secret.secret_access_key, scope, timestamp, canonical), signature):
        raise SignatureError("the signature does not match")
    return Signature(access_key_id, scope[1], scope[2])
