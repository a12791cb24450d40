"""What each function's role may do, held against the policy that was applied.

By IAM's own simulation, which knows boundaries and the organisation's policies, too. Where that is not to be had, by a
dry call: the function itself is asked for what is not there, which reads its tables and changes nothing.
"""

import base64
import json
import shlex
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from scripts import aws, execution_logs
from scripts.diagnosis import fixes, refusals, symptoms
from scripts.diagnosis.examined import Examined
from scripts.diagnosis.findings import Finding, finding

_LAMBDA = "lambda.amazonaws.com"


def look(examined: Examined, system: str) -> Iterator[Finding]:
    """Of the role of one system's function."""
    made, environment = examined.state.systems[system], examined.environment
    role = made.get("role_name") or examined.function(system).get("role", "").rsplit("/", 1)[-1]
    iam = aws.client("iam")
    try:
        found = iam.get_role(RoleName=role)["Role"]
    except iam.exceptions.NoSuchEntityException:
        yield finding(
            "role-missing",
            role,
            f"there is no role {role}",
            "somebody deleted it outside Terraform: Lambda can't start the function",
            fixes.apply(environment),
            system=system,
        )
        return
    if not _assumable(found["AssumeRolePolicyDocument"]):
        yield finding(
            "role-not-assumable",
            role,
            f"role {role} does not trust Lambda",
            "somebody changed its trust policy outside Terraform",
            fixes.apply(environment),
            system=system,
        )
    applied = _applied(examined, role)
    try:
        lacking = list(_lacking(found["Arn"], applied))
    except (ClientError, ResponseParserError) as error:  # not allowed, or an AWS that does not know it
        yield from _dry_call(examined, system)
        yield from _compared(examined, system, role, applied)
        if isinstance(error, ClientError) and refusals.of(error):
            raise  # told, too: a dry call sees less
        return
    yield from _told(examined, system, role, lacking)
    if not lacking:
        yield from _compared(examined, system, role, applied)


def _assumable(trust: Mapping[str, Any]) -> bool:
    statements = trust.get("Statement", [])
    return any(
        statement["Effect"] == "Allow" and _LAMBDA in _as_list(statement.get("Principal", {}).get("Service", []))
        for statement in _as_list(statements)
    )


def _applied(examined: Examined, role: str) -> list[dict[str, Any]]:
    """The statements of the role's policies in the state."""
    documents = [policy["policy"] for policy in examined.state.of("aws_iam_role_policy") if policy["role"] == role]
    return [statement for document in documents for statement in _as_list(json.loads(document)["Statement"])]


def _lacking(role_arn: str, statements: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """What should be allowed and is not: action, resource, and why in IAM's simulation."""
    pages = aws.client("iam").get_paginator("simulate_principal_policy")
    for statement in statements:
        if statement["Effect"] != "Allow" or statement.get("Condition"):
            continue  # what a condition looks at is known in a call only
        resources = _as_list(statement["Resource"])
        named = {} if resources == ["*"] else {"ResourceArns": resources}
        for page in pages.paginate(PolicySourceArn=role_arn, ActionNames=_as_list(statement["Action"]), **named):
            for result in page["EvaluationResults"]:
                yield from _refused(result)


def _refused(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for one in result.get("ResourceSpecificResults") or [result]:
        decision = one.get("EvalResourceDecision") or one["EvalDecision"]
        if decision != "allowed":
            boundary = one.get("PermissionsBoundaryDecisionDetail") or result.get("PermissionsBoundaryDecisionDetail")
            if boundary and not boundary["AllowedByPermissionsBoundary"]:
                why = "boundary"
            elif not result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations", True):
                why = "organisation"
            else:
                why = decision
            yield result["EvalActionName"], one["EvalResourceName"], why


_WHY = {
    "boundary": "its permissions boundary does not allow it (permissions_boundary_arn)",
    "organisation": "a policy of the organisation (SCP) forbids it; its administrators can change that",
    "explicitDeny": "a policy of the role denies it outright; somebody added or changed one outside Terraform",
    "implicitDeny": "the policy that Terraform gave it was changed or removed outside Terraform",
}


def _told(examined: Examined, system: str, role: str, lacking: list[tuple[str, str, str]]) -> Iterator[Finding]:
    for why, cause in _WHY.items():
        resources: dict[str, list[str]] = {}
        for action, resource, reason in lacking:
            if reason == why:
                resources.setdefault(resource, []).append(action)
        if not resources:
            continue
        what = "; ".join(f"{', '.join(sorted(actions))} on {resource}" for resource, actions in resources.items())
        fix = {"explicitDeny": _without_denials, "boundary": _by_configuration}.get(why, _by_an_apply)
        yield finding(
            "not-authorised",
            role,
            f"role {role} may not {what}",
            cause,
            fix(examined, role),
            system=system,
        )


def _by_an_apply(examined: Examined, _role: str) -> str:
    return fixes.apply(examined.environment)


def _by_configuration(examined: Examined, _role: str) -> str:
    return fixes.edit_and_apply(examined.environment)


def _without_denials(examined: Examined, role: str) -> str:
    """Takes away the policies that deny and that Terraform does not know; its own are mended by an apply."""
    try:
        commands = list(_denials(examined, role))
    except ClientError:  # whoever looks may not read them: then a person must, who may
        commands = [f"iam list-{kind}-policies --role-name {role}" for kind in ("role", "attached-role")]
    environment = examined.environment
    return " && ".join(fixes.aws(environment, command) for command in commands) or fixes.apply(environment)


def _denials(examined: Examined, role: str) -> Iterator[str]:
    iam = aws.client("iam")
    own = {policy["name"] for policy in examined.state.of("aws_iam_role_policy") if policy["role"] == role}
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in sorted(set(page["PolicyNames"]) - own):
            if _denies(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]):
                yield f"iam delete-role-policy --role-name {role} --policy-name {shlex.quote(name)}"
    for page in iam.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for arn in [policy["PolicyArn"] for policy in page["AttachedPolicies"]]:
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            if _denies(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]):
                yield f"iam detach-role-policy --role-name {role} --policy-arn {arn}"


