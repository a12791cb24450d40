"""Puts a caller's tenant and scopes into access tokens, when the stack's user pool is about to make one.

The tenant is the user's attribute `custom:tenantId`, which nobody can change; the scopes are those of the groups that
the user is in. A scope of the API that was asked for without its group is taken out.
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

TENANT_ATTRIBUTE = "custom:tenantId"


class TokenClaims:
    """`TENANT_CLAIM`: what the tenant is called in tokens. `GROUPS` are the API's, with blanks between; a scope is
    `<RESOURCE_SERVER>/<group>`."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._tenant_claim = environment["TENANT_CLAIM"]
        self._prefix = environment["RESOURCE_SERVER"] + "/"
        self._groups = frozenset(environment["GROUPS"].split())

    def __call__(self, event: dict[str, Any], _context: Any) -> dict[str, Any]:
        """The event of Cognito's trigger, version 2, with its response. An error leaves the caller without a token."""
        request = event["request"]
        tenant = (request.get("userAttributes") or {}).get(TENANT_ATTRIBUTE)
        groups = (request.get("groupConfiguration") or {}).get("groupsToOverride") or []
        granted = [self._prefix + group for group in groups if group in self._groups]
        asked_for = request.get("scopes") or []
        changes: dict[str, Any] = {
            "scopesToAdd": granted,
            "scopesToSuppress": [
                scope for scope in asked_for if scope.startswith(self._prefix) and scope not in granted
            ],
        }
        if tenant:
            changes["claimsToAddOrOverride"] = {self._tenant_claim: tenant}
        else:
            # whatever else the pool might put there
            changes["claimsToSuppress"] = [self._tenant_claim]
        event["response"] = {"claimsAndScopeOverrideDetails": {"accessTokenGeneration": changes}}
        return event


handler = TokenClaims(os.environ)
