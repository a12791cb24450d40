"""The environment file of applications: what stands in it, who can read it, and what it never overwrites."""

import io
import re
import subprocess
from pathlib import Path
from typing import Any

import dotenv
import pytest

from scripts import env, environments, paths, rendering
from scripts.console import CommandError

URL = "https://replies.example.com/agents?model=a&b=$HOME#top"
KEY_ARN = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:replies-AbCdEf"


def environment(**changes: Any) -> environments.Environment:
    known = {"name": "dev", "file": Path("dev.toml"), "region": "eu-north-1", "account_id": "", "profile": ""}
    known |= {"embedded": False, "state_bucket": "", "state_key": "", "variables": {}}
    return environments.Environment(**known | changes)


def outputs(**reply: Any) -> dict[str, Any]:
    """As Terraform gives them, with a name of its own for each table."""
    return {
        "api": {"url": "https://abc.execute-api.eu-north-1.amazonaws.com"},
        "reply": {"backend": "echo", "url": None, "key_secret_arn": None, "key_parameter_name": None, **reply},
        "systems": {
            system: {
                "persistence": "dynamodb",
                "tables": {logical: {"name": f"{system}-{logical}"} for logical in tables.values()},
            }
            for system, tables in env.TABLES.items()
        },
    }


def text(parts: list[env.Part]) -> str:
    return rendering.render("application.env.j2", mark=env.MARK, environment="dev", parts=parts)


def variables(rendered: str) -> dict[str, str | None]:
    return dotenv.dotenv_values(stream=io.StringIO(rendered))


@pytest.fixture(autouse=True)
def _no_embedded_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)


def test_one_file_serves_all_applications() -> None:
    found = variables(text(env.describe(environment(), outputs(backend="http", url=URL, key_secret_arn=KEY_ARN))))
    assert found == {
        "AWS_REGION": "eu-north-1",
        "AWS_DEFAULT_REGION": "eu-north-1",
        "API_URL": "https://abc.execute-api.eu-north-1.amazonaws.com",
        "PROFILE_TABLE_NAME": "agent_profiles-profiles",
        "CONVERSATION_TABLE_NAME": "agent_profiles-conversations",
        "AGENT_REGISTRY_TABLE_NAME": "agent_registry-agents",
        "DYNAMODB_SESSIONS_TABLE": "agent_sessions-sessions",
        "DYNAMODB_MESSAGES_TABLE": "agent_sessions-messages",
        "API_SERVER_URL": URL,
        "DYNAMODB_TABLE_NAME": "chat_sessions-sessions",
        "DYNAMODB_REGION": "eu-north-1",
        "USE_DYNAMODB": "true",
        "PET_STORE_TABLE_NAME": "pet_store-pets",
    }


def test_an_application_gets_its_own_variables_and_the_others_tables() -> None:
    rendered = text(env.describe(environment(), outputs(backend="http", url=URL), "chat_sessions"))
    found = variables(rendered)
    tables = {variable for system in env.TABLES.values() for variable in system}
    where = {"AWS_REGION", "AWS_DEFAULT_REGION", "API_URL"}
    assert set(found) == tables | where | {"DYNAMODB_REGION", "USE_DYNAMODB"}
    assert rendered.index("DYNAMODB_TABLE_NAME") < rendered.index("PROFILE_TABLE_NAME")


