"""A role's permissions can be asked for without a call, and the answer is what a call would meet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import Aws, Deploy

TABLE = "arn:aws:dynamodb:eu-north-1:123456789012:table/Orders"
CODE = "def handler(event, context): return {}"


def simulated(aws: Aws, role: str, actions: list[str], *resources: str) -> dict[tuple[str, str], dict[str, Any]]:
    pages = (
        aws.client("iam")
        .get_paginator("simulate_principal_policy")
        .paginate(
            PolicySourceArn=f"arn:aws:iam::123456789012:role/{role}", ActionNames=actions, ResourceArns=list(resources)
        )
    )
    results = [result for page in pages for result in page["EvaluationResults"]]
    return {(result["EvalActionName"], result["EvalResourceName"]): result for result in results}


def test_what_is_allowed_denied_and_never_mentioned(aws: Aws, deploy: Deploy) -> None:
    statements = [
        {"Effect": "Allow", "Action": ["dynamodb:GetItem", "dynamodb:PutItem"], "Resource": TABLE},
        {"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*"},
    ]
    role = deploy(CODE, statements=statements).role_name
    found = simulated(aws, role, ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"], TABLE, f"{TABLE}2")
    assert {key: result["EvalDecision"] for key, result in found.items()} == {
        ("dynamodb:GetItem", TABLE): "allowed",
        ("dynamodb:PutItem", TABLE): "explicitDeny",
        ("dynamodb:Query", TABLE): "implicitDeny",
        ("dynamodb:GetItem", f"{TABLE}2"): "implicitDeny",
        ("dynamodb:PutItem", f"{TABLE}2"): "explicitDeny",
        ("dynamodb:Query", f"{TABLE}2"): "implicitDeny",
    }


def test_a_boundary_takes_away_and_is_named(aws: Aws, deploy: Deploy) -> None:
    role = deploy(CODE, statements=[{"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}]).role_name
    iam = aws.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    boundary = iam.create_policy(PolicyName=f"{role}-boundary", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
    (result,) = simulated(aws, role, ["dynamodb:GetItem"], TABLE).values()
    assert result["EvalDecision"] == "implicitDeny"
    assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_no_role_is_no_answer(aws: Aws) -> None:
    with pytest.raises(ClientError, match="NoSuchEntity"):
        simulated(aws, "nobody", ["dynamodb:GetItem"], TABLE)
