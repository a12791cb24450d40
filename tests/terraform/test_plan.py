"""What the real provider plans: alarms that can go off, policies without wildcards, before anything is made."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cost_change, plan_guard
from tests import privileges
from tests.terraform.alarms import planned, planned_alarms, silent
from tests.terraform.running import Terraform, copy_code, drop_backend, empty_aws

Plan = dict[str, Any]


ALARMS = {
    "tables": {"conditional_check_failures": 100},
    "functions": {"concurrent_executions": 100},
    "api": {"latency_milliseconds": 500},
}
STACK = {
    "environment": "dev",
    "lambda_manifest": "tests/fixtures/manifest.json",
    "attach_access_to_roles": {"agent_registry": {"roles": ["outside"]}},
    "alarms": ALARMS,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """The root module with its defaults and every optional alarm, planned by the real provider on an empty AWS."""
    root = copy_code(tmp_path_factory.mktemp("stack") / "checkout") / "terraform"
    drop_backend(root)
    (root / "test.auto.tfvars.json").write_text(json.dumps(STACK))
    return _plan(root)


@pytest.fixture(scope="module")
def every_option(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Tables and functions with every option switched on, whatever the embedded AWS can do: planned, never applied."""
    root = copy_code(tmp_path_factory.mktemp("options") / "checkout") / "terraform" / "every_option"
    shutil.copytree(Path(__file__).parent / "every_option", root)
    return _plan(root)


def _plan(root: Path) -> Plan:
    with empty_aws() as environment:
        terraform = Terraform(root, root / ".terraform", environment)
        terraform.init()
        with terraform.attached():
            terraform.run("plan", "-out=tfplan")
            return terraform.show("tfplan")


def test_the_stacks_alarms_can_go_off(stack: Plan) -> None:
    alarms = list(planned_alarms(stack))
    assert silent(planned(stack), alarms) == []
    metrics = {alarm["metric_name"] for _, alarm in alarms}
    assert metrics >= {"ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors", "UserErrors", "Errors", "Throttles"}
    assert metrics >= {"Duration", "ConcurrentExecutions", "ConditionalCheckFailedRequests"}


def test_every_optional_alarm_can_go_off(every_option: Plan) -> None:
    alarms = list(planned_alarms(every_option))
    assert silent(planned(every_option), alarms) == []
    assert {alarm["metric_name"] for _, alarm in alarms} >= {
        "DeadLetterErrors",
        "ProvisionedConcurrencySpilloverInvocations",
    }


@pytest.mark.parametrize("metric", ["ReadThrottleEvents", "SystemErrors", "UserErrors", "Latency"])
def test_an_alarm_with_other_dimensions_is_found(metric: str) -> None:
    """The check itself must be able to fail: these are the dimensions that public code uses."""
    wrong = {
        "ReadThrottleEvents": {"TableName": "Agents", "Operation": "GetItem"},
        "SystemErrors": {"TableName": "Agents"},
        "UserErrors": {"TableName": "Agents"},
        "Latency": {"ApiName": "agents"},
    }[metric]
    namespace = "AWS/ApiGateway" if metric == "Latency" else "AWS/DynamoDB"
    alarm = {"namespace": namespace, "metric_name": metric, "dimensions": wrong}
    assert silent({}, [("an alarm", alarm)]) != []


def test_policies_are_known_in_the_plan_and_have_no_wildcards(stack: Plan) -> None:
    policies = dict(_policies(stack))
    assert _too_wide(policies) == []
    assert any("policy_documents" in place for place in policies)
    assert any("aws_iam_policy.outside_access" in place for place in policies)


def test_options_bring_no_wildcards(every_option: Plan) -> None:
    policies = dict(_policies(every_option))
    assert any("aws_sns_topic" in place or "aws_dynamodb_resource_policy" in place for place in policies)
    assert _too_wide(policies) == []


