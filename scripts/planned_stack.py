"""What an apply of an environment to an empty account would make, as Terraform plans it; no account is asked."""

from pathlib import Path

from scripts import applied_state, environments, expected_use, paths, price_list, stack, terraform_cli
from scripts.applied_state import Instance
from scripts.console import step
from scripts.environments import Environment
from scripts.local_aws import control
from scripts.local_aws.settings import ACCOUNT_ID

_ASSUMED_BUCKET = "cost-estimate"


def of_empty_account(environment: Environment, running: control.Running) -> tuple[Instance, ...]:
    """What an apply to an empty account would make. That account is the embedded AWS, so that no other is needed."""
    own = environment._replace(account_id="", profile="", embedded=True, github=None)
    settings = environments.process_environment(own, control.client_environment(running, region=environment.region)) | {
        "AWS_REGION": environment.region,
        "AWS_DEFAULT_REGION": environment.region,
    }
    with stack.exclusive(environment.name):
        stack.build()
        directory = environment.build_dir / "cost"
        files = environments.render(own, ACCOUNT_ID, _ASSUMED_BUCKET, directory=directory)
        expected_use.client("s3", running, price_list.FALLBACK).create_bucket(Bucket=_ASSUMED_BUCKET)
        terraform = terraform_cli.Terraform(paths.TERRAFORM_ROOT, directory / "terraform", settings)
        plan_file = directory / "cost.tfplan"
        with step("terraform plan, for an empty account") as progress:
            try:
                terraform.initialise(files["backend"])
                terraform.plan_to(plan_file, files["variables"], progress)
                return applied_state.of_plan(terraform.show(plan_file))
            finally:
                Path(plan_file).unlink(missing_ok=True)
