"""Policy evaluation, case by case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.local_aws.iam_policy import decide, is_allowed


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(**more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", **more}


@pytest.mark.parametrize(
    ("statement", "action", "resource", "expected"),
    [
        (allow(), "dynamodb:GetItem", "arn:x", "allow"),
        (allow(), "dynamodb:PutItem", "arn:x", "implicit"),
        (allow(Action="DynamoDB:get*"), "dynamodb:GetItem", "arn:x", "allow"),
        (allow(Action=["s3:*", "dynamodb:?etItem"]), "dynamodb:GetItem", "arn:x", "allow"),
        (allow(Resource="arn:table/A"), "dynamodb:GetItem", "arn:table/AB", "implicit"),
        (allow(Resource="arn:table/A*"), "dynamodb:GetItem", "arn:table/AB/index/I", "allow"),
        (allow(Resource="arn:table/[A]"), "dynamodb:GetItem", "arn:table/A", "implicit"),
        ({"Effect": "Allow", "NotAction": "dynamodb:Scan", "Resource": "*"}, "dynamodb:GetItem", "r", "allow"),
        ({"Effect": "Allow", "NotAction": "dynamodb:Scan", "Resource": "*"}, "dynamodb:Scan", "r", "implicit"),
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:a"}, "dynamodb:Scan", "arn:a", "implicit"),
        (allow(Effect="Deny"), "dynamodb:GetItem", "arn:x", "deny"),
    ],
)
def test_actions_and_resources(statement: dict[str, Any], action: str, resource: str, expected: str) -> None:
    assert decide([policy(statement)], action, resource, {}) == expected


CONTEXT = {"dynamodb:leadingkeys": ["u#1", "u#2"], "aws:securetransport": ["false"], "n": ["5"], "ip": ["10.0.0.9"]}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"n": "5"}}, True),
        ({"StringEquals": {"N": ["4", "5"]}}, True),
        ({"StringEquals": {"n": "6"}}, False),
        ({"StringEquals": {"absent": "6"}}, False),
        ({"StringEqualsIfExists": {"absent": "6"}}, True),
        ({"StringNotEquals": {"n": "6"}}, True),
        ({"StringNotEquals": {"n": "5"}}, False),
        ({"StringNotEquals": {"absent": "5"}}, True),
        ({"ForAllValues:StringLike": {"dynamodb:LeadingKeys": "u#*"}}, True),
        ({"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "u#1"}}, False),
        ({"ForAllValues:StringEquals": {"absent": "u#1"}}, True),
        ({"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": "u#1"}}, True),
        ({"ForAnyValue:StringEquals": {"absent": "u#1"}}, False),
        ({"Bool": {"aws:SecureTransport": False}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"Null": {"absent": "true"}}, True),
        ({"Null": {"n": "true"}}, False),
        ({"NumericLessThan": {"n": "6"}}, True),
        ({"NumericGreaterThanEquals": {"n": "6"}}, False),
        ({"IpAddress": {"ip": "10.0.0.0/24"}}, True),
        ({"NotIpAddress": {"ip": "10.0.0.0/24"}}, False),
        ({"StringEquals": {"n": "5"}, "Null": {"n": "true"}}, False),
    ],
)
def test_conditions(condition: dict[str, Any], holds: bool) -> None:
    assert decide([policy(allow(Condition=condition))], "dynamodb:GetItem", "r", CONTEXT) == (
        "allow" if holds else "implicit"
    )
    denied = policy(allow(), allow(Effect="Deny", Condition=condition))
    assert decide([denied], "dynamodb:GetItem", "r", CONTEXT) == ("deny" if holds else "allow")


def test_an_unknown_condition_never_lets_anything_through() -> None:
    unknown = {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}
    assert decide([policy(allow(Condition=unknown))], "dynamodb:GetItem", "r", {}) == "implicit"
    denied = policy(allow(), allow(Effect="Deny", Condition=unknown))
    assert decide([denied], "dynamodb:GetItem", "r", {}) == "deny"


def test_a_boundary_only_takes_away() -> None:
    everything, reads = policy(allow(Action="*")), policy(allow())
    assert is_allowed([everything], reads, "dynamodb:GetItem", "r", {}) == "allow"
    assert is_allowed([everything], reads, "dynamodb:PutItem", "r", {}) == "implicit"
    assert is_allowed([reads], everything, "dynamodb:PutItem", "r", {}) == "implicit"
