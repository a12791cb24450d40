"""What the real provider plans: alarms that can go off, policies without wildcards, before anything is made."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts import cost_change, plan_guard
from tests.terraform.alarms import planned, planned_alarms, silent
from tests.terraform.running import Terraform, copy_code, drop_backend, empty_aws

# AWS authorises these on everything or on nothing.
WITHOUT_RESOURCES = {
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}

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
    assert any("aws_iam_role_policy" in place for place in policies)
    assert any("policy_documents" in place for place in policies)
    assert any("aws_iam_policy.outside_access" in place for place in policies)


def test_options_bring_no_wildcards(every_option: Plan) -> None:
    policies = dict(_policies(every_option))
    assert any("xray:PutTraceSegments" in json.dumps(policy) for policy in policies.values())
    assert any("ec2:CreateNetworkInterface" in json.dumps(policy) for policy in policies.values())
    assert _too_wide(policies) == []


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
        # A topic's own attribute repeats what its aws_sns_topic_policy says.
        if resource["mode"] != "managed" or resource["type"] == "aws_sns_topic":
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
            if not set(actions) <= WITHOUT_RESOURCES and any(_everything(resource) for resource in resources):
                found.append(f"{place}: {actions} on {resources}")
    return found


def _everything(resource: str) -> bool:
    """A whole service, or all tables, functions, roles or buckets; parts of something named are fine."""
    kind = resource.split(":", 5)[-1]
    if kind == "*":
        return True
    # Streams of a named log group, and network interfaces, whose ids EC2 makes up.
    narrow = kind.startswith("log-group:/") or (":ec2:" in resource and kind in ("network-interface/*", "*/*"))
    return "*" in kind and not narrow


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
