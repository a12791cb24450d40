"""What GitHub's roles are made from is the same for every environment of an account, and leaves no door open."""

import json
import re
from pathlib import Path

import pytest

from scripts import environments, environments_list, github_roles, paths
from scripts.console import CommandError

ACCOUNT = "123456789012"
BUCKET = f"agent-state-tfstate-{ACCOUNT}-eu-north-1"
AWS = f'[aws]\nregion = "eu-north-1"\naccount_id = "{ACCOUNT}"\n'
GITHUB = '[github]\nrepository = "acme/agents"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(paths, "BUILD", tmp_path / "build")
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    return tmp_path


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)


def test_each_environment_of_an_account_renders_the_same(folder: Path) -> None:
    write(
        folder,
        dev=AWS + GITHUB,
        prod=AWS + GITHUB + '[variables]\nname_prefix = "agents"\ntable_name = "chats"\nparameter_path = ""\n',
        elsewhere=AWS.replace("north", "west") + GITHUB,
        other='[aws]\nregion = "eu-north-1"\naccount_id = "999999999999"\n' + GITHUB,
        local='[aws]\nregion = "eu-north-1"\nembedded = true\n',
    )
    one, two = (github_roles.of_account(environments.load(name), ACCOUNT, BUCKET) for name in ("dev", "prod"))
    assert one == two
    assert one is not None
    assert sorted(one["environments"]) == ["dev", "prod"]
    assert one["environments"]["dev"]["parameter_path"] == "/agent-state/dev"
    prod = one["environments"]["prod"]
    assert (prod["name_prefix"], prod["parameter_path"], prod["state_key"]) == ("agents", "", "prod/terraform.tfstate")
    assert {"chats", "AgentRegistry", "agents-prod-idempotency"} <= set(prod["table_names"])
    assert "chat_sessions" not in prod["table_names"]


def test_every_table_of_the_root_module_is_known(folder: Path) -> None:
    stated = re.search(r"  table_names = \{\n(.*?)\n  \}", (paths.TERRAFORM_ROOT / "locals.tf").read_text(), re.DOTALL)
    assert stated
    write(folder, dev=AWS)
    assert len(github_roles.table_names(environments.load("dev"))) == len(stated[1].splitlines())


def test_what_lies_outside_is_named(folder: Path) -> None:
    text = """
[variables.attach_access_to_roles]
agent_registry = { roles = ["reporting"] }
[variables.function_defaults]
role_path = "/agents/"
[variables.backup]
name = "vaulted"
"""
    write(folder, dev=AWS + GITHUB + text)
    found = github_roles.of_account(environments.load("dev"), ACCOUNT, BUCKET)
    assert found is not None
    dev = found["environments"]["dev"]
    assert (dev["outside_roles"], dev["role_path"], dev["backup_name"]) == (["reporting"], "/agents/", "vaulted")


def test_without_github_there_are_no_roles_and_no_boundary(folder: Path) -> None:
    write(folder, dev=AWS)
    environment = environments.load("dev")
    assert github_roles.of_account(environment, ACCOUNT, BUCKET) is None
    assert "permissions_boundary_arn" not in environments.render(environment, ACCOUNT, BUCKET)["variables"].read_text()


def test_the_boundary_is_rendered_from_names(folder: Path) -> None:
    write(folder, dev=AWS + GITHUB)
    text = environments.render(environments.load("dev"), ACCOUNT, BUCKET)["variables"].read_text()
    arn = f"arn:aws:iam::{ACCOUNT}:policy/boundary-agent-state-dev-eu-north-1"
    assert f'permissions_boundary_arn = "{arn}"' in text


def test_contradictions_in_one_account_are_refused(folder: Path) -> None:
    write(folder, dev=AWS + GITHUB, prod=AWS + GITHUB.replace("acme", "emca"))
    with pytest.raises(CommandError, match=r"differs between .*dev.toml and .*prod.toml") as caught:
        github_roles.of_account(environments.load("dev"), ACCOUNT, BUCKET)
    assert caught.value.exit_code == 2


def test_names_that_begin_like_anothers_are_refused(folder: Path) -> None:
    write(folder, dev=AWS + GITHUB, **{"dev-two": AWS + GITHUB})
    with pytest.raises(CommandError, match="could change the other"):
        github_roles.of_account(environments.load("dev"), ACCOUNT, BUCKET)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[github]\nbranch = "main"\n', "repository is missing"),
        ('[github]\nrepository = "acme/*"\n', "would trust nobody, or all"),
        ('[github]\nrepository = "agents"\n', "would trust nobody, or all"),
        ('[github]\nrepository = "acme/agents:x"\n', "would trust nobody, or all"),
        (GITHUB + 'branch = "release-*"\n', "would trust nobody, or all"),
        (GITHUB + 'oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/example.com"\n', "would trust"),
        (GITHUB + '[variables]\npermissions_boundary_arn = "x"\n', "is set by"),
        (GITHUB + '[variables.function_defaults]\npermissions_boundary_arn = "x"\n', "is set by"),
    ],
)
def test_a_mistake_in_github_is_told(folder: Path, text: str, says: str) -> None:
    write(folder, dev=AWS + text)
    with pytest.raises(CommandError, match=says) as caught:
        environments.load("dev")
    assert caught.value.exit_code == 2
    assert caught.value.next_step


def test_a_workflow_gets_those_that_it_can_sign_in_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, dev=AWS + GITHUB, prod=AWS, local='[aws]\nregion = "us-east-1"\nembedded = true\n')
    monkeypatch.setenv("GITHUB_OUTPUT", str(folder / "output"))
    environments_list.main(json_output=True)
    dev = {
        "name": "dev",
        "region": "eu-north-1",
        "account_id": ACCOUNT,
        "plan_role_arn": f"arn:aws:iam::{ACCOUNT}:role/github-plan-agent-state-dev-eu-north-1",
        "apply_role_arn": f"arn:aws:iam::{ACCOUNT}:role/github-apply-agent-state-dev-eu-north-1",
    }
    prod = {"name": "prod", "region": "eu-north-1", "account_id": ACCOUNT} | dict.fromkeys(
        ("plan_role_arn", "apply_role_arn")
    )
    assert json.loads(capsys.readouterr().out) == [dev, prod]
    name, _, value = (folder / "output").read_text().partition("=")
    assert (name, json.loads(value)) == ("environments", [dev])
    with pytest.raises(CommandError, match="no workflow can sign in"):
        environments_list.main(env="prod")
    environments_list.main()
    assert "needs [github]" in capsys.readouterr().out
