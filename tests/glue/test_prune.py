"""Pruning deletes what nobody uses any more, and nothing else."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from scripts import aws, function_versions, prune, rollback
from scripts.console import CommandError
from tests.glue.deployed import SYSTEM, Deployed, source


@pytest.fixture
def eight(deployed: Deployed) -> Deployed:
    """Version 8 is live; a second alias sends calls to 5, and some to 2."""
    deployed.apply(deployed.publish(*map(source, range(1, 9))))
    weights = {"AdditionalVersionWeights": {"2": 0.1}}
    deployed.functions.create_alias(
        FunctionName=deployed.name, Name="canary", FunctionVersion="5", RoutingConfig=weights
    )
    return deployed


def pruned(capsys: pytest.CaptureFixture[str], keep: int, *, system: str = "", dry_run: bool = False) -> Any:
    capsys.readouterr()
    prune.main(env="staging", system=system, keep=keep, dry_run=dry_run, json_output=True)
    return json.loads(capsys.readouterr().out)["systems"][SYSTEM]


def test_the_newest_and_whatever_is_in_use_stays(eight: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    rollback.main(env="staging", system=SYSTEM, to="1")
    would = pruned(capsys, 2, dry_run=True)
    assert would == {
        "deleted": ["3", "4", "6"],
        "kept": {"1": "live", "2": "canary", "5": "canary", "7": "", "8": "Terraform's"},
    }
    assert len(eight.versions) == 8
    assert pruned(capsys, 2, system=SYSTEM) == would
    assert eight.versions == ["1", "2", "5", "7", "8"]
    assert pruned(capsys, 2)["deleted"] == []
    assert eight.function.invoke(qualifier="live").payload == 1
    prune.main(env="staging", system=SYSTEM, keep=1)
    assert "agent_registry: deleted 7; kept 1 (live), 2 (canary), 5 (canary), 8" in capsys.readouterr().out


def test_a_version_rolled_back_to_stays_before_the_alias_gets_there(
    eight: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "_move_alias", lambda _move: None)
    rollback.main(env="staging", system=SYSTEM, to="1")
    assert pruned(capsys, 1)["kept"]["1"] == "rolled back to"


def test_what_others_do_meanwhile_is_no_failure(
    eight: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = function_versions.published(eight.name), function_versions.aliased(eight.name)
    monkeypatch.setattr(function_versions, "published", lambda _name: before[0])
    monkeypatch.setattr(function_versions, "aliased", lambda _name: before[1])
    eight.functions.delete_function(FunctionName=eight.name, Qualifier="3")
    eight.functions.create_alias(FunctionName=eight.name, Name="other", FunctionVersion="4")
    found = pruned(capsys, 1)
    assert found["kept"]["4"] == "in use"
    assert found["deleted"] == ["1", "3", "6", "7"]
    assert eight.versions == ["2", "4", "5", "8"]


def test_a_system_that_is_not_there_is_told(eight: Deployed) -> None:
    with pytest.raises(CommandError, match="there is no system 'pet_store'"):
        prune.main(env="staging", system="pet_store")


def test_every_page_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("lambda", region_name="eu-north-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stubber:
        for kind, pages in (
            ("Versions", [[{"Version": "$LATEST"}, {"Version": "9"}], [{"Version": "10"}]]),
            ("Aliases", [[{"Name": "a", "FunctionVersion": "9"}], [{"Name": "b", "FunctionVersion": "9"}]]),
        ):
            operation = "list_versions_by_function" if kind == "Versions" else "list_aliases"
            stubber.add_response(operation, {kind: pages[0], "NextMarker": "more"}, {"FunctionName": "f"})
            stubber.add_response(operation, {kind: pages[1]}, {"FunctionName": "f", "Marker": "more"})
        monkeypatch.setattr(aws, "client", lambda _service: client)
        assert list(function_versions.published("f")) == ["10", "9"]
        assert function_versions.aliased("f") == {"9": ["a", "b"]}


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "just published"), (60, "1 minute old"), (7300, "2 hours old"), (172800, "2 days old")]
)
def test_age_in_the_largest_unit(seconds: int, said: str) -> None:
    published = (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
    assert function_versions.age({"LastModified": published}) == said
