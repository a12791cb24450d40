"""SimulatePrincipalPolicy, which moto lacks: what a role may do, decided as its functions' calls are.

Of roles only: no other principal is checked here. Conditions see the context entries of the call, and nothing else.
"""

from __future__ import annotations

import functools
from typing import Any

from scripts.local_aws.iam_policy import decide, is_allowed
from scripts.local_aws.roles import role_policies

_DECISIONS = {"allow": "allowed", "deny": "explicitDeny", "implicit": "implicitDeny"}


@functools.cache
def install() -> None:
    """Patches moto."""
    from moto.core.responses import ActionResult
    from moto.iam.responses import IamResponse

    def simulate_principal_policy(self: Any) -> Any:
        arn = self._get_param("PolicySourceArn")
        self.backend.get_role(arn.rsplit("/", 1)[-1])  # its NoSuchEntity
        documents, boundary = role_policies(arn, self.partition)
        context = {
            entry["ContextKeyName"].lower(): entry["ContextKeyValues"]
            for entry in self._get_param("ContextEntries", [])
        }
        results = []
        for action in self._get_param("ActionNames", []):
            for resource in self._get_param("ResourceArns", []) or ["*"]:
                decision = is_allowed(documents, boundary, action, resource, context)
                result: dict[str, Any] = {
                    "EvalActionName": action,
                    "EvalResourceName": resource,
                    "EvalDecision": _DECISIONS[decision],
                    "MatchedStatements": [],
                    "MissingContextValues": [],
                }
                if boundary is not None:
                    within = decide([boundary], action, resource, context) == "allow"
                    result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within}
                results.append(result)
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    IamResponse.simulate_principal_policy = simulate_principal_policy
