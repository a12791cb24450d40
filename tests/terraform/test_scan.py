"""checkov finds nothing in the Terraform code but what is excepted there, with its reason."""

import json
import re
import subprocess

import pytest

from tests.terraform.running import REPOSITORY

CHECKOV = REPOSITORY / ".venv-scan" / "bin" / "checkov"


@pytest.mark.skipif(not CHECKOV.exists(), reason="checkov is not installed: `make test` makes .venv-scan")
def test_checkov_is_clean() -> None:
    answer = subprocess.run(
        [str(CHECKOV), "--directory", "terraform", "--framework", "terraform", "--skip-download", "--output", "json"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout, answer.stderr
    report = json.loads(answer.stdout)
    failed = [
        f"{check['file_path']} {check['resource']}: {check['check_id']} {check['check_name']}"
        for check in report["results"]["failed_checks"]
    ]
    assert failed == []
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 30, "a scan that sees nothing proves nothing"


def test_every_exception_says_why() -> None:
    exceptions = [
        (file.name, line.strip())
        for file in (REPOSITORY / "terraform").rglob("*.tf")
        for line in file.read_text().splitlines()
        if "checkov:skip" in line
    ]
    assert exceptions
    reasoned = re.compile(r"#checkov:skip=CKV2?_AWS_\d+:\S.{20,}")
    assert [exception for exception in exceptions if not reasoned.fullmatch(exception[1])] == []
