"""The doctor as a command: it changes nothing, goes on, and finds nothing wrong with what is healthy."""

import json
import re
from typing import Any

import pytest
from botocore.parsers import ResponseParserError

from scripts import aws, doctor
from scripts.console import CommandError
from tests.glue.diagnosed import (
    APPLY,
    SYSTEM,
    Diagnosed,
)
from tests.local_aws.conftest import ACCOUNT


def test_a_healthy_stack_has_no_findings(stack: Diagnosed, capsys: pytest.CaptureFixture[str]) -> None:
    profile = {"id": "a", "name": "A", "endpoint": "https://a.example.com", "capabilities": ["x"]}
    assert stack.invoke("POST", "/agents/register", {"profile": profile})["statusCode"] == 201
    assert stack.invoke("GET", "/agents/a")["statusCode"] == 200
    report = stack.examine()
    assert report.findings == []
    assert report.not_looked_at == []
    doctor.main(env="staging", since="1h", system="", symptom="", json_output=True)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["healthy"], printed["findings"], printed["account_id"]) == (True, [], ACCOUNT)
    doctor.main(env="staging")
    assert "nothing is wrong" in capsys.readouterr().out


def test_where_every_system_is_off_nothing_is_wrong(stack: Diagnosed) -> None:
    state = stack.state()
    state["outputs"]["verification"]["value"] |= {"systems": {}, "api": None}
    state["outputs"]["systems"]["value"] = {}
    stack.apply({**state, "resources": []})
    assert stack.examine().findings == []


def test_a_state_of_an_older_version_is_looked_at_as_far_as_it_goes(stack: Diagnosed) -> None:
    state = stack.state()
    del state["outputs"]["verification"]["value"]["budgets"]
    stack.apply(state)
    stack.client("cloudwatch").delete_alarms(AlarmNames=[f"{stack.name}-errors"])
    found = stack.found()
    assert found.keys() == {"could-not-look", "alarm-missing"}
    assert found["could-not-look"].fix == APPLY
    assert "another version applied it" in found["could-not-look"].cause


def test_a_look_changes_nothing(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call that it makes, by its name."""
    called: set[str] = set()
    new_client = aws._new_client

    def recording(service: str, **settings: Any) -> Any:
        made = new_client(service, **settings)
        made.meta.events.register("before-call", lambda model, **_: called.add(model.name))
        return made

    monkeypatch.setattr(aws, "_new_client", recording)
    stack.client("dynamodb").update_contributor_insights(TableName=stack.table, ContributorInsightsAction="ENABLE")
    stack.examine()
    reading = re.compile(r"(Get|List|Describe|Filter|Head|Simulate)[A-Z]")
    assert called
    assert [name for name in called if not reading.match(name)] == []


def test_exit_codes_and_what_is_printed(stack: Diagnosed, capsys: pytest.CaptureFixture[str]) -> None:
    stack.client("dynamodb").update_table(TableName=stack.table, DeletionProtectionEnabled=True)
    doctor.main(env="staging")  # warnings alone are no failure
    stack.client("dynamodb").update_table(TableName=stack.table, DeletionProtectionEnabled=False)
    stack.client("lambda").delete_function(FunctionName=stack.name)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        doctor.main(env="staging")
    assert ended.value.code == 1
    printed = capsys.readouterr().out
    assert f"error {SYSTEM}: there is no function {stack.name}\n" in printed
    assert f"  fix    {APPLY}\n" in printed
    assert "2 errors" in printed.splitlines()[-1]
    with pytest.raises(SystemExit):
        doctor.main(env="staging", json_output=True)
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {"severity", "code", "system", "subject", "what", "cause", "fix", "evidence"} == set(found[0])


def test_one_system_and_mistakes(stack: Diagnosed) -> None:
    assert stack.examine(only=SYSTEM).findings == []
    with pytest.raises(CommandError, match="no system 'nobody'"):
        stack.examine(only="nobody")
    with pytest.raises(CommandError, match="no environment"):
        doctor.main(env="nowhere")
    with pytest.raises(CommandError, match="not a time"):
        doctor.main(env="staging", since="soon")


def test_a_service_that_fails_is_told_once_and_the_rest_is_looked_at(
    stack: Diagnosed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: Any, **_more: Any) -> Any:
        raise ResponseParserError("a proxy's own page")

    monkeypatch.setattr("scripts.diagnosis.hot_keys.look", broken)
    stack.client("cloudwatch").delete_alarms(AlarmNames=[f"{stack.name}-errors"])
    found = stack.found()
    assert set(found) == {"could-not-look", "alarm-missing"}
    assert stack.table in found["could-not-look"].subject
    assert stack.markers in found["could-not-look"].subject
