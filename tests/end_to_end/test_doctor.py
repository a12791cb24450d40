"""A stack that was applied is healthy; broken in many ways at once, each is named; the fix that is told mends them."""

import json
import re

from tests.end_to_end.checkout import Checkout

SYSTEM, TABLE, ALIAS = "agent_registry", "AgentRegistry", "live"

AGENT = {"id": "weather-1", "name": "Weather", "endpoint": "https://weather.example.com", "capabilities": ["forecast"]}


def examined(checkout: Checkout) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code of the command itself, and its findings by code."""
    ended = checkout.run(".venv/bin/python", "-m", "scripts.doctor", "--env", "local", "--json")
    report = json.loads(ended.stdout)
    assert report["healthy"] == (not report["findings"])
    return ended.exit_code, {found["code"]: found for found in report["findings"]}


def test_broken_in_many_ways_and_mended_by_the_fix_that_it_tells(checkout: Checkout) -> None:
    before = checkout.make("doctor")
    assert (before.exit_code, before.stdout.count("make up")) == (2, 1), "nothing runs yet: that is a finding, too"
    assert "embedded-aws-not-running" in before.stdout

    checkout.run_only(SYSTEM)
    checkout.must("up")
    assert checkout.call("POST", "/agents/register", {"profile": AGENT})[0] == 201
    assert examined(checkout) == (0, {})

    name = checkout.function_name(SYSTEM)
    functions, gateway, iam = (checkout.client(each) for each in ("lambda", "apigatewayv2", "iam"))
    checkout.client("dynamodb").delete_table(TableName=TABLE)
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**variables, "PERSISTENCE": "memory"}}
    )
    functions.update_alias(
        FunctionName=name,
        Name=ALIAS,
        FunctionVersion=functions.publish_version(FunctionName=name)["Version"],
    )
    (sid,) = (
        statement["Sid"]
        for statement in json.loads(functions.get_policy(FunctionName=name, Qualifier=ALIAS)["Policy"])["Statement"]
    )
    functions.remove_permission(FunctionName=name, Qualifier=ALIAS, StatementId=sid)
    iam.delete_role_policy(RoleName=name, PolicyName="function")
    (api,) = gateway.get_apis()["Items"]
    route = next(each for each in gateway.get_routes(ApiId=api["ApiId"])["Items"] if each["RouteKey"] == "GET /agents")
    gateway.delete_route(ApiId=api["ApiId"], RouteId=route["RouteId"])
    checkout.client("cloudwatch").delete_alarms(AlarmNames=[f"{name}-errors"])

    code, found = examined(checkout)
    assert code == 1
    assert found.keys() == {
        "table-missing",
        "not-persisting",
        "alias-moved",
        "api-may-not-invoke",
        "not-authorised",
        "route-missing",
        "alarm-missing",
    }
    lost = found.pop("table-missing")
    assert {each["fix"] for each in found.values()} == {"make up"}
    assert re.search(rf"dynamodb:GetItem.* on \S+:table/{TABLE}\b", found["not-authorised"]["what"])
    shown = checkout.make("doctor", f"SYSTEM={SYSTEM}")
    assert f"error {SYSTEM}: table {TABLE} is not in us-east-1, nor in any other region" in shown.stdout
    assert "  fix    make up" in shown.stdout

    # The fix as it stands, but for `aws`, which is not among the dependencies: boto3 does the same.
    _restore(checkout, lost["fix"])
    code, found = examined(checkout)
    assert (code, found["table-settings-differ"]["fix"]) == (1, "make up"), "a restore drops expiry and recovery"
    mended = checkout.run("sh", "-c", found["table-settings-differ"]["fix"])
    assert mended.exit_code == 0, mended.stderr
    assert examined(checkout) == (0, {})
    assert checkout.call("GET", "/agents/weather-1")[0] == 200, "what was stored before is there"


def _restore(checkout: Checkout, fix: str) -> None:
    restore = re.search(r"aws dynamodb restore-table-from-backup --target-table-name (\S+) --backup-arn (\S+)", fix)
    assert restore, fix
    dynamodb = checkout.client("dynamodb")
    dynamodb.restore_table_from_backup(TargetTableName=restore[1], BackupArn=restore[2])
    assert f"aws dynamodb wait table-exists --table-name {TABLE}" in fix
    dynamodb.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
