"""A secret that is planted is found, wherever git holds it; this repository has none."""

import json
import subprocess
from pathlib import Path

import pytest

from scripts import paths, secrets_scan
from scripts.console import CommandError
from tests.recording_guarantees import Guarantee

# Made here, so that this file holds none.
PLANTED = {
    "AWS Access Key": "key = 'AKIA" + "Q7XR" * 4 + "'",
    "AWS secret": "aws_secret_access_key = '" + "Ab3/Xy9q" * 5 + "'",
    "Private Key": "  -----BEGIN RSA PRIVATE " + "KEY-----\r\n  MIIEpAIBAAKCAQEA",
    "Private Key of OpenSSH": "-----BEGIN OPENSSH PRIVATE " + "KEY-----",
    "GitHub Token": "token: ghp_" + "a1B2c3" * 6,
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxIn0.c2lnbmF0dXJlLW9mLTMyLWJ5dGVz",
    "Slack Token": "xoxb-" + "123456789012-1234567890123-" + "aBcDeFgHiJkLmNoPqRsTuVwX",
    "Basic Auth Credentials": "https://deploy:" + "hunter22@db.internal/",
    "Stripe Access Key": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "NPM tokens": "//registry.internal/:_authToken=npm_" + "x1Y2z3" * 6,
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    git(tmp_path, "init", "-q", "-b", "main")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


@pytest.mark.parametrize("kind", PLANTED)
def test_what_is_planted_is_found_and_not_shown(
    repository: Path, capsys: pytest.CaptureFixture[str], guarantee: Guarantee, kind: str
) -> None:
    (repository / "settings.py").write_text(f"# first line\n{PLANTED[kind]}\n")
    with pytest.raises(CommandError, match=r"settings\.py, line 2") as caught:
        secrets_scan.main()
    assert caught.value.exit_code == 1
    told = capsys.readouterr()
    assert PLANTED[kind] not in told.out + told.err + str(caught.value)
    guarantee("supply-chain", planted_secrets_found=1)


def test_what_was_taken_out_again_is_found_in_the_history(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = repository / "notes.md"
    for text in (PLANTED["Private Key"], "nothing"):
        file.write_text(text)
        git(repository, "add", "-A")
        git(repository, "commit", "-qm", "notes")
    secrets_scan.main()
    with pytest.raises(CommandError, match=r"notes\.md@[0-9a-f]{10}, line 1: Private Key"):
        secrets_scan.main(history=True)


def test_ignored_files_and_lines_that_are_none_are_passed_over(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / ".gitignore").write_text(".env\n")
    (repository / ".env").write_text(PLANTED["AWS Access Key"])
    (repository / "a.py").write_text(f"{PLANTED['GitHub Token']}  # pragma: allowlist secret\n")
    (repository / "b.py").write_text("'https://user:word@a.example/'\n")
    (repository / "c.json").write_text(f'"integrity": "sha512-{"Ab3/Xy9+" * 10}AbCdEf=="\n')
    secrets_scan.main(as_json=True)
    assert json.loads(capsys.readouterr().out) == {"texts": 4, "found": []}


def test_this_repository_has_none(capsys: pytest.CaptureFixture[str], guarantee: Guarantee) -> None:
    secrets_scan.main(as_json=True)
    told = json.loads(capsys.readouterr().out)
    guarantee("supply-chain", files_without_secrets=told["texts"])
    assert told["texts"] > 500


def test_a_folder_without_git_is_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(CommandError, match="git ls-files failed"):
        secrets_scan.main()
