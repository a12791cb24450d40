"""Our signatures against botocore's, on generated requests."""

import hashlib
import hmac
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given
from hypothesis import strategies as st

from common.credentials import Credentials
from common.digest import hmac_sha256, sha256
from common.signature import signed_headers
from tests.fuzzing import REQUESTS_SIGNED, budget

TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
DYNAMODB = ("dynamodb", "DynamoDB_20120810", "1.0")


@given(
    host=st.from_regex(r"[a-z0-9.-]{1,40}(:[1-9][0-9]{0,4})?", fullmatch=True),
    region=st.from_regex(r"[a-z]{2}-[a-z]{4,9}-[1-9]", fullmatch=True),
    access_key=TEXT,
    secret_key=TEXT,
    token=st.one_of(
        st.just(""), TEXT, st.builds("{}  {}".format, TEXT, TEXT), st.builds(" {}\t {} ".format, TEXT, TEXT)
    ),
    operation=st.sampled_from(["GetItem", "TransactWriteItems", "Query"]),
    api=st.sampled_from([DYNAMODB, ("secretsmanager", "secretsmanager", "1.1"), ("ssm", "AmazonSSM", "1.1")]),
    body=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode(errors="surrogatepass")),
    at=st.integers(0, 4_000_000_000),
)
@budget(REQUESTS_SIGNED)
def test_a_signature_is_what_botocore_makes(
    guarantee: Any,
    host: str,
    region: str,
    access_key: str,
    secret_key: str,
    token: str,
    operation: str,
    api: tuple[str, str, str],
    body: bytes,
    at: int,
) -> None:
    more = () if api == DYNAMODB else (api,)
    ours = signed_headers(host, region, Credentials(access_key, secret_key, token), operation, body, at, *more)
    service, target, json_version = api
    request = AWSRequest(
        method="POST",
        url=f"https://{host}/",
        data=body,
        headers={
            "content-type": f"application/x-amz-json-{json_version}",
            "host": host,
            "x-amz-target": f"{target}.{operation}",
        },
    )
    signer = botocore.auth.SigV4Auth(BotocoreCredentials(access_key, secret_key, token or None), service, region)
    moment = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    with mock.patch.object(botocore.auth, "get_current_datetime", return_value=moment):
        signer.add_auth(request)
    guarantee("wire-forms", requests_signed=1)
    assert ours["authorization"] == request.headers["Authorization"]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == request.headers.get("X-Amz-Security-Token")


@given(key=st.binary(max_size=200), message=st.binary(max_size=300))
def test_digests_are_the_standard_library_s(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")
    assert sha256(message).digest() == hashlib.sha256(message).digest()


def test_digests_do_without_what_is_not_public() -> None:
    program = (
        "import sys\n"
        "sys.modules['_sha2'] = sys.modules['_sha256'] = None\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2] / 'lambda_src')!r})\n"
        "from common.digest import hmac_sha256\n"
        "print(hmac_sha256(b'key', b'message').hex())\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hmac.new(b"key", b"message", "sha256").hexdigest()
