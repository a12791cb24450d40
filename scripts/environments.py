"""The environments a person edits (`terraform/environments/<name>.toml`) and what is rendered from them.

A file has six parts: `[aws]` says where (region, and optionally the account that must be the right one), `[state]`
where Terraform keeps its state, `[github]` whose workflows may plan and apply, `[guard]` what the plan guard lets
through at any time, `[volumes]` the calls that are expected (scripts/volumes.py), `[variables]` the root module's
variables, which `terraform.tfvars.example` explains.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from scripts import paths, plan_guard, rendering
from scripts.console import CommandError

BOUNDARY_VARIABLE = "permissions_boundary_arn"
BOOTSTRAP_STATE_KEY = "bootstrap/terraform.tfstate"
# Set from the environment's name and its [aws] part, so that they stand in one place.
DERIVED_VARIABLES = ("environment", "aws_region", "aws_account_id")
ROLLBACK_VARIABLE = "pinned_versions"
_PARTS: dict[str, dict[str, type] | None] = {
    "aws": {"region": str, "account_id": str, "profile": str, "embedded": bool},
    "state": {"bucket": str, "key": str},
    "github": {"repository": str, "branch": str, "oidc_provider_arn": str},
    "guard": {"allow": list},
    "volumes": None,
    "variables": None,
}
_EXPORTED_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
# GitHub takes more; a wildcard or a colon would change what the roles' trust compares.
_BRANCH = re.compile(r"[A-Za-z0-9._/-]{1,200}")
_OIDC_PROVIDER = re.compile(r"arn:[a-z-]+:iam::\d{12}:oidc-provider/token\.actions\.githubusercontent\.com")
_NAME_PREFIX = "agent-state"


class GitHub(NamedTuple):
    """Whose workflows may plan and apply."""

    repository: str
    branch: str = "main"
    oidc_provider_arn: str = ""


class Environment(NamedTuple):
    """One environment as its file states it."""

    name: str
    file: Path
    region: str
    account_id: str
    profile: str
    embedded: bool
    state_bucket: str
    state_key: str
    variables: dict[str, Any]
    github: GitHub | None = None
    # What the plan guard lets through whenever it is planned: "rule:address", where `*` stands for anything
    guard_allow: tuple[str, ...] = ()
    # The calls a month that are expected, as stated: see scripts/volumes.py
    volumes: Mapping[str, Any] = MappingProxyType({})

    @property
    def stack_name(self) -> str:
        """What every name begins with that the stack makes up."""
        return f"{self.variables.get('name_prefix', _NAME_PREFIX)}-{self.name}"

    def role_arn(self, kind: str, account_id: str) -> str:
        """The ARN of the role `plan` or `apply`, which terraform/bootstrap makes."""
        return self._iam_arn("role", f"github-{kind}", account_id)

    def boundary_arn(self, account_id: str) -> str:
        """The ARN of the permissions boundary of every role that the stack makes."""
        return self._iam_arn("policy", "boundary", account_id)

    def _iam_arn(self, kind: str, first: str, account_id: str) -> str:
        # IAM has no regions. The stack's own names begin otherwise, so that no rule on them catches these.
        return f"arn:{self.partition}:iam::{account_id}:{kind}/{first}-{self.stack_name}-{self.region}"

    @property
    def partition(self) -> str:
        return next((f"aws-{start}" for start in ("cn", "us-gov") if self.region.startswith(f"{start}-")), "aws")

    @property
    def build_dir(self) -> Path:
        return paths.BUILD / self.name

    @property
    def var_file(self) -> Path:
        return self.build_dir / "terraform.tfvars"


def load(name: str) -> Environment:
    """Reads and checks one environment's file. Raises CommandError for anything that a person must mend."""
    file = paths.ENVIRONMENTS / f"{name}.toml"
    known = sorted(path.stem for path in paths.ENVIRONMENTS.glob("*.toml"))
    if not _NAME.fullmatch(name) or not file.is_file():
        raise CommandError(
            f"there is no environment {name!r}.",
            f"There are: {', '.join(known)}. To add one, copy {shown(paths.ENVIRONMENTS / 'dev.toml')} "
            f"to {name if _NAME.fullmatch(name) else 'NAME'}.toml beside it.",
        )
    return parse(name, file, file.read_text())


