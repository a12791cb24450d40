"""A held lock."""

import json
import os
import stat
from pathlib import Path

import pytest

from scripts import apply, paths, stack
from scripts.console import CommandError
from scripts.environments import Environment
from scripts.stack import Stack, StateLockedError
from scripts.terraform_cli import Terraform

DETAIL = """StatusCode: 412, RequestID: Hw4L, HostID: 9Gjj=, api error PreconditionFailed

Lock Info:
  ID:        5c1a-77
  Operation: OperationTypeApply
  Who:       ann@host
  Created:   2026-11-21 08:00:00 +0000 UTC

Terraform acquires a state lock to protect the state"""
LOCKED = {
    "type": "diagnostic",
    "diagnostic": {"severity": "error", "summary": "Error acquiring the state lock", "detail": DETAIL},
}
TRUSTED_ALREADY = {
    "type": "diagnostic",
    "diagnostic": {
        "severity": "error",
        "summary": "creating IAM OIDC Provider: operation error IAM: CreateOpenIDConnectProvider, https response error "
        "StatusCode: 409, EntityAlreadyExists: Provider with url https://token.actions.githubusercontent.com already "
        "exists.",
        "detail": "",
        "address": "aws_iam_openid_connect_provider.github[0]",
    },
}
PROGRAM = """#!/bin/sh
[ "$1" = version ] && { echo '{"terraform_version": "1.11.0"}'; exit; }
cat <<'END'
SAID
END
exit 1
"""


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose state somebody else holds."""
    program = tmp_path / "my terraform"
    program.write_text(PROGRAM.replace("SAID", json.dumps(LOCKED)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("TERRAFORM", str(program))
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    environment = Environment("dev", tmp_path / "dev.toml", "us-east-1", "", "sandbox", False, "", "key", {})
    environment.build_dir.mkdir(parents=True)
    root = tmp_path / "root"
    root.mkdir()
    return Stack(
        environment, "123456789012", "bucket", {}, Terraform(root, environment.build_dir / root.name, os.environ)
    )


def test_an_account_that_trusts_github_already_says_how_to_use_that(locked: Stack) -> None:
    Path(os.environ["TERRAFORM"]).write_text(PROGRAM.replace("SAID", json.dumps(TRUSTED_ALREADY)))
    with pytest.raises(CommandError, match="trusts GitHub already") as caught:
        stack.apply(locked)
    arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    assert f'[github] oidc_provider_arn = "{arn}"' in caught.value.next_step


def test_a_held_lock_is_told_with_the_command_that_takes_it_away(locked: Stack) -> None:
    with pytest.raises(StateLockedError) as caught:
        stack.apply(locked)
    assert caught.value.message == "the state is locked by ann@host since 2026-11-21 08:00:00 +0000 UTC."
    program = f"'{os.environ['TERRAFORM']}'"
    assert caught.value.next_step.endswith(
        f"TF_DATA_DIR={locked.environment.build_dir / 'root'} AWS_PROFILE=sandbox {program} "
        f"-chdir={locked.terraform.working_dir} force-unlock 5c1a-77"
    )


def test_a_failed_apply_tells_its_own_failure(locked: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that the functions' versions can't be read any more, for what a rollback would need."""
    answers = iter([{}])
    monkeypatch.setattr(stack, "outputs", lambda _stack: next(answers))
    monkeypatch.setattr("scripts.deployed_code.live_versions", lambda _outputs: {})
    with pytest.raises(StateLockedError):
        apply._apply(locked, None, None)
