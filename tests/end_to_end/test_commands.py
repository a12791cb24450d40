"""`make status`, `logs`, `verify`, `doctor`, `destroy` and `down` on one system, also on one that was sabotaged."""

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.checkout import BUDGETS, Checkout
from tests.end_to_end.pasting import paste

TABLE = "AgentRegistry"
AGENT = {"id": "weather-1", "name": "Weather", "endpoint": "https://weather.example.com", "capabilities": ["forecast"]}


def examined(checkout: Checkout) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code of the doctor itself, and its findings by code."""
    ended = checkout.run(".venv/bin/python", "-m", "scripts.doctor", "--env", "local", "--json")
    report = json.loads(ended.stdout)
    assert report["healthy"] == (not report["findings"])
    return ended.exit_code, {found["code"]: found for found in report["findings"]}


def test_the_doctor_says_what_to_begin_with(checkout: Checkout) -> None:
    before = checkout.make("doctor")
    assert (before.exit_code, before.stdout.count("make up")) == (2, 1), "nothing runs yet: that is a finding, too"
    assert "embedded-aws-not-running" in before.stdout


@pytest.fixture(scope="module")
def up(checkout: Checkout) -> str:
    checkout.run_only("agent_registry")
    return checkout.must("up")


def test_status_and_logs_tell_what_runs(checkout: Checkout, up: str) -> None:
    status = checkout.run(".venv/bin/python", "-m", "scripts.status", "--json")
    report = json.loads(status.stdout)
    assert report["running"]
    assert report["api_urls"] == [f"http://127.0.0.1:{checkout.api_port}"]
    assert "AgentRegistry" in [table["name"] for table in report["tables"]]
    assert "AgentRegistry" in checkout.must("status")
    logs = checkout.must("logs", "SYSTEM=agent_registry", "SINCE=1h", "FOLLOW=0")
    assert "INIT_START" in logs
    assert re.search(r"REPORT RequestId: \S+\s+Duration: [\d.]+ ms", logs)
    unknown = checkout.make("logs", "SYSTEM=agent_register", "FOLLOW=0")
    assert "there is no system 'agent_register'" in unknown.stderr
    assert "agent_registry" in unknown.stderr


def test_verify_reports_to_machines(checkout: Checkout, up: str) -> None:
    ended = checkout.run(
        ".venv/bin/python", "-m", "scripts.verify", "--env", "local", "--json", "--junit", "out/verify.xml"
    )
    assert ended.exit_code == 0, ended.stderr
    report = json.loads(ended.stdout)
    assert report["passed"]
    checks = {(check["system"], check["name"]): check for check in report["checks"]}
    warm = checks["agent_registry", "warm queries"]["figures"]
    assert 0 < warm["query_p50_milliseconds"] <= warm["query_p95_milliseconds"] <= warm["query_p99_milliseconds"]
    assert checks["agent_registry", "survives a cold start"]["figures"]["init_milliseconds"] > 0
    xml = (checkout.folder / "out" / "verify.xml").read_text()
    assert f'tests="{len(report["checks"])}"' in xml
    assert 'failures="0"' in xml


def test_a_stack_that_was_applied_is_healthy(checkout: Checkout, up: str) -> None:
    assert checkout.call("POST", "/agents/register", {"profile": AGENT})[0] == 201
    assert checkout.call("GET", "/agents/nobody")[0] == 404, "no fault of the stack's"
    assert examined(checkout) == (0, {})


def sabotage(checkout: Checkout, **variables: str) -> None:
    """Deploys the function with other variables behind Terraform's back and moves the alias there."""
    functions, name = checkout.client("lambda"), checkout.function_name("agent_registry")
    now = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": now | variables})
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


def failed_checks(ended: Any) -> set[str]:
    return {check["name"] for check in json.loads(ended.stdout)["checks"] if check["status"] == "failed"}


def test_verify_fails_for_a_function_that_keeps_its_state_in_memory(checkout: Checkout, up: str) -> None:
    sabotage(checkout, PERSISTENCE="memory")
    ended = checkout.run(".venv/bin/python", "-m", "scripts.verify", "--env", "local", "--json")
    assert ended.exit_code == 1
    assert {"item in DynamoDB", "survives a cold start", "next plan"} <= failed_checks(ended)
    assert "item in DynamoDB" in ended.stderr


