"""Terraform in one directory, and where this repository keeps its Terraform code."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from moto.core.config import default_user_config
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

from scripts.local_aws import moto_autoscaling, moto_backup, moto_billing, moto_cognito, moto_kms
from scripts.terraform_cli import FEWER_COLLECTIONS, NO_PROVIDER_LOG, binary, plugin_dir
from tests.terraform.processes import die_with_the_caller

REPOSITORY = Path(__file__).resolve().parents[2]
ROOTS = ("terraform", "terraform/bootstrap")
MODULES = (
    "terraform/modules/backup",
    "terraform/modules/function",
    "terraform/modules/http_api",
    "terraform/modules/kms_key",
    "terraform/modules/table",
    "terraform/modules/user_pool",
    "terraform/modules/vpc_endpoint",
)
REGION = "us-east-1"
PROVIDER = REPOSITORY / ".build" / "tests" / "provider"
# In the environment of the provider's processes, which belong to the tests and to nothing that is tested.
PROVIDER_PROXY = "PROVIDER_PROXY"


class Terraform:
    """One directory, initialised from the provider mirror where there is one, else from the registry."""

    def __init__(self, directory: Path, data_dir: Path, environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.environment = {
            **FEWER_COLLECTIONS,
            **NO_PROVIDER_LOG,
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_VAR_", "TF_LOG"))},
            "TF_DATA_DIR": str(data_dir),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            **environment,
        }
        self._provider: dict[str, str] = {}

    def run(self, command: str, *arguments: str, accept: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        options = ["-no-color"] if command not in ("fmt", "show") else []
        answer = subprocess.run(
            [binary(), command, *options, *arguments],
            cwd=self.directory,
            env=self.environment | self._provider,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode in accept, f"terraform {command} failed:\n{answer.stdout}\n{answer.stderr}"
        return answer

    def init(self, *arguments: str, keep_checksums: bool = False) -> None:
        """`keep_checksums`: leaves the lock file as Terraform wrote it, so that every command reads the provider."""
        mirror = plugin_dir()
        self.run("init", *([f"-plugin-dir={mirror}"] if mirror else []), *arguments)
        if not keep_checksums:
            forget_checksums(self.directory)

    @contextmanager
    def attached(self) -> Iterator[None]:
        """All commands meanwhile share provider processes and their schema: most of a short command's CPU time."""
        with attached_provider(self.directory, self.environment) as self._provider:
            try:
                yield
            finally:
                self._provider = {}

    def show(self, plan_file: str | None = None) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.run("show", "-json", *([plan_file] if plan_file else [])).stdout)
        return shown


OpenTerraform = Callable[..., Terraform]


def copy_code(to: Path) -> Path:
    """Copies the Terraform code, and the contracts that it reads, into a directory of their own."""
    left_out = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfplan", "terraform.tfvars")
    shutil.copytree(REPOSITORY / "terraform", to / "terraform", ignore=left_out)
    for contract in (REPOSITORY / "lambda_src").glob("*/openapi.yaml"):
        target = to / contract.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True)
        shutil.copy(contract, target)
    return to


@cache
def provider_program() -> Path:
    """The provider's executable, as `init` finds it for the lock file: in a mirror, or else from the registry."""
    folder = PROVIDER / "program"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in ("versions.tf", ".terraform.lock.hcl"):
            shutil.copy(REPOSITORY / "terraform" / name, folder)
        Terraform(folder, folder / "data", {}).init("-backend=false")
        (program,) = folder.glob("data/providers/registry.terraform.io/hashicorp/aws/*/*/terraform-provider-aws_*")
    return program.resolve()


@contextmanager
def attached_provider(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Provider processes that work in `folder` and with `environment`, for many commands; see provider_proxy.py.

    Gives what those commands must have in their environment.
    """
    schemas = PROVIDER / "schemas"
    schemas.mkdir(parents=True, exist_ok=True)
    log = (PROVIDER / "proxy.log").open("a")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.terraform.provider_proxy", provider_program(), folder, schemas],
        cwd=REPOSITORY,
        env={
            **environment,
            **FEWER_COLLECTIONS,  # but some: these processes go on
            **NO_PROVIDER_LOG,
            PROVIDER_PROXY: "1",
            "GRPC_ENABLE_FORK_SUPPORT": "0",  # between fork and exec there is no gRPC
        },
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        preexec_fn=die_with_the_caller,
    )
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, f"the provider did not start: see {log.name}"
        # With so small a schema there is little to collect: it costs no more time, and takes a fourth of the memory.
        yield {"TF_REATTACH_PROVIDERS": address, **FEWER_COLLECTIONS}
    finally:
        process.kill()
        process.communicate()
        log.close()


def forget_checksums(root: Path) -> None:
    """Takes the provider's checksums out of a copy's lock file, where a mirror has the provider.

    Terraform would read all of its 700 MB in every command, before the work itself: a sixth of that command's CPU time
    where the processor has instructions for SHA-256, and half of it where it has none. That `init` holds the provider
    against the repository's lock file is proved by tests of their own, and by the stack that tests share.
    """
    if plugin_dir():
        lock = root / ".terraform.lock.hcl"
        lock.write_text(re.sub(r"  hashes = \[.*?\n  \]\n", "", lock.read_text(), flags=re.DOTALL))


def drop_backend(root: Path) -> None:
    """For plans that start from nothing: no state, so no backend."""
    versions = root / "versions.tf"
    versions.write_text(re.sub(r'  backend "s3" \{.*?\n  \}\n', "", versions.read_text(), flags=re.DOTALL))


def keep_variables(root: Path) -> None:
    """Leaves of a root its variables, and the locals that their validations look at.

    What a variable refuses has nothing to do with the resources, whose graph Terraform builds anew in each run.
    """
    text = "".join(file.read_text() for file in sorted(root.glob("*.tf")))
    blocks = re.findall(r"(?ms)^\w+[^\n]*\{\n.*?^\}\n", text)
    kept = [block for block in blocks if block.startswith(("terraform {", "variable ", "provider "))]
    values: dict[str, str] = {}
    for block in blocks:
        if block.startswith("locals {"):
            body = block.removeprefix("locals {\n").removesuffix("}\n")
            values |= {found[1]: found[0] for found in re.finditer(r"(?ms)^  (\w+) += .*?(?=^  \w+ += |\Z)", body)}
    used: set[str] = set()
    seen = "".join(kept)
    while more := set(re.findall(r"\blocal\.(\w+)", seen)) - used:
        used |= more
        seen = "".join(values[name] for name in more)
    for file in root.glob("*.tf"):
        file.unlink()
    (root / "main.tf").write_text(
        "\n".join([*kept, f"locals {{\n{''.join(values[name] for name in sorted(used))}}}\n"])
    )


@contextmanager
def empty_aws() -> Iterator[dict[str, str]]:
    """An AWS in this process with nothing in it: the environment with which clients find it."""
    moto_autoscaling.install()
    moto_backup.install()
    moto_billing.install()
    moto_cognito.install_pools()
    moto_kms.install()
    # Functions answer without running: nothing here needs what they do, and moto would run them in Docker.
    default_user_config["lambda"] = {"use_docker": False}
    # What a failed test left there would fail the next.
    moto_api_backend.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
    finally:
        server.stop()
