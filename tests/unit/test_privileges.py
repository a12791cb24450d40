"""The check of policies against a record finds each thing that can be wrong with one."""

import re
from typing import Any

import pytest

from tests import privileges
from tests.privileges import Decision

ROLE = "arn:aws:iam::123456789012:role/agent-state-dev-pet-store"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/PetStore"
INDEX = f"{TABLE}/index/by-type"
LOGS = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/agent-state-dev-pet-store"
KEY = "arn:aws:kms:us-east-1:123456789012:key/k"
USED = [
    Decision(ROLE, "dynamodb:GetItem", TABLE, allowed=True),
    Decision(ROLE, "dynamodb:Query", INDEX, allowed=True),
    Decision(ROLE, "logs:PutLogEvents", f"{LOGS}:log-stream:*", allowed=True),
]


def allow(actions: list[str], resources: list[str], **more: Any) -> dict[str, Any]:
    return {"Sid": "One", "Effect": "Allow", "Action": actions, "Resource": resources, **more}


RIGHT = [
    allow(["dynamodb:GetItem"], [TABLE]),
    allow(["dynamodb:Query"], [INDEX]),
    allow(["logs:PutLogEvents"], [f"{LOGS}:*"]),
]


def found(statements: list[dict[str, Any]], record: list[Decision] = USED) -> list[str]:
    return privileges.findings({ROLE: statements}, record)


def test_what_is_used_and_nothing_else_is_right() -> None:
    assert found(RIGHT) == []


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (allow(["dynamodb:PutItem"], [TABLE]), "dynamodb:PutItem on .*PetStore: granted, and never used"),
        (allow(["dynamodb:Query"], [TABLE]), "dynamodb:Query on .*PetStore: granted, and never used"),
        (allow(["dynamodb:GetItem"], ["*"]), "a wildcard that has no reason"),
        (allow(["dynamodb:*"], [TABLE]), "a wildcard for actions"),
        (allow(["dynamodb:GetItem"], [f"{TABLE}*"]), "a wildcard that has no reason"),
        (allow(["dynamodb:GetItem"], [f"{TABLE[:-1]}?"]), "a wildcard that has no reason"),
        (allow(["logs:PutLogEvents"], [f"{LOGS}-of-another:*"]), "a wildcard that has no reason"),
        (allow(["logs:GetLogEvents"], [f"{LOGS}:*"]), "a wildcard that has no reason"),
        (allow(["dynamodb:Scan"], [TABLE]), "nothing scans but the list of profiles"),
        (allow(["xray:PutTraceSegments"], ["*"]), "a wildcard that has no reason"),
        (allow(["kms:Decrypt"], [KEY]), "a key serves through one service only"),
        ({"Sid": "S", "Effect": "Allow", "NotAction": ["iam:*"], "Resource": [TABLE]}, r"does not name \(NotAction\)"),
        ({"Sid": "S", "Effect": "Allow", "Action": ["dynamodb:GetItem"], "NotResource": [KEY]}, "NotResource"),
        ({"Sid": "S", "Effect": "Deny", "Action": ["dynamodb:GetItem"], "Resource": [TABLE]}, "needed, and not"),
    ],
)
def test_one_statement_more_is_told_for_what_it_is(more: dict[str, Any], wrong: str) -> None:
    (told,) = [one for one in found([*RIGHT, more]) if re.search(wrong, one)]
    assert told.startswith("agent-state-dev-pet-store: ")


@pytest.mark.parametrize("place", range(3))
def test_one_statement_less_is_told_by_what_is_needed(place: int) -> None:
    (told,) = found([one for n, one in enumerate(RIGHT) if n != place])
    assert f"{USED[place].action} on {USED[place].resource} is needed, and not granted" in told


def test_an_index_is_a_resource_of_its_own() -> None:
    without = [RIGHT[0], allow(["dynamodb:Query"], [TABLE]), RIGHT[2]]
    assert len(found(without)) == 2, "the table's is never used, and the index's is missing"


def test_traces_everywhere_need_their_region_and_are_still_to_be_used() -> None:
    region = {"StringEquals": {"aws:RequestedRegion": ["us-east-1"]}}
    (told,) = found([*RIGHT, allow(["xray:PutTraceSegments"], ["*"], Condition=region)])
    assert "granted, and never used" in told


def test_what_was_denied_is_told_also_where_it_is_granted_now() -> None:
    (told,) = found(RIGHT, [*USED, Decision(ROLE, "dynamodb:GetItem", TABLE, allowed=False)])
    assert told.endswith("was denied")
