"""The right Terraform, the right providers, and an end that never leaves the state locked."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from scripts import paths, terraform_cli
from scripts.console import CommandError, Progress
from scripts.terraform_cli import Terraform, TerraformError


@pytest.fixture(autouse=True)
def _fresh() -> None:
    terraform_cli.require_terraform.cache_clear()


def fake_terraform(folder: Path, body: str) -> Path:
    program = folder / "terraform"
    program.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
    program.chmod(0o755)
    return program


def test_a_missing_terraform_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="terraform is not on PATH") as caught:
        terraform_cli.require_terraform()
    assert "1.11" in caught.value.next_step


def test_a_too_old_terraform_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERRAFORM", str(fake_terraform(tmp_path, """print('{"terraform_version": "1.10.5"}')""")))
    with pytest.raises(CommandError, match=r"Terraform 1\.10\.5 is too old"):
        terraform_cli.require_terraform()


def test_the_terraform_here_is_new_enough() -> None:
    assert tuple(map(int, terraform_cli.require_terraform().split("."))) >= terraform_cli.MINIMUM_VERSION


def test_a_named_mirror_must_be_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TF_PLUGIN_DIR", str(tmp_path))
    with pytest.raises(CommandError, match=r"holds no folder registry\.terraform\.io"):
        terraform_cli.plugin_dir()
    (tmp_path / "registry.terraform.io").mkdir()
    assert terraform_cli.plugin_dir() == tmp_path


def test_a_mirror_in_the_users_folder_is_found_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    mirror = tmp_path / ".terraform.d" / "plugins"
    (mirror / "registry.terraform.io").mkdir(parents=True)
    assert terraform_cli.plugin_dir() == mirror


def test_errors_are_one_line_with_the_resource(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = fake_terraform(
        tmp_path,
        """
        import json, sys
        if sys.argv[1] == "version":
            print('{"terraform_version": "1.11.0"}'); sys.exit()
        print(json.dumps({"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "Refused",
              "detail": "because\\nof this", "address": "aws_sns_topic.this"}}))
        sys.exit(1)
        """,
    )
    monkeypatch.setenv("TERRAFORM", str(program))
    terraform = Terraform(tmp_path, tmp_path / "data", os.environ)
    with pytest.raises(
        TerraformError, match=r"^terraform apply failed: Refused \(aws_sns_topic.this\): because of this$"
    ):
        terraform.apply_plan(tmp_path / "plan", Progress("apply"))


def test_an_interrupt_waits_until_terraform_has_unlocked_the_state(tmp_path: Path) -> None:
    fake_terraform(
        tmp_path,
        f"""
        import pathlib, signal, sys, time
        if sys.argv[1] == "version":
            print('{{"terraform_version": "1.11.0"}}'); sys.exit()
        folder = pathlib.Path({str(tmp_path)!r})
        def stop(*_):
            time.sleep(0.3)
            (folder / "unlocked").touch()
            sys.exit(1)
        signal.signal(signal.SIGINT, stop)
        (folder / "working").touch()
        time.sleep(600)
        """,
    )
    program = (
        "import os; from pathlib import Path; from scripts import console; from scripts.terraform_cli import Terraform;"
        f"folder = Path({str(tmp_path)!r});"
        "console.run(lambda: Terraform(folder, folder / 'data', os.environ).apply_plan("
        "folder / 'plan', console.Progress('apply')))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=paths.ROOT,
        env={**os.environ, "TERRAFORM": str(tmp_path / "terraform")},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "working").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 130
    assert (tmp_path / "unlocked").exists()


def test_the_provider_tells_what_it_does_only_to_those_who_ask(tmp_path: Path) -> None:
    quiet = Terraform(tmp_path, tmp_path / "data", {"TF_LOG": ""})
    assert (quiet.environment["TF_LOG_PROVIDER"], quiet.environment["TF_LOG_SDK"]) == ("off", "off")
    for asked in ({"TF_LOG": "debug"}, {"TF_LOG_PROVIDER": "trace"}):
        told = Terraform(tmp_path, tmp_path / "data", asked).environment
        assert {name: value for name, value in told.items() if name.startswith("TF_LOG")} == asked
