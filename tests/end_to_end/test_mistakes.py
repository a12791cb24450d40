"""What is missing or mistaken is told in one line with the way out; nothing is half done."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.checkout import Checkout, Ended


@pytest.fixture
def local_toml(checkout: Checkout) -> Iterator[Path]:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    before = file.read_text()
    yield file
    file.write_text(before)


def refused(ended: Ended, *says: str) -> None:
    """Exit code 2, one line of error with all of `says`, no traceback."""
    assert ended.exit_code == 2, ended
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, ended.stderr
    for text in says:
        assert text in errors[0]
    assert "Traceback" not in ended.stderr


def script(checkout: Checkout, verb: str, *arguments: str, **extra: str) -> Ended:
    return checkout.run(".venv/bin/python", "-m", f"scripts.{verb}", *arguments, **extra)


def nothing_runs(checkout: Checkout) -> None:
    assert [process.cmdline() for process in checkout.processes()] == []


def test_terraform_is_missing(checkout: Checkout) -> None:
    refused(
        script(checkout, "up", TERRAFORM="no-such-terraform"), "no-such-terraform is not on PATH", "Install Terraform"
    )
    nothing_runs(checkout)


def test_terraform_is_too_old(checkout: Checkout, tmp_path: Path) -> None:
    old = tmp_path / "terraform"
    old.write_text("""#!/bin/sh\necho '{"terraform_version": "1.5.7"}'\n""")
    old.chmod(0o755)
    refused(script(checkout, "up", TERRAFORM=str(old)), "Terraform 1.5.7 is too old", "1.11")
    nothing_runs(checkout)


def test_the_port_is_taken(checkout: Checkout) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", checkout.port))
        holder.listen()
        refused(script(checkout, "up"), str(checkout.port), "LOCAL_AWS_PORT")
    assert not [p for p in checkout.processes() if "local_aws" in " ".join(p.cmdline())]


@pytest.mark.parametrize("verb", ["plan", "apply", "verify", "destroy"])
def test_the_environment_is_unknown(checkout: Checkout, verb: str) -> None:
    refused(checkout.make(verb, "ENV=nowhere"), "there is no environment 'nowhere'", "dev, local, prod")


@pytest.mark.parametrize("verb", ["plan", "apply", "verify", "destroy"])
def test_there_are_no_credentials(checkout: Checkout, verb: str, tmp_path: Path) -> None:
    ended = checkout.make(verb, "ENV=dev", "CONFIRM=dev", HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
    refused(ended, "no AWS credentials for environment 'dev'", "aws sso login")


def test_the_embedded_aws_does_not_run(checkout: Checkout) -> None:
    refused(checkout.make("plan", "ENV=local"), "make up")


def test_a_variable_has_the_wrong_shape(checkout: Checkout, local_toml: Path) -> None:
    before = local_toml.read_text()
    local_toml.write_text(before + "point_in_time_recovery_days = 36\n")
    refused(checkout.make("up"), "local.toml", "point_in_time_recovery_days is 36", "1 to 35")
    nothing_runs(checkout)
    local_toml.write_text(before + 'systems = "agent_registry"\n')
    refused(checkout.make("up"), "local.toml", "systems")
    nothing_runs(checkout)
    local_toml.write_text(before + "enabel_pitr = true\n")
    refused(checkout.make("up"), "local.toml", "no variable 'enabel_pitr'", "'enable_pitr'")
    nothing_runs(checkout)


def test_an_unknown_option_is_told(checkout: Checkout) -> None:
    refused(script(checkout, "verify", "--enviroment", "local"), "--enviroment", "--help")


def test_two_commands_at_once_on_one_environment(checkout: Checkout) -> None:
    hold = "import time; from scripts import stack\nwith stack.exclusive('dev'):\n    print(flush=True); time.sleep(60)"
    holder = checkout.start(".venv/bin/python", "-c", hold)
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "\n"
        refused(checkout.make("plan", "ENV=dev"), f"process {holder.pid}", "environment 'dev'")
    finally:
        holder.kill()
        holder.communicate()
