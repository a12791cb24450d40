"""`make up` on all systems: what it prints works, and again it changes nothing."""

import json
import re
import subprocess

from tests.end_to_end.checkout import Checkout
from tests.recording_guarantees import Guarantee

CHECKS = (
    "deployed code",
    "write through the API",
    "warm queries",
    "survives a cold start",
    "clean-up",
    "logs without errors",
)


def test_every_system_is_verified(running_stack: Checkout, up_output: str, guarantee: Guarantee) -> None:
    assert "FAILED" not in up_output
    systems = set(re.findall(r"^(\w+) +deployed code", up_output, re.MULTILINE))
    assert len(systems) == len(running_stack.client("lambda").list_functions()["Functions"])
    survived = re.findall(r"^(\w+) +survives a cold start +passed", up_output, re.MULTILINE)
    guarantee("cold-start", systems=len(systems), lost=len(systems - set(survived)))
    for system in systems:
        for check in CHECKS:
            assert re.search(rf"^{system} +{check} +passed", up_output, re.MULTILINE), up_output
    assert re.search(r"^stack +next plan +passed", up_output, re.MULTILINE)


def test_verification_leaves_nothing_behind(running_stack: Checkout, up_output: str) -> None:
    dynamodb = running_stack.client("dynamodb")
    for name in dynamodb.list_tables()["TableNames"]:
        assert "verif" not in json.dumps(dynamodb.scan(TableName=name)["Items"]).lower(), name


def test_the_curl_lines_work_when_pasted(running_stack: Checkout, up_output: str) -> None:
    lines = [line.strip() for line in up_output.splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 2
    registered, found = (
        json.loads(subprocess.run(line, shell=True, capture_output=True, check=True, text=True).stdout)
        for line in lines
    )
    assert registered["id"] == "weather-1"
    assert found["agents"] == [registered]


def test_up_again_changes_nothing_and_verifies_again(running_stack: Checkout) -> None:
    agent = {"id": "stays", "name": "Stays", "endpoint": "https://stays.example.com", "capabilities": []}
    assert running_stack.call("POST", "/agents/register", {"profile": agent})[0] == 201
    again = running_stack.must("up")
    assert "no changes, verified in" in again
    assert "FAILED" not in again
    # What was registered in between is still there: the stack was not made anew.
    assert running_stack.call("GET", "/agents/stays")[0] == 200
