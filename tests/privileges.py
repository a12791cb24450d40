"""Holds policies of roles against the record of what was decided: nothing too narrow, nothing too wide.

Pure functions. A grant is one action on one resource of a statement. Each has to be used; statements that can't be, on
the embedded AWS, are options whose reasons stand in `UNUSABLE`, and are held against a list instead
(tests/terraform/test_plan.py). Each wildcard has its reason in `WILDCARDS`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from scripts.local_aws import iam_policy

Statement = Mapping[str, Any]
Policies = Mapping[str, Sequence[Statement]]  # by the role's ARN


class Decision(NamedTuple):
    role: str
    action: str
    resource: str
    allowed: bool


class Grant(NamedTuple):
    role: str
    sid: str
    action: str
    resource: str


class Wildcard(NamedTuple):
    """Where a resource may hold a wildcard: `resource` as a regular expression in which {name} is the role's name."""

    actions: frozenset[str]
    resource: str
    reason: str
    condition: str | None = None  # the key that the statement must have a condition on


SCAN = "dynamodb:Scan"
SCANNING_ROLE, SCANNED_TABLE = "agent-profiles", "agent-profiles"  # ends of their ARNs

WILDCARDS = (
    Wildcard(
        frozenset({"logs:CreateLogStream", "logs:PutLogEvents"}),
        r"arn:[\w-]+:logs:[\w-]+:\d{12}:log-group:/aws/lambda/{name}:\*",
        "Lambda makes up the names of the streams in a function's own log group.",
    ),
    Wildcard(
        frozenset({"xray:PutTelemetryRecords", "xray:PutTraceSegments"}),
        r"\*",
        "X-Ray has no resource to name for these two: AWS authorises them on everything or on nothing.",
        "aws:RequestedRegion",
    ),
    Wildcard(
        frozenset({"ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets"}),
        r"\*",
        "EC2 restricts no Describe call to resources.",
        "aws:RequestedRegion",
    ),
    Wildcard(
        frozenset({"ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:UnassignPrivateIpAddresses"}),
        r"arn:[\w-]+:ec2:[\w-]+:\d{12}:network-interface/\*",
        "EC2 makes up the ids of network interfaces.",
    ),
    Wildcard(
        frozenset({"ec2:DeleteNetworkInterface"}),
        r"arn:[\w-]+:ec2:[\w-]+:\d{12}:\*/\*",
        "Lambda tries this permission before there is any interface, against no resource of a kind.",
    ),
    Wildcard(
        frozenset({"dynamodb:DeleteBackup", "dynamodb:DescribeBackup"}),
        r"arn:[\w-]+:dynamodb:[\w-]+:\d{12}:table/[\w.-]+/backup/\*",
        "DynamoDB makes up the names of a table's backups.",
    ),
    Wildcard(
        frozenset({"backup:TagResource"}),
        r"arn:[\w-]+:backup:[\w-]+:\d{12}:recovery-point:\*",
        "AWS Backup makes up the ids of recovery points.",
    ),
    Wildcard(
        frozenset({"backup:CopyFromBackupVault"}),
        r"\*",
        "AWS Backup has no resource to name for this: it is authorised on everything or on nothing.",
        "backup:CopyTargets",
    ),
)

_LAMBDA_ITSELF = "Lambda itself makes a function's network interfaces, as its role; the embedded AWS has no network."
_DYNAMODB_ITSELF = "DynamoDB itself uses a customer's key, in the caller's name; the embedded AWS's uses none."
_AWS_BACKUP_ITSELF = "AWS Backup itself reads the tables, as this role; the embedded AWS copies them as nobody."

# Statements that no call on the embedded AWS can use, by the end of their Sid, and why.
UNUSABLE = {
    "WriteTraces": "Lambda itself sends the traces, as the function's role; the embedded AWS has no X-Ray.",
    "SendDeadLetters": "Lambda itself sends them, as the function's role; the embedded AWS sends them as nobody.",
    "DescribeNetwork": _LAMBDA_ITSELF,
    "CreateNetworkInterface": _LAMBDA_ITSELF,
    "DeleteNetworkInterface": _LAMBDA_ITSELF,
    "AssignAddresses": _LAMBDA_ITSELF,
    "Key": _DYNAMODB_ITSELF,
    "Tables": _AWS_BACKUP_ITSELF,
    "Backups": _AWS_BACKUP_ITSELF,
    "Vaults": _AWS_BACKUP_ITSELF,
    "RecoveryPoints": _AWS_BACKUP_ITSELF,
    "Copies": _AWS_BACKUP_ITSELF,
    "Keys": _AWS_BACKUP_ITSELF,
    "DescribeKeys": _AWS_BACKUP_ITSELF,
    "GrantKeys": _AWS_BACKUP_ITSELF,
}


