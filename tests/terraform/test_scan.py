"""checkov finds nothing, in the code or in a plan, but what is excepted in the code with its reason."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.running import REPOSITORY, Terraform, copy_code, drop_backend, empty_aws

CHECKOV = REPOSITORY / ".venv-scan" / "bin" / "checkov"
EXCEPTION = re.compile(r"^ *#checkov:skip=(\w+):(.*)$", flags=re.MULTILINE)

installed = pytest.mark.skipif(not CHECKOV.exists(), reason="checkov is not installed: `make test` makes .venv-scan")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Terraform code with a plan of its defaults, as JSON, beside it."""
    copy = copy_code(tmp_path_factory.mktemp("scan") / "checkout")
    planned = copy_code(tmp_path_factory.mktemp("plan") / "checkout") / "terraform"
    drop_backend(planned)
    variables = {"environment": "dev", "lambda_manifest": "tests/fixtures/manifest.json"}
    (planned / "test.auto.tfvars.json").write_text(json.dumps(variables))
    with empty_aws() as environment:
        terraform = Terraform(planned, planned / ".terraform", environment)
        terraform.init()
        terraform.run("plan", "-out=tfplan")
        (copy / "plan.json").write_text(json.dumps(terraform.show("tfplan")))
    return copy


@installed
def test_the_code_is_clean(code: Path) -> None:
    report = _scan_code(code / "terraform")
    assert _failed(report) == []
    assert report["summary"]["passed"] > 30, "a scan that sees nothing proves nothing"


@installed
def test_the_plan_is_clean(code: Path) -> None:
    """The plan has the values that the code only computes."""
    report = _scan_plan(code, "--repo-root-for-plan-enrichment", str(code / "terraform"))
    assert _failed(report) == []
    assert report["summary"]["passed"] > 50, "a scan that sees nothing proves nothing"


@installed
def test_every_exception_is_needed(code: Path, tmp_path: Path) -> None:
    """Without the exceptions exactly those checks fail: none is left over, and the scan does find things."""
    excepted = set()
    bare = tmp_path / "terraform"
    shutil.copytree(code / "terraform", bare)
    for file in bare.rglob("*.tf"):
        text = file.read_text()
        excepted |= {check for check, _ in EXCEPTION.findall(text)}
        file.write_text(EXCEPTION.sub("", text))
    found = {check for check, *_ in _failed(_scan_code(bare)) + _failed(_scan_plan(code))}
    assert found == excepted


def test_every_exception_says_why() -> None:
    texts = [file.read_text() for file in (REPOSITORY / "terraform").rglob("*.tf")]
    reasons = [reason for text in texts for _, reason in EXCEPTION.findall(text)]
    assert len(reasons) == sum(text.count("checkov:skip") for text in texts) > 0
    assert [reason for reason in reasons if len(reason.split()) < 5] == []


def _scan_code(directory: Path) -> dict[str, Any]:
    return _checkov(directory.parent, "--directory", str(directory), "--framework", "terraform")


def _scan_plan(directory: Path, *arguments: str) -> dict[str, Any]:
    return _checkov(directory, "--file", "plan.json", "--framework", "terraform_plan", *arguments)


def _checkov(directory: Path, *arguments: str) -> dict[str, Any]:
    answer = subprocess.run(
        [str(CHECKOV), "--skip-download", "--output", "json", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout, answer.stderr
    report: dict[str, Any] = json.loads(answer.stdout)
    assert report["summary"]["parsing_errors"] == 0
    return report


def _failed(report: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(check["check_id"], check["resource"], check["check_name"]) for check in report["results"]["failed_checks"]]