def test_what_is_broken_in_many_ways_is_mended_by_the_fixes_that_the_doctor_tells(
    checkout: Checkout, up: str, tmp_path: Path
) -> None:
    """Code, and all that was sabotaged before."""
    functions, name = checkout.client("lambda"), checkout.function_name("agent_registry")
    foreign = io.BytesIO()
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("function.py", "def handler(event, context):\n    return {'foreign': True}\n")
    functions.update_function_code(FunctionName=name, ZipFile=foreign.getvalue())
    functions.update_function_configuration(FunctionName=name, Timeout=7)
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
    assert checkout.call("GET", "/agents?capability=x")[2] == {"foreign": True}
    ended = checkout.run(".venv/bin/python", "-m", "scripts.verify", "--env", "local", "--json")
    assert {"deployed code", "write through the API"} <= failed_checks(ended)
    take_away(checkout, name)

    code, found = examined(checkout)
    assert code == 1
    assert found.keys() == {
        "table-missing",
        "not-persisting",
        "alias-moved",
        "function-settings-differ",
        "api-may-not-invoke",
        "not-authorised",
        "route-missing",
        "alarm-missing",
        "log-group-missing",
    }
    lost = found.pop("table-missing")
    assert {each["fix"] for each in found.values()} == {"make up"}
    assert re.search(rf"dynamodb:GetItem.* on \S+:table/{TABLE}\b", found["not-authorised"]["what"])
    assert "that version has other code" in found["alias-moved"]["cause"]
    shown = checkout.make("doctor", "SYSTEM=agent_registry")
    assert f"error agent_registry: table {TABLE} is not in us-east-1, nor in any other region" in shown.stdout
    assert "  fix    make up" in shown.stdout

    restored = paste(checkout, lost["fix"], tmp_path)
    assert restored.exit_code == 0, restored.stderr
    code, found = examined(checkout)
    assert (code, found["table-settings-differ"]["fix"]) == (1, "make up"), "a restore drops expiry and recovery"
    mended = paste(checkout, found["table-settings-differ"]["fix"], tmp_path)
    assert "applied, verified in" in mended.stdout, mended.stderr
    assert examined(checkout) == (0, {})
    assert checkout.call("GET", "/agents/weather-1")[0] == 200, "what was stored before is there"


def take_away(checkout: Checkout, name: str) -> None:
    """The table, its function's rights and log, a route, an alarm."""
    functions, gateway = checkout.client("lambda"), checkout.client("apigatewayv2")
    checkout.client("dynamodb").delete_table(TableName=TABLE)
    policy = json.loads(functions.get_policy(FunctionName=name, Qualifier="live")["Policy"])
    for statement in policy["Statement"]:
        functions.remove_permission(FunctionName=name, Qualifier="live", StatementId=statement["Sid"])
    checkout.client("iam").delete_role_policy(RoleName=name, PolicyName="function")
    (api,) = gateway.get_apis()["Items"]
    (route,) = [one for one in gateway.get_routes(ApiId=api["ApiId"])["Items"] if one["RouteKey"] == "GET /agents"]
    gateway.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    checkout.client("cloudwatch").delete_alarms(AlarmNames=[f"{name}-errors"])
    checkout.client("logs").delete_log_group(logGroupName=f"/aws/lambda/{name}")


def test_verify_fails_when_a_budget_is_exceeded(checkout: Checkout, up: str) -> None:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    before = file.read_text()
    try:
        file.write_text(before.replace(BUDGETS, "budgets = { cold_start_milliseconds = 1, query_milliseconds = 5000 }"))
        ended = checkout.make("up")
    finally:
        file.write_text(before)
    assert ended.exit_code == 2, "make's own code for a failed recipe"
    assert "verification failed: agent_registry: survives a cold start." in ended.stderr
    assert "over budget" in ended.stdout


def test_destroy_asks_and_leaves_nothing(checkout: Checkout, up: str) -> None:
    refused = checkout.make("destroy", "ENV=local")
    assert refused.exit_code == 2
    assert "nothing was destroyed" in refused.stderr
    refused = checkout.make("destroy", "ENV=local", "CONFIRM=prod")
    assert "nothing was destroyed: 'prod' is not 'local'" in refused.stderr
    assert checkout.client("dynamodb").list_tables()["TableNames"]
    checkout.must("destroy", "ENV=local", "CONFIRM=local")
    assert checkout.client("dynamodb").list_tables()["TableNames"] == []
    assert checkout.client("lambda").list_functions()["Functions"] == []
    assert checkout.client("iam").list_roles()["Roles"] == []
    assert checkout.client("logs").describe_log_groups()["logGroups"] == []
    assert checkout.client("apigatewayv2").get_apis()["Items"] == []
    assert checkout.client("sns").list_topics()["Topics"] == []
    assert checkout.client("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert checkout.client("cloudwatch").list_dashboards()["DashboardEntries"] == []


def test_down_leaves_nothing_running(checkout: Checkout, up: str) -> None:
    assert "stopped" in checkout.must("down")
    assert [process.cmdline() for process in checkout.processes()] == []
    assert "was not running" in checkout.must("down")
    assert "not running; start it with `make up`" in checkout.must("status")