def findings(policies: Policies, record: Sequence[Decision]) -> list[str]:
    """All that is wrong with these policies, after what they were used for."""
    return [
        finding
        for role, statements in policies.items()
        for finding in (
            *wrong_in_itself(role, statements),
            *_too_narrow(role, statements, record),
            *_too_wide(role, statements, record),
        )
    ]


def wrong_in_itself(role: str, statements: Sequence[Statement]) -> Iterator[str]:
    """What no record can excuse: wildcards, everything but something, a Scan, a key that serves more than DynamoDB."""
    name = role.rsplit("/", 1)[-1]
    for statement in statements:
        if turned := {"NotAction", "NotResource"} & statement.keys():
            yield f"{name}: {_sid(statement)} grants all that it does not name ({', '.join(sorted(turned))})"
    for grant, statement in _grants(role, statements):
        if re.search(r"[*?]", grant.action):
            yield f"{_told(grant)}: a wildcard for actions"
        if re.search(r"[*?]", grant.resource) and not _excused(grant, statement):
            yield f"{_told(grant)}: a wildcard that has no reason"
        scans = role.endswith(f"-{SCANNING_ROLE}") and grant.resource.endswith(f":table/{SCANNED_TABLE}")
        if grant.action.lower() == SCAN.lower() and not scans:
            yield f"{_told(grant)}: nothing scans but the list of profiles"
        if grant.action.startswith("kms:") and grant.action != "kms:DescribeKey" and not condition_keys(statement):
            yield f"{_told(grant)}: a key serves through one service only, which a condition has to say"


def unused(policies: Policies, record: Sequence[Decision]) -> list[Grant]:
    """What is granted, and was never used."""
    used: dict[str, set[tuple[str, str]]] = {}
    for decision in record:
        if decision.allowed:
            used.setdefault(decision.role, set()).add((decision.action.lower(), decision.resource))
    return [
        grant
        for role, statements in policies.items()
        for grant, _ in _grants(role, statements)
        if not any(
            iam_policy.matches(grant.action.lower(), action) and iam_policy.matches(grant.resource, resource)
            for action, resource in used.get(role, ())
        )
    ]


def count_grants(policies: Policies) -> int:
    return sum(1 for role, statements in policies.items() for _ in _grants(role, statements))


def _too_narrow(role: str, statements: Sequence[Statement], record: Sequence[Decision]) -> Iterator[str]:
    """What was denied, and what was used and these policies do not allow. A condition is met by no call on record."""
    documents = [json.dumps({"Statement": list(statements)})]
    for _, action, resource, allowed in (decision for decision in record if decision.role == role):
        if not allowed:
            yield f"{role.rsplit('/', 1)[-1]}: {action} on {resource} was denied"
        elif iam_policy.decide(documents, action, resource, {}) != "allow":
            yield f"{role.rsplit('/', 1)[-1]}: {action} on {resource} is needed, and not granted"


def _too_wide(role: str, statements: Sequence[Statement], record: Sequence[Decision]) -> Iterator[str]:
    for grant in unused({role: statements}, record):
        yield f"{_told(grant)}: granted, and never used"


def _grants(role: str, statements: Sequence[Statement]) -> Iterator[tuple[Grant, Statement]]:
    for statement in statements:
        if statement["Effect"] != "Allow":
            continue
        for action in _list(statement.get("Action", [])):
            for resource in _list(statement.get("Resource", [])):
                yield Grant(role, _sid(statement), action, resource), statement


def _excused(grant: Grant, statement: Statement) -> bool:
    name = re.escape(grant.role.rsplit("/", 1)[-1])
    return any(
        grant.action in one.actions
        and re.fullmatch(one.resource.replace("{name}", name), grant.resource)
        and (one.condition is None or one.condition in condition_keys(statement))
        for one in WILDCARDS
    )


def condition_keys(statement: Statement) -> list[str]:
    return sorted({key for keys in statement.get("Condition", {}).values() for key in keys})


def _sid(statement: Statement) -> str:
    return str(statement.get("Sid", "a statement without a Sid"))


def _told(grant: Grant) -> str:
    return f"{grant.role.rsplit('/', 1)[-1]}: {grant.sid}: {grant.action} on {grant.resource}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
