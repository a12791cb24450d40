"""Credentials of a role are checked in every call; tokens get them as the role's trust says."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local_aws.actions import needs, parse
from tests.local_aws.conftest import ACCOUNT, REGION, Aws, client_for
from tests.pipeline.github_token import ISSUER, sign_in, token

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
VAULT = f"arn:aws:backup:{REGION}:{ACCOUNT}:backup-vault:v"
HOST = ISSUER.removeprefix("https://")
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{HOST}"
SUBJECT = "repo:acme/agents:environment:dev"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/within"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["iam:CreateRole", "iam:PutRolePolicy"],
            "Resource": f"arn:aws:iam::{ACCOUNT}:role/ours-*",
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}},
        },
        {
            "Effect": "Allow",
            "Action": [
                "ssm:GetParameter",
                "sns:CreateTopic",
                "s3:GetObject",
                "logs:CreateLogGroup",
                "lambda:GetFunction",
            ],
            "Resource": [
                f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ours/*",
                f"arn:aws:sns:{REGION}:{ACCOUNT}:ours-*",
                "arn:aws:s3:::ours/*",
                f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/ours/*",
                f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ours-*",
            ],
        },
        {
            "Effect": "Allow",
            "Action": "kms:DescribeKey",
            "Resource": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Project": "ours"}},
        },
        {
            "Effect": "Allow",
            "Action": ["cognito-idp:CreateUserPool", "cognito-idp:TagResource"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestTag/Project": "ours"}},
        },
        {
            "Effect": "Allow",
            "Action": "cognito-idp:AdminCreateUser",
            "Resource": f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/*",
            "Condition": {"StringEquals": {"aws:ResourceTag/Project": "ours"}},
        },
    ],
}


@pytest.fixture(scope="module")
def role(aws: Aws) -> str:
    iam = aws.client("iam")
    iam.create_open_id_connect_provider(Url=ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40])
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Principal": {"Federated": PROVIDER},
                "Condition": {"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com", f"{HOST}:sub": [SUBJECT]}},
            }
        ]
    }
    name = f"ci-{uuid.uuid4().hex[:8]}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(POLICY))
    return str(made["Arn"])


@pytest.fixture(scope="module")
def session(aws: Aws, role: str) -> Any:
    """Clients with the role's credentials."""
    keys = sign_in(aws.client("sts"), role, SUBJECT)

    def client(service: str) -> Any:
        return client_for(
            aws.running,
            service,
            access_key=keys["AWS_ACCESS_KEY_ID"],
            secret_key=keys["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=keys["AWS_SESSION_TOKEN"],
        )

    return client


@pytest.mark.parametrize(
    ("subject", "claims", "code"),
    [
        ("repo:acme/agents:environment:prod", {}, "AccessDenied"),
        ("repo:acme/agents:pull_request", {}, "AccessDenied"),
        ("repo:emca/agents:environment:dev", {}, "AccessDenied"),
        (SUBJECT, {"aud": "https://github.com/acme"}, "InvalidIdentityToken"),
        (SUBJECT, {"iss": "https://gitlab.example.com"}, "InvalidIdentityToken"),
        (SUBJECT, {"exp": 1}, "ExpiredTokenException"),
    ],
)
def test_a_token_of_another_job_gets_nothing(
    aws: Aws, role: str, subject: str, claims: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        sign_in(aws.client("sts"), role, subject, **claims)
    assert caught.value.response["Error"]["Code"] == code


def test_what_is_no_token_gets_nothing(aws: Aws, role: str) -> None:
    with pytest.raises(ClientError, match="InvalidIdentityToken"):
        aws.client("sts").assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="job", WebIdentityToken=token(SUBJECT).partition(".")[0]
        )


def refused(call: Any, **parameters: Any) -> str:
    """The code with which a call is refused; "" when it is not."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_only_what_the_role_allows_passes_in_every_protocol(aws: Aws, session: Any) -> None:
    aws.client("ssm").put_parameter(Name="/ours/a", Value="1", Type="String")
    assert session("sts").get_caller_identity()["Arn"].endswith("/GitHubActions")
    assert refused(session("ssm").get_parameter, Name="/ours/a") == ""
    assert refused(session("ssm").get_parameter, Name="/theirs/a") == "AccessDeniedException"
    assert refused(session("sns").create_topic, Name="ours-a") == ""
    assert refused(session("sns").create_topic, Name="theirs") == "AccessDenied"
    assert refused(session("logs").create_log_group, logGroupName="/ours/a") == ""
    assert refused(session("logs").create_log_group, logGroupName="/theirs/a") == "AccessDeniedException"
    assert refused(session("s3").get_object, Bucket="ours", Key="a") == "NoSuchBucket"
    assert refused(session("s3").put_object, Bucket="ours", Key="a") == "AccessDenied"
    assert refused(session("lambda").get_function, FunctionName="ours-a") == "ResourceNotFoundException"
    assert refused(session("lambda").delete_function, FunctionName="ours-a") == "AccessDeniedException"
    assert refused(session("lambda").invoke, FunctionName="ours-a") == "AccessDeniedException"
    assert refused(session("dynamodb").list_tables) == "AccessDeniedException"
    assert refused(session("apigatewayv2").get_apis) == "AccessDeniedException"
    assert refused(session("ec2").describe_vpcs) == "UnauthorizedOperation"
    assert refused(aws.client("ec2").describe_vpcs) == "", "an ordinary key is not checked"


def test_a_role_can_be_made_within_the_boundary_only(session: Any) -> None:
    iam, trust = session("iam"), json.dumps({"Statement": []})
    role = {"RoleName": f"ours-{uuid.uuid4().hex[:8]}", "AssumeRolePolicyDocument": trust}
    assert refused(iam.create_role, **role) == "AccessDenied"
    assert refused(iam.create_role, **role, PermissionsBoundary=f"{BOUNDARY}-other") == "AccessDenied"
    assert refused(iam.create_role, **role | {"RoleName": "theirs"}, PermissionsBoundary=BOUNDARY) == "AccessDenied"
    tagged = {"PermissionsBoundary": BOUNDARY, "Tags": [{"Key": "a", "Value": "b"}]}
    assert refused(iam.create_role, **role, **tagged) == "AccessDenied", "tags take iam:TagRole"
    assert refused(iam.create_role, **role, PermissionsBoundary=BOUNDARY) == ""
    inline = {"PolicyName": "p", "PolicyDocument": json.dumps(POLICY)}
    assert refused(iam.put_role_policy, RoleName=role["RoleName"], **inline) == "", "it has the boundary"


def test_a_key_is_known_by_its_tags(aws: Aws, session: Any) -> None:
    tags = [{"TagKey": "Project", "TagValue": "ours"}]
    ours, theirs = (aws.client("kms").create_key(Tags=each)["KeyMetadata"]["KeyId"] for each in (tags, []))
    assert refused(session("kms").describe_key, KeyId=ours) == ""
    assert refused(session("kms").describe_key, KeyId=theirs) == "AccessDeniedException"


def test_a_user_pool_is_known_by_its_tags(aws: Aws, session: Any) -> None:
    pools = session("cognito-idp")
    assert refused(pools.create_user_pool, PoolName="a") == "AccessDeniedException"
    assert refused(pools.create_user_pool, PoolName="a", UserPoolTags={"Project": "theirs"}) == "AccessDeniedException"
    assert refused(pools.create_user_pool, PoolName="a", UserPoolTags={"Project": "ours"}) == ""
    ours, theirs = (
        aws.client("cognito-idp").create_user_pool(PoolName="b", UserPoolTags=tags)["UserPool"]["Id"]
        for tags in ({"Project": "ours"}, {})
    )
    assert refused(pools.admin_create_user, UserPoolId=ours, Username="ann") == ""
    assert refused(pools.admin_create_user, UserPoolId=theirs, Username="ann") == "AccessDeniedException"
    assert refused(pools.admin_delete_user, UserPoolId=ours, Username="ann") == "AccessDeniedException"


def test_credentials_without_their_token_are_nobodys(aws: Aws, role: str) -> None:
    keys = sign_in(aws.client("sts"), role, SUBJECT)
    client = client_for(
        aws.running, "sns", access_key=keys["AWS_ACCESS_KEY_ID"], secret_key=keys["AWS_SECRET_ACCESS_KEY"]
    )
    assert refused(client.create_topic, Name="ours-a") == "InvalidClientTokenId"


def signed(service: str) -> dict[str, str]:
    return {"authorization": f"AWS4-HMAC-SHA256 Credential=ASIAX/20260101/{REGION}/{service}/aws4_request, ..."}


def test_a_new_function_takes_its_role_and_its_tags_too() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    body = json.dumps({"FunctionName": "f", "Role": role, "Tags": {"a": "b"}}).encode()
    found = list(needs(parse("POST", "/2015-03-31/functions", signed("lambda"), body)))
    assert [(action, resource.rpartition(":")[2]) for action, resource, _ in found] == [
        ("lambda:CreateFunction", "f"),
        ("lambda:TagResource", "f"),
        ("iam:PassRole", "role/r"),
    ]
    assert found[2][2]["iam:passedtoservice"] == ["lambda.amazonaws.com"]


@pytest.mark.parametrize(
    ("service", "method", "target", "action", "resource"),
    [
        ("lambda", "GET", "/2015-03-31/functions/f/aliases/live", "lambda:GetAlias", FUNCTION),
        ("lambda", "DELETE", "/2015-03-31/functions/f?Qualifier=3", "lambda:DeleteFunction", FUNCTION),
        ("apigateway", "GET", "/v2/apis/x/routes", "apigateway:GET", f"arn:aws:apigateway:{REGION}::/apis/x/routes"),
        ("s3", "HEAD", "/b/dev/k", "s3:GetObject", "arn:aws:s3:::b/dev/k"),
        ("s3", "GET", "/b?list-type=2&prefix=env%3A%2F", "s3:ListBucket", "arn:aws:s3:::b"),
        ("s3", "PUT", "/b?policy", "s3:PutBucketPolicy", "arn:aws:s3:::b"),
        ("s3", "DELETE", "/b", "s3:DeleteBucket", "arn:aws:s3:::b"),
        ("backup", "GET", "/backup-vaults/v", "backup:DescribeBackupVault", VAULT),
        ("quantum", "GET", "/", "quantum:Unknown", "*"),
    ],
)  # fmt: skip
def test_paths_become_actions(service: str, method: str, target: str, action: str, resource: str) -> None:
    (found,) = needs(parse(method, target, signed(service), b""))
    assert found[:2] == (action, resource)
