"""The code is formatted, valid, locked, and passes its own tests (`terraform test`, on a mock of the provider)."""

import re
from pathlib import Path

import pytest

from tests.terraform.running import MODULES, REPOSITORY, ROOTS, OpenTerraform, keep_variables

STACKS_TESTS = sorted((REPOSITORY / "terraform" / "tests").glob("*.tftest.hcl"))
REFUSED = "tests/refused.tftest.hcl"  # of the stack: about its variables alone


def test_formatted(terraform: OpenTerraform) -> None:
    answer = terraform("terraform").run("fmt", "-check", "-recursive", accept=(0, 3))
    assert answer.stdout == "", f"run `make format`: {answer.stdout}"


@pytest.mark.parametrize("directory", [*ROOTS, *MODULES])
def test_valid(terraform: OpenTerraform, directory: str) -> None:
    opened = terraform(directory)
    opened.init("-backend=false")
    with opened.attached():
        opened.run("validate")


# A process for each file of the stack: within one, what all of its runs made is kept.
@pytest.mark.parametrize(
    ("directory", "pattern"),
    [
        *(("terraform", file.name) for file in STACKS_TESTS if file.name != Path(REFUSED).name),
        *((directory, "*.tftest.hcl") for directory in (*ROOTS[1:], *MODULES)),
    ],
)
def test_passes_its_own_tests(terraform: OpenTerraform, directory: str, pattern: str) -> None:
    opened = terraform(directory)
    opened.init("-backend=false")
    files = [str(file.relative_to(opened.directory)) for file in opened.directory.glob(f"tests/{pattern}")]
    assert files
    with opened.attached():
        opened.run("test", *(f"-filter={file}" for file in files))


def test_the_stacks_variables_refuse_what_is_wrong(terraform: OpenTerraform) -> None:
    opened = terraform("terraform")
    keep_variables(opened.directory)
    opened.init("-backend=false")
    with opened.attached():
        answer = opened.run("test", f"-filter={REFUSED}")
    runs = (opened.directory / REFUSED).read_text().count('\nrun "')
    assert f"Success! {runs} passed, 0 failed." in answer.stdout


@pytest.mark.parametrize("root", ROOTS)
def test_init_leaves_the_lock_file_as_it_is(terraform: OpenTerraform, root: str) -> None:
    opened = terraform(root)
    locked = (REPOSITORY / root / ".terraform.lock.hcl").read_bytes()
    opened.init("-backend=false", keep_checksums=True)
    assert (opened.directory / ".terraform.lock.hcl").read_bytes() == locked
    opened.init("-backend=false", "-lockfile=readonly", keep_checksums=True)


def test_lock_files_are_complete_and_the_same() -> None:
    locks = [(REPOSITORY / root / ".terraform.lock.hcl").read_text() for root in ROOTS]
    assert len(set(locks)) == 1
    # 14 platforms and 15 archives: an incomplete set fails the init of whoever has another platform.
    assert (locks[0].count('"h1:'), locks[0].count('"zh:')) == (14, 15)
    for root in ROOTS:
        wanted = re.search(r'(?m)^ +version = "([^"]+)"', (REPOSITORY / root / "versions.tf").read_text())
        assert wanted
        assert f'constraints = "{wanted[1]}"' in locks[0]


def test_a_table_is_one_resource() -> None:
    """Copies of it would drift apart, and a flag that moves a table between them would recreate it."""
    found = [
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "terraform").rglob("*.tf")
        for _ in re.findall(r'^resource "aws_dynamodb_table" ', file.read_text(), flags=re.MULTILINE)
    ]
    assert found == ["terraform/modules/table/table.tf"]


def test_no_region_account_or_partition_is_written_down() -> None:
    written = re.compile(
        r"arn:aws[:-]|[^0-9][0-9]{12}[^0-9]|amazonaws\.com/|[a-z]{2}-(?:north|south|east|west|central)-[0-9]"
    )
    found = [
        f"{file.relative_to(REPOSITORY)}: {line.strip()}"
        for file in sorted((REPOSITORY / "terraform").rglob("*.tf"))
        for line in _code_lines(file)
        if written.search(line)
    ]
    assert found == []


def _code_lines(file: Path) -> list[str]:
    """Lines that make something: neither comments, nor words meant for people, nor a default."""
    said = ("#", "description", "error_message", "default", "- `", "-`")
    lines = re.sub(r"<<-?EOT.*?EOT", "", file.read_text(), flags=re.DOTALL).splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith(said)]
