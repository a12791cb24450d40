"""A merge applies the plan that its pull request showed, or nothing."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from scripts import comment, fetch_bundle, github_api, paths, plan_bundle
from scripts.comment import Plan
from scripts.console import CommandError
from tests.pipeline.fake_github import BOT, REPOSITORY, TOKEN, FakeGitHub, fake_github

HEAD, MERGED, MAIN = "a" * 40, "b" * 40, "c" * 40
SEALED = plan_bundle.seal({"environment": "prod", "commit": HEAD, "changes": True}, {"terraform.tfplan": b"plan"})
UNCHANGING = plan_bundle.seal({"environment": "dev", "commit": HEAD, "changes": False}, {})


def digest(bundle: bytes) -> str:
    return hashlib.sha256(bundle).hexdigest()


class Story(NamedTuple):
    """Pull request 12 was planned, commented, and merged as MERGED."""

    github: FakeGitHub
    run: int
    artifact: dict[str, Any]

    def fetch(self, environment: str = "prod", merged: str = MERGED) -> fetch_bundle.Reviewed:
        return fetch_bundle.fetch(github_api.open_repository(), environment, merged)

    def refused(self, why: str, **asked: str) -> CommandError:
        with pytest.raises(CommandError, match=why) as caught:
            self.fetch(**asked)
        assert caught.value.next_step
        assert caught.value.exit_code == 1
        return caught.value

    def upload(self, environment: str, files: dict[str, bytes]) -> dict[str, Any]:
        return self.github.upload(self.run, f"plan-{environment}-{HEAD}", files)


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    with fake_github() as github:
        monkeypatch.setenv("GITHUB_API_URL", github.address)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        github.pull_request(12, HEAD, MERGED)
        github.trees = {HEAD: "tree", MERGED: "tree", MAIN: "another"}
        run = github.run(HEAD)
        artifact = github.upload(run, f"plan-prod-{HEAD}", {"plan.md": b"the plan", "plan.bundle": SEALED})
        github.upload(run, f"plan-dev-{HEAD}", {"plan.md": b"no changes", "plan.bundle": UNCHANGING})
        shown = {"prod": Plan("the plan", digest(SEALED)), "dev": Plan("no changes", digest(UNCHANGING))}
        github.comment(BOT, comment.body(shown, HEAD))
        yield Story(github, run, artifact)


def test_the_reviewed_bundle_comes_with_the_commit_that_was_planned(story: Story) -> None:
    assert story.fetch() == (12, HEAD, b"the plan", SEALED, digest(SEALED), True)
    assert not story.fetch("dev").changes


def test_a_commit_of_no_pull_request_was_not_reviewed(story: Story) -> None:
    said = story.refused("came from no pull request", merged=MAIN)
    assert "Run the workflow `apply` by hand" in said.next_step


def test_a_pull_request_that_merely_holds_the_commit_is_not_its_merge(story: Story) -> None:
    story.github.pulls[MAIN] = story.github.pulls[MERGED]
    story.refused("came from no pull request", merged=MAIN)
    story.github.pulls[MERGED][0]["merged_at"] = None
    story.refused("came from no pull request")


def test_a_branch_that_was_behind_main_is_refused(story: Story) -> None:
    story.github.trees[MERGED] = "with what others merged meanwhile"
    story.refused("holds more than was planned in pull request 12")


@pytest.mark.parametrize("repository", ["mallory/agents", None])
def test_a_fork_has_no_plan(story: Story, repository: str | None) -> None:
    story.github.pull_request(12, HEAD, MERGED, repository)
    story.refused("from a fork")


def test_a_run_of_a_fork_is_not_ours(story: Story) -> None:
    story.github.runs[0]["head_repository"] = {"full_name": "mallory/agents"}
    story.refused("was never planned")


def test_only_a_plan_that_succeeded_counts(story: Story) -> None:
    story.github.run(HEAD, conclusion="failure")
    story.refused("ended with failure")


def test_a_plan_under_way_is_waited_for_by_hand(story: Story) -> None:
    story.github.run(HEAD, status="in_progress", conclusion=None)
    assert "Run this job again" in story.refused("is still in_progress").next_step


def test_an_expired_or_missing_artifact_is_told(story: Story) -> None:
    story.refused("kept no plan of 'test'", environment="test")
    story.artifact["expired"] = True
    story.refused("has expired")


def test_a_bundle_that_the_comment_does_not_name_is_refused(story: Story) -> None:
    story.upload("prod", {"plan.md": b"the plan", "plan.bundle": b"another bundle"})
    story.refused("is not the one that its comment names")
    story.upload("prod", {"plan.md": b"the plan"})
    story.refused("is not the one that its comment names")


def test_without_our_comment_nobody_has_seen_the_plan(story: Story) -> None:
    story.github.comments[0]["user"] = {"login": "mallory"}
    story.refused("names no bundle of commit aaaaaaaaaaaa")


def test_a_plan_that_the_guard_refused_has_no_bundle_to_apply(story: Story) -> None:
    story.github.comments[0]["body"] = comment.body({"prod": Plan("refused", "")}, HEAD)
    story.refused("names no bundle of commit aaaaaaaaaaaa")


def test_a_damaged_download_is_noticed(story: Story) -> None:
    story.github.stored[1] = story.github.stored[1][:-1] + b"!"
    assert "again" in story.refused("arrived damaged").next_step
    story.artifact["digest"] = None  # as artifacts had none once
    story.github.stored[1] = b"no zip at all"
    story.refused("is not a zip")


def test_nothing_leaves_the_artifact_but_plan_and_bundle(story: Story) -> None:
    story.upload("prod", {"../../plan.bundle": SEALED, "plan.md": b"the plan", "Makefile": b"help:"})
    assert story.fetch().bundle == SEALED


@pytest.mark.parametrize(
    ("environment", "bundle", "handed_on"), [("prod", SEALED, digest(SEALED)), ("dev", UNCHANGING, "")]
)
def test_commit_and_digest_are_handed_to_the_next_job(
    story: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: str,
    bundle: bytes,
    handed_on: str,
) -> None:
    """Without changes there is no digest: no job starts that would ask for approval."""
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    fetch_bundle.main(environment, MERGED)
    assert (tmp_path / "output").read_text() == f"commit={HEAD}\ndigest={handed_on}\n"
    assert (tmp_path / "summary").read_text() in ("the plan\n\n", "no changes\n\n")
    assert (tmp_path / environment / "plan.bundle").read_bytes() == bundle
    assert (f"DIGEST={handed_on}" if handed_on else "nothing to apply") in capsys.readouterr().out


def test_an_abbreviated_commit_is_no_commit() -> None:
    with pytest.raises(CommandError, match="is not a commit"):
        fetch_bundle.main("prod", "main")
