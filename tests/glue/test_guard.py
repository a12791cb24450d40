"""`make guard`: any plan's JSON, from a file or a pipe."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import paths

OPENED = {
    "planned_values": {},
    "resource_changes": [
        {
            "address": 'aws_lambda_function_url.this["a b"]',
            "type": "aws_lambda_function_url",
            "mode": "managed",
            "change": {
                "actions": ["update"],
                "before": {"authorization_type": "AWS_IAM"},
                "after": {"authorization_type": "NONE"},
                "after_unknown": {},
            },
        }
    ],
}
NAME = 'public-route:aws_lambda_function_url.this["a b"]'


def guard(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.guard", *arguments]
    return subprocess.run(command, cwd=paths.ROOT, input=given, capture_output=True, text=True, check=False)


def test_a_plan_from_a_pipe_is_refused_with_what_lets_it_through() -> None:
    refused = guard(given=json.dumps(OPENED))
    assert refused.returncode == 1
    assert f"To let it through: ALLOW='{NAME}'" in refused.stdout
    allowed = guard("--allow", NAME, "--json", given=json.dumps(OPENED))
    assert allowed.returncode == 0
    assert [finding["rule"] for finding in json.loads(allowed.stdout)["let_through"]] == ["public-route"]


def test_a_file_and_an_environments_own_allowances(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(OPENED | {"resource_changes": []}))
    assert "found nothing" in guard("--plan", str(plan), "--env", "prod").stdout


@pytest.mark.parametrize("given", ["", "no plan", "[]", "{}"])
def test_what_is_no_plan_is_told_in_a_line(given: str) -> None:
    ended = guard(given=given)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "terraform show -json" in ended.stderr


def test_a_file_that_is_not_there() -> None:
    assert guard("--plan", "/nowhere/plan.json").returncode == 2
