"""What the caller of the doctor may not look at: collected, and told once, with the policy that is lacking."""

import json
import re
import shlex
from collections.abc import Collection
from typing import NamedTuple

from botocore.exceptions import ClientError

from scripts.diagnosis import fixes
from scripts.diagnosis.findings import Finding, finding
from scripts.environments import Environment

_CODES = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation", "403", "Forbidden")
_SAID = re.compile(r"is not authorized to perform: (?P<action>[\w-]+:\w+)(?: on resource: (?P<resource>\S+))?")
# Where the service says only that it refuses. S3's actions are not called as its operations are.
_SERVICES = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListBuckets": "s3:ListAllMyBuckets",
    "FilterLogEvents": "logs:FilterLogEvents",
    "DescribeAlarms": "cloudwatch:DescribeAlarms",
    "GetMetricData": "cloudwatch:GetMetricData",
    "ListTagsForResource": "cloudwatch:ListTagsForResource",
    "GetInsightRuleReport": "cloudwatch:GetInsightRuleReport",
    "GetTopicAttributes": "sns:GetTopicAttributes",
    "ListSubscriptionsByTopic": "sns:ListSubscriptionsByTopic",
    "GetApi": "apigateway:GET",
    "GetRoutes": "apigateway:GET",
    "SimulatePrincipalPolicy": "iam:SimulatePrincipalPolicy",
}


class Refusal(NamedTuple):
    action: str
    resource: str


def of(error: ClientError) -> Refusal | None:
    """The permission that a call lacked; None for an error of another kind."""
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    if code not in _CODES:
        return None
    said = _SAID.search(message)
    if said:
        return Refusal(said["action"], (said["resource"] or "*").rstrip(".,"))
    return Refusal(_SERVICES.get(error.operation_name, error.operation_name), "*")


def told(environment: Environment, caller_arn: str, refused: Collection[Refusal]) -> list[Finding]:
    """One finding for all of them; none without any."""
    if not refused:
        return []
    actions = sorted({refusal.action for refusal in refused})
    resources = sorted({refusal.resource for refusal in refused})
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": ["*"] if "*" in resources else resources}],
        }
    )
    kind, name = _principal(caller_arn)
    if kind == "permission-set":
        command = "iam create-policy --policy-name agent-state-doctor"
        where = "; attach the policy to the permission set of your sign-in"
    else:
        command = f"iam put-{kind}-policy --{kind}-name {name} --policy-name agent-state-doctor"
        where = ""
    fix = fixes.aws(environment, f"{command} --policy-document {shlex.quote(document)}")
    return [
        finding(
            "operator-not-authorised",
            name,
            f"{caller_arn} may not {', '.join(actions)}",
            f"your own role or user lacks it; an administrator can grant it{where}. All of it only reads",
            fix,
        )
    ]


def _principal(arn: str) -> tuple[str, str]:
    resource = arn.split(":", 5)[-1].split("/")
    if resource[0] == "assumed-role":
        return ("permission-set" if resource[1].startswith("AWSReservedSSO_") else "role"), resource[1]
    return "user", resource[-1]
