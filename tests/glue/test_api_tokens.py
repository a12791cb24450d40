"""Where the commands get a token from, and what they say where there is none that is good."""

import base64
import json
import shlex
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from scripts import add_caller, api_tokens, sign_in
from scripts.api_client import Answer, ApiClient
from scripts.console import CommandError
from scripts.local_aws import control
from tests.local_aws.conftest import REGION, Aws

CLAIMS = {"tenant": "tenantId", "user": "sub"}
JWT = {"issuer": "https://issuer.example.com", "audiences": ["agents"], "scopes": {}}
ASKING = {"api": {"jwt": JWT}, "user_pool": None, "token_claims": CLAIMS}


def token(**claims: Any) -> str:
    parts = ({"alg": "RS256"}, {"exp": int(time.time()) + 3600, "tenantId": "acme", "sub": "u"} | claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*texts, "signature"))


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (api_tokens.TOKEN, api_tokens.COMMAND, sign_in.PASSWORD):
        monkeypatch.delenv(name, raising=False)


def refusal(verification: dict[str, Any]) -> CommandError:
    with pytest.raises(CommandError) as refused, api_tokens.signed_in(verification):
        pass
    return refused.value


def test_an_api_that_asks_for_none_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(api_tokens.TOKEN, token())
    for verification in ({"api": {"jwt": None}}, {"api": None}, {}):
        with api_tokens.signed_in(verification) as found:
            assert found is None


def test_the_one_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(api_tokens.TOKEN, f" {token(sub='ann')}\n")
    with api_tokens.signed_in(ASKING) as found:
        assert found
        assert (found.tenant, found.user, found.text) == ("acme", "ann", token(sub="ann"))
        assert ApiClient("https://api.example.com", "jwt", REGION, token=found).token is found


def test_a_command_prints_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(api_tokens.COMMAND, shlex.join([sys.executable, "-c", f"print({token()!r})"]))
    with api_tokens.signed_in(ASKING) as found:
        assert found
        assert found.text == token()


def test_without_one_it_is_said_what_is_needed() -> None:
    refused = refusal(ASKING)
    assert "https://issuer.example.com" in refused.message
    assert api_tokens.TOKEN in refused.next_step
    assert api_tokens.COMMAND in refused.next_step


