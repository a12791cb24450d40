"""Each rule of the guard on a plan that Terraform made: of a stack that stands, and of the change that it is for."""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from scripts import plan_guard
from tests.recording_guarantees import Guarantee
from tests.terraform.running import REGION, Terraform, copy_code, empty_aws

ROOT = Path(__file__).parent / "plan_guard"
TABLES_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table"
KEY = {"type": "CUSTOMER_MANAGED", "kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/6c1b2d4e"}
BY_OWNER = {"hash_key": {"name": "owner", "type": "S"}, "projection_type": "KEYS_ONLY"}
BY_STATE = {"hash_key": {"name": "state", "type": "S"}}
WITH_SIZE = {**BY_STATE, "projection_type": "INCLUDE", "non_key_attributes": ["colour", "size"]}
NARROW = {"Effect": "Allow", "Action": ["dynamodb:GetItem"], "Resource": [f"{TABLES_ARN}/Agents"]}
WIDE = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}

Plan = dict[str, Any]
Settings = dict[str, Any]


class Case(NamedTuple):
    """One change; None where there is no such thing. `found`: the rules, each with what follows the address."""

    before: Settings | None
    after: Settings | None
    found: tuple[str, ...] = ()


# By name, what module table takes.
TABLES = {
    "kept": Case({}, {}),
    "new": Case(None, {"ttl": {"attribute": "ttl"}, "point_in_time_recovery_days": 0, "deletion_protection": False}),
    "other-key": Case({}, {"range_key": {"name": "at", "type": "N"}}, ("replace-table",)),
    "dropped": Case({}, None, ("destroy-table",)),
    "moved-from": Case({"name": "moved"}, None),
    "moved-to": Case(None, {"name": "moved"}),
    "renamed-from": Case({"name": "renamed"}, None, ("destroy-table",)),
    "renamed-to": Case(None, {"name": "renamed"}),
    "indexes": Case(
        {"indexes": {"kept": BY_STATE, "keys": BY_OWNER, "shape": BY_STATE, "size": WITH_SIZE, "gone": BY_STATE}},
        {
            "indexes": {
                "kept": BY_STATE,
                "keys": {**BY_OWNER, "range_key": {"name": "at", "type": "N"}},
                "shape": {**BY_STATE, "projection_type": "KEYS_ONLY"},
                "size": {**WITH_SIZE, "non_key_attributes": ["colour"]},
                "added": BY_STATE,
            }
        },
        ("drop-index/gone", "rebuild-index/keys", "rebuild-index/shape", "rebuild-index/size"),
    ),
    # The provider shows it only beside another change of the attributes; alone it does nothing.
    "key-type": Case({}, {"hash_key": {"name": "id", "type": "N"}, "indexes": {"added": BY_STATE}}, ("key-type/id",)),
    "ttl-on": Case({}, {"ttl": {"attribute": "ttl"}}, ("ttl-attribute",)),
    "ttl-off": Case({"ttl": {"attribute": "ttl"}}, {"ttl": {"attribute": "ttl", "enabled": False}}, ("ttl-attribute",)),
    "ttl-moved": Case({"ttl": {"attribute": "ttl"}}, {"ttl": {"attribute": "expires"}}, ("ttl-attribute",)),
    "window-down": Case({}, {"point_in_time_recovery_days": 7}, ("recovery",)),
    "unprotected": Case(
        {}, {"deletion_protection": False, "point_in_time_recovery_days": 0}, ("deletion-protection", "recovery")
    ),
    "own-key": Case({}, {"encryption": KEY}, ("encryption-key",)),
    "read": Case({"stream_view_type": "NEW_IMAGE"}, {"stream_view_type": "KEYS_ONLY"}, ("drop-stream",)),
    "unread": Case({"stream_view_type": "NEW_IMAGE"}, {}, ("drop-stream",)),
    "replicated": Case({}, {}, ("destroy-replica/eu-west-1",)),
    # Much changes, and no item is at risk.
    "harmless": Case(
        {"point_in_time_recovery_days": 7, "deletion_protection": False, "indexes": {"kept": BY_OWNER}},
        {
            "encryption": {"type": "AWS_MANAGED"},
            "stream_view_type": "KEYS_ONLY",
            "billing_mode": "PROVISIONED",
            "read_capacity": 5,
            "write_capacity": 5,
            "indexes": {"kept": {**BY_OWNER, "read_capacity": 5, "write_capacity": 5}},
            "tags": {"Team": "agents"},
        },
    ),
    # Made beside Terraform, and imported.
    "adopted": Case(None, {"ttl": {"attribute": "ttl"}}, ("ttl-attribute",)),
    "adopted-with-other-key": Case(None, {"hash_key": {"name": "name", "type": "S"}}, ("replace-table",)),
}
# By name, the one statement of a policy of the role.
ROLE_POLICIES = {
    "kept": Case(NARROW, NARROW),
    "other-table": Case(NARROW, {**NARROW, "Resource": [f"{TABLES_ARN}/Pets"]}),
    "indexes": Case(NARROW, {**NARROW, "Action": ["dynamodb:Query"], "Resource": [f"{TABLES_ARN}/Agents/index/*"]}),
    "wide-action": Case(NARROW, {**NARROW, "Action": ["dynamodb:*"]}, ("wildcard",)),
    "wide-resource": Case(NARROW, {**NARROW, "Resource": [f"{TABLES_ARN}/*"]}, ("wildcard",)),
    "wider-name": Case(NARROW, {**NARROW, "Resource": [f"{TABLES_ARN}/Agents*"]}, ("wildcard",)),
    "all-but": Case(NARROW, {"Effect": "Allow", "NotAction": "iam:*", "Resource": f"{TABLES_ARN}/A"}, ("wildcard",)),
    "narrower": Case({**NARROW, "Action": "dynamodb:*"}, {**NARROW, "Action": ["dynamodb:Get*"]}),
    "denied": Case(NARROW, {**WIDE, "Effect": "Deny", "Principal": None}),
}
OTHERS = {
    "import-table:aws_dynamodb_table.imported",
    "wildcard:aws_iam_role.this",
    "policy-unknown:aws_iam_role_policy.unknown[0]",
    "wildcard:aws_iam_policy.wide[0]",
    "wildcard:aws_iam_group_policy.wide[0]",
    "wildcard:aws_iam_user_policy.wide[0]",
    "wildcard:aws_iam_role_policy_attachment.wide[0]",
    "wildcard:aws_dynamodb_resource_policy.wide[0]",
    "wildcard:aws_kms_key_policy.wide[0]",
    "wildcard:aws_sns_topic_policy.wide[0]",
    "wildcard:aws_sqs_queue_policy.wide[0]",
    "wildcard:aws_s3_bucket_policy.wide[0]",
    "wildcard:aws_secretsmanager_secret_policy.wide[0]",
    "wildcard:aws_backup_vault_policy.wide[0]",
    "wildcard:aws_vpc_endpoint.wide[0]",
    "wildcard:aws_lambda_permission.wide[0]",
    "public-route:aws_apigatewayv2_route.opened",
    'public-route:aws_apigatewayv2_route.new["GET /pets"]',
    "public-route:aws_api_gateway_method.open[0]",
    "public-route:aws_lambda_function_url.open[0]",
    "public-route:aws_lambda_permission.open_url[0]",
    "destroy-key:aws_kms_key.gone[0]",
    "destroy-key:aws_kms_key.disabled",
    "destroy-backup:aws_backup_vault.gone[0]",
    "destroy-state-bucket:aws_s3_bucket.gone[0]",
    "destroy-user-pool:aws_cognito_user_pool.gone[0]",
    "deletion-protection:aws_cognito_user_pool.unprotected",
}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Plan]:
    """The stack as it is made, and as it is changed."""
    root = copy_code(tmp_path_factory.mktemp("guard") / "checkout") / "terraform" / "guard"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("changed.tf"))
    with empty_aws() as environment:
        terraform = Terraform(root, root / ".terraform", environment)
        terraform.init()
        with terraform.attached():
            made = _plan(terraform, changed=False)
            terraform.run("apply", "tfplan")
            _replicate(root / "terraform.tfstate", "replicated")
            for name in ("adopted", "adopted-with-other-key"):
                _make_table(environment, name)
            shutil.copy(ROOT / "changed.tf", root)
            changed = _plan(terraform, changed=True)
    return {"made": made, "changed": changed}


