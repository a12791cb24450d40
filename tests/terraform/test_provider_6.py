"""The code uses nothing that provider 6 removed, and what 6 deprecates only where docs/provider_6.md says so."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import hcl2
import pytest

from tests.terraform.running import REPOSITORY

LIST = REPOSITORY / "docs" / "provider_6.md"
# Blocks that say nothing by themselves: those in them belong to what is outside.
TRANSPARENT = ("dynamic", "content")

Code = dict[str, str]


def rows() -> list[tuple[list[str], list[str]]]:
    """Names, and the files that they are used in, of each row of the tables."""
    found = []
    column = 0
    for line in LIST.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if "used in" in cells:
            column = cells.index("used in")
        elif cells and not cells[0].startswith("---"):
            files = [] if cells[column].startswith("nowhere") else re.findall(r"`([^`]+)`", cells[column])
            assert files or cells[column].startswith("nowhere"), f"where is it used? {line}"
            found.append((re.findall(r"`([^`]+)`", cells[0]), files))
    return found


@pytest.fixture(scope="module")
def code() -> Code:
    files = sorted((REPOSITORY / "terraform").rglob("*.tf"))
    return {str(file.relative_to(REPOSITORY)): file.read_text() for file in files}


def test_the_list_is_complete_in_what_it_says() -> None:
    names = [name for listed, _ in rows() for name in listed]
    assert len(names) > 80
    assert len(names) == len(set(names)), "a name stands there twice"
    assert [name for name in names if not re.fullmatch(r"(data\.)?aws_\w+\*?(\.\w+)*|provider(\.\w+)+", name)] == []


def test_each_name_is_used_where_the_list_says(code: Code) -> None:
    wrong = {
        name: used
        for names, files in rows()
        for name in names
        if (used := [file for file, text in code.items() if uses(text, name)]) != files
    }
    assert wrong == {}, "say it in docs/provider_6.md, or write it otherwise"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('resource "aws_eip" "this" {\n  vpc = true\n}', "aws_eip.vpc"),
        ('resource "aws_opsworks_stack" "this" {\n}', "aws_opsworks_*"),
        ('data "aws_region" "here" {\n}\nlocals {\n  name = data.aws_region.here.name\n}', "data.aws_region.name"),
        ("locals {\n  name = data.aws_region.here[0].name\n}", "data.aws_region.name"),
        ('provider "aws" {\n  endpoints {\n    sdb = "http://x"\n  }\n}', "provider.endpoints.sdb"),
        (
            (
                'resource "aws_dynamodb_table" "x" {\n  dynamic "global_secondary_index" {\n    for_each = []\n'
                ' content {\n      hash_key = "a"\n    }\n  }\n}'
            ),
            "aws_dynamodb_table.global_secondary_index.hash_key",
        ),
    ],
)
def test_a_use_is_found(text: str, name: str) -> None:
    assert uses(text, name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('data "aws_region" "here" {\n}\nlocals {\n  id = data.aws_region.here.id\n}', "data.aws_region.name"),
        (
            'resource "aws_dynamodb_table" "x" {\n  hash_key = "a"\n}',
            "aws_dynamodb_table.global_secondary_index.hash_key",
        ),
        ('resource "aws_eip" "this" {\n  domain = "vpc"\n}', "aws_eip.vpc"),
    ],
)
def test_what_is_none_is_not_found(text: str, name: str) -> None:
    assert not uses(text, name)


def uses(text: str, name: str) -> bool:
    """Whether a file has blocks of that kind with that argument, or refers to that attribute."""
    kind, *parts = name.removeprefix("data.").split(".")
    if kind.rstrip("*") not in text:
        return False
    block = "data" if name.startswith("data.") else "provider" if kind == "provider" else "resource"
    wanted = "aws" if block == "provider" else kind.replace("*", r"\w*")
    for labels in _parsed(text).get(block, ()):
        for label, body in labels.items():
            bodies = [body] if block == "provider" else list(_inside(body))
            if re.fullmatch(f'"{wanted}"', label) and any(_has(one, parts) for one in bodies):
                return True
    prefix = r"\bdata\." if block == "data" else r"(?<!\.)\b"
    return bool(parts) and re.search(rf"{prefix}{wanted}\.\w+(\[[^]]*\])?\.{'.'.join(parts)}\b", text) is not None


@cache
def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = hcl2.loads(text)
    return parsed


def _inside(body: Any) -> Iterator[Any]:
    """The bodies below a resource's or data source's second label."""
    yield from (named for label, named in body.items() if not label.startswith("__"))


def _has(body: Any, parts: list[str]) -> bool:
    """Whether an argument stands in a body, by its path; dynamic blocks count as what they make."""
    if not parts:
        return True
    if isinstance(body, list):
        return any(_has(one, parts) for one in body)
    if not isinstance(body, dict):
        return False
    plain = {name.strip('"'): value for name, value in body.items()}
    below = [_has(plain[name], parts) for name in TRANSPARENT if name in plain]
    return any(below) or (parts[0] in plain and _has(plain[parts[0]], parts[1:]))
