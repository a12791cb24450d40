"""Deletes old versions of functions: `python -m scripts.prune --env NAME`.

Each deployment publishes a version, and Lambda keeps them all: 75 GB of code an account and region, and a snapshot to
be paid for with SnapStart.
"""

from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from scripts import aws, function_versions, stack
from scripts.console import out, run, step
from scripts.stack import Stack

DEFAULT_KEEP = 5


def main(
    env: Annotated[str, typer.Option(help="The environment whose functions are pruned.")],
    system: Annotated[str, typer.Option(help="Prune only this system's function.")] = "",
    keep: Annotated[int, typer.Option(min=1, help="How many of the newest versions stay.")] = DEFAULT_KEEP,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing; tell what would be.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was deleted as JSON.")] = False,
) -> None:
    """Delete old versions, but the newest ones, and never one that an alias, Terraform or a rollback stands on."""
    with stack.exclusive(env):
        opened = stack.open_stack(env)
        systems = stack.applied_systems(opened)
        if system:
            stack.require_system(opened, systems, system)
        chosen = {name: settings for name, settings in systems.items() if system in ("", name)}
        with step(f"prune {', '.join(chosen) or 'nothing: every system is off'}") as progress:
            pruned = {}
            for name, settings in chosen.items():
                progress.update(name)
                pruned[name] = _prune(opened, name, settings, keep, dry_run=dry_run)
    if json_output:
        out.print_json(data={"environment": env, "dry_run": dry_run, "systems": pruned})
        return
    verb = "would delete" if dry_run else "deleted"
    for name, result in pruned.items():
        kept = ", ".join(f"{version} ({reason})" if reason else version for version, reason in result["kept"].items())
        out.print(f"{name}: {verb} {', '.join(result['deleted']) or 'nothing'}; kept {kept or 'nothing'}")


def _prune(opened: Stack, system: str, settings: dict[str, Any], keep: int, *, dry_run: bool) -> dict[str, Any]:
    """Deletes oldest first; returns the versions `deleted`, and those `kept` with the reason ("": it is new)."""
    name = settings["function_name"]
    versions = list(function_versions.published(name))
    in_use = _in_use(opened, system, settings)
    kept = {version: in_use.get(version, "") for version in versions[:keep]}
    deleted = []
    for version in versions[: keep - 1 : -1]:
        reason = in_use.get(version) or _provisioned(name, version)
        if not reason and not dry_run:
            reason = _delete(name, version)
        if reason:
            kept[version] = reason
        else:
            deleted.append(version)
    return {"deleted": deleted, "kept": dict(sorted(kept.items(), key=lambda item: int(item[0])))}


def _in_use(opened: Stack, system: str, settings: dict[str, Any]) -> dict[str, str]:
    used = {settings["function_version"]: "Terraform's"}
    if mark := opened.marks.rollbacks.get(system):
        used[mark.to_version] = "rolled back to"
    return used | {
        version: ", ".join(aliases) for version, aliases in function_versions.aliased(settings["function_name"]).items()
    }


def _provisioned(name: str, version: str) -> str:
    """Somebody pays for environments that are kept ready on this very version."""
    try:
        aws.client("lambda").get_provisioned_concurrency_config(FunctionName=name, Qualifier=version)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return ""
        raise
    return "provisioned concurrency"


def _delete(name: str, version: str) -> str:
    """Why the version stays; "" when it is gone, whoever deleted it."""
    try:
        aws.client("lambda").delete_function(FunctionName=name, Qualifier=version)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceConflictException":  # an alias was moved to it at this moment, or it is being made ready
            return "in use"
        if code != "ResourceNotFoundException":
            raise
    return ""


if __name__ == "__main__":
    run(main)
