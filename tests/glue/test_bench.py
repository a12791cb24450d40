"""The README shows what was measured last, and the frame of the benchmark tells what it can't do."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from scripts import bench, paths
from scripts.benchmarks import build, engine_at_hand, migration, pages, picture, whole_stack
from scripts.benchmarks.parts import AT_LEAST, AT_MOST, Chart, Options, Part, Row
from scripts.console import CommandError

ENGINES = ("DYNAMODB_ENDPOINT", "DYNAMODB_LOCAL_JAR", "DYNOXIDE")


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    results: dict[str, Any] = json.loads(pages.RECORDED.read_text())
    return results


def test_what_is_shown_is_what_was_recorded(recorded: dict[str, Any]) -> None:
    for file, text in pages.shown(recorded).items():
        assert file.read_text() == text, f"{file.relative_to(paths.ROOT)} differs: `make bench RECORD=1`"


def test_each_part_was_recorded_in_one_run_with_its_figures(recorded: dict[str, Any]) -> None:
    assert list(recorded["parts"]) == list(bench.PARTS)
    assert all(part["rows"] and part["tables"] for part in recorded["parts"].values())
    shown = pages.README.read_text()
    for row in pages.rows(recorded):
        assert f"| {row.what} | {row.against} | {row.figure} | {row.goal_text} |" in shown


def test_figure_and_goal_tell_whether_it_is_met() -> None:
    assert Row("", "", 0.22, "x", AT_MOST, 0.22).is_met
    assert not Row("", "", 0.221, "x", AT_MOST, 0.22).is_met
    assert Row("", "", 10, "x", AT_LEAST, 10).is_met
    assert not Row("", "", 9.99, "x", AT_LEAST, 10).is_met
    assert Row("", "", 1234.5, "x", AT_LEAST, 500, is_computed=True).figure == "1,234 x (computed)"
    assert Row("", "", 0.5, "s", AT_MOST, 1).goal_text == "≤ 1 s"


def test_a_picture_is_well_formed_and_has_a_bar_of_each_value() -> None:
    charts = [
        Chart("a < b & c", "ms", {"one": {"ours": 1.0, "<theirs>": 20.0}, "two": {"ours": 0.0}}),
        Chart("c", "units", {"": {"ours": 1e-3, "theirs": 1e6}}, lower_is_better=False, is_logarithmic=True),
    ]
    drawn = ElementTree.fromstring(picture.svg(charts, "when & where"))  # noqa: S314  made here
    bars = [bar for bar in drawn.iter("{http://www.w3.org/2000/svg}rect") if bar.get("class") != "page"]
    assert [bar.get("class") for bar in bars] == ["ours", "theirs", "ours", "ours", "theirs"]
    assert all(float(bar.get("width", 0)) > 0 for bar in bars)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DYNAMODB_ENDPOINT": "127.0.0.1:8000"}, "is no URL"),
        ({"DYNAMODB_ENDPOINT": "https://dynamodb.eu-north-1.amazonaws.com"}, "is AWS itself"),
        ({"DYNAMODB_ENDPOINT": "https://dynamodb.eu-north-1.api.aws"}, "is AWS itself"),
        ({"DYNAMODB_LOCAL_JAR": "/nowhere/DynamoDBLocal.jar"}, "DYNAMODB_LOCAL_JAR"),
        ({"DYNOXIDE": "/nowhere/dynoxide"}, "is no program"),
    ],
)
def test_an_engine_that_can_not_be_used_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for name in ENGINES:
        monkeypatch.delenv(name, raising=False)
    assert engine_at_hand.at_hand() is None
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=said):
        engine_at_hand.at_hand()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--only", "cold"], "there is no part cold"), (["--record", "--only", "build"], "RECORD goes with all parts")],
)
def test_what_can_not_be_measured_so_is_refused(options: list[str], said: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "scripts.bench", *options], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert said in answer.stderr


def test_results_of_before_a_failure_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "benchmarks.json")
    for name in ENGINES:  # none is needed, and one takes a while to start
        monkeypatch.delenv(name, raising=False)
    row = Row("build", "pip", 2.0, "s", AT_MOST, 1.0)
    monkeypatch.setattr(build, "measure", lambda _options: Part([row], []))

    def fails(_options: Options) -> Part:
        raise CommandError("it broke")

    monkeypatch.setattr(migration, "measure", fails)
    with pytest.raises(CommandError, match="it broke"):
        bench.main(only="build,migration", rounds=None, records=None, record=False, json_output=False)
    kept = json.loads((tmp_path / "benchmarks.json").read_text())
    assert pages.rows(kept) == [row]
    assert "**not met**" in (tmp_path / "benchmarks.md").read_text()
    with pytest.raises(CommandError, match="1 goals are missed: build"):
        bench.main(only="build", rounds=None, records=None, record=False, json_output=True)


def test_the_build_is_measured_in_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_with_boto3", lambda _folder: None)
    part = build.measure(Options(rounds=1))
    assert [row.what.split(" (")[0] for row in part.rows] == [
        "build of all zips, cold",
        "build of all zips, unchanged",
        "largest zip",
    ]
    assert part.rows[0].value > part.rows[1].value > 0
    assert 1 < part.rows[2].value < build.GOAL_KILOBYTES


def test_the_migration_is_measured_on_whatever_is_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "MORE_RECORDS", 1)
    with engine_at_hand.running() as engine:
        part = migration.measure(Options(rounds=1, records=100, engine_url=engine.url))
    assert [row.against for row in part.rows[:2]] == list(migration.PEERS)
    assert all(row.value > 0 for row in part.rows)
    assert set(part.data["samples"][migration.PROFILES]) == {migration.MIGRATE, *migration.PEERS}


def test_make_up_is_held_against_terraform_of_the_same_round() -> None:
    samples = {
        whole_stack.UP: [30.0, 12.0, 13.0],
        whole_stack.INIT: [5.0, 2.0, 2.0],
        whole_stack.APPLY: [20.0, 8.0, 8.0],
        whole_stack.VERIFY: [9.0, 14.0, 11.0],
    }
    ratio, verify = whole_stack._part(samples).rows
    assert (ratio.value, ratio.is_met) == (1.2, True)
    assert (verify.value, verify.is_met) == (11.0, True)