@pytest.mark.parametrize("given", ["nonsense", "a.b.c", "a.bnVsbA.c", token(exp=None), token(exp="soon"), token(exp=9)])
def test_what_is_no_token_or_has_ended_is_refused_unshown(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(api_tokens.TOKEN, given)
    refused = refusal(ASKING)
    assert api_tokens.TOKEN in refused.message
    assert given not in refused.message + refused.next_step


@pytest.mark.parametrize("code", ["import sys; print('half-a-token'); sys.exit(3)", "pass"])
def test_a_command_that_fails_is_told_of_without_its_words(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setenv(api_tokens.COMMAND, shlex.join([sys.executable, "-c", code]))
    refused = refusal(ASKING)
    assert api_tokens.COMMAND in refused.message
    assert "half-a-token" not in refused.message + refused.next_step


def test_a_command_that_is_none_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("/no/such/command", "'unbalanced"):
        monkeypatch.setenv(api_tokens.COMMAND, command)
        assert api_tokens.COMMAND in refusal(ASKING).message


def test_an_answer_says_why_a_token_is_not_good_enough() -> None:
    headers = {"www-authenticate": 'Bearer scope="" error="invalid_token" error_description="the token has expired"'}
    with pytest.raises(CommandError, match="the token has expired"):
        Answer("GET /pets", 401, headers, {"message": "Unauthorized"}, 1.0).expect(200)


# -- a user pool ------------------------------------------------------------------------------------------------


@pytest.fixture
def pool(embedded_aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    for name, value in control.client_environment(embedded_aws.running, region=REGION).items():
        monkeypatch.setenv(name, value)
    client = embedded_aws.client("cognito-idp")
    made = client.create_user_pool(
        PoolName="agents",
        Schema=[{"Name": "tenantId", "AttributeDataType": "String", "Mutable": False}],
        Policies={"PasswordPolicy": {"MinimumLength": 16}},
    )["UserPool"]["Id"]
    groups = ["pets.read", "pets.write"]
    for group in groups:
        client.create_group(UserPoolId=made, GroupName=group)
    client_id = client.create_user_pool_client(UserPoolId=made, ClientName="callers")["UserPoolClient"]["ClientId"]
    yield {"id": made, "client_id": client_id, "groups": groups}
    client.delete_user_pool(UserPoolId=made)


def users(aws: Aws, pool: dict[str, Any]) -> list[str]:
    return [user["Username"] for user in aws.client("cognito-idp").list_users(UserPoolId=pool["id"])["Users"]]


def test_a_user_is_there_for_as_long_as_its_token_is_needed(embedded_aws: Aws, pool: dict[str, Any]) -> None:
    with api_tokens.signed_in(ASKING | {"user_pool": pool}) as found:
        assert found
        (name,) = users(embedded_aws, pool)
        groups = embedded_aws.client("cognito-idp").admin_list_groups_for_user(UserPoolId=pool["id"], Username=name)
        assert sorted(group["GroupName"] for group in groups["Groups"]) == pool["groups"]
        assert found.user == found.claims["sub"]
    assert users(embedded_aws, pool) == []
    with pytest.raises(KeyboardInterrupt), api_tokens.signed_in(ASKING | {"user_pool": pool}):
        raise KeyboardInterrupt
    assert users(embedded_aws, pool) == []


def test_a_token_of_the_caller_s_goes_before(
    embedded_aws: Aws, pool: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(api_tokens.TOKEN, token())
    with api_tokens.signed_in(ASKING | {"user_pool": pool}):
        assert users(embedded_aws, pool) == []


def run(command: Any, monkeypatch: pytest.MonkeyPatch, pool: dict[str, Any], **options: Any) -> None:
    monkeypatch.setattr(command.stack, "open_stack", lambda _: None)
    monkeypatch.setattr(command.stack, "applied_verification", lambda _: ASKING | {"user_pool": pool})
    command.main(env="dev", **options)


def test_a_caller_is_added_and_signs_in(
    embedded_aws: Aws, pool: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(add_caller, monkeypatch, pool, name="ann", tenant="acme", scopes="pets.read", json_output=True)
    made = json.loads(capsys.readouterr().out)
    assert {name: made[name] for name in ("name", "tenant", "scopes")} == {
        "name": "ann",
        "tenant": "acme",
        "scopes": ["pets.read"],
    }
    monkeypatch.setenv(sign_in.PASSWORD, made["password"])
    run(sign_in, monkeypatch, pool, name="ann", json_output=False)
    printed = capsys.readouterr().out.strip()
    assert api_tokens.read(printed, CLAIMS, "it").claims["username"] == "ann"
    run(sign_in, monkeypatch, pool, name="ann", json_output=True)
    assert json.loads(capsys.readouterr().out)["user"] == api_tokens.read(printed, CLAIMS, "it").user
    run(add_caller, monkeypatch, pool, name="bob", tenant="acme", scopes="", json_output=True)
    made = json.loads(capsys.readouterr().out)
    assert (made["scopes"], "password" in made) == (pool["groups"], False), "its password was given"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "ann", "tenant": "acme", "scopes": "pets.fly"}, "pets.fly"),
        ({"name": "ann", "tenant": "  ", "scopes": ""}, "tenant"),
        ({"name": "ann", "tenant": "a" * 257, "scopes": ""}, "tenant"),
    ],
)
def test_a_caller_that_can_t_be_is_not_begun(
    embedded_aws: Aws, pool: dict[str, Any], monkeypatch: pytest.MonkeyPatch, options: dict[str, str], said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        run(add_caller, monkeypatch, pool, **options, json_output=False)
    assert users(embedded_aws, pool) == []


def test_a_caller_whose_password_is_refused_is_not_left_behind(
    embedded_aws: Aws, pool: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sign_in.PASSWORD, "short")
    with pytest.raises(CommandError, match="no such password"):
        run(add_caller, monkeypatch, pool, name="ann", tenant="acme", scopes="", json_output=False)
    assert users(embedded_aws, pool) == []
    monkeypatch.setenv(sign_in.PASSWORD, uuid.uuid4().hex)
    run(add_caller, monkeypatch, pool, name="ann", tenant="acme", scopes="", json_output=False)
    with pytest.raises(CommandError, match="has a caller ann already"):
        run(add_caller, monkeypatch, pool, name="ann", tenant="evil", scopes="", json_output=False)
    monkeypatch.setenv(sign_in.PASSWORD, "another one of good length")
    with pytest.raises(CommandError, match="refuses ann"):
        run(sign_in, monkeypatch, pool, name="ann", json_output=False)


def test_a_stack_without_a_pool_has_nobody_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in.stack, "open_stack", lambda _: None)
    monkeypatch.setattr(sign_in.stack, "applied_verification", lambda _: ASKING)
    with pytest.raises(CommandError, match="has no user pool"):
        sign_in.main(env="dev", name="ann")
