"""What terraform/bootstrap makes GitHub's roles from: the environments of one account, and the names of each."""

import re
from functools import cache
from typing import Any

from scripts import environments, paths
from scripts.console import CommandError
from scripts.environments import Environment

_VARIABLE = re.compile(r'^variable "(\w+)" \{(.*?)^\}', flags=re.MULTILINE | re.DOTALL)
_TABLE_NAME = re.compile(r'^\s+(\w*table_name)\s*=\s*optional\(string(?:, "([^"]+)")?\)', flags=re.MULTILINE)


def oidc_provider_arn(environment: Environment, account_id: str) -> str:
    return f"arn:{environment.partition}:iam::{account_id}:oidc-provider/token.actions.githubusercontent.com"


def of_account(environment: Environment, account_id: str, bucket: str) -> dict[str, Any] | None:
    """The variable `github`: the same for each environment of the account and region; None where none has [github].

    Raises CommandError where the environments of one account contradict each other.
    """
    found = [each for each in _neighbours(environment, account_id, bucket) if each.github]
    github = next((each.github for each in found), None)
    if github is None:
        return None
    first = found[0]
    for other in found[1:]:
        if other.github != github:
            raise CommandError(
                f"[github] differs between {environments.shown(first.file)} and {environments.shown(other.file)}, and "
                f"both are in account {account_id}, {environment.region}.",
                "Write the same into both: an account has one provider, and its roles one repository and branch.",
            )
    for one in found:
        for other in found:
            if other.stack_name.startswith(f"{one.stack_name}-"):
                raise CommandError(
                    f"the names of {environments.shown(other.file)} begin like all names of "
                    f"{environments.shown(one.file)} ({one.stack_name}-…): the role of the one could change the other.",
                    "Rename one, or give it another name_prefix.",
                )
    return {
        "repository": github.repository,
        "branch": github.branch,
        **({"oidc_provider_arn": github.oidc_provider_arn} if github.oidc_provider_arn else {}),
        "environments": {each.name: _names(each) for each in found},
    }


def _neighbours(environment: Environment, account_id: str, bucket: str) -> list[Environment]:
    """The environments whose states lie in this bucket of this account, this one among them, by name."""
    neighbours = []
    for file in sorted(paths.ENVIRONMENTS.glob("*.toml")):
        if file.stem == environment.name:
            neighbours.append(environment)
            continue
        try:
            other = environments.load(file.stem)
        except CommandError:
            if environment.embedded:  # which needs nobody else's file
                continue
            raise
        # Without an account of its own a file may mean any: only the same profile says that it is this one.
        same = other.account_id == account_id or (
            not other.account_id
            and other.profile == environment.profile
            and not other.embedded
            and not environment.embedded
        )
        if same and other.region == environment.region and environments.state_bucket(other, account_id) == bucket:
            neighbours.append(other)
    return neighbours


def _names(environment: Environment) -> dict[str, Any]:
    """The names that the environment's variables make up or state, for the policies of its roles."""
    variables = environment.variables
    path = variables.get("parameter_path")
    prefix = environment.stack_name.removesuffix(f"-{environment.name}")
    backup = variables.get("backup") or {}
    regions = {region for table in _tables(variables) for region in table.get("replicas") or ()}
    return {
        "name_prefix": prefix,
        "state_key": environment.state_key,
        "table_names": table_names(environment),
        "replica_regions": sorted(regions - {environment.region}),
        "parameter_path": f"/{prefix}/{environment.name}" if path is None else path,
        "role_path": variables.get("function_defaults", {}).get("role_path", "/"),
        "user_pool": (variables.get("api_jwt") or {}).get("cognito") is not None,
        "backup_name": backup.get("name") or f"{environment.stack_name}-backup",
        "outside_roles": sorted(
            {
                role
                for access in variables.get("attach_access_to_roles", {}).values()
                for role in access.get("roles", [])
            }
        ),
    }


def table_names(environment: Environment) -> list[str]:
    """Every table that the stack may have: also of systems that are switched off, which an apply takes away."""
    variables = environment.variables
    stated = {
        (variable, setting): variables.get(variable, {}).get(setting) or default
        for (variable, setting), default in _declared_table_names().items()
    }
    stated[("idempotency", "table_name")] = (
        stated.get(("idempotency", "table_name")) or f"{environment.stack_name}-idempotency"
    )
    if name := variables.get("table_name"):
        stated[("chat_sessions", "table_name")] = name
    return sorted({*filter(None, stated.values()), *variables.get("extra_tables", {})})


@cache
def _declared_table_names() -> dict[tuple[str, str], str | None]:
    """Default by variable and setting, as the root module declares them."""
    text = (paths.TERRAFORM_ROOT / "variables.tf").read_text()
    return {
        (variable, setting): default or None
        for variable, body in _VARIABLE.findall(text)
        for setting, default in _TABLE_NAME.findall(body)
    }


def _tables(variables: dict[str, Any]) -> list[dict[str, Any]]:
    tables = [*variables.get("tables", {}).values(), *variables.get("extra_tables", {}).values()]
    return [table for table in tables if isinstance(table, dict)]
