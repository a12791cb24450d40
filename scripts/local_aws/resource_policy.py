"""Whether a function's resource policy lets an AWS service call it."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.local_aws.iam_policy import matches
from scripts.local_aws.invocation import Target
from scripts.local_aws.settings import ACCOUNT_ID


def lets_in(target: Target, service: str, source_arn: str) -> bool:
    """By the policy of a function, alias or version; `service` such as `apigateway.amazonaws.com`."""
    for statement in list(target.function.policy.statements):
        principal = statement.get("Principal") or {}
        stated = principal.get("Service") if isinstance(principal, dict) else principal
        if stated not in (service, "*") or statement.get("Effect") != "Allow":
            continue
        if statement.get("Resource") != target.arn or statement.get("Action") not in (
            "lambda:InvokeFunction",
            "lambda:*",
            "*",
        ):
            continue
        if all(_condition_holds(condition, source_arn) for condition in (statement.get("Condition") or {}).items()):
            return True
    return False


def _condition_holds(condition: tuple[str, Mapping[str, str]], source_arn: str) -> bool:
    _, wanted = condition
    known = {"aws:sourcearn": source_arn, "aws:sourceaccount": ACCOUNT_ID}
    return all(key.lower() in known and matches(value, known[key.lower()]) for key, value in wanted.items())
