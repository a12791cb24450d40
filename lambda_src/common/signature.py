"""AWS Signature Version 4 for one kind of request: POST / with a JSON body, as DynamoDB and some others take it."""

from __future__ import annotations

import time

from common.digest import hmac_sha256, sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from common.credentials import Credentials

_keys: dict[tuple[str, ...], bytes] = {}


def signed_headers(
    host: str,
    region: str,
    credentials: Credentials,
    operation: str,
    body: bytes,
    at: float,
    api: tuple[str, str, str] = ("dynamodb", "DynamoDB_20120810", "1.0"),
) -> dict[str, str]:
    """Every header of the request but content-length; `at` is in epoch seconds, `api` service, target, JSON version."""
    service, target, json = api
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    # in the order in which they are signed
    headers = {"content-type": f"application/x-amz-json-{json}", "host": host, "x-amz-date": stamp}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    headers["x-amz-target"] = f"{target}.{operation}"
    names = ";".join(headers)
    lines = "".join([f"{name}:{' '.join(value.split())}\n" for name, value in headers.items()])
    request = f"POST\n/\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    key = _signing_key(credentials.secret_key, stamp[:8], region, service)
    signature = hmac_sha256(key, to_sign.encode()).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _signing_key(secret: str, *scope: str) -> bytes:
    """Derived once for a day, region, service and secret: four of a signature's five HMACs."""
    key = _keys.get((secret, *scope))
    if key is None:
        key = b"AWS4" + secret.encode()
        for part in (*scope, "aws4_request"):
            key = hmac_sha256(key, part.encode())
        _keys.clear()
        _keys[secret, *scope] = key
    return key