# What options grant that no call on the embedded AWS can use, all of it: actions, on what, and under which conditions.
GRANTED_BY_OPTIONS = {
    "WriteTraces": ("xray:PutTelemetryRecords xray:PutTraceSegments", "*", "aws:RequestedRegion"),
    "SendDeadLetters": ("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:lost", ""),
    "DescribeNetwork": ("ec2:DescribeNetworkInterfaces ec2:DescribeSubnets", "*", "aws:RequestedRegion"),
    "CreateNetworkInterface": (
        "ec2:CreateNetworkInterface",
        "{ec2}network-interface/* {ec2}security-group/sg-0a1b2c3d {subnet}-0a1b2c3d {subnet}-4e5f6a7b",
        "",
    ),
    "DeleteNetworkInterface": ("ec2:DeleteNetworkInterface", "{ec2}*/*", ""),
    "AssignAddresses": (
        "ec2:AssignPrivateIpAddresses ec2:UnassignPrivateIpAddresses",
        "{ec2}network-interface/*",
        "ec2:Subnet",
    ),
    "ProvisionedKey": (
        "kms:Decrypt kms:DescribeKey kms:Encrypt kms:GenerateDataKey kms:ReEncryptFrom kms:ReEncryptTo",
        "{key}",
        "kms:ViaService",
    ),
    "Tables": (
        "dynamodb:CreateBackup dynamodb:DescribeTable dynamodb:ListTagsOfResource dynamodb:StartAwsBackupJob",
        "{table}",
        "",
    ),
    "Backups": ("dynamodb:DeleteBackup dynamodb:DescribeBackup", "{table}/backup/*", ""),
    "Vaults": (
        "backup:CopyIntoBackupVault backup:DescribeBackupVault",
        "arn:aws:backup:eu-west-1:210987654321:backup-vault:copies {backup}backup-vault:every-option",
        "",
    ),
    "RecoveryPoints": ("backup:TagResource", "{backup}recovery-point:*", ""),
    "Copies": ("backup:CopyFromBackupVault", "*", "backup:CopyTargets"),
    "Keys": ("kms:Decrypt kms:GenerateDataKey", "{key}", "kms:ViaService"),
    "DescribeKeys": ("kms:DescribeKey", "{key}", ""),
    "GrantKeys": ("kms:CreateGrant", "{key}", "kms:GrantIsForAWSResource"),
}
PLACES = {
    "ec2": "arn:aws:ec2:us-east-1:123456789012:",
    "subnet": "arn:aws:ec2:us-east-1:123456789012:subnet/subnet",
    "backup": "arn:aws:backup:us-east-1:123456789012:",
    "table": "arn:aws:dynamodb:us-east-1:123456789012:table/provisioned",
    "key": "arn:aws:kms:us-east-1:123456789012:key/6c1b2d4e-1111-2222-3333-444455556666",
}
# Held against what is used: tests/end_to_end/test_least_privilege.py.
USED = {"ProvisionedTable", "ProvisionedIndexes", "WriteOwnLogs"}


def test_every_wildcard_of_a_role_has_its_reason(stack: Plan, every_option: Plan) -> None:
    for plan in (stack, every_option):
        roles = _roles(plan)
        assert [wrong for role in roles for wrong in privileges.wrong_in_itself(role, roles[role])] == []


def test_services_alone_get_the_roles_each_its_own(stack: Plan, every_option: Plan) -> None:
    """Autoscaling has a role of AWS's own, and EventBridge none: a function's policy lets it in."""
    trusted: dict[str, set[str]] = {}
    for resource in stack["resource_changes"] + every_option["resource_changes"]:
        if resource["type"] == "aws_iam_role":
            for statement in json.loads(resource["change"]["after"]["assume_role_policy"])["Statement"]:
                assert statement["Action"] == "sts:AssumeRole"
                service = statement["Principal"].pop("Service")
                assert statement["Principal"] == {}
                trusted.setdefault(service, set()).add(resource["address"])
    assert trusted.keys() == {"lambda.amazonaws.com", "backup.amazonaws.com"}
    assert trusted["backup.amazonaws.com"] == {"module.backup.aws_iam_role.this[0]"}
    assert len(trusted["lambda.amazonaws.com"]) == 7


def test_only_the_list_of_profiles_and_outside_administrators_may_scan(stack: Plan) -> None:
    """What `attach_access_to_roles` gives with `admin`, for exports by people; nobody has it by default."""
    policies = dict(_policies(stack)) | {
        resource["address"]: json.loads(resource["change"]["after"]["policy"])
        for resource in stack["resource_changes"]
        if resource["type"] == "aws_iam_role_policy"
    }
    scanning = {place for place, policy in policies.items() if privileges.SCAN in json.dumps(policy)}
    systems = stack["output_changes"]["systems"]["after"]
    assert scanning == {
        "module.agent_profiles_function[0].aws_iam_role_policy.this",
        *(f"systems.{system}.policy_documents.admin" for system in systems),
    }


def test_options_grant_exactly_what_is_known_to_be_needed(every_option: Plan) -> None:
    granted = {
        one["Sid"]: (" ".join(one["Action"]), " ".join(one["Resource"]), " ".join(privileges.condition_keys(one)))
        for statements in _roles(every_option).values()
        for one in statements
        if one["Sid"] not in USED
    }
    assert granted == {
        sid: (actions, resources.format(**PLACES), condition)
        for sid, (actions, resources, condition) in GRANTED_BY_OPTIONS.items()
    }
    reasons = {sid: [end for end in privileges.UNUSABLE if sid.endswith(end)] for sid in granted}
    assert [sid for sid, found in reasons.items() if not found] == []
    assert privileges.UNUSABLE.keys() == {end for found in reasons.values() for end in found}, "a reason for nothing"