def _denies(document: Mapping[str, Any]) -> bool:
    return any(statement["Effect"] == "Deny" for statement in _as_list(document["Statement"]))


def _compared(examined: Examined, system: str, role: str, applied: list[dict[str, Any]]) -> Iterator[Finding]:
    iam = aws.client("iam")
    actual: list[dict[str, Any]] = []
    for policy in [policy for policy in examined.state.of("aws_iam_role_policy") if policy["role"] == role]:
        try:
            document = iam.get_role_policy(RoleName=role, PolicyName=policy["name"])["PolicyDocument"]
        except iam.exceptions.NoSuchEntityException:
            continue
        actual += _as_list(document["Statement"])
    if _canonical(actual) != _canonical(applied):
        more = [statement.get("Sid", "?") for statement in actual if _canonical([statement]) - _canonical(applied)]
        less = [statement.get("Sid", "?") for statement in applied if _canonical([statement]) - _canonical(actual)]
        parts = [f"{what} {', '.join(names)}" for what, names in (("has", more), ("lacks", less)) if names]
        yield finding(
            "policy-differs",
            role,
            f"the policy of role {role} is not as applied: {'; '.join(parts)}",
            "somebody changed it outside Terraform; what it lacks is refused, what it has beyond is a door",
            fixes.apply(examined.environment),
            system=system,
        )


def _canonical(statements: list[dict[str, Any]]) -> set[str]:
    return {
        json.dumps(
            {key: sorted(value) if isinstance(value, list) else value for key, value in _listed(statement).items()},
            sort_keys=True,
        )
        for statement in statements
    }


def _listed(statement: dict[str, Any]) -> dict[str, Any]:
    """Each of these may stand alone or in a list."""
    return statement | {key: _as_list(statement[key]) for key in ("Action", "Resource") if key in statement}


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _dry_call(examined: Examined, system: str) -> Iterator[Finding]:
    """Asks the function itself for what is not there: what its log says of it is a symptom as any other."""
    made = examined.state.systems[system]
    probe = import_module(f"scripts.probes.{system}")
    for path, headers in probe.READS:
        answer = aws.client("lambda").invoke(
            FunctionName=made["function_name"],
            Qualifier=made["alias_name"],
            LogType="Tail",
            Payload=json.dumps(_event(path, headers)).encode(),
        )
        body = json.loads(answer["Payload"].read() or b"{}")
        status = body.get("statusCode", 500) if isinstance(body, dict) else 500
        if "FunctionError" not in answer and status < 500:
            continue
        tail = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").splitlines()
        errors = [error for line in tail if (error := execution_logs.error_message(line, longest=2000))]
        text = "\n".join(errors) or json.dumps(body)
        yield symptoms.recognise(text, examined.environment, system=system, subject=made["function_name"]) or (
            symptoms.unknown(
                text,
                examined.environment,
                system=system,
                subject=made["function_name"],
                log_group=made["log_group_name"],
            )
        )


def _event(path: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """As an HTTP API sends it (payload format 2.0)."""
    parts = urlsplit(path)
    http = {"method": "GET", "path": parts.path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "doctor"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.path,
        "rawQueryString": parts.query,
        "headers": dict(headers),
        "queryStringParameters": dict(pair.split("=", 1) for pair in parts.query.split("&") if pair),
        "requestContext": {"http": http, "stage": "$default", "requestId": "doctor"},
        "isBase64Encoded": False,
    }
