"""An environment as on AWS: IAM-signed calls, deletion protection, a sealed plan, a guarded destroy."""

import hashlib
import io
import json
import stat
import zipfile
from typing import Any

import pytest

from tests.end_to_end.checkout import BUDGETS, Checkout, Ended

STAGING = """
[aws]
embedded = true
region = "us-east-1"
account_id = "123456789012"

[variables]
systems = ["agent_registry"]
name_prefix = "agents"
agent_registry = { table_name = "StagingRegistry" }
attach_access_to_roles = { agent_registry = { roles = ["reader"], access = "read" } }
"""


@pytest.fixture(scope="module")
def staging(checkout: Checkout) -> Checkout:
    settings(checkout)
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    trust = {"Version": "2012-10-17", "Statement": []}
    checkout.client("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))
    return checkout


def settings(staging: Checkout, *lines: str) -> None:
    """What the environment sets beside STAGING."""
    file = staging.folder / "terraform" / "environments" / "staging.toml"
    file.write_text(STAGING + "".join(f"{line}\n" for line in (BUDGETS, *lines)))


def script(staging: Checkout, verb: str, *arguments: str) -> Ended:
    ended = staging.run(".venv/bin/python", "-m", f"scripts.{verb}", *arguments)
    assert ended.exit_code == 0, ended.stderr
    return ended


def replace_code(functions: Any, name: str) -> None:
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("function.py", "def handler(event, context):\n    return {'foreign': True}\n")
    functions.update_function_code(FunctionName=name, ZipFile=foreign.getvalue())


def test_without_a_state_bucket_the_next_step_is_told(staging: Checkout) -> None:
    ended = staging.make("plan", "ENV=staging")
    assert "make bootstrap ENV=staging" in ended.stderr


def test_a_sealed_plan_is_applied_and_verified(staging: Checkout) -> None:
    assert "state bucket agent-state-tfstate-123456789012-us-east-1" in staging.must("bootstrap", "ENV=staging")
    assert "# module.agent_registry_table[0].aws_dynamodb_table.this will be created" in staging.must(
        "plan", "ENV=staging"
    )
    assert staging.client("dynamodb").list_tables()["TableNames"] == [], "a plan changes nothing"
    report = (staging.folder / ".build" / "staging" / "plan.md").read_text()
    bundle = staging.folder / ".build" / "staging" / "plan.bundle"
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() in report
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600, "a plan holds values of the state"
    applied = staging.must("apply", "ENV=staging")
    assert "to create" in applied
    assert "applied; API https://" in applied
    assert not bundle.exists(), "a plan is applied once"
    noted = json.loads((staging.folder / ".build" / "staging" / "applied.json").read_text())
    assert noted["functions"] == {"agent_registry": {"from": None, "to": "1"}}
    assert "no changes" in staging.must("apply", "ENV=staging")
    assert "FAILED" not in staging.must("verify", "ENV=staging")


def test_what_nobody_agreed_to_is_not_applied(staging: Checkout) -> None:
    settings(staging, "function_defaults = { log_retention_days = 5 }")
    refused = staging.make("apply", "ENV=staging")
    assert refused.exit_code == 2
    assert "YES=1" in refused.stderr
    assert "staging: account 123456789012, region us-east-1, endpoint http://127.0.0.1" in refused.stderr
    settings(staging)
    assert 5 not in [
        group.get("retentionInDays") for group in staging.client("logs").describe_log_groups()["logGroups"]
    ]


def test_code_that_was_replaced_is_shown_by_a_plan_and_put_back_by_an_apply(staging: Checkout) -> None:
    functions, name = staging.client("lambda"), staging.function_name("agent_registry")

    def deployed() -> str:
        return str(functions.get_function_configuration(FunctionName=name)["CodeSha256"])

    right = deployed()
    settings(staging, "function_defaults = { log_retention_days = 5 }")
    staging.must("plan", "ENV=staging")
    replace_code(functions, name)
    refused = staging.make("apply", "ENV=staging")
    assert refused.exit_code == 2
    assert f"the code of {name} was replaced outside Terraform since this plan was made" in refused.stderr
    assert "make plan ENV=staging" in refused.stderr
    assert deployed() != right
    ended = staging.run(".venv/bin/python", "-m", "scripts.plan", "--env", "staging", "--json")
    assert ended.exit_code == 1
    assert "this plan is not sealed" in ended.stderr
    planned = json.loads(ended.stdout)
    assert planned["deployed_code"] == {"replaced": [name]}
    assert planned["bundle"] is None
    assert staging.make("apply", "ENV=staging").exit_code == 2, "nobody agreed"
    assert deployed() != right
    applied = json.loads(script(staging, "apply", "--env", "staging", "--yes", "--json").stdout)
    assert applied["deployed_code"] == {"put_back": [name]}
    assert deployed() == right
    assert functions.get_function_configuration(FunctionName=name, Qualifier="live")["CodeSha256"] == right
    settings(staging)
    assert "no changes" not in staging.must("apply", "ENV=staging", "YES=1")


def test_unsigned_calls_are_forbidden(staging: Checkout) -> None:
    status, _, answer = staging.call("GET", "/agents?capability=x")
    assert (status, answer) == (403, {"message": "Forbidden"})


def test_an_existing_role_gets_the_documented_access(staging: Checkout) -> None:
    iam = staging.client("iam")
    (attached,) = iam.list_attached_role_policies(RoleName="reader")["AttachedPolicies"]
    version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
    statements = json.dumps(document)
    assert "table/StagingRegistry" in statements
    assert "dynamodb:PutItem" not in statements
    assert "*" not in statements.replace("/index/*", "")


def test_destroy_refuses_protected_tables_and_takes_the_rest_away_when_told(staging: Checkout) -> None:
    refused = staging.make("destroy", "ENV=staging", "CONFIRM=staging")
    assert (
        "deletion protection is on for StagingRegistry, agents-staging-idempotency; nothing was destroyed"
        in refused.stderr
    )
    settings(staging, "deletion_protection = false")
    stopped = staging.make("plan", "ENV=staging")
    assert "the guard refuses 2 changes of this plan" in stopped.stderr
    build = staging.folder / ".build" / "staging"
    assert not (build / "plan.bundle").exists()
    assert "DynamoDB no longer refuses to delete it" in (build / "plan.md").read_text()
    table = "deletion-protection:module.{}.aws_dynamodb_table.this"
    allowed = [table.format(name) for name in ("agent_registry_table[0]", "idempotency_table[0]")]
    staging.must("plan", "ENV=staging", f"ALLOW={' '.join(allowed)}")
    assert staging.must("apply", "ENV=staging").startswith("staging: ")
    assert "destroyed" in staging.must("destroy", "ENV=staging", "CONFIRM=staging")
    assert staging.client("dynamodb").list_tables()["TableNames"] == []
    assert [role["RoleName"] for role in staging.client("iam").list_roles()["Roles"]] == ["reader"]
