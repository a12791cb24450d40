"""A stack that asks for tokens of its own user pool: who has none, or another's, gets nothing."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.checkout import BUDGETS, Checkout
from tests.recording_guarantees import Guarantee

GUARDED = f"""
[aws]
embedded = true
region = "us-east-1"

[variables]
systems = ["agent_sessions"]
api_auth = "jwt"
api_jwt = {{ cognito = {{ access_token_minutes = 5 }} }}
deletion_protection = false
{BUDGETS}
"""
ENV = "ENV=guarded"
USERS = "/agent/conversations"


class Caller:
    """A user of the pool: its tokens, and its requests."""

    def __init__(self, stack: Checkout, name: str, tenant: str, scopes: str = "") -> None:
        self.stack, self.name, self.tenant = stack, name, tenant
        made = stack.must("add-caller", ENV, f"NAME={name}", f"TENANT={tenant}", f"SCOPES={scopes}", "JSON=1")
        self.password: str = json.loads(made)["password"]
        self.token = stack.must("sign-in", ENV, f"NAME={name}", API_PASSWORD=self.password).strip()

    @property
    def user(self) -> str:
        return str(claims_of(self.token)["sub"])

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        status, _, answer = self.stack.call(method, path, body, authorization=f"Bearer {self.token}", **headers)
        return status, answer


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def with_claims(token: str, **claims: str) -> str:
    header, _, signature = token.split(".")
    changed = base64.urlsafe_b64encode(json.dumps(claims_of(token) | claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{signature}"


@pytest.fixture(scope="module")
def stack(checkout: Checkout) -> Checkout:
    (checkout.folder / "terraform" / "environments" / "guarded.toml").write_text(GUARDED)
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    checkout.must("bootstrap", ENV)
    checkout.must("apply", ENV, "YES=1")
    return checkout


def test_verification_signs_in_as_somebody_who_is_gone_afterwards(stack: Checkout) -> None:
    assert "FAILED" not in stack.must("verify", ENV)
    pools = stack.client("cognito-idp")
    (pool,) = pools.list_user_pools(MaxResults=10)["UserPools"]
    assert pools.list_users(UserPoolId=pool["Id"])["Users"] == []
    ended = stack.make("verify", ENV, API_TOKEN="no.token.atall")
    assert (ended.exit_code, "API_TOKEN" in ended.stderr) == (2, True)


def test_only_the_bearer_of_a_good_token_gets_in_and_only_to_its_own(stack: Checkout, guarantee: Guarantee) -> None:
    ann, eve = Caller(stack, "ann", "acme"), Caller(stack, "eve", "evil")
    reader = Caller(stack, "rob", "acme", "agent_sessions.read")
    status, said = ann.call("POST", "/agent/process", {"message": "for acme only"})
    assert status == 200
    own, messages = f"{USERS}/acme/users/{ann.user}", f"/agent/sessions/{said['sessionId']}/messages"
    before = items(stack)
    tried: list[str] = []
    let_in: list[str] = []

    def refused(expected: int, answered: tuple[int, Any], what: str) -> None:
        tried.append(what)
        if answered[0] != expected or "for acme only" in json.dumps(answered[1]):
            let_in.append(f"{what}: {answered}")

    hers = {"x_tenant_id": "acme", "x_user_id": ann.user}
    for method, path in (
        ("GET", own),
        ("DELETE", own),
        ("GET", messages),
        ("POST", messages.replace("messages", "close")),
        ("POST", "/agent/process"),
        ("HEAD", own),
        ("PUT", own),
    ):
        body = {"message": "let me in"} if method == "POST" else None
        for what, headers in forged(ann, eve).items():
            status, _, answer = stack.call(method, path, body, **hers, **headers)
            refused(401, (status, answer), f"{method} {path} with {what}")
        if method in ("GET", "POST", "DELETE"):
            for stated in (hers, {"x_tenant_id": "acme"}, {"x_user_id": ann.user}):
                refused(403, eve.call(method, path, body, **stated), f"{method} {path}, stating {stated}")
    for method in ("GET", "DELETE"):
        refused(403, eve.call(method, own), "another tenant in the path")
        refused(403, ann.call(method, f"{USERS}/acme/users/{eve.user}"), "another user in the path")
    refused(403, reader.call("POST", "/agent/process", {"message": "x"}), "without the scope to write")
    refused(404, eve.call("GET", messages), "another tenant's session")
    unknown = eve.call("GET", messages.replace(said["sessionId"], "0" * 32))
    guarantee("authentication", requests_without_right=len(tried), let_in=len(let_in))
    assert let_in == []
    assert items(stack) == before
    assert eve.call("GET", messages) == unknown, "as if there were no such session"
    assert reader.call("GET", f"{USERS}/acme/users/{reader.user}") == (200, {"sessions": []})
    assert [one["content"] for one in ann.call("GET", messages)[1]["messages"]] == ["for acme only"] * 2


def forged(ann: Caller, eve: Caller) -> dict[str, dict[str, str]]:
    """Headers of which none has a good signature."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "dummy"}).encode()).rstrip(b"=").decode()
    return {
        "nothing": {},
        "nonsense": {"authorization": "Bearer nonsense"},
        "another tenant's claim": {"authorization": f"Bearer {with_claims(eve.token, tenantId='acme', sub=ann.user)}"},
        "no signature": {"authorization": f"Bearer {ann.token.rpartition('.')[0]}."},
        "no algorithm": {"authorization": f"Bearer {header}.{ann.token.split('.')[1]}."},
        "another's signature": {"authorization": f"Bearer {ann.token.rpartition('.')[0]}.{eve.token.split('.')[2]}"},
        "an AWS signature": {"authorization": "AWS4-HMAC-SHA256 Credential=local/20261128/us-east-1/execute-api/x"},
    }


def items(stack: Checkout) -> list[Any]:
    client = stack.client("dynamodb")
    found = [client.scan(TableName=name)["Items"] for name in ("ai-agent-sessions", "ai-agent-messages")]
    return sorted(json.dumps(item, sort_keys=True) for table in found for item in table)


def test_no_password_and_no_token_lies_about(stack: Checkout) -> None:
    """Neither in the state, nor in anything that the commands left, nor in a log."""
    caller = Caller(stack, "zoe", "acme")
    assert caller.call("GET", f"{USERS}/acme/users/{caller.user}")[0] == 200
    bucket = stack.client("s3").list_buckets()["Buckets"][0]["Name"]
    state = stack.client("s3").get_object(Bucket=bucket, Key="guarded/terraform.tfstate")["Body"].read().decode()
    assert '"client_secret": ""' in state, "the client has none"
    logs = stack.client("logs")
    lines = [
        event["message"]
        for group in logs.describe_log_groups()["logGroups"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
    ]
    assert lines
    left = [file.read_bytes() for file in written(stack.folder / ".build" / "guarded")]
    for secret in (caller.password, caller.token, caller.token.split(".")[2]):
        assert secret not in state
        assert secret not in "".join(lines)
        assert not any(secret.encode() in content for content in left)


def written(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and "providers" not in file.parts]