def parse(name: str, file: Path, text: str) -> Environment:
    """The environment that the text of its file states. Raises CommandError for anything that a person must mend."""
    try:
        stated = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"{shown(file)} is not valid TOML: {error}.", "Mend that line.") from error
    _check(stated, file)
    aws, state = stated.get("aws", {}), stated.get("state", {})
    return Environment(
        name=name,
        file=file,
        region=aws["region"],
        account_id=aws.get("account_id", ""),
        profile=aws.get("profile", ""),
        embedded=aws.get("embedded", False),
        state_bucket=state.get("bucket", ""),
        state_key=state.get("key", f"{name}/terraform.tfstate"),
        variables=stated.get("variables", {}),
        github=GitHub(**stated["github"]) if "github" in stated else None,
        guard_allow=tuple(stated.get("guard", {}).get("allow", [])),
        volumes=stated.get("volumes", {}),
    )


def state_bucket(environment: Environment, account_id: str) -> str:
    return environment.state_bucket or f"agent-state-tfstate-{account_id}-{environment.region}"


def render(
    environment: Environment,
    account_id: str,
    bucket: str,
    pinned_versions: Mapping[str, str] = MappingProxyType({}),
    directory: Path | None = None,
) -> dict[str, Path]:
    """Writes the tfvars and the backend configuration of each root; returns the files by root and kind.

    `pinned_versions`: the systems that are rolled back, and to which version. `directory`: where to, if not among
    what the environment builds.
    """
    directory = directory or environment.build_dir
    directory.mkdir(parents=True, exist_ok=True)
    place: dict[str, Any] = {
        "aws_region": environment.region,
        **({"aws_account_id": account_id} if environment.account_id else {}),
    }
    root_variables = {"environment": environment.name, **place, **environment.variables}
    if environment.github:
        # The apply role may make no role without it.
        root_variables[BOUNDARY_VARIABLE] = environment.boundary_arn(account_id)
    if pinned_versions:
        root_variables[ROLLBACK_VARIABLE] = dict(pinned_versions)
    source = shown(environment.file)
    backend = {"source": source, "bucket": bucket, "region": environment.region}
    return {
        "variables": rendering.write(
            directory / environment.var_file.name,
            rendering.render("terraform.tfvars.j2", source=source, variables=root_variables),
        ),
        "backend": rendering.write(
            directory / "backend.hcl", rendering.render("backend.hcl.j2", **backend, key=environment.state_key)
        ),
        "bootstrap_backend": rendering.write(
            directory / "bootstrap.backend.hcl", rendering.render("backend.hcl.j2", **backend, key=BOOTSTRAP_STATE_KEY)
        ),
    }


def render_bootstrap(environment: Environment, account_id: str, bucket: str, github: Mapping[str, Any] | None) -> Path:
    """Writes the tfvars of terraform/bootstrap; `github` is what it makes roles from."""
    variables: dict[str, Any] = {"aws_region": environment.region, "state_bucket_name": bucket}
    if environment.account_id:
        variables["aws_account_id"] = account_id
    if environment.embedded:
        # It speaks plain HTTP on loopback, and would keep a bucket policy that forbids that. And the provider waits a
        # minute for a lifecycle rule to settle; here nothing grows old.
        variables |= {"require_tls": False, "old_state_days": 0}
    if github:
        variables["github"] = github
    environment.build_dir.mkdir(parents=True, exist_ok=True)
    text = rendering.render("terraform.tfvars.j2", source=shown(environment.file), variables=variables)
    return rendering.write(environment.build_dir / "bootstrap.tfvars", text)


def process_environment(environment: Environment, client: Mapping[str, str]) -> dict[str, str]:
    """What Terraform and boto3 get to see: the caller's environment, or the embedded AWS and no AWS_… of the caller."""
    if not environment.embedded:
        if not environment.profile:
            return dict(os.environ)
        # Exported keys would win over the profile, and be another account's.
        others = {name: value for name, value in os.environ.items() if name not in _EXPORTED_KEYS}
        return others | {"AWS_PROFILE": environment.profile}
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | dict(client)


