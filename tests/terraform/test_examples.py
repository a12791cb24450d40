"""Each module's example is applied, stays as it is, and goes without a trace: all of them in one go."""

from scripts import plan_guard
from scripts.docs import EXAMPLE
from tests.terraform.alarms import applied
from tests.terraform.running import MODULES, OpenTerraform

ROOT = """
provider "aws" {}

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}
"""


def test_examples_come_stay_and_go(terraform: OpenTerraform, aws: dict[str, str]) -> None:
    root = terraform("terraform/examples", aws)
    root.directory.mkdir()
    names = [module.rpartition("/")[2] for module in MODULES]
    modules = [f'module "{name}" {{\n  source = "../modules/{name}/{EXAMPLE.parent}"\n}}\n' for name in names]
    (root.directory / "main.tf").write_text(ROOT + "\n".join(modules))
    root.init()
    with root.attached():
        root.run("plan", "-out=tfplan")
        assert plan_guard.findings(root.show("tfplan")) == []
        root.run("apply", "tfplan")
        made = {item["address"].split(".")[1] for item in applied(root.show()) if item["mode"] == "managed"}
        assert made == set(names), "an example that makes nothing shows nothing"
        again = root.run("plan", "-detailed-exitcode", accept=(0, 2))
        assert again.returncode == 0, f"the second plan must change nothing:\n{again.stdout}"
        root.run("destroy", "-auto-approve")
        assert "values" not in root.show()
