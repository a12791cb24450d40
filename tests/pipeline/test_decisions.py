"""What the workflows do when something is missing or fails. No command runs here: their outcomes are given."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.fake_github import REPOSITORY, fake_github
from tests.pipeline.runner import FAILURE, SUCCESS, Runner, value

COMMIT, HEAD = "b" * 40, "a" * 40
ACCOUNT = {"region": "us-east-1", "account_id": "123456789012"}
ROLES = {
    "plan_role_arn": "arn:aws:iam::123456789012:role/plan",
    "apply_role_arn": "arn:aws:iam::123456789012:role/apply",
}
BOTH = [{"name": name, **ACCOUNT, **ROLES} for name in ("dev", "prod")]
FETCHED = {"commit": HEAD, "digest": 64 * "d"}


class Rehearsal(Runner):
    """Commands end as `ends` says of their target (in turn), and hand on what `outputs` says."""

    def given(self, outputs: Mapping[str, Mapping[str, str]], **ends: str | list[str]) -> None:
        self.outputs, self.ends = outputs, {name.replace("_", "-"): end for name, end in ends.items()}
        self.commits: list[str] = []
        self.signed_in: list[str] = []

    def _command(self, *given: Any) -> Any:
        target = given[2].split()[1]
        end = self.ends.get(target, SUCCESS)
        return end.pop(0) if isinstance(end, list) else end, self.outputs.get(target, {})

    def _action(self, action: str, handed: dict[str, Any], *_: Any) -> Mapping[str, str]:
        if action == "actions/checkout":
            self.commits.append(handed.get("ref", COMMIT))
        if action == "aws-actions/configure-aws-credentials":
            self.signed_in.append(handed["role-to-assume"].rpartition("/")[2])
        return {}

    def merged(self) -> str:
        return self.play("apply", {"event_name": "push", "ref": "refs/heads/main", "sha": COMMIT, "event": {}})

    def by_hand(self, environment: str, ref: str = "refs/heads/main") -> str:
        event = {"event_name": "workflow_dispatch", "ref": ref, "sha": COMMIT, "event": {}}
        return self.play("apply", event, {"environment": environment})

    def proposed(self, repository: str = REPOSITORY) -> str:
        pull_request = {"number": 12, "head": {"sha": HEAD, "repo": {"full_name": repository}}}
        event = {"event_name": "pull_request", "ref": "", "sha": COMMIT, "head_sha": HEAD}
        return self.play("plan", {**event, "event": {"pull_request": pull_request}})

    @property
    def targets(self) -> list[str]:
        return [command.split()[1] for _, command, _ in self.played]


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Rehearsal]:
    with fake_github() as github:
        yield Rehearsal(tmp_path, tmp_path, {}, github, tmp_path / "log")


def listed(*environments: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    return {"environments": {"environments": json.dumps(environments)}}


def test_a_merge_applies_each_environment_with_the_commit_that_was_planned(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH) | {"fetch-bundle": FETCHED})
    assert pipeline.merged() == SUCCESS
    one = ["fetch-bundle", "apply", "verify", "prune"]
    assert pipeline.targets == ["environments", *one, *one]
    assert pipeline.commits == [COMMIT, COMMIT, HEAD, COMMIT, HEAD]
    assert pipeline.signed_in == ["apply", "apply"]


def test_what_fails_in_one_environment_is_not_tried_in_the_next(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH) | {"fetch-bundle": FETCHED}, apply=FAILURE)
    assert pipeline.merged() == FAILURE
    assert pipeline.targets == ["environments", "fetch-bundle", "apply"]


def test_without_the_reviewed_plan_nothing_is_applied(pipeline: Rehearsal) -> None:
    pipeline.given(listed(BOTH[0]) | {"fetch-bundle": FETCHED}, fetch_bundle=FAILURE)
    assert pipeline.merged() == FAILURE
    assert pipeline.targets == ["environments", "fetch-bundle"]


def test_an_environment_that_does_not_change_asks_nobody_for_approval(pipeline: Rehearsal) -> None:
    pipeline.given(listed(BOTH[0]) | {"fetch-bundle": {"commit": HEAD, "digest": ""}})
    assert pipeline.merged() == SUCCESS
    assert pipeline.targets == ["environments", "fetch-bundle"]


@pytest.mark.parametrize(
    ("verify", "rollback", "then"),
    [
        ([FAILURE, SUCCESS], SUCCESS, ["rollback", "verify"]),
        ([FAILURE, FAILURE], SUCCESS, ["rollback", "verify"]),
        ([FAILURE], FAILURE, ["rollback"]),
    ],
)
def test_a_failed_verification_rolls_back_and_fails_all_the_same(
    pipeline: Rehearsal, verify: list[str], rollback: str, then: list[str]
) -> None:
    pipeline.given(listed(BOTH[0]) | {"fetch-bundle": FETCHED}, verify=verify, rollback=rollback)
    assert pipeline.merged() == FAILURE
    assert pipeline.targets == ["environments", "fetch-bundle", "apply", "verify", *then]


def test_by_hand_one_environment_is_planned_anew_with_the_role_that_reads(pipeline: Rehearsal) -> None:
    pipeline.given(listed(BOTH[1]) | {"plan": {"digest": 64 * "d"}})
    assert pipeline.by_hand("prod") == SUCCESS
    assert pipeline.targets == ["environments", "plan", "apply", "verify", "prune"]
    assert pipeline.signed_in == ["plan", "apply"]
    assert set(pipeline.commits) == {COMMIT}


@pytest.mark.parametrize("outcome", [SUCCESS, FAILURE])
def test_by_hand_a_refused_or_empty_plan_is_not_applied(pipeline: Rehearsal, outcome: str) -> None:
    pipeline.given(listed(BOTH[1]), plan=outcome)
    assert pipeline.by_hand("prod") == outcome
    assert pipeline.targets == ["environments", "plan"]


def test_another_branch_is_not_applied(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH))
    pipeline.by_hand("prod", "refs/heads/mine")
    assert pipeline.targets == []


def test_a_pull_request_is_commented_even_when_a_plan_fails(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH), plan=[FAILURE, SUCCESS])
    assert pipeline.proposed() == FAILURE
    assert pipeline.targets == ["environments", "plan", "plan", "comment"]
    assert set(pipeline.commits) == {HEAD}
    assert pipeline.signed_in == ["plan", "plan"]


def test_a_fork_gets_no_credentials_and_no_plan(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH))
    assert pipeline.proposed("mallory/agents") == SUCCESS
    assert pipeline.targets == []
    assert "no plan, as a fork gets no credentials" in pipeline.log.read_text()


@pytest.mark.parametrize("play", ["merged", "proposed", "night"])
def test_where_no_environment_is_set_up_nothing_happens(pipeline: Rehearsal, play: str) -> None:
    pipeline.given(listed())
    night = {"event_name": "schedule", "sha": COMMIT, "event": {}}
    assert (pipeline.play("drift", night) if play == "night" else getattr(pipeline, play)()) == SUCCESS
    assert pipeline.targets == ["environments"]


def test_drift_in_one_environment_does_not_hide_that_in_another(pipeline: Rehearsal) -> None:
    pipeline.given(listed(*BOTH), drift=[FAILURE, SUCCESS])
    assert pipeline.play("drift", {"event_name": "schedule", "sha": COMMIT, "event": {}}) == FAILURE
    assert pipeline.targets == ["environments", "drift", "drift"]


def test_an_expression_of_which_nothing_is_known_is_no_silent_blank() -> None:
    with pytest.raises(AssertionError, match=r"github\.evnt is not known"):
        value("${{ github.evnt }}", {"github": {"event": {}}})
    with pytest.raises(AssertionError, match=r"steps\.verfy\.outcome is not known"):
        value("${{ steps.verfy.outcome == 'failure' }}", {"steps": {"verify": {"outcome": ""}}})
