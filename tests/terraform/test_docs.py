"""The READMEs of Terraform's roots and modules say what the code says."""

import re
import shutil
from pathlib import Path

import pytest

from scripts import docs
from tests.terraform.running import MODULES, REPOSITORY, ROOTS


def test_every_root_and_module_has_a_readme() -> None:
    assert {str(readme.parent.relative_to(REPOSITORY)) for readme in docs.readmes()} == {*ROOTS, *MODULES}


@pytest.mark.parametrize("readme", docs.readmes(), ids=lambda readme: readme.parent.name)
def test_readme_is_what_the_code_says(readme: Path) -> None:
    assert readme.read_text() == docs.generated(readme), "run `make docs`"


@pytest.mark.parametrize("readme", docs.readmes(), ids=lambda readme: readme.parent.name)
def test_readme_says_what_is_not_made(readme: Path) -> None:
    section = re.search(r"(?ms)^## What it does not make\n\n(.+?)^(?:## |<!-- )", readme.read_text())
    assert section
    assert len(section[1].split()) > 10


@pytest.mark.parametrize("module", MODULES)
def test_module_shows_an_example_and_all_that_goes_in_and_out(module: str) -> None:
    readme = (REPOSITORY / module / "README.md").read_text()
    assert (REPOSITORY / module / docs.EXAMPLE).read_text() in readme
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        declared = re.findall(rf'(?m)^{kind} "(\w+)"', (REPOSITORY / module / file).read_text())
        assert declared
        assert [name for name in declared if f"`{name}`" not in readme] == []


def test_a_change_of_the_code_is_noticed(tmp_path: Path) -> None:
    """A default, a word of a description, and an output that is gone: each makes the README another."""
    module = Path("modules") / "table"
    for change in (
        ("variables.tf", 'optional(string, "PAY_PER_REQUEST")', 'optional(string, "PROVISIONED")'),
        ("variables.tf", "DynamoDB then refuses", "DynamoDB refuses"),
        ("outputs.tf", 'output "stream_arn"', 'output "stream"'),
        ("examples/basic/main.tf", '"Agents"', '"Actors"'),
    ):
        copy = tmp_path / change[1].replace("/", "-") / module
        shutil.copytree(REPOSITORY / "terraform" / module, copy)
        code = copy / change[0]
        assert change[1] in code.read_text()
        code.write_text(code.read_text().replace(change[1], change[2]))
        assert docs.generated(copy / "README.md") != (copy / "README.md").read_text(), change
