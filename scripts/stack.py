"""One environment's stack: its state bucket, its Terraform root, its plan and apply.

Every step can be repeated: whatever was interrupted, the next run finds out what is there and goes on.
"""

import fcntl
import hashlib
import os
import re
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import psutil
from botocore.exceptions import ClientError

from scripts import (
    applied_state,
    aws,
    build_lambdas,
    deployed_code,
    environments,
    github_roles,
    paths,
    plan_bundle,
    rendering,
    rollback_marks,
)
from scripts.console import CommandError, Progress, err, step
from scripts.environments import Environment
from scripts.rollback_marks import Marks
from scripts.terraform_cli import Diagnostic, Terraform, TerraformError, binary, plugin_dir, require_terraform

# What a client needs to find the embedded AWS
_CLIENT_SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class StateLockedError(CommandError):
    """Somebody else holds the state's lock; nothing was done."""


class Stack(NamedTuple):
    environment: Environment
    account_id: str
    state_bucket: str
    files: dict[str, Path]
    terraform: Terraform
    # The functions to apply, of the manifest; what is rolled back, and to which version the variables keep it.
    functions: Mapping[str, Any] = MappingProxyType({})
    marks: Marks = Marks()
    pinned_versions: Mapping[str, str] = MappingProxyType({})

    @property
    def place(self) -> str:
        """Where the environment is, for whoever must agree to a change."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        where = f"{self.environment.name}: account {self.account_id}, region {self.environment.region}"
        return f"{where}, endpoint {endpoint}" if endpoint else where

    def facts(self) -> dict[str, str]:
        """Where the environment is, as a sealed plan states it."""
        return {
            "account_id": self.account_id,
            "region": self.environment.region,
            "state_bucket": self.state_bucket,
            "state_key": self.environment.state_key,
        }

    @property
    def plan_file(self) -> Path:
        """The plan of the command under way."""
        return self.environment.build_dir / "terraform.tfplan"

    @property
    def bundle_file(self) -> Path:
        """The sealed plan that `make plan` leaves for `make apply`."""
        return self.environment.build_dir / plan_bundle.FILE

    @property
    def applied_file(self) -> Path:
        """What the last apply from here was, and which functions it moved: `make rollback` reads it."""
        return self.environment.build_dir / "applied.json"


def open_stack(name: str, functions: Mapping[str, Any] | None = None) -> Stack:
    """Checks environment, Terraform and credentials, and renders what Terraform reads. Changes nothing in AWS.

    `functions`: of the manifest that is to be applied; default: of what is built here.
    """
    environment = environments.load(name)
    require_terraform()
    aws.use(environment)
    account = aws.account_id(environment)
    bucket = environments.state_bucket(environment, account)
    marks = rollback_marks.read(bucket, environment.state_key)
    if functions is None:
        functions = build_lambdas.read_manifest(paths.LAMBDA_BUILD)
    pinned = marks.pinned_versions(functions)
    files = environments.render(environment, account, bucket, pinned)
    terraform = _terraform(environment, paths.TERRAFORM_ROOT)
    return Stack(environment, account, bucket, files, terraform, functions, marks, pinned)


def _terraform(environment: Environment, root: Path) -> Terraform:
    return Terraform(root, _data_dir(environment, root), os.environ, aws.embedded_ended(environment))


def _data_dir(environment: Environment, root: Path) -> Path:
    return environment.build_dir / root.name


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """One command at a time may change an environment from this checkout."""
    environments.load(name)  # nothing is built or left behind for one that is not there
    directory = paths.BUILD / name
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CommandError(
                f"another command (process {lock.read().strip() or 'unknown'}) works on environment {name!r}.",
                "Wait for it, or stop it.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def build() -> None:
    with step("build functions"):
        build_lambdas.build()


def bootstrap_variables(stack: Stack) -> Path:
    """Renders what terraform/bootstrap reads; the same whichever of the account's environments is named."""
    github = github_roles.of_account(stack.environment, stack.account_id, stack.state_bucket)
    return environments.render_bootstrap(stack.environment, stack.account_id, stack.state_bucket, github)


