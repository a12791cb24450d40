"""What counts as a wildcard, what counts as growth, and what lets a finding through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import plan_guard
from scripts.console import EXIT_FAILED, EXIT_USAGE, CommandError
from scripts.plan_guard import Finding
from scripts.policy_growth import grown

ACCOUNT = "arn:aws:dynamodb:us-east-1:123456789012"
LOGS = "arn:aws:logs:us-east-1:123456789012"
EC2 = "arn:aws:ec2:us-east-1:123456789012"
TABLE = f"{ACCOUNT}:table/Agents"
ANYBODY = {"Principal": "*", "Action": "sns:Publish", "Resource": "arn:aws:sns:us-east-1:123456789012:alarms"}
GITHUB = {
    "Action": "sts:AssumeRoleWithWebIdentity",
    "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"},
}
SUBJECT = "token.actions.githubusercontent.com:sub"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **each} for each in statements]})


# --- what is a wildcard --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": "dynamodb:*", "Resource": TABLE},
        {"Action": "dynamodb:Put*", "Resource": TABLE},
        {"Action": "dynamodb:GetIte?", "Resource": TABLE},
        {"Action": "xray:*", "Resource": "*"},
        {"NotAction": "iam:*", "Resource": TABLE},
        {"Action": "dynamodb:GetItem", "NotResource": TABLE},
        {"Action": "dynamodb:GetItem", "Resource": "*"},
        {"Action": "dynamodb:GetItem", "Resource": f"{ACCOUNT}:table/*"},
        {"Action": "dynamodb:GetItem", "Resource": f"{ACCOUNT}:table/A*"},
        {"Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:*:123456789012:table/Agents"},
        {"Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:us-east-1:*:table/Agents"},
        {"Action": "dynamodb:Query", "Resource": f"{ACCOUNT}:table/*/index/*"},
        {"Action": "logs:PutLogEvents", "Resource": f"{LOGS}:log-group:*"},
        {"Action": "logs:PutLogEvents", "Resource": f"{LOGS}:log-group:/aws/lambda/*"},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*"},
        {"Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:us-east-1:123456789012:*/*/*"},
        {"Action": "ec2:TerminateInstances", "Resource": f"{EC2}:*/*"},
        {"Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-east-1:123456789012:key/*"},
        {"Action": "iam:PassRole", "Resource": "arn:aws:iam::123456789012:role/*"},
        {"Action": ["xray:PutTraceSegments", "dynamodb:GetItem"], "Resource": "*"},
        ANYBODY,
        {**ANYBODY, "Principal": {"AWS": "*"}},
        {**ANYBODY, "Principal": {"AWS": ["arn:aws:iam::123456789012:root", "*"]}},
        {"NotPrincipal": {"AWS": "arn:aws:iam::123456789012:user/ada"}, "Action": "sns:Publish", "Resource": "a"},
        {**ANYBODY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {**ANYBODY, "Condition": {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}},
        {**ANYBODY, "Condition": {"ForAllValues:StringEquals": {"aws:PrincipalAccount": "123456789012"}}},
        {**ANYBODY, "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}},
        {**ANYBODY, "Condition": {"StringLike": {"aws:PrincipalAccount": "*"}}},
        {**ANYBODY, "Condition": {"StringLike": {"aws:PrincipalAccount": ["123456789012", "*"]}}},
        {**ANYBODY, "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/agents"}}},
        {**ANYBODY, "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}},
        GITHUB,
        {**GITHUB, "Condition": {"StringLike": {SUBJECT: "repo:org/*"}}},
        {**GITHUB, "Condition": {"StringLike": {SUBJECT: ["repo:org/one:pull_request", "repo:org/one:*"]}}},
    ],
    ids=json.dumps,
)
def test_a_wildcard_in_a_new_policy_is_found(statement: dict[str, Any]) -> None:
    assert grown([], [document(statement)]) != []
    assert grown([], [document({**statement, "Effect": "Deny"})]) == [], "to deny much harms nobody"


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["dynamodb:GetItem", "dynamodb:Query"], "Resource": [TABLE, f"{TABLE}/index/*"]},
        {"Action": "dynamodb:DescribeStream", "Resource": f"{TABLE}/stream/*"},
        {"Action": "dynamodb:GetItem", "Resource": f"{ACCOUNT}:table/agents-*"},
        {"Action": "logs:PutLogEvents", "Resource": f"{LOGS}:log-group:/aws/lambda/agents:*"},
        {"Action": "logs:DescribeLogGroups", "Resource": f"{LOGS}:log-group:*"},
        {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::states/*"},
        {"Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:us-east-1:123456789012:a1b2c3/*/*"},
        {"Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:agents:*"},
        {"Action": ["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "Resource": "*"},
        {"Action": "xray:Put*", "Resource": "*"},
        {"Action": "ec2:Describe*", "Resource": "*"},
        {"Action": "ec2:DeleteNetworkInterface", "Resource": f"{EC2}:*/*"},
        {"Action": "ec2:CreateNetworkInterface", "Resource": f"{EC2}:network-interface/*"},
        {"Action": "backup:TagResource", "Resource": "arn:aws:backup:us-east-1:123456789012:recovery-point:*"},
        {
            "Action": "kms:Decrypt",
            "Resource": "arn:aws:kms:us-east-1:123456789012:key/*",
            "Condition": {"StringLike": {"kms:ViaService": "dynamodb.*"}},
        },
        {**ANYBODY, "Principal": {"Service": "cloudwatch.amazonaws.com"}},
        {**ANYBODY, "Condition": {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}},
        {**ANYBODY, "Condition": {"StringEquals": {"kms:CallerAccount": "1", "kms:ViaService": "dynamodb.a.b"}}},
        {**ANYBODY, "Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/*"}}},
        {**ANYBODY, "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::states"}}},
        {**ANYBODY, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}},
        {**GITHUB, "Condition": {"StringEquals": {SUBJECT: "repo:org/one:environment:prod"}}},
        {"Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}},
    ],
    ids=json.dumps,
)
def test_what_names_enough_is_no_wildcard(statement: dict[str, Any]) -> None:
    assert grown([], [document(statement)]) == []


def test_in_a_keys_policy_everything_is_the_key() -> None:
    root = {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "kms:Decrypt", "Resource": "*"}
    assert grown([], [document(root)], of_itself=True) == []
    assert grown([], [document(root)]) == ['resource "*"']


def test_an_endpoint_names_everybody_and_grants_nothing() -> None:
    assert grown([], [document({**ANYBODY, "Resource": TABLE})], principals=False) == []
    assert grown([], [document({**ANYBODY, "Resource": "*"})], principals=False) == ['resource "*"']


# --- what is growth ------------------------------------------------------------------------------------------------

NAMED = {"Action": "dynamodb:GetItem", "Resource": TABLE}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (NAMED, {**NAMED, "Action": ["dynamodb:*"]}, ['action "dynamodb:*"']),
        (NAMED, {**NAMED, "Resource": f"{TABLE}*"}, [f'resource "{TABLE}*"']),
        ({**NAMED, "Action": "dynamodb:*"}, {**NAMED, "Action": ["dynamodb:Get*"]}, []),
        ({**NAMED, "Action": "dynamodb:*"}, {**NAMED, "Action": "DynamoDB:Get*"}, []),
        ({**NAMED, "Action": "kms:Tag?"}, {**NAMED, "Action": "kms:Tag*"}, ['action "kms:Tag*"']),
        ({**NAMED, "Action": "dynamodb:Get*"}, {**NAMED, "Action": "dynamodb:*"}, ['action "dynamodb:*"']),
        ({**NAMED, "Resource": "*"}, {**NAMED, "Resource": f"{ACCOUNT}:table/*"}, []),
        ({**NAMED, "Resource": f"{ACCOUNT}:table/*"}, {**NAMED, "Resource": "*"}, ['resource "*"']),
        # What was wide already and now holds for another action, too, or without its condition.
        ({**NAMED, "Resource": "*"}, {"Action": "dynamodb:PutItem", "Resource": "*"}, ['resource "*"']),
        (
            {**NAMED, "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "a"}}},
            {**NAMED, "Resource": "*"},
            ['resource "*"'],
        ),
        ({**ANYBODY, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, ANYBODY, ['principal "*"']),
        (
            {"NotAction": ["iam:*", "kms:*"], "Resource": TABLE},
            {"NotAction": "iam:*", "Resource": TABLE},
            ['action "* but iam:*"'],
        ),
    ],
)
def test_only_what_grew_is_found(before: dict[str, Any], after: dict[str, Any], said: list[str]) -> None:
    assert grown([document(before)], [document(after)]) == said


parts = st.sampled_from(["*", "dynamodb:*", "dynamodb:GetItem", "dynamodb:Get*", "kms:Decrypt", "xray:Put*"])
resources = st.sampled_from(["*", TABLE, f"{TABLE}*", f"{TABLE}/index/*", f"{ACCOUNT}:table/*", "arn:aws:s3:::a/*"])
statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Deny"]),
        "Action": parts | st.lists(parts, min_size=1, max_size=3),
        "Resource": resources | st.lists(resources, min_size=1, max_size=3),
    },
    optional={
        "Condition": st.sampled_from([{"StringEquals": {"aws:PrincipalAccount": "1"}}, {"Bool": {"a": "true"}}]),
        "Principal": st.sampled_from(["*", {"AWS": "*"}, {"Service": "lambda.amazonaws.com"}]),
    },
)


@given(st.lists(statements, max_size=4), st.data())
def test_what_stays_or_goes_never_grows(stated: list[dict[str, Any]], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.sampled_from(stated), unique_by=id) if stated else st.just([]))
    assert grown([document(*stated)], [document(*kept)]) == []
    assert grown([document(each) for each in stated], [document(*kept)]) == [], "in however many documents"


@given(st.lists(statements, max_size=3), statements)
def test_everything_for_everybody_is_growth_wherever_it_is_not_there(
    stated: list[dict[str, Any]], added: dict[str, Any]
) -> None:
    everything = {"Principal": "*", "Action": "*", "Resource": "*", "Condition": {"Bool": {"new": "true"}}}
    there = [each for each in stated if each.get("Condition") or each.get("Principal") not in ("*", {"AWS": "*"})]
    assert grown([document(*there)], [document(*there, added, everything)]) != []


@given(st.lists(statements, max_size=4))
def test_without_wildcards_nothing_is_found(stated: list[dict[str, Any]]) -> None:
    text = document(*stated).replace("*", "a").replace("?", "a")
    assert grown([], [text]) == []


# --- what lets a finding through -----------------------------------------------------------------------------------

ROUTE = Finding("public-route", 'module.api.aws_apigatewayv2_route.this["GET /agents"]', "opens", "anybody")
PETS = Finding("public-route", 'module.api.aws_apigatewayv2_route.this["GET /pets"]', "opens", "anybody")
DROPPED = Finding("destroy-table", 'module.table["pets"].aws_dynamodb_table.this', "goes", "lost")


def test_nothing_is_let_through_unasked() -> None:
    review = plan_guard.judge([ROUTE, DROPPED], "")
    assert (review.refused, review.let_through) == ([ROUTE, DROPPED], [])
    with pytest.raises(CommandError, match="refuses 2 changes") as refused:
        plan_guard.require_allowed(review, "dev")
    assert refused.value.exit_code == EXIT_FAILED
    assert f"ALLOW='{ROUTE.name} {DROPPED.name}'" in refused.value.next_step


def test_names_with_blanks_are_told_apart() -> None:
    review = plan_guard.judge([ROUTE, PETS, DROPPED], f" {ROUTE.name}   {DROPPED.name} ")
    assert review.refused == [PETS]
    assert review.let_through == [(ROUTE, "ALLOW"), (DROPPED, "ALLOW")]
    plan_guard.require_allowed(plan_guard.judge([ROUTE], ROUTE.name), "dev")


@pytest.mark.parametrize(
    ("pattern", "let_through"),
    [
        ("public-route:*", [ROUTE, PETS]),
        ('public-route:module.api.aws_apigatewayv2_route.this["GET /agents"]', [ROUTE]),
        ('*:module.table["*"].aws_dynamodb_table.this', [DROPPED]),
        ("public-route:module.api", []),
        ("public-route:module.ap?.*", []),
    ],
)
def test_a_pattern_knows_no_wildcard_but_the_star(pattern: str, let_through: list[Finding]) -> None:
    review = plan_guard.judge([ROUTE, PETS, DROPPED], "", [pattern])
    assert [finding for finding, _ in review.let_through] == let_through
    assert {by for _, by in review.let_through} <= {f"[guard] allow {pattern}"}


@pytest.mark.parametrize(
    ("allow", "said"),
    [
        (PETS.name, "allows nothing in this plan"),
        (f"{ROUTE.name} destroy-table:nothing", "ALLOW=destroy-table:nothing allows nothing"),
        ("destroy-everything:here", "names no rule of the guard"),
        ("destroy-table", "names no rule of the guard"),
        ("destroy-table:", "names no rule of the guard"),
        ("*", "names no rule of the guard"),
    ],
)
def test_an_allow_that_allows_nothing_is_a_mistake(allow: str, said: str) -> None:
    with pytest.raises(CommandError) as refused:
        plan_guard.judge([ROUTE, DROPPED], allow)
    assert said in refused.value.message
    assert refused.value.exit_code == EXIT_USAGE
    assert "public-route" in refused.value.next_step


def test_what_lies_in_the_bundle_tells_who_allowed_what() -> None:
    facts = plan_guard.judge([ROUTE, DROPPED], ROUTE.name).facts()
    assert facts["refused"] == [DROPPED._asdict()]
    assert facts["let_through"] == [{**ROUTE._asdict(), "allowed_by": "ALLOW"}]


# --- plans that are seldom seen --------------------------------------------------------------------------------------


def test_a_table_that_is_only_forgotten_stays() -> None:
    assert plan_guard.findings(_plan(["forget"], {"name": "Agents", "deletion_protection_enabled": True}, None)) == []


def test_a_key_that_is_made_in_the_same_plan_is_another_key() -> None:
    before = {"name": "t", "server_side_encryption": [{"enabled": True, "kms_key_arn": "arn:aws:kms:old"}]}
    after = {"server_side_encryption": [{"enabled": True}]}
    unknown = {"server_side_encryption": [{"kms_key_arn": True}]}
    (finding,) = plan_guard.findings(_plan(["update"], before, after, unknown))
    assert (finding.rule, finding.change) == ("encryption-key", "table t moves to another key")


@pytest.mark.parametrize(
    ("reason", "said"),
    [("replace_because_tainted", "failed halfway"), ("replace_by_request", "-replace"), ("", "can't be made in place")],
)
def test_a_table_that_nothing_forces_anew_has_its_reason(reason: str, said: str) -> None:
    plan = _plan(["delete", "create"], {"name": "t"}, {"name": "t"})
    plan["resource_changes"][0]["action_reason"] = reason
    (finding,) = plan_guard.findings(plan)
    assert finding.rule == "replace-table"
    assert said in finding.change


def test_an_index_that_is_only_told_in_another_way_is_the_same() -> None:
    """As AWS answers, and as code states it."""
    index = {"name": "a", "hash_key": "a", "projection_type": "INCLUDE"}
    before = {"name": "t", "global_secondary_index": [{**index, "range_key": "", "non_key_attributes": ["b", "c"]}]}
    after = {"name": "t", "global_secondary_index": [{**index, "range_key": None, "non_key_attributes": ["c", "b"]}]}
    assert plan_guard.findings(_plan(["update"], before, after)) == []


def test_what_will_be_known_too_late_to_compare_is_found() -> None:
    before = {"name": "t", "global_secondary_index": [{"name": "a", "hash_key": "a", "projection_type": "ALL"}]}
    (finding,) = plan_guard.findings(_plan(["update"], before, {"name": "t"}, {"global_secondary_index": True}))
    assert finding.name == "rebuild-index:aws_dynamodb_table.t"
    assert "known only while it is applied" in finding.change


def _plan(
    actions: list[str],
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    unknown: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A plan as far as the guard reads it, of one table."""
    change = {"actions": actions, "before": before, "after": after, "after_unknown": unknown or {}}
    table = {"mode": "managed", "type": "aws_dynamodb_table", "name": "t"}
    expressions = {"global_secondary_index": {}, "server_side_encryption": {}}
    return {
        "resource_changes": [{**table, "address": "aws_dynamodb_table.t", "change": change}],
        "configuration": {"root_module": {"resources": [{**table, "expressions": expressions}]}},
    }
