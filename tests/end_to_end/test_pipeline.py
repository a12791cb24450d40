"""The pipeline as GitHub runs it, from a pull request to a rollback: each job in its own clone, on the embedded AWS.

The run is recorded in `.build/pipeline/recorded_run.log`.
"""

import json
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import paths
from tests.end_to_end.checkout import BUDGETS, Checkout
from tests.pipeline.fake_github import REPOSITORY, FakeGitHub, fake_github
from tests.pipeline.runner import FAILURE, SUCCESS, Runner, share_virtual_environment

STAGING = f"""
[aws]
region = "us-east-1"
account_id = "123456789012"

[github]
repository = "{REPOSITORY}"

[variables]
systems = ["agent_registry"]
name_prefix = "agents"
{BUDGETS}
"""
RECORD = paths.BUILD / "pipeline" / "recorded_run.log"
NOBODY = 65534


class Repository:
    """The repository on GitHub: its history, its pull requests, its runs."""

    def __init__(self, checkout: Checkout, github: FakeGitHub, runners: Path) -> None:
        self.folder, self.github = checkout.folder, github
        self.runner = Runner(checkout.folder, runners, checkout.caller, github, RECORD)

    def git(self, *command: str) -> str:
        identity = ("-c", "user.name=Developer", "-c", "user.email=developer@example.com", "-c", "commit.gpgsign=false")
        ended = subprocess.run(
            ["git", *identity, *command], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return ended.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")
        return self.known("HEAD")

    def known(self, name: str) -> str:
        commit = self.git("rev-parse", name)
        self.github.trees[commit] = self.git("rev-parse", f"{name}^{{tree}}")
        return commit

    def propose(self, number: int, head: str) -> str:
        """Plays what a pull request, or a new commit in it, sets off."""
        origin = {"sha": head, "repo": {"full_name": REPOSITORY}}
        event = {"pull_request": {"number": number, "head": origin}}
        return self.runner.play("plan", {"event_name": "pull_request", "sha": head, "head_sha": head, "event": event})

    def merge(self, number: int, head: str) -> str:
        """Merges as GitHub does, and plays what the push to main sets off."""
        self.git("checkout", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--no-edit", head)
        merged = self.known("HEAD")
        self.github.pull_request(number, head, merged)
        return self.runner.play("apply", {**self._main(merged), "event_name": "push"})

    def night(self) -> str:
        return self.runner.play("drift", {**self._main(self.known("main")), "event_name": "schedule"})

    def _main(self, commit: str) -> dict[str, object]:
        return {"ref": "refs/heads/main", "sha": commit, "event": {}}

    def played(self, since: int) -> list[tuple[str, str]]:
        """The commands that ran since then, by their target, with their outcome."""
        return [(command.split()[1], outcome) for _, command, outcome in self.runner.played[since:]]


@pytest.fixture(scope="module")
def repository(checkout: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    started = checkout.run(".venv/bin/python", "-c", "from scripts import aws; aws.start_embedded()")
    assert started.exit_code == 0, started.stderr
    staging = checkout.folder / "terraform" / "environments" / "staging.toml"
    staging.write_text(STAGING)
    checkout.must("bootstrap", "ENV=local")  # of the same account: the bucket for the states of both, staging's roles
    staging.unlink()
    with fake_github() as github:
        made = Repository(checkout, github, tmp_path_factory.mktemp("runners"))
        made.git("init", "--quiet", "--initial-branch=main")
        (checkout.folder / ".git" / "info" / "exclude").write_text(".venv\n")
        made.commit("What is on main")
        yield made


def deployed(checkout: Checkout) -> tuple[str, int]:
    """The version that answers, and how many there are."""
    functions, name = checkout.client("lambda"), checkout.function_name("agent_registry")
    versions = functions.list_versions_by_function(FunctionName=name)["Versions"]
    alias = functions.get_alias(FunctionName=name, Name="live")
    return alias["FunctionVersion"], len(versions) - 1


def test_what_was_reviewed_is_applied_and_what_fails_is_rolled_back(repository: Repository, checkout: Checkout) -> None:
    github = repository.github

    # A pull request is planned, and shown in one comment.
    repository.git("checkout", "--quiet", "-b", "first")
    (repository.folder / "terraform" / "environments" / "staging.toml").write_text(STAGING)
    head = repository.commit("A first environment")
    assert repository.propose(12, head) == SUCCESS, RECORD.read_text()
    (comment,) = github.comments
    assert "agent_registry" in comment["body"]
    assert checkout.client("dynamodb").list_tables()["TableNames"] == [], "a plan changes nothing"

    # Its merge applies that bundle, proves it and tidies up.
    since = len(repository.runner.played)
    assert repository.merge(12, head) == SUCCESS, RECORD.read_text()
    assert repository.played(since) == [
        ("environments", SUCCESS),
        ("fetch-bundle", SUCCESS),
        ("apply", SUCCESS),
        ("verify", SUCCESS),
        ("prune", SUCCESS),
    ]
    assert deployed(checkout) == ("1", 1)

    # A change that breaks the function passes the review, fails where it is applied, and is taken back.
    repository.git("checkout", "--quiet", "-b", "second")
    source = repository.folder / "lambda_src" / "agent_registry" / "profile.py"
    source.write_text(source.read_text().replace("Answer(201 if is_new", "Answer(202 if is_new"))
    head = repository.commit("Answer more politely")
    assert repository.propose(13, head) == SUCCESS, RECORD.read_text()
    assert len(github.comments) == 2
    since = len(repository.runner.played)
    assert repository.merge(13, head) == FAILURE, RECORD.read_text()
    assert repository.played(since) == [
        ("environments", SUCCESS),
        ("fetch-bundle", SUCCESS),
        ("apply", SUCCESS),
        ("verify", FAILURE),
        ("rollback", SUCCESS),
        ("verify", SUCCESS),
    ]
    assert deployed(checkout) == ("1", 2)
    (report,) = [
        artifact
        for kept in github.artifacts.values()
        for artifact in kept
        if artifact["name"] == "verification-staging"
    ][-1:]
    assert report

    # The night finds nothing: the rollback is known.
    assert repository.night() == SUCCESS, RECORD.read_text()
    assert repository.played(-2)[1] == ("drift", SUCCESS)


def test_a_second_clone_elsewhere_plans_to_no_changes(repository: Repository, checkout: Checkout) -> None:
    """In another path, with another umask, time zone and language, and as another user where that can be tried."""
    place = Path(tempfile.mkdtemp(prefix="elsewhere "))  # pytest's folders are open to its user alone
    clone = place / "a second clone"
    environment = {
        name: text for name, text in checkout.environment.items() if not name.startswith(("LOCAL_AWS_", "TF_REATTACH_"))
    }
    environment |= checkout.caller | {"TZ": "Asia/Kathmandu", "LC_ALL": "C", "HOME": str(place)}
    command = [".venv/bin/python", "-m", "scripts.plan", "--env", "staging", "--json"]
    try:
        subprocess.run(["git", "clone", "--quiet", repository.folder, clone], check=True, umask=0o077)
        share_virtual_environment(clone)
        another = _as_another_user(place)
        ended = subprocess.run(
            [*another, *command], cwd=clone, env=environment, umask=0o077, capture_output=True, text=True, check=False
        )
    finally:
        shutil.rmtree(place)
    assert ended.returncode == 0, ended.stderr
    planned = json.loads(ended.stdout)
    assert not planned["changes"], planned
    if not another:
        warnings.warn("planned as the same user: only root can become another one", pytest.PytestWarning, stacklevel=1)


def _as_another_user(place: Path) -> list[str]:
    """Hands everything there to a user without a name; returns how to run a command as that, [] where it can't be."""
    # May read what root has installed in its home, where Python may lie.
    read = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *read]
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    if subprocess.run([*become, paths.ROOT / ".venv/bin/python", "-c", "import typer"], check=False).returncode != 0:
        return []
    subprocess.run(["chown", "--recursive", "--no-dereference", f"{NOBODY}:{NOBODY}", place], check=True)
    return become