def bootstrap(stack: Stack) -> None:
    """Applies terraform/bootstrap, whose state lives in the very bucket that it manages.

    A bucket must be there before Terraform can keep a state in it, so a missing one is created bare; the root adopts
    it with an import block. There is never a local state file, and any interruption is mended by the next run.
    """
    variables = bootstrap_variables(stack)
    with step("terraform/bootstrap") as progress:
        s3 = aws.client("s3")
        try:
            s3.head_bucket(Bucket=stack.state_bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise CommandError(
                    f"the state bucket {stack.state_bucket} can't be used: {error}",
                    "Bucket names are global: set another [state] bucket, or ask for access to this one.",
                ) from error
            region = stack.environment.region
            # us-east-1 is S3's default and the one region that it refuses by name.
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            s3.create_bucket(Bucket=stack.state_bucket, **place)
        terraform = _terraform(stack.environment, paths.BOOTSTRAP_ROOT)
        terraform.initialise(stack.files["bootstrap_backend"])
        plan_file = stack.environment.build_dir / "bootstrap.tfplan"
        with _explained(stack, terraform):
            if terraform.plan_to(plan_file, variables, progress):
                terraform.apply_plan(plan_file, progress)
        plan_file.unlink(missing_ok=True)


def forget_interrupted_runs(stack: Stack, *, fresh: bool = False) -> None:
    """Removes what a killed Terraform left: its lock on the state, and a state that it could not save.

    Only for the embedded AWS, which nobody but this checkout uses, and only under `exclusive`. `fresh`: it was started
    anew, and what an earlier run made is gone.
    """
    _settle_orphans(stack, awaited=not fresh)
    s3 = aws.client("s3")
    for key in (stack.environment.state_key, environments.BOOTSTRAP_STATE_KEY):
        with suppress(s3.exceptions.NoSuchBucket):
            s3.delete_object(Bucket=stack.state_bucket, Key=f"{key}.tflock")
    for root in (paths.TERRAFORM_ROOT, paths.BOOTSTRAP_ROOT):
        (root / "errored.tfstate").unlink(missing_ok=True)


def _settle_orphans(stack: Stack, *, awaited: bool) -> None:
    """A Terraform whose command was killed works on: what it does is worth having, and its lock is no leftover.

    Unless it works on what is gone: there it would wait for ever, and write into what is new.
    """
    mine = str(stack.environment.build_dir)
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name().startswith(Path(binary()).name) and process.environ().get("TF_DATA_DIR", "").startswith(
                mine
            ):
                if not awaited:
                    process.kill()
                    continue
                with step("wait for Terraform, which outlived its command"):
                    process.wait()


def initialise(stack: Stack) -> None:
    """`terraform init`, unless the last one here was for the same code, lock file, backend and providers."""
    wanted = _initialised_for(stack)
    done = _data_dir(stack.environment, paths.TERRAFORM_ROOT) / "initialised"
    if done.is_file() and done.read_text() == wanted:
        return
    done.unlink(missing_ok=True)
    with step("terraform init"), _explained(stack, stack.terraform):
        stack.terraform.initialise(stack.files["backend"])
    done.write_text(wanted)


def _initialised_for(stack: Stack) -> str:
    # Providers that run already are not installed.
    has_providers = not os.environ.get("TF_REATTACH_PROVIDERS")
    digest = hashlib.sha256(f"{require_terraform()}\0{plugin_dir()}\0{stack.state_bucket}\0{has_providers}".encode())
    code = sorted(paths.TERRAFORM_ROOT.rglob("*.tf"))
    for file in (stack.files["backend"], paths.TERRAFORM_ROOT / ".terraform.lock.hcl", *code):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def require_system(stack: Stack, applied: Collection[str], system: str) -> None:
    """Raises CommandError for a system that is not among those applied."""
    if system not in applied:
        raise CommandError(
            f"there is no system {system!r} in environment {stack.environment.name!r}.",
            f"Use SYSTEM={' or SYSTEM='.join(sorted(applied))}."
            if applied
            else f"`make apply ENV={stack.environment.name}` first.",
        )


def applied_systems(stack: Stack) -> dict[str, Any]:
    """What was applied, by system, as the output `verification` has it."""
    systems: dict[str, Any] = applied_verification(stack)["systems"]
    return systems


def applied_verification(stack: Stack) -> dict[str, Any]:
    """The output `verification` of what was applied. Raises CommandError where nothing is."""
    found: dict[str, Any] = applied_outputs(stack)["verification"]
    return found


def applied_outputs(stack: Stack) -> Mapping[str, Any]:
    """As `outputs`. Raises CommandError where nothing is applied."""
    found = outputs(stack)
    if not found.get("verification"):
        env = stack.environment.name
        raise CommandError(f"environment {env!r} is not applied yet.", f"Run `make apply ENV={env}` first.")
    return found


def outputs(stack: Stack) -> Mapping[str, Any]:
    """All outputs of the state by name, read without Terraform; none before the first apply."""
    try:
        return applied_state.read(stack.state_bucket, stack.environment.state_key).outputs
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return {}


def replaced_code(stack: Stack) -> dict[str, Path]:
    """Functions whose code was replaced outside Terraform, which would not notice, with the zip to put back."""
    return deployed_code.replaced(outputs(stack), stack.functions, stack.marks)


def put_back_code(replaced: Mapping[str, Path]) -> None:
    """Part of every apply, before its plan is made."""
    for name in deployed_code.put_back(replaced):
        err.print(f"put back the code of {name}, which was replaced outside Terraform")


def rollback_notes(stack: Stack) -> list[str]:
    """What a plan must say of systems that are rolled back, one line each."""
    return list(stack.marks.notes(stack.environment.name, stack.pinned_versions))


def settle_rollbacks(stack: Stack) -> None:
    """Part of every apply: takes back the marks that it made untrue, by new code or by the system's end."""
    bucket, state_key = stack.state_bucket, stack.environment.state_key
    marks = rollback_marks.read(bucket, state_key)
    if marks.rollbacks or marks.bad_versions:
        settled = marks.settled(outputs(stack))
        if settled != marks:
            rollback_marks.write(bucket, state_key, settled)
            for system in sorted(marks.rollbacks.keys() - settled.rollbacks.keys()):
                err.print(f"{system} is no longer rolled back")


def plan(
    stack: Stack,
    title: str = "terraform plan",
    *,
    destroy: bool = False,
    variables: Mapping[str, Any] | None = None,
    part_of: Progress | None = None,
) -> bool:
    """Plans into the environment's plan file; True when there are changes to apply.

    `variables` go before those of the environment's file, for this plan only. `part_of`: the step under way, instead of
    one with this title.
    """
    var_files = [stack.files["variables"]]
    if variables:
        source = "the command under way"
        text = rendering.render("terraform.tfvars.j2", source=source, variables=variables)
        var_files.append(rendering.write(stack.environment.build_dir / "overrides.tfvars", text))
    with nullcontext(part_of) if part_of else step(title) as progress, _explained(stack, stack.terraform):
        try:
            changes = stack.terraform.plan_to(stack.plan_file, var_files, progress, destroy=destroy)
        except BaseException:
            stack.plan_file.unlink(missing_ok=True)
            raise
    for note in () if destroy else rollback_notes(stack):
        err.print(note, markup=False)
    return changes


def apply(
    stack: Stack,
    title: str = "terraform apply",
    beside: Callable[[Progress], AbstractContextManager[None]] = lambda _progress: nullcontext(),
) -> None:
    """Applies the plan file and removes it: what was planned is applied once. `beside` is entered meanwhile."""
    with step(title) as progress, beside(progress), _explained(stack, stack.terraform):
        stack.terraform.apply_plan(stack.plan_file, progress)
    stack.plan_file.unlink(missing_ok=True)
    settle_rollbacks(stack)


def summary(stack: Stack) -> dict[str, int]:
    """How many resources the plan file creates, updates, replaces and deletes."""
    return counts(stack.terraform.show(stack.plan_file))


def counts(planned: Mapping[str, Any]) -> dict[str, int]:
    """The same of a plan as `terraform show -json` tells it."""
    counts = {"create": 0, "update": 0, "replace": 0, "delete": 0}
    for change in planned.get("resource_changes", []):
        actions = change["change"]["actions"]
        if len(actions) == 2:
            counts["replace"] += 1
        elif actions[0] in counts:
            counts[actions[0]] += 1
    return counts


@contextmanager
def _explained(stack: Stack, terraform: Terraform) -> Iterator[None]:
    """Turns what Terraform says of a variable or of a held lock into the caller's next step."""
    try:
        yield
    except TerraformError as error:
        if "NoSuchBucket" in error.message or "S3 bucket does not exist" in error.message:
            raise CommandError(
                f"there is no state bucket {stack.state_bucket} in account {stack.account_id}.",
                f"Make it once with `make bootstrap ENV={stack.environment.name}`.",
            ) from error
        for found in error.errors:
            if found.is_of_variable:
                raise CommandError(f"{environments.shown(stack.environment.file)}: {_said(found)}") from error
            if "EntityAlreadyExists" in found.detail + found.summary and "openid_connect" in found.address:
                raise CommandError(
                    f"account {stack.account_id} trusts GitHub already, and can do so only once.",
                    f"Name that provider in {environments.shown(stack.environment.file)}: [github] oidc_provider_arn = "
                    f'"{github_roles.oidc_provider_arn(stack.environment, stack.account_id)}".',
                ) from error
            if "state lock" in found.summary:
                held = found.detail.partition("Lock Info:")[2]
                lock = dict(re.findall(r"^\s*(ID|Who|Created):\s*(.+?)\s*$", held, flags=re.MULTILINE))
                unlock = force_unlock(stack.environment, Path(terraform.working_dir), lock.get("ID", "ID"))
                raise StateLockedError(
                    f"the state is locked by {lock.get('Who', 'somebody')} since {lock.get('Created', 'a while')}.",
                    f"Wait for them; if they are gone: {unlock}",
                    exit_code=error.exit_code,
                ) from error
        raise


def force_unlock(environment: Environment, root: Path, lock_id: str) -> str:
    """The command that takes a lock of the root's state away, to be pasted."""
    folder = shlex.quote(str(root))
    settings = client_settings(environment, {"TF_DATA_DIR": str(_data_dir(environment, root))})
    return f"{settings}{shlex.quote(binary())} -chdir={folder} force-unlock {lock_id}"


def client_settings(environment: Environment, more: Mapping[str, str] = MappingProxyType({})) -> str:
    """What goes before a command to be pasted, so that it finds the environment's AWS as this process does."""
    settings = dict(more)
    if environment.profile:
        settings["AWS_PROFILE"] = environment.profile
    if environment.embedded:
        settings |= {name: os.environ[name] for name in _CLIENT_SETTINGS if name in os.environ}
    return "".join(f"{name}={shlex.quote(value)} " for name, value in settings.items())


def _said(found: Diagnostic) -> str:
    """What is wrong with a variable, without Terraform's notes on where its rule stands."""
    said = found.detail.split("This was checked by the validation rule", maxsplit=1)[0]
    return re.sub(r" declared at \S+:\d+,\d+-\d+", "", said)
