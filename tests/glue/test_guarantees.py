"""What tests find about promises is kept by the fixture `guarantee`, and told on one page."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from scripts import guarantee_records, guarantees, paths
from scripts.console import CommandError

CONFTEST = """
from pathlib import Path
from scripts import guarantee_records
guarantee_records.RECORDS = Path(__file__).parent / "records"
guarantee_records.DECLARATION = Path(__file__).parent / "tests" / "guarantees.toml"
pytest_plugins = ["tests.recording_guarantees"]
"""
DECLARATION = """
[safe]
promise = "Nothing is lost."
[fast]
promise = "It comes at once."
[[not_guaranteed]]
what = "Luck"
instead = "Some have it."
"""
SAFE = """
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
@pytest.mark.parametrize("count", [3, 4])
def test_counts(count, guarantee):
    guarantee("safe", probes=count, lost=0)
    guarantee("safe", probes=1)
@settings(max_examples=20, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers())
def test_by_examples(guarantee, number):
    guarantee("safe", examples=1)
def test_of_nothing():
    pass
"""
BY_ANOTHER = """
def tried(guarantee):
    guarantee("fast", calls=2)
def test_fast(guarantee):
    tried(guarantee)
"""


class Project:
    """A project with tests of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tests").mkdir()
        self.write("conftest.py", CONFTEST)
        self.write("pytest.ini", "[pytest]\naddopts = --strict-markers\n")
        self.write("tests/guarantees.toml", DECLARATION)
        self.write("tests/test_safe.py", SAFE)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def run(self, *arguments: str) -> int:
        """The exit code of pytest."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
        # Of all plugins that are installed, most of the time would be theirs.
        alone = {"PYTHONPATH": str(paths.ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        environment = {**os.environ, **alone}
        ended = subprocess.run([*command, *arguments], cwd=self.folder, env=environment, capture_output=True, text=True)
        print(ended.stdout, ended.stderr)
        return ended.returncode

    def page(self) -> tuple[str, dict[str, Any], int]:
        """The page, what it tells of each promise, and the exit code of the command."""
        output, code = self.folder / "page.md", 0
        try:
            guarantees.main(output)
        except CommandError as error:
            code = error.exit_code
        tests, records = guarantee_records.tests_by_promise(), guarantee_records.records()
        told = {name: guarantees._promise(name, "", tests.get(name, []), records) for name in ("safe", "fast")}
        return output.read_text(), told, code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(guarantee_records, "ROOT", tmp_path)
    monkeypatch.setattr(guarantee_records, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(guarantee_records, "DECLARATION", tmp_path / "tests" / "guarantees.toml")
    monkeypatch.setattr(guarantees, "_engines", lambda: ["an engine 1.0"])
    return Project(tmp_path)


def test_figures_sum_up_over_calls_cases_and_workers(project: Project) -> None:
    assert project.run("-p", "xdist.plugin", "--numprocesses", "2") == 0
    page, told, code = project.page()
    counts, examples = told["safe"]["tests"]
    assert counts["figures"] == {"probes": 3 + 1 + 4 + 1, "lost": 0}
    assert counts["outcomes"] == {"passed": 2}
    assert 0 < examples["figures"]["examples"] <= 25
    assert "| [test_safe.py](../tests/test_safe.py)<br>counts | 2 | passed | lost: 0<br>probes: 9 |" in page
    assert "**Luck**: no. Some have it." in page
    assert "an engine 1.0" in page
    assert (told["fast"]["state"], code) == ("not all its tests ran", 1)


def test_a_later_run_replaces_what_the_same_test_said_and_nothing_else(project: Project) -> None:
    project.run()
    project.write("tests/test_safe.py", SAFE.replace("probes=count", "probes=100 * count"))
    assert project.run("tests/test_safe.py::test_counts[3]") == 0
    (counts, examples) = project.page()[1]["safe"]["tests"]
    assert counts["figures"]["probes"] == 300 + 1 + 4 + 1
    assert examples["figures"]["examples"] > 0


def test_what_was_renamed_or_has_other_cases_does_not_linger(project: Project) -> None:
    project.run()
    project.write("tests/test_safe.py", SAFE.replace("[3, 4]", "[3, 5]").replace("test_by_examples", "test_by_chance"))
    project.run("--collect-only")
    assert len(guarantee_records.records()) == 3
    project.run("-k", "counts")
    counts, renamed = project.page()[1]["safe"]["tests"]
    assert counts["figures"]["probes"] == 3 + 1 + 5 + 1
    assert (renamed["test"], renamed["outcomes"]) == ("tests/test_safe.py::test_by_chance", {})
    assert project.page()[1]["safe"]["state"] == "not all its tests ran"
    (project.folder / "tests" / "test_safe.py").unlink()
    assert project.page()[1]["safe"]["tests"] == []


@pytest.mark.parametrize(
    ("code", "state", "outcome", "exit_code"),
    [
        ("guarantee('fast', calls=1)", "held", "passed", 0),
        ("guarantee('fast', calls=1); assert False", "broken", "failed", 1),
        ("import pytest; pytest.skip('no | Java'); guarantee('fast')", "skipped", "skipped (no \\| Java)", 0),
        ("import os; guarantee('fast', calls=1); os._exit(1)", "broken", "did not end", 1),
        ("guarantee('fast', calls=True)", "broken", "failed", 1),
    ],
)
def test_how_a_test_ended_is_told(project: Project, code: str, state: str, outcome: str, exit_code: int) -> None:
    project.write("tests/test_fast.py", f"def test_fast(guarantee):\n    {code}\n")
    project.run()
    project.run("tests/test_safe.py")
    page, told, code_of_command = project.page()
    assert (told["fast"]["state"], code_of_command) == (state, exit_code)
    assert f"<br>fast | 1 | {outcome} |" in page


def test_a_test_may_name_its_promise_by_another_function(project: Project) -> None:
    project.write("tests/test_fast.py", BY_ANOTHER)
    assert project.run("tests/test_fast.py") == 0
    assert [row["figures"] for row in project.page()[1]["fast"]["tests"]] == [{"calls": 2}]


def test_what_fails_around_a_test_has_failed(project: Project) -> None:
    around = """
        import pytest
        @pytest.fixture
        def before():
            raise OSError
        @pytest.fixture
        def after():
            yield
            raise OSError
        def test_before(before, guarantee):
            guarantee("fast", calls=1)
        def test_after(after, guarantee):
            guarantee("fast", calls=1)
    """
    project.write("tests/test_fast.py", textwrap.dedent(around))
    assert project.run() == 1
    assert [row["outcomes"] for row in project.page()[1]["fast"]["tests"]] == [{"failed": 1}, {"failed": 1}]


def test_a_promise_that_nobody_made_is_refused(project: Project) -> None:
    project.write("tests/test_fast.py", "def test_fast(guarantee):\n    guarantee('faster', calls=1)\n")
    assert project.run("tests/test_fast.py") == 1


def test_the_marker_chooses_them(project: Project) -> None:
    assert project.run("-m", "guarantee") == 0
    assert len(guarantee_records.records()) == 3
    names = {record.test for record in guarantee_records.records()}
    assert "tests/test_safe.py::test_of_nothing" not in names


def test_every_promise_has_a_test_and_every_test_names_its_promise() -> None:
    declared, tests = guarantee_records.declaration(), guarantee_records.tests_by_promise()
    assert set(guarantee_records.promises(declared)) == set(tests)
    assert all(told.keys() == {"promise"} for told in map(declared.get, tests) if told)
    assert all(told.keys() == {"what", "instead"} for told in declared[guarantee_records.NOT_GUARANTEED])


def test_the_page_tells_of_every_promise_with_its_tests_and_of_nothing_else() -> None:
    """Only a run gives figures; what stands on the page besides is as the code says, or `make guarantees` is due."""
    declared, tests = guarantee_records.declaration(), guarantee_records.tests_by_promise()
    page = guarantees.PAGE.read_text()
    promised, _, not_guaranteed = page.partition("## What is not guaranteed")
    sections = dict(section.split("\n", 1) for section in promised.split("\n## ")[1:])
    assert list(sections) == list(guarantee_records.promises(declared))
    for name, text in guarantee_records.promises(declared).items():
        assert text in sections[name]
        rows = re.findall(r"^\| \[.*?\]\(\.\./(.*?)\)<br>(.*?) \|", sections[name], flags=re.MULTILINE)
        assert rows == [(file, shown(test)) for file, _, test in (one.partition("::") for one in tests[name])]
    for told in declared[guarantee_records.NOT_GUARANTEED]:
        assert f"- **{told['what']}**: no. {told['instead']}" in not_guaranteed
    assert re.search(r"\d+ tests? on \d{4}-\d\d-\d\d \d\d:\d\d UTC, commit [0-9a-f]{12}.*Python \d.*moto \d", page)


def shown(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")
