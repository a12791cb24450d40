"""Cognito user pools as AWS has them, where moto is laxer or lacks something: a key of each pool's own, the function
that is asked before a token is made, how long tokens are good, who may write which attribute, resource servers that
change and go, deletion protection.
"""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import urlsplit

from scripts.local_aws.invocation import InvokeError, Invoker
from scripts.local_aws.moto_patch import replace
from scripts.local_aws.resource_policy import lets_in
from scripts.local_aws.settings import ACCOUNT_ID

_Json = dict[str, Any]
# The id that moto writes into every token's header; the key is found by pool and id.
_KEY_ID = "dummy"
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}
_VALIDITY = {"access": "AccessToken", "id": "IdToken"}
_TRIGGER = "PreTokenGeneration"


@functools.cache
def install(invoker: Invoker) -> None:
    """Patches moto. Before its application is made: that remembers what answers which path."""
    _tokens(invoker)
    install_pools()


@functools.cache
def install_pools() -> None:
    """All but tokens, which take functions that run."""
    _keys()
    _attributes()
    _resource_servers()
    _pools()


def _keys() -> None:
    from joserfc.jwk import RSAKey
    from moto.cognitoidp.models import CognitoIdpUserPool, cognitoidp_backends
    from moto.cognitoidp.responses import CognitoIdpJsonWebKeyResponse

    @replace(CognitoIdpUserPool, "__init__")
    def init(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        """moto's pools share one key, which is in its package for everybody to sign with."""
        original(self, *args, **kwargs)
        self.json_web_key = RSAKey.generate_key(2048, {"kid": _KEY_ID})

    def serve_json_web_key(_request: Any, url: str, _headers: Any) -> tuple[int, dict[str, str], bytes]:
        pool_id = urlsplit(url).path.strip("/").partition("/")[0]
        for backend in list(cognitoidp_backends[ACCOUNT_ID].values()):
            if pool := backend.user_pools.get(pool_id):
                key = pool.json_web_key.as_dict(private=False) | {"alg": "RS256", "use": "sig"}
                return 200, {"Content-Type": "application/json"}, json.dumps({"keys": [key]}).encode()
        return 404, {"Content-Type": "application/json"}, b'{"message":"User pool does not exist."}'

    CognitoIdpJsonWebKeyResponse.serve_json_web_key = staticmethod(serve_json_web_key)


def _tokens(invoker: Invoker) -> None:
    from moto.cognitoidp.exceptions import InvalidParameterException
    from moto.cognitoidp.models import AuthFlow, CognitoIdpBackend, CognitoIdpUserPool

    @replace(CognitoIdpUserPool, "create_jwt")
    def create_jwt(
        original: Any,
        self: Any,
        client_id: str,
        username: str,
        token_use: str,
        expires_in: int = 3600,
        extra_data: _Json | None = None,
    ) -> Any:
        expires_in = _validity(self.clients[client_id].extended_config, token_use) or expires_in
        data = dict(extra_data or {})
        trigger = (self.extended_config.get("LambdaConfig") or {}).get(f"{_TRIGGER}Config") or {}
        if token_use == "access" and trigger.get("LambdaVersion") in ("V2_0", "V3_0"):  # noqa: S105
            event = _event(self, trigger, client_id, username, data)
            _apply(_asked(invoker, self, trigger["LambdaArn"], event), data)
        return original(self, client_id, username, token_use, expires_in, data)

    @replace(CognitoIdpBackend, "initiate_auth")
    def initiate_auth(original: Any, self: Any, client_id: str, auth_flow: str, *args: Any, **kwargs: Any) -> Any:
        """moto signs anybody in by SRP, whatever the password is."""
        if auth_flow == AuthFlow.USER_SRP_AUTH.value:
            raise InvalidParameterException("USER_SRP_AUTH is not served by the embedded AWS: use USER_PASSWORD_AUTH")
        return original(self, client_id, auth_flow, *args, **kwargs)


def _validity(client: _Json, token_use: str) -> int | None:
    """In seconds; None where the client does not say."""
    kind = _VALIDITY[token_use]
    count = client.get(f"{kind}Validity")
    return int(count) * _SECONDS[(client.get("TokenValidityUnits") or {}).get(kind, "hours")] if count else None


def _event(pool: Any, trigger: _Json, client_id: str, username: str, data: _Json) -> _Json:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html"""
    user = pool._get_user(username)
    return {
        "version": trigger["LambdaVersion"][1:2],
        "triggerSource": "TokenGeneration_Authentication",
        "region": pool.region,
        "userPoolId": pool.id,
        "userName": username,
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
        "request": {
            "userAttributes": {attribute["Name"]: attribute["Value"] for attribute in user.attributes}
            | {"sub": user.id, "cognito:user_status": str(getattr(user.status, "value", user.status))},
            "groupConfiguration": {
                "groupsToOverride": [group.group_name for group in user.groups],
                "iamRolesToOverride": [],
                "preferredRole": None,
            },
            "scopes": data["scope"].split(),
        },
        "response": {"claimsAndScopeOverrideDetails": None},
    }


def _asked(invoker: Invoker, pool: Any, function_arn: str, event: _Json) -> _Json:
    """What the function answers. Raises Cognito's errors where it can't be called, or fails."""
    from moto.core.exceptions import JsonRESTError

    try:
        target = invoker.resolve(function_arn, None, pool.region)
        if not lets_in(target, "cognito-idp.amazonaws.com", pool.arn):
            message = f"{_TRIGGER} invocation failed due to error AccessDeniedException."
            raise JsonRESTError("UnexpectedLambdaException", message)
        result = invoker.invoke(target, json.dumps(event).encode())
    except InvokeError as error:
        raise JsonRESTError(
            "UnexpectedLambdaException", f"{_TRIGGER} invocation failed due to error {error.type}."
        ) from error
    answer = json.loads(result.payload or b"null")
    if result.function_error:
        message = f"{_TRIGGER} failed with error {answer.get('errorMessage', '')}."
        raise JsonRESTError("UserLambdaValidationException", message)
    if not isinstance(answer, dict) or not isinstance(answer.get("response"), dict):
        raise JsonRESTError("InvalidLambdaResponseException", "Unrecognizable lambda output")
    response: _Json = answer["response"]
    return response


def _apply(response: _Json, data: _Json) -> None:
    """Changes an access token's claims as the function wants them."""
    changes = (response.get("claimsAndScopeOverrideDetails") or {}).get("accessTokenGeneration") or {}
    scopes = [scope for scope in data["scope"].split() if scope not in (changes.get("scopesToSuppress") or [])]
    data["scope"] = " ".join(dict.fromkeys([*scopes, *(changes.get("scopesToAdd") or [])]))
    for claim in changes.get("claimsToSuppress") or []:
        data.pop(claim, None)
    data.update(changes.get("claimsToAddOrOverride") or {})


def _attributes() -> None:
    from moto.cognitoidp.exceptions import InvalidParameterException, NotAuthorizedError
    from moto.cognitoidp.models import CognitoIdpBackend

    def require_mutable(pool: Any, attributes: list[_Json]) -> None:
        for attribute in attributes:
            schema = pool.schema_attributes.get(attribute["Name"])
            if schema is not None and not schema.mutable:
                raise InvalidParameterException(f"user.{attribute['Name']}: Attribute cannot be updated.")

    @replace(CognitoIdpBackend, "admin_update_user_attributes")
    def admin_update(original: Any, self: Any, user_pool_id: str, username: str, attributes: list[_Json]) -> None:
        require_mutable(self.describe_user_pool(user_pool_id), attributes)
        original(self, user_pool_id, username, attributes)

    @replace(CognitoIdpBackend, "update_user_attributes")
    def update(original: Any, self: Any, access_token: str, attributes: list[_Json]) -> None:
        for pool in self.user_pools.values():
            if access_token in pool.access_tokens:
                client_id, _ = pool.access_tokens[access_token]
                writable = pool.clients[client_id].extended_config.get("WriteAttributes")
                if writable and not {attribute["Name"] for attribute in attributes} <= set(writable):
                    raise NotAuthorizedError("A client attempted to write unauthorized attribute")
                require_mutable(pool, attributes)
        original(self, access_token, attributes)


def _resource_servers() -> None:
    from moto.cognitoidp.responses import CognitoIdpResponse
    from moto.core.responses import ActionResult, EmptyResult

    def update_resource_server(self: Any) -> Any:
        server = self.backend.describe_resource_server(self._get_param("UserPoolId"), self._get_param("Identifier"))
        server.name, server.scopes = self._get_param("Name"), self._get_param("Scopes") or []
        return ActionResult({"ResourceServer": server.to_json()})

    def delete_resource_server(self: Any) -> Any:
        pool_id, identifier = self._get_param("UserPoolId"), self._get_param("Identifier")
        self.backend.describe_resource_server(pool_id, identifier)
        del self.backend.describe_user_pool(pool_id).resource_servers[identifier]
        return EmptyResult()

    CognitoIdpResponse.update_resource_server = update_resource_server
    CognitoIdpResponse.delete_resource_server = delete_resource_server


def _pools() -> None:
    from moto.cognitoidp.exceptions import InvalidParameterException
    from moto.cognitoidp.models import CognitoIdpBackend, CognitoIdpUserPool

    @replace(CognitoIdpUserPool, "update_extended_config")
    def update_extended_config(original: Any, self: Any, extended_config: _Json) -> None:
        """What a pool does not say: moto's passwords need everything then, AWS's nothing."""
        original(self, extended_config)
        self.extended_config.setdefault("UserPoolTier", "ESSENTIALS")
        stated = self.extended_config["Policies"].get("PasswordPolicy") or {}
        unstated = dict.fromkeys(("RequireLowercase", "RequireNumbers", "RequireSymbols", "RequireUppercase"), False)
        self.extended_config["Policies"] = {**self.extended_config["Policies"], "PasswordPolicy": unstated | stated}

    @replace(CognitoIdpBackend, "delete_user_pool")
    def delete_user_pool(original: Any, self: Any, user_pool_id: str) -> None:
        if self.describe_user_pool(user_pool_id).extended_config.get("DeletionProtection") == "ACTIVE":
            raise InvalidParameterException(
                "The user pool cannot be deleted because deletion protection is activated. "
                "Deletion protection must be inactivated first."
            )
        original(self, user_pool_id)
