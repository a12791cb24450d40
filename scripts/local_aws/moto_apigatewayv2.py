"""HTTP APIs as AWS has them, where moto is laxer or forgets."""

from __future__ import annotations

import functools
from typing import Any

from scripts.local_aws.moto_patch import replace
from scripts.local_aws.token_issuers import IssuerError, Issuers


@functools.cache
def install(issuers: Issuers) -> None:
    """Patches moto."""
    from moto.apigatewayv2.exceptions import BadRequestException
    from moto.apigatewayv2.models import ApiGatewayV2Backend, Route

    def check(arguments: dict[str, Any]) -> None:
        """AWS asks the issuer when an authorizer is made, and makes none for one that does not answer."""
        stated = arguments.get("jwt_config") if arguments.get("authorizer_type") == "JWT" else None
        issuer = (stated or {}).get("issuer")
        if issuer is None:
            return
        try:
            issuers.key_set_url(issuer)
        except IssuerError as error:
            raise BadRequestException(
                f"Caught exception when connecting to {issuer}/.well-known/openid-configuration for issuer {issuer}. "
                "Please try again later. Error: Invalid issuer: "
                f"{issuer}. Issuer must have a valid discovery endpoint ended with '/.well-known/openid-configuration'"
            ) from error

    @replace(ApiGatewayV2Backend, "create_authorizer")
    def create_authorizer(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        check(kwargs)
        return original(self, *args, **kwargs)

    @replace(ApiGatewayV2Backend, "update_authorizer")
    def update_authorizer(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        check(kwargs)
        return original(self, *args, **kwargs)

    @replace(Route, "update")
    def update(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        """moto keeps a route's scopes when it is to have none, and its authorizer when it needs none."""
        original(self, *args, **kwargs)
        if kwargs.get("authorization_scopes") is not None:
            self.authorization_scopes = kwargs["authorization_scopes"]
        if self.authorization_type != "JWT":
            self.authorizer_id, self.authorization_scopes = None, []
