"""`make validate-ahead`: loosened constraints, and deprecations that nobody has planned for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import validate_ahead
from scripts.terraform_cli import plugin_dir
from tests.terraform.running import MODULES, REPOSITORY, ROOTS

MODULE = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
"""
# Deprecated in version 5 already; the first is in the list, the second is not.
LISTED = (
    'resource "aws_cloudwatch_event_rule" "this" {\n  schedule_expression = "rate(1 day)"\n  is_enabled = true\n}\n'
)
UNLISTED = 'resource "aws_s3_bucket" "this" {\n  request_payer = "Requester"\n}\n'


def test_every_root_and_module_is_loosened(tmp_path: Path) -> None:
    code = validate_ahead.loosened(tmp_path, ">= 5.100")
    found = {str(directory.relative_to(code)) for directory in validate_ahead.directories(code)}
    assert found == {*ROOTS, *MODULES}
    for directory in found:
        assert '">= 5.100"' in (code / directory / "versions.tf").read_text()
        assert '"5.100.0"' not in (code / directory / "versions.tf").read_text()
        assert (REPOSITORY / directory / "versions.tf").read_text() != (code / directory / "versions.tf").read_text()


@pytest.mark.skipif(plugin_dir() is None, reason="the newest provider would be fetched")
def test_a_deprecation_must_be_listed(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(MODULE + LISTED + UNLISTED)
    answer = _run(tmp_path)
    assert answer.returncode == 1
    assert "provider 5.100.0: 1 roots and modules, 0 errors, 2 warnings" in answer.stdout
    (error,) = [line for line in answer.stderr.splitlines() if line.startswith("error:")]
    assert "Provider 5.100.0 deprecates what is not listed" in error
    assert "aws_s3_bucket_request_payment_configuration" in error
    assert "docs/provider_6.md" in error


def _run(root: Path) -> subprocess.CompletedProcess[str]:
    """The command with other code in the place of the repository's."""
    program = f"""
from pathlib import Path
from scripts import console, paths, validate_ahead
paths.TERRAFORM_ROOT = Path({str(root)!r})
console.run(validate_ahead.main)
"""
    environment = os.environ | {"TF_PLUGIN_DIR": str(plugin_dir())}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
