"""terraform.tfvars.example names every variable of the root module, explains it, and shows its default."""

import re
from typing import Any

import pytest

from tests.terraform.running import REPOSITORY, OpenTerraform, Terraform, drop_backend

EXAMPLE = REPOSITORY / "terraform.tfvars.example"
NAMED = re.compile(r"^(?:# )?([a-z_]+) += ", flags=re.MULTILINE)


def _declared() -> list[str]:
    text = (REPOSITORY / "terraform" / "variables.tf").read_text()
    return re.findall(r'^variable "(\w+)"', text, flags=re.MULTILINE)


def test_names_every_variable_and_nothing_else() -> None:
    assert sorted(NAMED.findall(EXAMPLE.read_text())) == sorted(_declared())


@pytest.mark.parametrize("name", _declared())
def test_explains_each(name: str) -> None:
    lines = EXAMPLE.read_text().splitlines()
    place = next(number for number, line in enumerate(lines) if re.match(rf"(# )?{name} += ", line))
    assert lines[place - 1].startswith("## "), f"say what {name} means in the line above it"


def test_stands_as_it_is_with_every_line_in_use(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    """Each value, also those shown as a comment, is one that the module accepts, and equals its default."""
    root = terraform("terraform", aws, attached=True)
    drop_backend(root.directory)
    in_use = re.sub(r"^# (?!#)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    in_use = re.sub(r"lambda_manifest += .*", 'lambda_manifest = "tests/fixtures/manifest.json"', in_use)
    (root.directory / "example.auto.tfvars").write_text(in_use)
    root.init()
    with_example = _planned(root)
    (root.directory / "example.auto.tfvars").write_text(
        'environment = "dev"\nlambda_manifest = "tests/fixtures/manifest.json"\n'
    )
    assert with_example == _planned(root)


def _planned(root: Terraform) -> Any:
    root.run("plan", "-out=tfplan")
    return root.show("tfplan")["planned_values"]["root_module"]
