"""An environment's file is checked before anything happens, and rendered into what Terraform reads."""

import json
import subprocess
from pathlib import Path

import pytest

from scripts import environments, paths
from scripts.console import CommandError

GOOD = '[aws]\nregion = "eu-north-1"\n'


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    return tmp_path


def load(folder: Path, text: str) -> environments.Environment:
    (folder / "staging.toml").write_text(text)
    return environments.load("staging")


def test_the_repositorys_own_environments_load() -> None:
    assert {path.stem for path in paths.ENVIRONMENTS.glob("*.toml")} == {"local", "dev", "prod"}
    local = environments.load("local")
    assert local.embedded
    assert local.variables["api_auth"] == "none"
    assert not environments.load("prod").variables


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[aws\n", "not valid TOML"),
        ("", "region is missing"),
        ("[aws]\nregion = 5\n", "region = 5 has the wrong shape"),
        ('[aws]\nregion = "eu-north-1"\naccount_id = "12"\n', "'12' is not an account"),
        ('[aws]\nregion = "eu-north-1"\nregoin = "x"\n', "no setting 'regoin'"),
        (GOOD + "[stat]\n", "'stat' is not a part"),
        (GOOD + "[guard]\nallow = [5]\n", r"allow = \[5\] has the wrong shape"),
        (GOOD + '[guard]\nallow = ["drop-tables:*"]\n', r"drop-tables:\* names no rule"),
        (GOOD + '[variables]\naws_region = "x"\n', "set from the file's name"),
        (GOOD + "[variables]\nenabel_pitr = true\n", "no variable 'enabel_pitr'"),
    ],
)
def test_a_mistake_is_told_with_the_file_and_the_way_out(written: Path, text: str, says: str) -> None:
    with pytest.raises(CommandError, match=says) as caught:
        load(written, text)
    assert "staging.toml" in caught.value.message
    assert caught.value.next_step
    assert caught.value.exit_code == 2


def test_a_misspelt_variable_gets_a_suggestion(written: Path) -> None:
    with pytest.raises(CommandError) as caught:
        load(written, GOOD + "[variables]\nenabel_pitr = true\n")
    assert "'enable_pitr'" in caught.value.next_step


@pytest.mark.parametrize("name", ["nowhere", "../local", "Local", "", "local/../dev"])
def test_an_unknown_environment_names_the_known_ones(name: str) -> None:
    with pytest.raises(CommandError, match="no environment") as caught:
        environments.load(name)
    assert "dev, local, prod" in caught.value.next_step


def test_rendered_variables_are_what_the_file_says_in_terraforms_own_eyes(written: Path) -> None:
    value = {"topic": '${not} an "expression" %{either}', "emails": ["ä@example.com"], "on": True, "ratio": 0.5}
    text = (
        GOOD
        + "[variables]\nname_prefix = 'x'\n[variables.alarms]\n"
        + "\n".join(f"{name} = {json.dumps(part, ensure_ascii=False)}" for name, part in value.items())
    )
    environment = load(written, text)
    files = environments.render(environment, "123456789012", "bucket")
    folder = written / "console"
    folder.mkdir()
    (folder / "main.tf").write_text(
        'variable "environment" {}\nvariable "aws_region" {}\nvariable "name_prefix" {}\nvariable "alarms" {}\n'
    )
    command = ["terraform", f"-chdir={folder}", "console", f"-var-file={files['variables']}"]
    answer = subprocess.run(
        command, input="jsonencode([var.environment, var.aws_region, var.alarms])", capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(json.loads(answer.stdout)) == ["staging", "eu-north-1", value]


def test_the_backend_locks_in_s3(written: Path) -> None:
    files = environments.render(load(written, GOOD), "123456789012", "bucket")
    text = files["backend"].read_text()
    assert 'key          = "staging/terraform.tfstate"' in text
    assert "use_lockfile = true" in text
    assert 'key          = "bootstrap/terraform.tfstate"' in files["bootstrap_backend"].read_text()


def test_the_embedded_aws_sees_nothing_of_the_callers_account(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "secret")
    client = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    embedded = environments.process_environment(load(written, GOOD + "embedded = true\n"), client)
    assert {name for name in embedded if name.startswith("AWS_")} == {"AWS_ENDPOINT_URL"}
    own = environments.process_environment(load(written, GOOD), client)
    assert own["AWS_PROFILE"] == "production"
    assert own["AWS_SESSION_TOKEN"] == "secret"
    assert "AWS_ENDPOINT_URL" not in own


def test_a_profile_of_the_environment_wins_over_exported_keys(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_CA_BUNDLE", "/bundle")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "production")
    seen = environments.process_environment(load(written, GOOD + 'profile = "sandbox"\n'), {})
    assert {name: value for name, value in seen.items() if name.startswith("AWS_")} == {
        "AWS_PROFILE": "sandbox",
        "AWS_CA_BUNDLE": "/bundle",
    }
