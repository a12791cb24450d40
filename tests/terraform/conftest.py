"""Terraform runs on a copy of the repository's Terraform code, so that nothing is left in the working tree."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.terraform.running import OpenTerraform, Terraform, copy_code, empty_aws


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[OpenTerraform]:
    """Opens Terraform in a directory of a fresh copy: `terraform("terraform/bootstrap", environment)`.

    `attached`: until the test ends, its commands share provider processes.
    """
    copy = copy_code(tmp_path / "checkout")

    def open_directory(
        directory: str, environment: Mapping[str, str] | None = None, *, attached: bool = False
    ) -> Terraform:
        opened = Terraform(copy / directory, tmp_path / "data" / directory, environment or {})
        if attached:
            providers.enter_context(opened.attached())
        return opened

    with ExitStack() as providers:
        yield open_directory


@pytest.fixture
def aws() -> Iterator[dict[str, str]]:
    """An empty AWS in this process: the environment with which clients find it."""
    with empty_aws() as environment:
        yield environment