def test_the_names_are_those_that_the_functions_know_and_every_system_has_some() -> None:
    code = "\n".join(file.read_text() for file in paths.TERRAFORM_ROOT.glob("*.tf"))
    made = re.findall(r'^module "(\w+)_function"', code, flags=re.MULTILINE)
    # The user pool's function keeps nothing.
    assert set(env.TABLES) == set(made) - {"token_claims"}
    for system, tables in env.TABLES.items():
        settings = (paths.TERRAFORM_ROOT / f"{system}.tf").read_text()
        assert [variable for variable in tables if f" {variable} " not in settings] == []
    variable_names = [variable for tables in env.TABLES.values() for variable in tables]
    assert len(variable_names) == len(set(variable_names)), "one file holds them all"


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        ({}, "backend echo: API_SERVER_URL and API_SERVER_KEY are not used"),
        ({"backend": "http", "url": URL}, "called without a key"),
        ({"backend": "http", "url": URL, "key_secret_arn": KEY_ARN}, f"lies in Secrets Manager: {KEY_ARN}"),
        ({"backend": "http", "url": URL, "key_parameter_name": "/replies/key"}, "in the parameter /replies/key"),
    ],
)
def test_the_key_is_named_and_never_written(reply: dict[str, str], says: str) -> None:
    rendered = text(env.describe(environment(), outputs(**reply), "agent_sessions"))
    (comment,) = [line for line in rendered.splitlines() if "API_SERVER_KEY" in line]
    assert comment.startswith("# ")
    assert says in comment


def test_memory_is_told_to_the_application_that_has_such_a_switch() -> None:
    applied = outputs()
    applied["systems"]["chat_sessions"]["persistence"] = "memory"
    assert variables(text(env.describe(environment(), applied)))["USE_DYNAMODB"] == "false"


def test_systems_that_are_off_have_no_names() -> None:
    applied = {"systems": {}}
    env._require_applied("dev", applied)
    assert set(variables(text(env.describe(environment(), applied)))) == {"AWS_REGION", "AWS_DEFAULT_REGION"}


def test_what_is_not_applied_yet_has_no_names() -> None:
    before_replies_were_told = {name: value for name, value in outputs().items() if name != "reply"}
    for applied in ({}, before_replies_were_told):
        with pytest.raises(CommandError, match="'dev' is not applied") as caught:
            env._require_applied("dev", applied)
        assert caught.value.next_step == "Run `make apply ENV=dev` first."


def test_the_embedded_aws_is_reached_with_its_own_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    local = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_SESSION_TOKEN": "not for a file",
    }
    for name, value in local.items():
        monkeypatch.setenv(name, value)
    local.pop("AWS_SESSION_TOKEN")
    inside = variables(text(env.describe(environment(embedded=True), outputs())))
    assert inside.items() >= local.items()
    assert "AWS_SESSION_TOKEN" not in inside
    outside = variables(text(env.describe(environment(), outputs())))
    assert not local.keys() & outside.keys(), "credentials of AWS stand in no file"


@pytest.mark.parametrize("value", [URL, "plain", "two words", "$(touch broken) `x` $HOME", '"quoted"', "a#b", "ä=ö;&"])
def test_a_shell_and_a_dotenv_parser_read_the_same(tmp_path: Path, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(text([env.Part("a part", {"VALUE": value, "AFTER": "whole"}, ("a note\nVALUE=wrong",))]))
    script = f'set -eu; set -a; . "{file}"; printf "%s|%s" "$VALUE" "$AFTER"'
    sourced = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env={"HOME": "/home/somebody"}, capture_output=True, text=True, check=True
    )
    assert sourced.stdout == f"{value}|whole"
    assert dotenv.dotenv_values(file) == {"VALUE": value, "AFTER": "whole"}
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize("value", ["it's", "${HOME}", "back\\slash", "line\nbreak"])
def test_what_they_would_read_differently_is_refused(value: str) -> None:
    with pytest.raises(CommandError, match="can't stand in an environment file"):
        text([env.Part("a part", {"VALUE": value})])


def test_only_its_own_file_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    env._require_ours(file)
    env._write(file, text([]))
    env._require_ours(file)
    file.write_text("SECRET=mine\n")
    with pytest.raises(CommandError, match="was not written by `make env`") as caught:
        env._require_ours(file)
    assert "FORCE=1" in caught.value.next_step
    assert file.read_text() == "SECRET=mine\n"
    with pytest.raises(CommandError, match="was not written"):
        env._require_ours(tmp_path)


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be written: No such file or directory"):
        env._write(tmp_path / "missing" / ".env", "")
