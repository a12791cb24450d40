"""checkov and tf-nag find nothing, in the code or in a plan, but what is excepted with its reason: for checkov beside
the code, for tf-nag in terraform/tf-nag.json."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import plan_guard
from tests.terraform.running import REPOSITORY, Terraform, copy_code, drop_backend, empty_aws

CHECKOV = REPOSITORY / ".venv-scan" / "bin" / "checkov"
TF_NAG = REPOSITORY / ".venv-scan" / "bin" / "tf-nag"
TF_NAG_EXCEPTIONS = REPOSITORY / "terraform" / "tf-nag.json"
EXCEPTION = re.compile(r"^ *#checkov:skip=(\w+):(.*)$", flags=re.MULTILINE)
STACK = {"environment": "dev", "lambda_manifest": "tests/fixtures/manifest.json"}
PLANS = {
    "plan.json": STACK,
    "options.json": STACK
    | {
        "systems": ["agent_registry"],
        "table_encryption": {"type": "CUSTOMER_MANAGED", "create_kms_key": {}},
        "backup": {
            "lock": {"max_retention_days": 400},
            "rules": {
                "daily": {
                    "schedule": "cron(0 5 * * ? *)",
                    "delete_after_days": 35,
                    "copy_to_vault_arns": ["arn:aws:backup:eu-west-1:210987654321:backup-vault:copies"],
                }
            },
        },
        "dynamodb_vpc_endpoint": {"vpc_id": "vpc-0a1b2c3d", "route_table_ids": ["rtb-0a1b2c3d"]},
    },
}

installed = pytest.mark.skipif(not CHECKOV.exists(), reason="no scanners are installed: `make test` makes .venv-scan")


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the Terraform code with plans as JSON beside it: of the defaults, and with the options switched on."""
    copy = copy_code(tmp_path_factory.mktemp("scan") / "checkout")
    # What is applied in tests only, and tests themselves, in whose language checkov can't read everything.
    for left_out in [*copy.glob("terraform/modules/*/examples"), *copy.rglob("tests")]:
        shutil.rmtree(left_out)
    planned = copy_code(tmp_path_factory.mktemp("plan") / "checkout") / "terraform"
    drop_backend(planned)
    with empty_aws() as environment:
        terraform = Terraform(planned, planned / ".terraform", environment)
        terraform.init()
        with terraform.attached():
            for name, variables in PLANS.items():
                (planned / "test.auto.tfvars.json").write_text(json.dumps(variables))
                terraform.run("plan", "-out=tfplan")
                (copy / name).write_text(json.dumps(terraform.show("tfplan")))
    return copy


@pytest.fixture(scope="module")
def unexcused(code: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov finds in the code without its exceptions, whose lines are left empty."""
    bare = tmp_path_factory.mktemp("bare") / "terraform"
    shutil.copytree(code / "terraform", bare)
    for file in bare.rglob("*.tf"):
        file.write_text(EXCEPTION.sub("", file.read_text()))
    return _scan_code(bare)


@installed
def test_the_code_is_clean(code: Path, unexcused: dict[str, Any]) -> None:
    """What checkov finds is excepted in the block where it finds it."""
    for check in unexcused["results"]["failed_checks"]:
        first, last = check["file_line_range"]
        block = (code / "terraform" / check["file_path"].lstrip("/")).read_text().splitlines()[first - 1 : last]
        assert f"checkov:skip={check['check_id']}:" in "\n".join(block), check["check_name"]
    assert unexcused["summary"]["passed"] > 30, "a scan that sees nothing proves nothing"


@installed
def test_the_plans_are_clean(code: Path) -> None:
    """A plan has the values that the code only computes."""
    report = _scan_plans(code, "--repo-root-for-plan-enrichment", str(code / "terraform"))
    assert _failed(report) == []
    assert report["summary"]["passed"] > 350, "a scan that sees nothing proves nothing"
    assert any("aws_kms_key" in check["resource"] for check in report["results"]["passed_checks"])


@installed
def test_every_exception_is_needed(code: Path, unexcused: dict[str, Any]) -> None:
    """Without the exceptions exactly those checks fail: none is left over, and the scan does find things."""
    texts = [file.read_text() for file in (code / "terraform").rglob("*.tf")]
    excepted = {check for text in texts for check, _ in EXCEPTION.findall(text)}
    assert {check for check, *_ in _failed(unexcused) + _failed(_scan_plans(code))} == excepted


@pytest.mark.parametrize("plan", PLANS)
def test_the_guard_finds_nothing(code: Path, plan: str) -> None:
    assert plan_guard.findings(json.loads((code / plan).read_text())) == []


@installed
@pytest.mark.parametrize("plan", PLANS)
def test_tf_nag_finds_nothing_but_what_is_excepted(code: Path, plan: str) -> None:
    found = _tf_nag(code / plan, "--suppressions", str(TF_NAG_EXCEPTIONS), "--fail-on", "warn")
    assert [f"{one['rule_id']} {one['address']}: {one['message']}" for one in found if not one["suppression"]] == []


@installed
def test_every_exception_of_tf_nag_is_needed_and_says_why(code: Path) -> None:
    """Rule by rule and address by address: an exception that nothing needs would hide what comes."""
    found = [one for plan in PLANS for one in _tf_nag(code / plan)]
    for exception in json.loads(TF_NAG_EXCEPTIONS.read_text())["suppressions"]:
        assert len(exception["reason"].split()) > 5
        for resource in exception["resources"]:
            assert [
                one for one in found if (one["rule_id"], True) == (exception["id"], one["address"].endswith(resource))
            ]


def test_every_exception_says_why() -> None:
    texts = [file.read_text() for file in (REPOSITORY / "terraform").rglob("*.tf")]
    reasons = [reason for text in texts for _, reason in EXCEPTION.findall(text)]
    assert len(reasons) == sum(text.count("checkov:skip") for text in texts) > 0
    assert [reason for reason in reasons if len(reason.split()) < 5] == []


def _scan_code(directory: Path) -> dict[str, Any]:
    return _checkov(directory.parent, "--directory", str(directory), "--framework", "terraform")


def _scan_plans(directory: Path, *arguments: str) -> dict[str, Any]:
    return _checkov(directory, "--file", *PLANS, "--framework", "terraform_plan", *arguments)


def _tf_nag(plan: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [str(TF_NAG), "scan", "--plan-json", str(plan), "--format", "json", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode in (0, 1), answer.stderr
    found: list[dict[str, Any]] = json.loads(answer.stdout)
    return found


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
