"""The workflows do nothing but call make, with the least rights, and run nobody's code that may change overnight."""

import re
import subprocess

import pytest

from scripts import paths
from tests.pipeline.workflows import ACTIONS, WORKFLOWS, jobs, names, steps, workflow
from tests.recording_guarantees import Guarantee

READ = {"contents": "read"}
AWS = {"contents": "read", "id-token": "write"}
PERMISSIONS = {
    "ci/lint": READ,
    "ci/test": READ,
    "ci/embedded": READ,
    "ci/ahead": READ,
    "ci/audit": READ,
    "ci/secrets": READ,
    "audit/audit": READ,
    "plan/environments": READ,
    "plan/plan": AWS,
    "plan/comment": {"contents": "read", "pull-requests": "write"},
    "apply/environments": READ,
    # What the jobs of apply-environment.yml may have at most.
    "apply/environment": {"actions": "read", "contents": "read", "id-token": "write", "pull-requests": "read"},
    "apply-environment/reviewed": {"actions": "read", "contents": "read", "pull-requests": "read"},
    "apply-environment/planned": AWS,
    "apply-environment/apply": AWS,
    "drift/environments": READ,
    "drift/drift": AWS,
}
# The jobs that hold a token of GitHub, for the one command that needs it.
TOKENS = {"plan/comment": "make comment", "apply-environment/reviewed": "make fetch-bundle"}


def test_actionlint_finds_nothing() -> None:
    actionlint = paths.ROOT / ".venv" / "bin" / "jactionlint"
    if not actionlint.exists():
        pytest.skip("actionlint is not installed: `make .venv/test` installs it")
    # Every `run` is one line of make: there is no shell script to check.
    found = subprocess.run([actionlint, "--shellcheck="], cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


def test_every_action_is_pinned_by_commit_and_says_its_version(guarantee: Guarantee) -> None:
    used: dict[str, set[str]] = {}
    for file in [*WORKFLOWS.iterdir(), *ACTIONS.glob("*/action.yml")]:
        for line in file.read_text().splitlines():
            found = re.match(r"\s*(?:- )?uses: (.*)", line)
            if found is None or re.fullmatch(r"\./\.github/(actions/[\w-]+|workflows/[\w-]+\.yml)", found[1]):
                continue
            pinned = re.fullmatch(r"([\w-]+/[\w-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", found[1])
            assert pinned, f"{file.name}: {line.strip()}"
            used.setdefault(pinned[1], set()).add(pinned[2])
    guarantee("supply-chain", actions_pinned=len(used))
    assert {action: versions for action, versions in used.items() if len(versions) > 1} == {}
    assert len(used) == 6


def test_every_command_is_a_target_of_make_and_takes_what_others_wrote_from_its_environment() -> None:
    targets = set(re.findall(r"^([a-z-]+):.* ## ", (paths.ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    commands = [(name, step["run"]) for name, step in steps() if "run" in step]
    for name, command in commands:
        found = re.fullmatch(r'make ([a-z-]+)(?: [A-Z]+=(?:[\w./-]+|"\$[A-Z]+"))*', command)
        assert found, f"{name}: {command}"
        assert found[1] in targets, f"{name}: {command}"
    assert len(commands) > 15


def test_every_variable_of_a_command_is_set() -> None:
    for name, step in steps():
        known = jobs().get(name, {}).get("env", {}) | step.get("env", {})
        assert set(re.findall(r"\$([A-Z]+)", step.get("run", ""))) <= set(known), f"{name}: {step}"


def test_advisories_are_asked_for_with_each_change_and_each_night() -> None:
    asking = {name for name, step in steps() if step.get("run") == "make audit"}
    assert asking == {"ci/audit", "audit/audit"}
    assert workflow("audit")["on"]["schedule"]
    assert "pull_request" in workflow("ci")["on"]
    for name in asking:
        assert "continue-on-error" not in str(jobs()[name]), "what was found fails the run"


def test_secrets_are_looked_for_in_the_whole_history() -> None:
    steps_of = jobs()["ci/secrets"]["steps"]
    assert steps_of[0]["with"]["fetch-depth"] == 0, "a shallow clone has no history"
    assert steps_of[-1]["run"] == "make secrets-scan HISTORY=1"


def test_each_job_has_the_least_permissions() -> None:
    assert {name: workflow(name)["permissions"] for name in names()} == {name: {} for name in names()}
    assert {name: job["permissions"] for name, job in jobs().items()} == PERMISSIONS


def test_tokens_stay_where_they_are_needed() -> None:
    for name, step in steps():
        action = step.get("uses", "")
        if action.startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name
        given = [value for value in step.get("env", {}).values() if "token" in str(value) or "secrets" in str(value)]
        assert bool(given) == (name in TOKENS and step.get("run", "").startswith(TOKENS[name])), f"{name}: {step}"
    signed_in = {name for name, step in steps() if "configure-aws-credentials" in step.get("uses", "")}
    assert signed_in == {name for name, permissions in PERMISSIONS.items() if permissions == AWS}
    everything = "".join(file.read_text() for file in WORKFLOWS.iterdir())
    assert not re.search(r"\$\{\{[^}]*\bsecrets\b|secrets: inherit", everything)
    assert "pull_request_target" not in everything


def test_only_a_job_that_waits_for_approval_has_the_role_that_applies() -> None:
    approved = {name for name, job in jobs().items() if "environment" in job}
    applying = {name for name, step in steps() if "apply_role_arn" in str(step)}
    assert approved == applying == {"apply-environment/apply"}


def test_every_job_ends() -> None:
    for name, job in jobs().items():
        if "uses" not in job:
            assert 5 <= job["timeout-minutes"] <= 120, name
            assert job["runs-on"] == "ubuntu-24.04", name


def test_runs_of_the_same_thing_wait_for_each_other() -> None:
    groups = {name: workflow(name).get("concurrency") for name in names()}
    assert [name for name, group in groups.items() if group is None] == ["apply-environment"], "it has its caller's"
    assert jobs()["apply/environment"]["concurrency"] == {
        "group": "apply-${{ matrix.name }}",
        "cancel-in-progress": False,
    }
    cut_off = [name for name, group in groups.items() if group and group["cancel-in-progress"]]
    assert cut_off == ["ci"], "a killed Terraform leaves its lock on the state"


def test_environments_are_applied_one_after_the_other_and_planned_side_by_side() -> None:
    assert jobs()["apply/environment"]["strategy"]["max-parallel"] == 1
    assert "fail-fast" not in jobs()["apply/environment"]["strategy"], "what failed in one is not tried in the next"
    assert not jobs()["plan/plan"]["strategy"]["fail-fast"]
    assert not jobs()["drift/drift"]["strategy"]["fail-fast"]


def test_artifacts_are_kept_short_and_found_by_their_hidden_path() -> None:
    uploads = [step["with"] for _, step in steps() if "upload-artifact" in step.get("uses", "")]
    assert len(uploads) == 7
    for upload in uploads:
        assert upload["include-hidden-files"]
        assert upload["retention-days"] <= (7 if "bundle" in upload["path"] else 90)