def test_each_change_is_found_and_nothing_else(plans: dict[str, Plan], guarantee: Guarantee) -> None:
    expected = OTHERS | {
        _name(found, f"{address}")
        for cases, resource in (
            (TABLES, 'module.table["{}"].aws_dynamodb_table.this'),
            (ROLE_POLICIES, 'aws_iam_role_policy.this["{}"]'),
        )
        for name, case in cases.items()
        for address in [resource.format(name)]
        for found in case.found
    }
    found = {finding.name for finding in plan_guard.findings(plans["changed"])}
    guarantee("plan-guard", dangerous_changes=len(expected), unnoticed=len(expected - found))
    assert found == expected
    assert {name.partition(":")[0] for name in expected} == set(plan_guard.RULES)


def test_what_is_made_is_found_only_where_it_is_wide(plans: dict[str, Plan]) -> None:
    found = plan_guard.findings(plans["made"])
    assert [finding.name for finding in found] == ['wildcard:aws_iam_role_policy.this["narrower"]']


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ('module.table["other-key"].aws_dynamodb_table.this', "made anew because of range_key"),
        ('module.table["adopted-with-other-key"].aws_dynamodb_table.this', "made anew because of hash_key"),
        ('module.table["renamed-from"].aws_dynamodb_table.this', 'module.table["renamed-to"].aws_dynamodb_table.this'),
        ('module.table["indexes"].aws_dynamodb_table.this/keys', "another range_key"),
        ('module.table["indexes"].aws_dynamodb_table.this/size', "another non_key_attributes"),
        ('module.table["indexes"].aws_dynamodb_table.this/gone', "make migrate-index"),
        ('module.table["ttl-moved"].aws_dynamodb_table.this', "by attribute expires instead of ttl"),
        ('module.table["window-down"].aws_dynamodb_table.this', "from 35 to 7 days"),
        ('module.table["read"].aws_dynamodb_table.this', "aws_lambda_event_source_mapping.reader"),
        ('module.table["unread"].aws_dynamodb_table.this', "Nothing in this state reads it"),
        ('aws_iam_role_policy.this["all-but"]', 'action "* but iam:*"'),
        ("aws_iam_role_policy_attachment.wide[0]", "arn:aws:iam::aws:policy/AdministratorAccess"),
    ],
)
def test_a_finding_says_why(plans: dict[str, Plan], name: str, said: str) -> None:
    (finding,) = (each for each in plan_guard.findings(plans["changed"]) if each.address == name)
    assert said in f"{finding.change} {finding.effect}"


