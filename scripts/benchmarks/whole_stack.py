"""A second `make up`, beside Terraform alone, and `make verify` of all five systems.

In a copy of this checkout, on an embedded AWS of its own. Terraform alone is what one would type for the same stack:
`terraform init` and `terraform apply`, with the same state, variables and providers; it verifies nothing.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from scripts import dynamodb_local, terraform_cli
from scripts.benchmarks.checkout import copy_checkout
from scripts.benchmarks.parts import AT_MOST, Chart, Detail, Options, Part, Row
from scripts.console import EXIT_FAILED, CommandError, one_line, step
from scripts.local_aws import control

ROUNDS = 3
GOAL_OF_TERRAFORM, GOAL_VERIFY_SECONDS = 1.3, 15.0
UP, INIT, APPLY, VERIFY = "make up", "terraform init", "terraform apply", "make verify"


def measure(options: Options) -> Part:
    rounds = options.rounds or ROUNDS
    samples: dict[str, list[float]] = {name: [] for name in (UP, INIT, APPLY, VERIFY)}
    with tempfile.TemporaryDirectory() as directory:
        checkout = copy_checkout(Path(directory) / "checkout")
        settings = {
            **os.environ,
            "LOCAL_AWS_PORT": str(dynamodb_local.free_port()),
            "LOCAL_AWS_API_PORT": str(dynamodb_local.free_port()),
        }
        try:
            with step("whole stack: the first make up"):
                _seconds(_command("up"), checkout, settings)
                alone = _terraform_alone(checkout)
                _seconds(alone[INIT], checkout, _terraform_settings(checkout, settings))
            with step(f"whole stack: {rounds} rounds") as progress:
                for number in range(rounds):
                    for name in samples:
                        progress.update(f"{number + 1}/{rounds} {name}")
                        if name in alone:
                            taken = _seconds(alone[name], checkout, _terraform_settings(checkout, settings))
                        else:
                            command = _command("up") if name == UP else [*_command("verify"), "--env", "local"]
                            taken = _seconds(command, checkout, settings)
                        samples[name].append(taken)
        finally:
            _seconds(_command("down"), checkout, settings)
    return _part(samples)


def _part(samples: Mapping[str, list[float]]) -> Part:
    medians = {name: statistics.median(taken) for name, taken in samples.items()}
    # Of one round each: what else the machine did meanwhile, it did to all.
    ratio = statistics.median(
        up / (init + apply) for up, init, apply in zip(samples[UP], samples[INIT], samples[APPLY], strict=True)
    )
    rows = [
        Row(f"a second {UP}, verified", f"{INIT} and apply alone", ratio, "x", AT_MOST, GOAL_OF_TERRAFORM),
        Row(f"{VERIFY} of all five", "", medians[VERIFY], "s", AT_MOST, GOAL_VERIFY_SECONDS),
    ]
    columns = ["command", "seconds", "of make up"]
    detail = Detail(
        "The whole stack, again",
        columns,
        [[name, f"{medians[name]:.1f}", f"{medians[name] / medians[UP]:.2f}"] for name in samples],
    )
    bars = {"": {"ours": medians[UP], "terraform": medians[INIT] + medians[APPLY]}}
    return Part(rows, [detail], {"seconds": samples}, (Chart("A second make up", "seconds", bars),))


def _command(verb: str) -> list[str]:
    return [sys.executable, "-m", f"scripts.{verb}"]


def _terraform_alone(checkout: Path) -> dict[str, list[str]]:
    build, program = checkout / ".build" / "local", [terraform_cli.binary(), f"-chdir={checkout / 'terraform'}"]
    mirror = terraform_cli.plugin_dir()
    providers = [f"-plugin-dir={mirror}"] if mirror else []
    return {
        INIT: [*program, "init", "-input=false", f"-backend-config={build / 'backend.hcl'}", *providers],
        APPLY: [*program, "apply", "-input=false", "-auto-approve", f"-var-file={build / 'terraform.tfvars'}"],
    }


def _terraform_settings(checkout: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What it needs to find the embedded AWS; nothing of the caller's own account."""
    return {
        **{name: value for name, value in settings.items() if not name.startswith("AWS_")},
        **control.client_environment(),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{settings['LOCAL_AWS_PORT']}",
        "TF_DATA_DIR": str(checkout / ".build" / "alone"),
        "CHECKPOINT_DISABLE": "1",
    }


def _seconds(command: list[str], folder: Path, settings: Mapping[str, str]) -> float:
    began = time.perf_counter()
    answer = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        said = one_line(answer.stderr or answer.stdout)[-400:]
        raise CommandError(f"{' '.join(command[1:4])} failed: {said}", exit_code=EXIT_FAILED)
    return time.perf_counter() - began
