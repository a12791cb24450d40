"""GitHub's roles, enforced: what plans can plan and nothing else; what applies can apply, verify and roll back this
environment, and gets no further.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.end_to_end.checkout import BUDGETS, Checkout, stopped_at_the_end
from tests.pipeline.github_token import sign_in

ACCOUNT = "123456789012"
REGION = "us-east-1"
TABLE = "AgentRegistry"
FUNCTION = "agent-state-dev-agent-registry"
STATES = f"agent-state-tfstate-{ACCOUNT}-{REGION}"
DEV = f"""
[aws]
region = "{REGION}"
account_id = "{ACCOUNT}"

[github]
repository = "acme/agents"

[variables]
systems = ["agent_registry"]
deletion_protection = false
{BUDGETS}
"""
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})

# Granted, and not used by the run below: by what they are for.
UNUSED = {
    "reads of options that this environment leaves off": """
        application-autoscaling:DescribeScalableTargets application-autoscaling:DescribeScalingPolicies
        application-autoscaling:ListTagsForResource backup:DescribeBackupVault backup:GetBackupPlan
        backup:GetBackupSelection backup:ListTags dynamodb:DescribeContributorInsights dynamodb:GetResourcePolicy
        ec2:DescribePrefixLists ec2:DescribeVpcEndpoints events:DescribeRule events:ListTagsForResource
        events:ListTargetsByRule iam:GetPolicy iam:GetPolicyVersion kms:DescribeKey kms:GetKeyPolicy
        kms:GetKeyRotationStatus kms:ListAliases kms:ListResourceTags lambda:GetProvisionedConcurrencyConfig
        sns:GetSubscriptionAttributes
    """,
    "tables: changes in place, autoscaling, insights, policies, and what other systems' probes take away": """
        application-autoscaling:DeleteScalingPolicy application-autoscaling:DeregisterScalableTarget
        application-autoscaling:PutScalingPolicy application-autoscaling:RegisterScalableTarget
        application-autoscaling:TagResource application-autoscaling:UntagResource dynamodb:DeleteItem
        dynamodb:DeleteResourcePolicy dynamodb:PutResourcePolicy dynamodb:Query dynamodb:UntagResource
        dynamodb:UpdateContributorInsights dynamodb:UpdateItem dynamodb:UpdateTable
    """,
    "backups and keys": """
        backup-storage:MountCapsule backup:CreateBackupPlan backup:CreateBackupSelection backup:CreateBackupVault
        backup:DeleteBackupPlan backup:DeleteBackupSelection backup:DeleteBackupVault
        backup:DeleteBackupVaultLockConfiguration backup:PutBackupVaultLockConfiguration backup:TagResource
        backup:UntagResource backup:UpdateBackupPlan kms:CreateAlias kms:CreateGrant kms:CreateKey kms:Decrypt
        kms:DeleteAlias kms:EnableKeyRotation kms:GenerateDataKey kms:PutKeyPolicy kms:RetireGrant
        kms:ScheduleKeyDeletion kms:TagResource kms:UntagResource kms:UpdateKeyDescription
    """,
    "a VPC": """
        ec2:CreateTags ec2:CreateVpcEndpoint ec2:DeleteTags ec2:DeleteVpcEndpoints ec2:DescribeSecurityGroups
        ec2:DescribeSubnets ec2:DescribeVpcs ec2:ModifyVpcEndpoint
    """,
    "rules and subscriptions, which this environment has none of": """
        events:DeleteRule events:PutRule events:PutTargets events:RemoveTargets events:TagResource
        events:UntagResource sns:SetSubscriptionAttributes sns:Subscribe sns:Unsubscribe
    """,
    "changes and ends of what this run only makes": """
        apigateway:DELETE apigateway:PATCH cloudwatch:DeleteAlarms cloudwatch:DeleteDashboards
        cloudwatch:UntagResource dynamodb:DeleteTable iam:DeleteRole iam:DeleteRolePolicy
        iam:ListInstanceProfilesForRole iam:PutRolePermissionsBoundary iam:UntagRole iam:UpdateAssumeRolePolicy
        iam:UpdateRoleDescription lambda:DeleteAlias lambda:PublishVersion lambda:RemovePermission
        lambda:UntagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration logs:DeleteLogGroup
        logs:DeleteRetentionPolicy logs:UntagResource sns:DeleteTopic sns:UntagResource ssm:DeleteParameter
        ssm:RemoveTagsFromResource
    """,
    "a function's options, and the pet store's seed": """
        lambda:DeleteFunctionCodeSigningConfig lambda:DeleteFunctionConcurrency
        lambda:DeleteProvisionedConcurrencyConfig lambda:InvokeFunction lambda:PutFunctionCodeSigningConfig
        lambda:PutFunctionConcurrency lambda:PutProvisionedConcurrencyConfig logs:AssociateKmsKey
        logs:DisassociateKmsKey
    """,
    "access for roles outside": """
        iam:AttachRolePolicy iam:CreatePolicy iam:CreatePolicyVersion iam:DeletePolicy iam:DeletePolicyVersion
        iam:DetachRolePolicy iam:ListPolicyVersions iam:TagPolicy iam:UntagPolicy
    """,
    "what AWS asks of the caller by itself, and the embedded AWS does not": """
        iam:CreateServiceLinkedRole logs:CreateLogDelivery logs:DeleteLogDelivery logs:DescribeResourcePolicies
        logs:GetLogDelivery logs:ListLogDeliveries logs:PutResourcePolicy logs:UpdateLogDelivery
    """,
}


class Role(NamedTuple):
    """Signed in as one of the environment's roles."""

    name: str
    keys: dict[str, str]
    endpoint: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=self.keys["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.keys["AWS_SESSION_TOKEN"],
        )

    @property
    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL": self.endpoint, **self.keys}


