"""A pull request has one comment of ours, however often it is planned; others' are neither changed nor believed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import comment, github_api, paths
from scripts.comment import LIMIT_CHARACTERS, MARK, Plan
from scripts.console import CommandError
from scripts.github_api import GitHub
from tests.pipeline.fake_github import BOT, REPOSITORY, TOKEN, FakeGitHub, fake_github

COMMIT = "c0ffee" + 34 * "0"


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with fake_github() as running:
        monkeypatch.setenv("GITHUB_API_URL", running.address)
        monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        yield running


@pytest.fixture
def repository(github: FakeGitHub) -> GitHub:
    return github_api.open_repository()


def test_a_second_plan_replaces_the_first_in_place(github: FakeGitHub, repository: GitHub) -> None:
    github.comment("somebody", "Looks good")
    done, address = comment.publish(repository, 12, f"{MARK}\nfirst")
    assert (done, address) == ("created", github.comments[1]["html_url"])
    assert comment.publish(repository, 12, f"{MARK}\nsecond") == ("updated", address)
    assert [each["body"] for each in github.comments] == ["Looks good", f"{MARK}\nsecond"]


def test_the_comment_is_found_on_a_later_page(github: FakeGitHub, repository: GitHub) -> None:
    github.page_size = 2
    for number in range(5):
        github.comment("somebody", str(number))
    comment.publish(repository, 12, f"{MARK}\nfirst")
    assert comment.publish(repository, 12, f"{MARK}\nsecond")[0] == "updated"
    assert len(github.comments) == 6


def test_a_mark_that_somebody_else_wrote_is_left_alone(github: FakeGitHub, repository: GitHub) -> None:
    github.comment("mallory", f"{MARK}\n<!-- bundle of prod at {COMMIT}: {64 * 'a'} -->\n## ")
    github.comment(None, f"{MARK}\nof a deleted account")
    github.comment(BOT, f"quoted:\n{MARK}")
    assert comment.find(repository, 12) is None
    assert comment.publish(repository, 12, f"{MARK}\nours")[0] == "created"
    assert "mallory" in str(github.comments[0])
    assert comment.find(repository, 12) == github.comments[3]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_passing_fault_is_waited_for(github: FakeGitHub, repository: GitHub, method: str) -> None:
    github.comment(BOT, f"{MARK}\nfirst")
    github.failures = [(method, 502, {}, "bad gateway")]
    assert comment.publish(repository, 12, f"{MARK}\nsecond")[0] == "updated"
    assert not github.failures


def test_a_comment_is_not_made_twice_when_the_answer_was_lost(github: FakeGitHub, repository: GitHub) -> None:
    made = github.answer

    def made_but_lost(method: str, path: str, asked: dict[str, str], body: object) -> tuple[int, object]:
        status, answer = made(method, path, asked, body)
        return (502, {"message": "bad gateway"}) if method == "POST" else (status, answer)

    github.answer = made_but_lost  # type: ignore[method-assign, assignment]
    assert comment.publish(repository, 12, f"{MARK}\nours")[0] == "updated"
    assert len(github.comments) == 1


@pytest.mark.parametrize(
    ("status", "headers", "said", "next_step"),
    [
        (401, {}, "Bad credentials", "GITHUB_TOKEN"),
        (403, {}, "Resource not accessible by integration", "permissions"),
        (403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded", "when the hour"),
        (429, {"retry-after": "60"}, "You have exceeded a secondary rate limit", "in 60 s"),
        (404, {}, "Not Found", REPOSITORY),
    ],
)
def test_a_refusal_names_the_cause_and_the_way_out(
    github: FakeGitHub, repository: GitHub, status: int, headers: dict[str, str], said: str, next_step: str
) -> None:
    github.failures = [("POST", status, headers, said)]
    with pytest.raises(CommandError, match=f"GitHub refused POST .*/issues/12/comments with {status}") as caught:
        comment.publish(repository, 12, MARK)
    assert said in caught.value.message
    assert next_step in caught.value.next_step
    assert caught.value.exit_code == 1
    assert github.requests.count(f"POST /repos/{REPOSITORY}/issues/12/comments") == 1


def test_without_a_token_or_a_repository_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    with pytest.raises(CommandError, match="not said which repository"):
        github_api.open_repository()
    with pytest.raises(CommandError, match="GITHUB_TOKEN is not set"):
        github_api.open_repository(REPOSITORY)
    with pytest.raises(CommandError, match="'agents' is not a repository"):
        github_api.open_repository("agents")


def test_an_unreachable_github_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", TOKEN)
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(github_api, "_BACKOFF_SECONDS", 0)
    unreachable = github_api.open_repository(REPOSITORY)
    with pytest.raises(CommandError, match=r"GitHub can't be reached at http://127\.0\.0\.1:1: .*refused"):
        unreachable.post("/issues/12/comments", {})


def test_plans_are_read_wherever_they_lie_and_a_missing_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "BUILD", tmp_path)
    for folder, text in {"dev": "dev's", f"plan-eu-prod-{COMMIT}": "prod's"}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "plan.md").write_text(text)
    (tmp_path / "dev" / "plan.bundle").write_bytes(b"sealed")
    shown = comment.plans(["dev", "eu-prod", "lost"])
    assert list(shown) == ["dev", "eu-prod", "lost"]
    assert (shown["eu-prod"].text, shown["eu-prod"].digest) == ("prod's", "")
    assert "There is no plan" in shown["lost"].text
    written = {"body": comment.body(shown, COMMIT)}
    assert comment.named_bundle(written, "dev", COMMIT) == hashlib.sha256(b"sealed").hexdigest()
    assert comment.named_bundle(written, "eu-prod", COMMIT) == ""
    assert comment.named_bundle(written, "lost", COMMIT) is None
    assert comment.named_bundle(written, "dev", "0" * 40) is None, "another commit's"
    assert comment.named_bundle(None, "dev", COMMIT) is None


def test_a_plan_cannot_name_a_bundle_itself() -> None:
    forged = f"<!-- bundle of prod at {COMMIT}: {64 * 'a'} -->\n"
    written = {"body": comment.body({"dev": Plan(forged, "")}, COMMIT)}
    assert comment.named_bundle(written, "prod", COMMIT) is None


def test_a_long_plan_is_cut_where_the_comment_stays_whole() -> None:
    long = "### prod\n<details>\n\n```diff\n" + "".join(f"+ line {number}\n" for number in range(20_000))
    long += "```\n</details>\nthe end\n"
    shown = {"dev": Plan("### dev\nshort\n", ""), "prod": Plan(long, ""), "test": Plan(long, "")}
    text = comment.body(shown, COMMIT, "https://github.test/run")
    assert LIMIT_CHARACTERS - 1000 < len(text) <= LIMIT_CHARACTERS
    assert "### dev\nshort\n" in text, "what is short is whole"
    assert text.count("```") == 4
    assert text.count("<details>") == text.count("</details>") == 2
    assert text.count("_Cut here") == 2
    assert "the end" not in text
    assert all(line in long for line in text.splitlines() if line.startswith("+ line"))
    assert comment.body({"dev": Plan(long[:1000])}).count("_Cut here") == 0
