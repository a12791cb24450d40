"""What is in the way to a stack is a finding, too: the account, who looks, the state."""

import json
import re
import socket
import subprocess
from datetime import UTC, datetime
from typing import Any

import pytest

from scripts import environments
from scripts.diagnosis import account, applied
from tests.glue.diagnosed import (
    APPLY,
    KEY,
    SYSTEM,
    Answering,
    Diagnosed,
    become,
    fresh,
)
from tests.local_aws.conftest import ACCOUNT, REGION

SIGN_IN, SET_CLOCK = "aws sso login", "sudo timedatectl set-ntp true"


def test_no_credentials(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    fresh(monkeypatch)
    found = stack.only("no-credentials")
    assert found.fix == "aws sso login"
    (skipped,) = stack.examine().not_looked_at
    assert skipped["because"] == "no-credentials"
    assert "tables" in skipped["what"]


def test_no_such_profile(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.configure(profile="nobodys")
    fresh(monkeypatch)
    found = stack.only("profile-missing")
    assert (found.fix, found.severity) == ("aws configure sso --profile nobodys", "error")


@pytest.mark.parametrize(
    ("code", "message", "finding", "fix"),
    [
        ("ExpiredToken", "The security token included in the request is expired", "credentials-expired", SIGN_IN),
        ("InvalidClientTokenId", "The security token included is invalid.", "credentials-refused", SIGN_IN),
        ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", "clock-skew", SET_CLOCK),
    ],
)
def test_aws_refuses_the_credentials(
    stack: Diagnosed,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    message: str,
    finding: str,
    fix: str,
) -> None:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    with Answering(403, body) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        found = stack.only(finding)
    assert (found.fix, found.severity) == (fix, "error")


def test_aws_cannot_be_reached(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    assert stack.only("aws-unreachable").fix.endswith("|| unset AWS_ENDPOINT_URL")


def test_another_account(stack: Diagnosed) -> None:
    stack.configure(account_id="999999999999")
    found = stack.only("wrong-account")
    assert "999999999999" in found.what
    assert found.fix == "aws sso login"


def test_the_state_of_another_account(stack: Diagnosed) -> None:
    state = stack.state()
    state["outputs"]["systems"]["value"][SYSTEM]["function_arn"] = "arn:aws:lambda:eu-north-1:999999999999:function:f"
    stack.apply(state)
    assert "999999999999" in stack.only("wrong-account").what


def test_a_clock_that_is_wrong(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC).timestamp()
    monkeypatch.setattr(account.time, "time", lambda: now + 200)
    found = stack.only("clock-skew")
    assert "ahead of AWS's" in found.what
    assert (found.severity, found.fix) == ("warning", "sudo timedatectl set-ntp true")


def test_no_terraform(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRAFORM", "/no/such/terraform")
    account.terraform_cli.require_terraform.cache_clear()
    try:
        found = stack.only("terraform-missing")
    finally:
        account.terraform_cli.require_terraform.cache_clear()
    assert "releases.hashicorp.com" in found.fix


def test_the_embedded_aws_does_not_run(stack: Diagnosed) -> None:
    stack.environment_file.write_text(f'[aws]\nregion = "{REGION}"\nembedded = true\n')
    assert stack.only("embedded-aws-not-running").fix == "make up"


def test_whoever_looks_may_not_look_at_all(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is looked at; what is lacking is one finding, with the policy. Without a simulation, a call shows."""
    allowed = ["s3:*", "sts:*", "dynamodb:DescribeTable", "lambda:*", "iam:GetRole", "iam:GetRolePolicy", "logs:*"]
    become(stack, monkeypatch, [*allowed, "apigateway:*", "ec2:*"])
    found = stack.only("operator-not-authorised")
    assert found.fix.startswith(f"aws iam put-role-policy --role-name operator-{stack.name} ")
    document = json.loads(found.fix.split("--policy-document '")[1].split("'")[0])
    (statement,) = document["Statement"]
    assert {"iam:SimulatePrincipalPolicy", "cloudwatch:DescribeAlarms", "dynamodb:DescribeContinuousBackups"} <= set(
        statement["Action"]
    )
    stack.client("iam").put_role_policy(
        RoleName=f"operator-{stack.name}", PolicyName="doctor", PolicyDocument=json.dumps(document)
    )
    later = stack.found()
    assert set(later) <= {"operator-not-authorised"}  # what the first look could not reach is asked for next
    stack.put_policy(stack.without("Agents"))
    without_simulation = [action for action in statement["Action"] if action != "iam:SimulatePrincipalPolicy"]
    become(stack, monkeypatch, [*allowed, *without_simulation, "apigateway:*", "ec2:*", "cloudwatch:*", "sns:*"])
    found_by_call = stack.found()
    assert "dynamodb:GetItem" in found_by_call["not-authorised"].what
    assert found_by_call["not-authorised"].fix == APPLY
    assert "lacks Agents" in found_by_call["policy-differs"].what


def test_whoever_looks_may_not_read_the_state(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    become(stack, monkeypatch, ["sts:*"])
    found = stack.only("operator-not-authorised")
    assert found.severity == "error"
    assert "s3:GetObject" in found.fix
    assert stack.examine().not_looked_at[0]["because"] == "operator-not-authorised"


def test_no_state_bucket(stack: Diagnosed) -> None:
    stack.bucket = "no-such-bucket-anywhere"
    stack.configure()
    assert stack.only("state-bucket-missing").fix == f"make bootstrap ENV=staging && {APPLY}"


def test_the_embedded_aws_has_lost_its_state_bucket(stack: Diagnosed) -> None:
    """`make up` alone refuses: it has made the bucket once."""
    environment = environments.load("staging")._replace(embedded=True, state_bucket="no-such-bucket-anywhere")
    (found,), _ = applied.look(environment, ACCOUNT, datetime.now(UTC))
    assert (found.code, found.fix) == ("state-bucket-missing", "make down && make up")


def test_the_state_lies_in_another_region(stack: Diagnosed) -> None:
    bucket = f"agent-state-tfstate-{ACCOUNT}-eu-west-1"
    other = stack.in_region("s3", "eu-west-1")
    other.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    try:
        other.put_object(Bucket=bucket, Key=KEY, Body=json.dumps(stack.state()).encode())
        stack.environment_file.write_text(f'[aws]\nregion = "{REGION}"\n')
        found = stack.only("state-in-another-region")
        assert "eu-west-1" in found.what
        assert found.fix.startswith("sed -i.before 's/^region *=.*/region = \"eu-west-1\"/' ")
        subprocess.run(found.fix.split(" && ")[0], shell=True, check=True)
        assert 'region = "eu-west-1"' in stack.environment_file.read_text()
    finally:
        other.delete_object(Bucket=bucket, Key=KEY)
        other.delete_bucket(Bucket=bucket)


def test_the_stack_lies_in_another_region(stack: Diagnosed) -> None:
    state = stack.state()
    state["outputs"]["verification"]["value"]["region"] = "us-east-1"
    stack.apply(state)
    found = stack.only("region-differs")
    assert "us-east-1" in found.fix


@pytest.mark.parametrize("state", [None, {"version": 4, "outputs": {}, "resources": []}])
def test_nothing_is_applied(stack: Diagnosed, state: Any) -> None:
    if state is None:
        stack.client("s3").delete_object(Bucket=stack.bucket, Key=KEY)
    else:
        stack.apply(state)
    assert stack.only("not-applied").fix == APPLY


def test_the_state_is_deleted(stack: Diagnosed) -> None:
    s3 = stack.client("s3")
    s3.put_bucket_versioning(Bucket=stack.bucket, VersioningConfiguration={"Status": "Enabled"})
    stack.apply()
    s3.delete_object(Bucket=stack.bucket, Key=KEY)
    found = stack.only("state-deleted")
    (version,) = re.findall(r"--version-id (\S+)", found.fix)
    assert found.fix.startswith(f"aws s3api delete-object --bucket {stack.bucket} --key {KEY} ")
    s3.delete_object(Bucket=stack.bucket, Key=KEY, VersionId=version)
    assert stack.examine().findings == []


@pytest.mark.parametrize("body", ["not JSON", "[]", '{"version": 9}', '{"version": 4, "outputs": {"verification": 1}}'])
def test_a_damaged_state(stack: Diagnosed, body: str) -> None:
    stack.put(KEY, body)
    found = stack.only("state-unreadable")
    assert f"s3api copy-object --bucket {stack.bucket} --key {KEY}" in found.fix


def test_a_lock_that_is_held_or_left(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"ID": "5c1a-77", "Who": "ann@host", "Operation": "OperationTypeApply"}
    stack.put(f"{KEY}.tflock", json.dumps(lock))
    held = stack.only("state-locked")
    assert held.severity == "info"
    assert "ann@host (Apply)" in held.what
    monkeypatch.setattr("scripts.diagnosis.applied.LOCK_MINUTES", -1)
    left = stack.only("state-lock-left")
    assert left.fix.endswith("force-unlock 5c1a-77")
    assert f"TF_DATA_DIR={stack.folder}" in left.fix