def test_the_guard_lets_them_be_made(stack: Plan, every_option: Plan) -> None:
    """It finds what costs data or opens a door: nothing of which anything here has a share."""
    assert plan_guard.findings(stack) + plan_guard.findings(every_option) == []


def test_what_they_cost_is_reckoned_from_the_plan(stack: Plan, every_option: Plan) -> None:
    """The names by which capacity and concurrency find their tables and functions stand in a real plan."""
    cost = cost_change.of_plan(every_option, "us-east-1")
    writes, reads = 0.00081 * 730, 0.00016 * 730  # of the infrequent access class
    # Of the table, of the index that is scaled, and of the one that is not.
    least = 10 * writes + 5 * reads + 5 * writes + 5 * reads + writes + reads
    most = 40 * writes + 40 * reads + 20 * writes + 20 * reads + writes + reads
    assert cost.items["provisioned capacity"] == round(least, 2)
    assert cost.at_most - cost.after == pytest.approx(most - least, abs=0.02)
    assert cost.items["provisioned concurrency"] == round(2 * 0.5 * 730 * 3600 * 0.0000033334, 2)
    assert set(cost.items) == {
        "alarms",
        "alarms of autoscaling",
        "provisioned capacity",
        "provisioned concurrency",
        "snapshots",
    }
    made = cost_change.of_plan(stack, "us-east-1")
    assert set(made.items) == {"alarms", "dashboards", "provisioned capacity"}
    alarms = sum(change["type"] == "aws_cloudwatch_metric_alarm" for change in stack["resource_changes"])
    assert made.items["alarms"] == round(alarms * 0.10, 2)
    assert (made.before, made.after) == (0, made.total)


@pytest.mark.parametrize(
    "statement",
    [
        {"Action": ["dynamodb:*"], "Resource": ["arn:aws:dynamodb:us-east-1:123456789012:table/Agents"]},
        {"Action": "dynamodb:GetItem", "Resource": "*"},
        {"Action": ["dynamodb:GetItem"], "Resource": ["arn:aws:dynamodb:us-east-1:123456789012:table/*"]},
        {"Action": "sts:AssumeRole", "Principal": {"AWS": "*"}},
    ],
)
def test_a_wildcard_is_found(statement: dict[str, Any]) -> None:
    assert _too_wide({"a policy": {"Statement": [{"Effect": "Allow", **statement}]}}) != []


def _policies(plan: Plan) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in plan["resource_changes"]:
        # A topic's own attribute repeats what its aws_sns_topic_policy says; what roles may do is held apart.
        if resource["mode"] != "managed" or resource["type"] in ("aws_sns_topic", "aws_iam_role_policy"):
            continue
        after, unknown = resource["change"]["after"] or {}, resource["change"]["after_unknown"]
        for name in {"policy", "assume_role_policy"} & (after | unknown).keys():
            place = f"{resource['address']}.{name}"
            assert not unknown.get(name), f"{place} is known only after the apply"
            yield place, json.loads(after[name])
    outputs = plan.get("output_changes", {}).get("systems", {"after": {}})["after"]
    for system, values in outputs.items():
        for level, document in values["policy_documents"].items():
            yield f"systems.{system}.policy_documents.{level}", json.loads(document)


def _roles(plan: Plan) -> dict[str, list[dict[str, Any]]]:
    """The statements of each role that the plan makes, by an ARN that ends in its name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for resource in plan["resource_changes"]:
        if resource["type"] == "aws_iam_role_policy":
            after = resource["change"]["after"]
            arn = f"arn:aws:iam::123456789012:role/{after['role']}"
            found.setdefault(arn, []).extend(json.loads(after["policy"])["Statement"])
    assert found
    return found


def _too_wide(policies: dict[str, dict[str, Any]]) -> list[str]:
    """Statements that allow more than they name."""
    found = []
    for place, policy in policies.items():
        for statement in policy["Statement"]:
            if statement["Effect"] != "Allow":
                continue
            actions, resources = _list(statement["Action"]), _list(statement.get("Resource", []))
            principals = _list(statement.get("Principal", []))
            if any("*" in action for action in actions) or any(
                "*" in json.dumps(principal) for principal in principals
            ):
                found.append(f"{place}: {actions} for {principals}")
            if any(_everything(resource) for resource in resources):
                found.append(f"{place}: {actions} on {resources}")
    return found


def _everything(resource: str) -> bool:
    """A whole service, or all tables, functions, roles or buckets; parts of something named are fine."""
    return "*" in resource.split(":", 5)[-1]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