@cache
def declared_variables() -> tuple[str, ...]:
    """The root module's variables."""
    text = "\n".join(path.read_text() for path in sorted(paths.TERRAFORM_ROOT.glob("*.tf")))
    return tuple(re.findall(r'^variable "([a-z0-9_]+)"', text, flags=re.MULTILINE))


def _check(stated: dict[str, Any], file: Path) -> None:
    where = shown(file)
    for part, keys in stated.items():
        if part not in _PARTS or not isinstance(keys, dict):
            raise CommandError(f"{where}: {part!r} is not a part of an environment.", f"Use {_or(_PARTS)}.")
        allowed = _PARTS[part]
        if allowed is None:
            continue
        for key, value in keys.items():
            if key not in allowed:
                raise CommandError(f"{where}: [{part}] has no setting {key!r}.", f"Use {_or(allowed)}.")
            strings = not isinstance(value, list) or all(isinstance(each, str) for each in value)
            if not isinstance(value, allowed[key]) or not strings:
                wanted = {str: "a string in quotes", bool: "true or false", list: "a list of strings"}[allowed[key]]
                raise CommandError(f"{where}: [{part}] {key} = {value!r} has the wrong shape.", f"Write {wanted}.")
    if not stated.get("aws", {}).get("region"):
        raise CommandError(f"{where}: [aws] region is missing.", 'Add for example region = "eu-north-1".')
    plan_guard.require_rules(stated.get("guard", {}).get("allow", []), f"{where}: [guard] allow: ")
    if "volumes" in stated:
        from scripts import volumes  # it reads the contracts

        volumes.check(stated["volumes"], where)
    account = stated["aws"].get("account_id", "")
    if account and not re.fullmatch(r"\d{12}", account):
        raise CommandError(f"{where}: [aws] account_id = {account!r} is not an account.", "Write its 12 digits.")
    if "github" in stated:
        _check_github(stated, where)
    for name in stated.get("variables", {}):
        if name in DERIVED_VARIABLES:
            raise CommandError(
                f"{where}: [variables] {name} is set from the file's name and its [aws] part.", "Remove the line."
            )
        if name == ROLLBACK_VARIABLE:
            raise CommandError(f"{where}: [variables] {name} is set by `make rollback`.", "Remove the line.")
        if name not in declared_variables():
            near = difflib.get_close_matches(name, declared_variables(), n=1)
            raise CommandError(
                f"{where}: the root module has no variable {name!r}.",
                f"Did you mean {near[0]!r}?" if near else "terraform.tfvars.example lists them all.",
            )


def _check_github(stated: dict[str, Any], where: str) -> None:
    github, variables = stated["github"], stated.get("variables", {})
    for key, shape, wanted in (
        ("repository", _REPOSITORY, "owner/name as GitHub shows them, without wildcards"),
        ("branch", _BRANCH, "one branch's name, without wildcards"),
        ("oidc_provider_arn", _OIDC_PROVIDER, "arn:…:oidc-provider/token.actions.githubusercontent.com of the account"),
    ):
        value = github.get(key)
        if value is None and key == "repository":
            raise CommandError(f"{where}: [github] repository is missing.", 'Add repository = "owner/name".')
        if value is not None and not shape.fullmatch(value):
            raise CommandError(f"{where}: [github] {key} = {value!r} would trust nobody, or all.", f"Write {wanted}.")
    defaults = variables.get("function_defaults", {})
    if BOUNDARY_VARIABLE in variables or (isinstance(defaults, dict) and BOUNDARY_VARIABLE in defaults):
        raise CommandError(
            f"{where}: {BOUNDARY_VARIABLE} is set by [github]: its apply role may make roles within that only.",
            "Remove it from [variables].",
        )


def _or(names: Any) -> str:
    return " or ".join(sorted(names))


def shown(file: Path) -> str:
    """A file's path as a person types it."""
    return str(file.relative_to(paths.ROOT)) if file.is_relative_to(paths.ROOT) else str(file)
