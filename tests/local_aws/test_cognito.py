"""User pools: tokens with tenant and scopes by the stack's own function, good at the front door and nowhere else."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts import paths
from tests.local_aws.conftest import ACCOUNT, REGION, Aws, Deploy, Function
from tests.local_aws.test_http_api import Api, MakeApi, Response, function, make_api

__all__ = ["function", "make_api"]

HANDLER = (paths.LAMBDA_SOURCE / "token_claims" / "handler.py").read_text()
ENVIRONMENT = {"TENANT_CLAIM": "tenantId", "RESOURCE_SERVER": "agents", "GROUPS": "pets.read pets.write"}
PASSWORD = "correct horse battery staple"


class Pool:
    """A user pool as the stack makes it, with one caller after the other."""

    def __init__(self, aws: Aws, function: Function, *, permitted: bool = True) -> None:
        self.client = aws.client("cognito-idp")
        made = self.client.create_user_pool(
            PoolName="agents",
            LambdaConfig={"PreTokenGenerationConfig": {"LambdaArn": function.arn, "LambdaVersion": "V2_0"}},
            Schema=[{"Name": "tenantId", "AttributeDataType": "String", "Mutable": False}],
            Policies={"PasswordPolicy": {"MinimumLength": 16}},
        )["UserPool"]
        self.id = made["Id"]
        if permitted:
            aws.client("lambda").add_permission(
                FunctionName=function.name,
                StatementId=self.id.replace("_", "-"),
                Action="lambda:InvokeFunction",
                Principal="cognito-idp.amazonaws.com",
                SourceArn=f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{self.id}",
            )
        self.client_id = self.client.create_user_pool_client(
            UserPoolId=self.id,
            ClientName="callers",
            ReadAttributes=["custom:tenantId", "name"],
            WriteAttributes=["name"],
            AccessTokenValidity=15,
            TokenValidityUnits={"AccessToken": "minutes"},
        )["UserPoolClient"]["ClientId"]
        for group in ("pets.read", "pets.write", "of no scope"):
            self.client.create_group(UserPoolId=self.id, GroupName=group)

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.{REGION}.amazonaws.com/{self.id}"

    def caller(self, tenant: str | None, *groups: str) -> str:
        name = uuid.uuid4().hex
        attributes = [{"Name": "custom:tenantId", "Value": tenant}] if tenant is not None else []
        self.client.admin_create_user(UserPoolId=self.id, Username=name, UserAttributes=attributes)
        self.client.admin_set_user_password(UserPoolId=self.id, Username=name, Password=PASSWORD, Permanent=True)
        for group in groups:
            self.client.admin_add_user_to_group(UserPoolId=self.id, Username=name, GroupName=group)
        return name

    def tokens(self, name: str) -> dict[str, str]:
        found: dict[str, str] = self.client.initiate_auth(
            ClientId=self.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        return found

    def access_token(self, tenant: str | None, *groups: str) -> str:
        return self.tokens(self.caller(tenant, *groups))["AccessToken"]


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


@pytest.fixture(scope="module")
def token_claims(deploy: Deploy) -> Function:
    return deploy(HANDLER, Environment={"Variables": ENVIRONMENT}, Timeout=5)


@pytest.fixture(scope="module")
def pool(aws: Aws, token_claims: Function) -> Pool:
    return Pool(aws, token_claims)


@pytest.fixture
def pets(pool: Pool, make_api: MakeApi) -> Api:
    made = make_api()
    authorizer = made.aws.client("apigatewayv2").create_authorizer(
        ApiId=made.id,
        AuthorizerType="JWT",
        Name="tokens",
        IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": pool.issuer, "Audience": [pool.client_id]},
    )["AuthorizerId"]
    for method, scope in (("GET", "agents/pets.read"), ("POST", "agents/pets.write")):
        made.route(f"{method} /pets", AuthorizationType="JWT", AuthorizerId=authorizer, AuthorizationScopes=[scope])
    made.stage()
    return made


def call(api: Api, method: str, token: str) -> Response:
    return api.request(method, "/pets", headers={"authorization": f"Bearer {token}"})


def test_tenant_and_scopes_are_in_the_access_token(pool: Pool, pets: Api) -> None:
    name = pool.caller("acme", "pets.read", "of no scope")
    tokens = pool.tokens(name)
    claims = claims_of(tokens["AccessToken"])
    assert (claims["tenantId"], claims["client_id"], claims["iss"]) == ("acme", pool.client_id, pool.issuer)
    assert claims["scope"].split() == ["aws.cognito.signin.user.admin", "agents/pets.read"]
    assert claims["exp"] - claims["iat"] == 15 * 60
    answer = call(pets, "GET", tokens["AccessToken"])
    assert answer.status == 201
    told = answer.json["requestContext"]["authorizer"]["jwt"]["claims"]
    assert (told["tenantId"], told["sub"]) == ("acme", claims["sub"])
    assert call(pets, "POST", tokens["AccessToken"]).status == 403
    assert call(pets, "GET", tokens["IdToken"]).status == 403, "an ID token has no scopes"
    again = pool.client.initiate_auth(
        ClientId=pool.client_id,
        AuthFlow="REFRESH_TOKEN_AUTH",
        AuthParameters={"REFRESH_TOKEN": tokens["RefreshToken"]},
    )["AuthenticationResult"]["AccessToken"]
    assert claims_of(again)["tenantId"] == "acme"


def test_who_has_no_tenant_has_none_in_the_token(pool: Pool) -> None:
    assert "tenantId" not in claims_of(pool.access_token(None, "pets.read"))


def test_another_pool_s_token_is_a_stranger_s(aws: Aws, token_claims: Function, pool: Pool, pets: Api) -> None:
    other = Pool(aws, token_claims)
    token = other.access_token("acme", "pets.read")
    assert claims_of(token)["scope"].endswith("agents/pets.read")
    assert call(pets, "GET", token).status == 401
    header, _, signature = token.split(".")
    _, own, _ = pool.access_token("acme", "pets.read").split(".")
    assert call(pets, "GET", f"{header}.{own}.{signature}").status == 401, "each pool signs with a key of its own"


def test_nobody_moves_to_another_tenant(pool: Pool) -> None:
    name = pool.caller("acme")
    token = pool.tokens(name)["AccessToken"]
    moved = [{"Name": "custom:tenantId", "Value": "evil"}]
    with pytest.raises(ClientError, match="unauthorized attribute"):
        pool.client.update_user_attributes(AccessToken=token, UserAttributes=moved)
    with pytest.raises(ClientError, match="cannot be updated"):
        pool.client.admin_update_user_attributes(UserPoolId=pool.id, Username=name, UserAttributes=moved)
    pool.client.update_user_attributes(AccessToken=token, UserAttributes=[{"Name": "name", "Value": "Ann"}])
    assert claims_of(pool.tokens(name)["AccessToken"])["tenantId"] == "acme"


def test_a_password_is_asked_for(pool: Pool) -> None:
    name = pool.caller("acme")
    with pytest.raises(ClientError, match="Incorrect username or password"):
        pool.client.initiate_auth(
            ClientId=pool.client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD.upper()},
        )
    with pytest.raises(ClientError, match="USER_SRP_AUTH is not served"):
        pool.client.initiate_auth(
            ClientId=pool.client_id, AuthFlow="USER_SRP_AUTH", AuthParameters={"USERNAME": name, "SRP_A": "1"}
        )


def test_without_the_function_there_is_no_token(aws: Aws, deploy: Deploy, token_claims: Function) -> None:
    with pytest.raises(ClientError, match="UnexpectedLambdaException"):
        Pool(aws, token_claims, permitted=False).access_token("acme")
    with pytest.raises(ClientError, match="UserLambdaValidationException"):
        Pool(aws, deploy("def handler(event, context): raise ValueError('no')")).access_token("acme")
    with pytest.raises(ClientError, match="InvalidLambdaResponseException"):
        Pool(aws, deploy("def handler(event, context): return {}")).access_token("acme")


def test_a_scope_that_was_asked_for_without_its_group_is_taken_out(token_claims: Function) -> None:
    """As on Cognito's page to sign in at, where callers ask for scopes by name."""
    event = {
        "request": {
            "userAttributes": {"custom:tenantId": "acme"},
            "groupConfiguration": {"groupsToOverride": ["pets.read", "others"]},
            "scopes": ["openid", "agents/pets.read", "agents/pets.write"],
        },
        "response": {"claimsAndScopeOverrideDetails": None},
    }
    changes = token_claims.invoke(event).payload["response"]["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
    assert changes == {
        "claimsToAddOrOverride": {"tenantId": "acme"},
        "scopesToAdd": ["agents/pets.read"],
        "scopesToSuppress": ["agents/pets.write"],
    }
    event["request"] = {"userAttributes": {"custom:tenantId": ""}, "groupConfiguration": None}
    changes = token_claims.invoke(event).payload["response"]["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
    assert changes == {"claimsToSuppress": ["tenantId"], "scopesToAdd": [], "scopesToSuppress": []}


def test_a_protected_pool_is_not_deleted(aws: Aws) -> None:
    client = aws.client("cognito-idp")
    made = client.create_user_pool(PoolName="kept", DeletionProtection="ACTIVE")["UserPool"]["Id"]
    with pytest.raises(ClientError, match="deletion protection is activated"):
        client.delete_user_pool(UserPoolId=made)
    client.update_user_pool(UserPoolId=made, DeletionProtection="INACTIVE")
    client.delete_user_pool(UserPoolId=made)


def test_resource_servers_change_and_go(pool: Pool) -> None:
    named = {"UserPoolId": pool.id, "Identifier": "shops"}
    scope = {"ScopeName": "read", "ScopeDescription": "Look"}
    pool.client.create_resource_server(**named, Name="shops", Scopes=[scope])
    pool.client.update_resource_server(**named, Name="Shops", Scopes=[])
    assert pool.client.describe_resource_server(**named)["ResourceServer"]["Name"] == "Shops"
    pool.client.delete_resource_server(**named)
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        pool.client.describe_resource_server(**named)