class Roles(NamedTuple):
    checkout: Checkout
    plan: Role
    apply: Role

    def decisions(self, role: Role, *, allowed: bool) -> set[str]:
        rows = self.checkout.decisions()
        return {row["action"] for row in rows if row["role"].endswith(f"/{role.name}") and row["allowed"] == allowed}

    def granted(self, role: Role) -> set[str]:
        return {action for _, _, document in self.policies(role) for each in document for action in each["Action"]}

    def policies(self, role: Role) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """ARN, version and statements."""
        iam = self.checkout.client("iam")
        for attached in iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            yield arn, version, document["Statement"]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Its Terraform starts the provider itself, which then has the role that signed in."""
    with stopped_at_the_end(tmp_path_factory.mktemp("checkout"), attached=False) as made:
        yield made


@pytest.fixture(scope="module")
def roles(checkout: Checkout) -> Roles:
    """An account after its bootstrap; a workflow signed in for a pull request, and one in the environment's job."""
    (checkout.folder / "terraform" / "environments" / "dev.toml").write_text(DEV)
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    checkout.must("bootstrap", "ENV=local")  # of the same account

    def signed_in(kind: str, subject: str) -> Role:
        name = f"github-{kind}-agent-state-dev-{REGION}"
        keys = sign_in(checkout.client("sts"), f"arn:aws:iam::{ACCOUNT}:role/{name}", f"repo:acme/agents:{subject}")
        return Role(name, keys, f"http://127.0.0.1:{checkout.port}")

    return Roles(checkout, signed_in("plan", "pull_request"), signed_in("apply", "environment:dev"))


def denied(call: Callable[..., Any], **parameters: Any) -> bool:
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
    return False


def test_a_pull_request_cannot_apply_and_the_branch_cannot_either(roles: Roles) -> None:
    sts, arn = roles.checkout.client("sts"), f"arn:aws:iam::{ACCOUNT}:role/{roles.apply.name}"
    for subject in ("pull_request", "ref:refs/heads/main", "environment:prod"):
        with pytest.raises(ClientError, match="Not authorized to perform sts:AssumeRoleWithWebIdentity"):
            sign_in(sts, arn, f"repo:acme/agents:{subject}")


