"""The main job, and the seven criteria of the agent registry's owner, with plain HTTP and a stock AWS client."""

import io
import json
import re
import subprocess
import zipfile
from typing import Any

import pytest
import urllib3

from tests.end_to_end.checkout import Checkout

AGENT = {
    "id": "translator-7",
    "name": "Translator",
    "endpoint": "https://translator.example.com/agent",
    "capabilities": ["Translate", "summarise"],
}


@pytest.fixture(scope="module")
def up(checkout: Checkout) -> str:
    return checkout.must("up")


def replace_environments(checkout: Checkout, function: str) -> None:
    answer = urllib3.request(
        "POST", f"http://127.0.0.1:{checkout.port}/_local/functions/{function}/replace-environments", retries=False
    )
    assert answer.status == 200, answer.data


def function_name(checkout: Checkout) -> str:
    functions = checkout.client("lambda").list_functions()["Functions"]
    return next(f["FunctionName"] for f in functions if "agent-registry" in f["FunctionName"])


def test_up_ends_with_checks_and_curl_lines_that_work(checkout: Checkout, up: str) -> None:
    assert "FAILED" not in up
    for check in ("table AgentRegistry", "deployed code", "survives a cold start", "logs without errors", "next plan"):
        assert re.search(rf"{check} +passed", up), up
    lines = [line.strip() for line in up.splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 2
    registered, found = (
        json.loads(subprocess.run(line, shell=True, capture_output=True, check=True, text=True).stdout)
        for line in lines
    )
    assert registered["id"] == "weather-1"
    assert found["agents"] == [registered]


def test_the_owners_seven_criteria(checkout: Checkout, up: str) -> None:
    dynamodb = checkout.client("dynamodb")
    # 1. the table is ACTIVE
    table = dynamodb.describe_table(TableName="AgentRegistry")["Table"]
    assert table["TableStatus"] == "ACTIVE"
    assert table["KeySchema"] == [{"AttributeName": "agentId", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    # 2. an agent registers
    status, headers, _ = checkout.call("POST", "/agents/register", {"profile": AGENT})
    assert status == 201
    # 3. it is in DynamoDB, read directly
    item = dynamodb.get_item(TableName="AgentRegistry", Key={"agentId": {"S": AGENT["id"]}})["Item"]
    assert item["name"] == {"S": AGENT["name"]}
    assert item["endpoint"] == {"S": AGENT["endpoint"]}
    # 4. a cold start is forced
    replace_environments(checkout, function_name(checkout))
    # 5. the agent is still discoverable, whatever the capability's case
    status, cold_headers, answer = checkout.call("GET", "/agents?capability=TRANSLATE")
    assert status == 200
    assert [agent["id"] for agent in answer["agents"]] == [AGENT["id"]]
    assert cold_headers["x-execution-environment"] != headers["x-execution-environment"]
    # 6. no DynamoDB errors in the function's logs; 7. queries answer in under 50 ms
    events = checkout.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{function_name(checkout)}")["events"]
    messages = [event["message"] for event in events]
    assert not [message for message in messages if '"ERROR"' in message or "errorType" in message]
    durations = [float(found[1]) for m in messages if (found := re.search(r"\tDuration: ([\d.]+) ms", m))]
    assert sorted(durations)[len(durations) // 2] < 50


def test_up_again_changes_nothing_and_verifies_again(checkout: Checkout, up: str) -> None:
    again = checkout.must("up")
    assert "no changes, verified in" in again
    assert "FAILED" not in again
    # What was registered in between is still there: the stack was not made anew.
    assert checkout.call("GET", f"/agents/{AGENT['id']}")[0] == 200


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


def test_verify_leaves_nothing_behind(checkout: Checkout, up: str) -> None:
    items = checkout.client("dynamodb").scan(TableName="AgentRegistry")["Items"]
    assert not [item for item in items if "verify-" in item["agentId"]["S"]]


def sabotage(checkout: Checkout, **variables: str) -> None:
    """Deploys the function with other variables behind Terraform's back and moves the alias there."""
    functions, name = checkout.client("lambda"), function_name(checkout)
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
    # Terraform puts it right.
    assert "applied, verified in" in checkout.must("up")


def test_foreign_code_is_seen_and_put_back(checkout: Checkout, up: str) -> None:
    functions, name = checkout.client("lambda"), function_name(checkout)
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
    assert "applied, verified in" in checkout.must("up")
    assert checkout.call("GET", "/agents?capability=x")[0] == 200


def test_verify_fails_when_a_budget_is_exceeded(checkout: Checkout, up: str) -> None:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    before = file.read_text()
    try:
        file.write_text(before + "budgets = { cold_start_milliseconds = 1, query_milliseconds = 50 }\n")
        ended = checkout.make("up")
    finally:
        file.write_text(before)
    assert ended.exit_code == 2, "make's own code for a failed recipe"
    assert "verification failed: agent_registry: survives a cold start." in ended.stderr
    assert "over budget" in ended.stdout
    checkout.must("up")


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