def test_some_wildcards_are_as_they_must_be(plans: dict[str, Plan]) -> None:
    """A key's policy is about that key, and an endpoint's about everybody who comes that way."""
    said = {finding.name: finding.change for finding in plan_guard.findings(plans["changed"])}
    assert said["wildcard:aws_kms_key_policy.wide[0]"] == 'the policy grows by principal "*", action "*"'
    assert said["wildcard:aws_vpc_endpoint.wide[0]"] == 'the policy grows by action "*", resource "*"'
    off = said['recovery:module.table["unprotected"].aws_dynamodb_table.this']
    assert off == "point-in-time recovery of unprotected is switched off"


def test_one_is_let_through_by_name_and_others_by_pattern(plans: dict[str, Plan]) -> None:
    """Addresses with blanks and brackets, too, and nothing but what is named."""
    route, tables = 'public-route:aws_apigatewayv2_route.new["GET /pets"]', 'ttl-attribute:module.table["ttl-*"].*'
    review = plan_guard.review(plans["changed"], f"{route} destroy-key:aws_kms_key.gone[0]", [tables])
    assert {(finding.name, by) for finding, by in review.let_through} == {
        (route, "ALLOW"),
        ("destroy-key:aws_kms_key.gone[0]", "ALLOW"),
        *(
            (f'ttl-attribute:module.table["{name}"].aws_dynamodb_table.this', f"[guard] allow {tables}")
            for name in ("ttl-moved", "ttl-off", "ttl-on")
        ),
    }
    assert len(review.refused) + 5 == len(plan_guard.findings(plans["changed"]))


def _name(found: str, address: str) -> str:
    rule, slash, part = found.partition("/")
    return f"{rule}:{address}{slash}{part}"


def _plan(terraform: Terraform, *, changed: bool) -> Plan:
    variables = {
        "changed": changed,
        "tables": _now(TABLES, changed=changed),
        "role_policies": {name: _document(each) for name, each in _now(ROLE_POLICIES, changed=changed).items()},
        "wide_policy": _document(WIDE),
    }
    (terraform.directory / "guard.auto.tfvars.json").write_text(json.dumps(variables))
    terraform.run("plan", "-refresh=false", "-out=tfplan")
    return terraform.show("tfplan")


def _now(cases: dict[str, Case], *, changed: bool) -> dict[str, Settings]:
    settings = {name: case.after if changed else case.before for name, case in cases.items()}
    return {name: each for name, each in settings.items() if each is not None}


def _document(statement: Settings) -> str:
    stated = {key: value for key, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [stated]})


def _replicate(state_file: Path, table: str) -> None:
    """What a refresh would find had somebody replicated the table: the embedded AWS has one region only."""
    state = json.loads(state_file.read_text())
    for resource in state["resources"]:
        for instance in resource["instances"]:
            if resource["type"] == "aws_dynamodb_table" and instance["attributes"]["name"] == table:
                instance["attributes"]["replica"] = [
                    {
                        "arn": f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}",
                        "kms_key_arn": "",
                        "point_in_time_recovery": False,
                        "propagate_tags": False,
                        "region_name": "eu-west-1",
                        "stream_arn": "",
                        "stream_label": "",
                    }
                ]
    state_file.write_text(json.dumps(state))


def _make_table(aws: dict[str, str], name: str) -> None:
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