def test_one_role_plans_the_other_applies_verifies_and_rolls_back(roles: Roles) -> None:
    checkout = roles.checkout
    checkout.must("plan", "ENV=dev", **roles.plan.environment)
    checkout.must("apply", "ENV=dev", "YES=1", **roles.apply.environment)
    checkout.must("verify", "ENV=dev", **roles.apply.environment)
    aliases = roles.apply.client("lambda")
    aliases.update_alias(FunctionName=FUNCTION, Name="live", FunctionVersion="1")
    assert not denied(aliases.delete_function, FunctionName=FUNCTION, Qualifier="99"), "old versions are pruned"
    assert not denied(aliases.list_aliases, FunctionName=FUNCTION)
    for role in (roles.plan, roles.apply):
        assert roles.decisions(role, allowed=False) == set()
    boundary = checkout.client("iam").get_role(RoleName=FUNCTION)["Role"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == f"arn:aws:iam::{ACCOUNT}:policy/boundary-agent-state-dev-{REGION}"


def test_nothing_is_granted_that_is_of_no_use(roles: Roles) -> None:
    justified = {action for actions in UNUSED.values() for action in actions.split()}
    used = roles.decisions(roles.plan, allowed=True) | roles.decisions(roles.apply, allowed=True)
    granted = roles.granted(roles.plan) | roles.granted(roles.apply)
    assert granted - used - justified == set(), "used by nothing: take it away, or say what for"
    assert justified - granted == set(), "not granted any more"
    assert justified & used == set(), "used by this run: no justification needed"


def test_who_plans_changes_nothing_and_reads_no_items(roles: Roles) -> None:
    client, key = roles.plan.client, {"agentId": {"S": "a"}}
    items = client("dynamodb")
    assert denied(items.get_item, TableName=TABLE, Key=key)
    assert denied(items.put_item, TableName=TABLE, Item=key)
    assert denied(items.scan, TableName=TABLE)
    assert denied(items.query, TableName=TABLE, KeyConditionExpression="agentId = :a", ExpressionAttributeValues={":a": {"S": "a"}})  # fmt: skip  # noqa: E501
    assert denied(items.batch_get_item, RequestItems={TABLE: {"Keys": [key]}})
    assert denied(items.delete_table, TableName=TABLE)
    assert denied(items.update_table, TableName=TABLE, BillingMode="PAY_PER_REQUEST")
    assert denied(client("lambda").invoke, FunctionName=FUNCTION)
    assert denied(client("lambda").update_alias, FunctionName=FUNCTION, Name="live", FunctionVersion="1")
    assert denied(client("iam").delete_role_policy, RoleName=FUNCTION, PolicyName="function")
    assert denied(client("ssm").put_parameter, Name="/agent-state/dev/a", Value="1", Type="String")
    assert denied(client("ssm").get_parameter, Name="/elsewhere/secret")
    assert denied(client("sns").delete_topic, TopicArn=f"arn:aws:sns:{REGION}:{ACCOUNT}:agent-state-dev-alarms")
    states = client("s3")
    assert denied(states.put_object, Bucket=STATES, Key="dev/terraform.tfstate", Body=b"")
    assert denied(states.delete_object, Bucket=STATES, Key="dev/terraform.tfstate")
    assert denied(states.get_object, Bucket=STATES, Key="prod/terraform.tfstate")
    assert denied(states.get_object, Bucket=STATES, Key="bootstrap/terraform.tfstate")


def test_who_applies_gets_no_further_than_the_stack(roles: Roles) -> None:
    client, iam = roles.apply.client, roles.apply.client("iam")
    own = {"RoleName": "agent-state-dev-more", "AssumeRolePolicyDocument": TRUST}
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary-agent-state-dev-{REGION}"
    # No role beyond the boundary, and no way to take it away.
    assert denied(iam.create_role, **own)
    assert denied(iam.create_role, **own, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
    assert denied(iam.create_role, **own | {"RoleName": "other-dev-more"}, PermissionsBoundary=boundary)
    assert denied(iam.delete_role_permissions_boundary, RoleName=FUNCTION)
    assert denied(iam.put_role_permissions_boundary, RoleName=FUNCTION, PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")  # fmt: skip  # noqa: E501
    assert denied(iam.create_policy_version, PolicyArn=boundary, PolicyDocument=ALL, SetAsDefault=True)
    assert denied(iam.delete_policy, PolicyArn=boundary)
    # Not itself, not who plans, not who is trusted.
    for name in (roles.apply.name, roles.plan.name):
        assert denied(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=ALL)
        assert denied(iam.attach_role_policy, RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        assert denied(iam.update_assume_role_policy, RoleName=name, PolicyDocument=TRUST)
        assert denied(iam.delete_role, RoleName=name)
    provider = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    assert denied(iam.delete_open_id_connect_provider, OpenIDConnectProviderArn=provider)
    assert denied(iam.create_user, UserName="agent-state-dev-me")
    # Nothing of another stack.
    assert denied(client("dynamodb").delete_table, TableName="Elsewhere")
    assert denied(client("dynamodb").get_item, TableName="Elsewhere", Key={"id": {"S": "a"}})
    assert denied(client("lambda").delete_function, FunctionName="agent-state-prod-agent-registry")
    assert denied(client("logs").delete_log_group, logGroupName="/aws/lambda/agent-state-prod-agent-registry")
    assert denied(client("ssm").put_parameter, Name="/agent-state/prod/a", Value="1", Type="String")
    assert denied(client("s3").put_object, Bucket=STATES, Key="prod/terraform.tfstate", Body=b"")
    assert denied(client("s3").put_object, Bucket=STATES, Key="bootstrap/terraform.tfstate", Body=b"")
    assert denied(client("s3").delete_object, Bucket=STATES, Key="dev/terraform.tfstate")
    assert denied(client("s3").delete_bucket, Bucket=STATES)
    # A role is passed to Lambda only where it is the stack's.
    assert denied(client("lambda").update_function_configuration, FunctionName=FUNCTION, Role=f"arn:aws:iam::{ACCOUNT}:role/{roles.apply.name}")  # fmt: skip  # noqa: E501


def test_each_statement_counts(roles: Roles) -> None:
    """Without its statement on functions the role can't do what it just could."""
    iam, client = roles.checkout.client("iam"), roles.apply.client("lambda")
    move = {"FunctionName": FUNCTION, "Name": "live", "FunctionVersion": "1"}
    arn, version, statements = next(
        found for found in roles.policies(roles.apply) if any("lambda:UpdateAlias" in one["Action"] for one in found[2])
    )
    left = [one for one in statements if "lambda:UpdateAlias" not in one["Action"]]
    document = json.dumps({"Version": "2012-10-17", "Statement": left})
    assert not denied(client.update_alias, **move)
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
    assert denied(client.update_alias, **move)
    iam.set_default_policy_version(PolicyArn=arn, VersionId=version)
    assert not denied(client.update_alias, **move)
