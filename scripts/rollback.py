"""Moves callers back to an older version of a function: `python -m scripts.rollback --env NAME [--system NAME]`.

No Terraform: one call moves the alias. The mark beside the state tells the next plan (see rollback_marks).
"""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from botocore.exceptions import ClientError

from scripts import aws, environments, function_versions, paths, rollback_marks, stack
from scripts.build_lambdas import read_manifest
from scripts.console import EXIT_FAILED, CommandError, err, out, run, step
from scripts.function_versions import age
from scripts.rollback_marks import Marks, Rollback
from scripts.stack import Stack

LATEST = "latest"
SETTLED_SECONDS, POLL_SECONDS = 30, 0.25


class Function(NamedTuple):
    """One system's function as it stands: where its alias points, which versions there are, what Terraform made."""

    system: str
    name: str
    alias_name: str
    revision: str
    present: str
    present_code: str
    shared: bool
    versions: Mapping[str, dict[str, Any]]
    terraforms: str


class Move(NamedTuple):
    function: Function
    to: str

    @property
    def needed(self) -> bool:
        return self.function.present != self.to or self.function.shared


def main(
    env: Annotated[str, typer.Option(help="The environment to roll back in.")],
    system: Annotated[str, typer.Option(help="The system to roll back; default: all that the last apply moved.")] = "",
    to: Annotated[
        str, typer.Option(help="A version, or `latest` for Terraform's; default: the newest older one of other code.")
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print what was moved as JSON.")] = False,
) -> None:
    """Move callers back to an older version in seconds. The next plan knows, and new code lifts it."""
    began = time.monotonic()
    if to not in ("", LATEST) and not to.isdecimal():
        raise CommandError(f"TO={to} is no version.", f"Give its number, or TO={LATEST} for Terraform's version.")
    with stack.exclusive(env):
        opened = stack.open_stack(env)
        with step("roll back" if to != LATEST else "roll forward") as progress:
            moves = _moves(opened, system, to)
            _warn_of_an_apply(opened)
            marks = _mark(opened, moves)
            for move in moves:
                progress.update(move.function.system)
                if move.needed:
                    _move_alias(move)
        pinned = marks.pinned_versions(read_manifest(paths.LAMBDA_BUILD))
        environments.render(opened.environment, opened.account_id, opened.state_bucket, pinned)
    if json_output:
        out.print_json(
            data={
                "environment": env,
                "systems": {
                    move.function.system: {
                        "from": move.function.present,
                        "to": move.to,
                        "rolled_back": move.function.system in marks.rollbacks,
                    }
                    for move in moves
                },
            }
        )
        return
    for move in moves:
        out.print(_told(move))
    out.print(f"{time.monotonic() - began:.1f} s; next: make verify ENV={env}")


def _warn_of_an_apply(opened: Stack) -> None:
    """It is not waited for: a lock may be left by somebody who is gone, and callers can't wait."""
    s3, key = aws.client("s3"), f"{opened.environment.state_key}.tflock"
    try:
        lock = json.loads(s3.get_object(Bucket=opened.state_bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return
    if lock.get("Operation") == "OperationTypeApply":
        who = f"{lock.get('Who', 'somebody')} since {lock.get('Created', 'a while')}"
        err.print(
            f"an apply is under way ({who}): it may move callers on; see `make plan` when it has ended", markup=False
        )


def _told(move: Move) -> str:
    function = move.function
    if not move.needed:
        return f"{function.system}: callers get version {move.to} already"
    return (
        f"{function.system}: version {function.present} → {move.to}, {age(function.versions[move.to])}, "
        f"of {len(function.versions)}"
    )


def _moves(opened: Stack, system: str, to: str) -> list[Move]:
    applied = stack.applied_systems(opened)
    if system:
        stack.require_system(opened, applied, system)
        function = _function(system, applied[system])
        return [Move(function, _target(function, opened.marks, opened.environment.name, to))]
    if to == LATEST:
        rolled_back = [name for name in applied if name in opened.marks.rollbacks]
        if not rolled_back:
            raise CommandError(f"nothing is rolled back in environment {opened.environment.name!r}.")
        functions = [_function(name, applied[name]) for name in rolled_back]
        return [Move(function, _terraforms(function, opened.environment.name)) for function in functions]
    if to:
        raise CommandError(f"TO={to} is a version of which system?", f"Add SYSTEM={' or SYSTEM='.join(applied)}.")
    return _undone(opened, applied)


def _undone(opened: Stack, applied: Mapping[str, Any]) -> list[Move]:
    """Back to before the last apply, for everything that it moved."""
    env, file = opened.environment.name, opened.environment.build_dir / "applied.json"
    moved = {name: change for name, change in _moved_by_apply(file).items() if name in applied}
    if not moved:
        raise CommandError(
            f"no apply from this checkout moved a function in environment {env!r}.",
            f"Name the system: SYSTEM={' or SYSTEM='.join(applied)}." if applied else "There is none.",
        )
    moves = []
    for system, change in moved.items():
        if change["from"] is None:
            err.print(f"{system}: there is nothing to go back to, that apply has made it")
            continue
        function = _function(system, applied[system])
        if function.present not in (change["from"], change["to"]):
            raise CommandError(
                f"callers of {system} get version {function.present}, not {change['to']}, to which the last apply from "
                "this checkout moved them; nothing was done.",
                f"Name the system: SYSTEM={system}.",
            )
        moves.append(Move(function, _existing(function, change["from"])))
    if not moves:
        raise CommandError(f"nothing was rolled back: {', '.join(moved)} had no version before that apply.")
    return moves


def _moved_by_apply(file: Path) -> dict[str, Any]:
    try:
        moved: dict[str, Any] = json.loads(file.read_text())["functions"]
    except (OSError, ValueError, KeyError):
        return {}
    return moved


def _function(system: str, settings: Mapping[str, Any]) -> Function:
    client, name = aws.client("lambda"), settings["function_name"]
    try:
        alias = client.get_alias(FunctionName=name, Name=settings["alias_name"])
        serving = client.get_function_configuration(FunctionName=name, Qualifier=alias["FunctionVersion"])
    except client.exceptions.ResourceNotFoundException as error:
        raise CommandError(f"{name} has no alias {settings['alias_name']}: {error}", "See `make plan`.") from error
    return Function(
        system=system,
        name=name,
        alias_name=alias["Name"],
        revision=alias["RevisionId"],
        present=alias["FunctionVersion"],
        present_code=serving["CodeSha256"],
        shared=bool(function_versions.weights(alias)),
        versions=function_versions.published(name),
        terraforms=settings["function_version"],
    )


def _target(function: Function, marks: Marks, env: str, to: str) -> str:
    mark = marks.rollbacks.get(function.system)
    if to == LATEST:
        return _terraforms(function, env)
    if to:
        if to == function.present and not function.shared and (mark is None or mark.to_version != to):
            raise CommandError(f"callers of {function.system} get version {to} already.", _known(function))
        return _existing(function, to)
    if mark and function.present in (mark.from_version, mark.to_version):
        return mark.to_version  # done, or interrupted before the alias moved
    bad = marks.bad_versions.get(function.system, {})
    for version, configuration in function.versions.items():
        older = not function.present.isdecimal() or int(version) < int(function.present)
        code = configuration["CodeSha256"]
        if older and code != function.present_code and bad.get(version) != code:
            return version
    raise CommandError(
        f"{function.system} has no version older than {function.present} with other code that was not found bad.",
        _known(function),
    )


def _existing(function: Function, version: str) -> str:
    if version not in function.versions:
        raise CommandError(f"{function.system} has no version {version}.", _known(function))
    return version


def _terraforms(function: Function, env: str) -> str:
    if function.terraforms not in function.versions:
        raise CommandError(
            f"{function.system} has no version {function.terraforms}, which Terraform made.", f"`make apply ENV={env}`."
        )
    return function.terraforms


def _known(function: Function) -> str:
    listed = ", ".join(f"{version} ({age(settings)})" for version, settings in function.versions.items())
    return f"There are: {listed}. Name another: TO=<version>."


def _mark(opened: Stack, moves: list[Move]) -> Marks:
    """Says what callers shall get, before they do: what is interrupted from here on, a repetition or an apply ends."""
    by = aws.client("sts").get_caller_identity()["Arn"]
    since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    marks = opened.marks
    for move in moves:
        marks = _marked(marks, move, since, by)
    if marks == opened.marks:
        return marks
    return rollback_marks.write(opened.state_bucket, opened.environment.state_key, marks)


def _marked(marks: Marks, move: Move, since: str, by: str) -> Marks:
    function, system = move.function, move.function.system
    mark = marks.rollbacks.get(system)
    bad = dict(marks.bad_versions.get(system, {}))
    if move.to == function.terraforms:
        bad.pop(move.to, None)
        return marks.without_rollback(system)._replace(bad_versions={**marks.bad_versions, system: bad})
    if mark and mark.to_version == move.to and function.present in (mark.from_version, mark.to_version):
        return marks
    if not move.needed:
        return marks
    _require_usable(move)
    # A second step back still goes back from what Terraform deployed.
    onwards = mark is not None and function.present == mark.to_version
    came_from = (
        (mark.from_version, mark.from_code_sha256) if mark and onwards else (function.present, function.present_code)
    )
    bad[function.present] = function.present_code
    bad.pop(move.to, None)
    to_code = function.versions[move.to]["CodeSha256"]
    return marks.with_rollback(system, Rollback(*came_from, move.to, to_code, since, by), bad)


def _require_usable(move: Move) -> None:
    """What Lambda says of the version to go to; notes what callers will feel."""
    client, function = aws.client("lambda"), move.function
    version = client.get_function_configuration(FunctionName=function.name, Qualifier=move.to)
    if version.get("State") == "Failed":
        raise CommandError(
            f"version {move.to} of {function.system} can't run: {version.get('StateReason', 'its state is Failed')}.",
            _known(function),
        )
    snapshot = version.get("SnapStart", {})
    if version.get("State") == "Inactive" or (
        snapshot.get("ApplyOn") == "PublishedVersions" and snapshot.get("OptimizationStatus") == "Off"
    ):
        err.print(f"{function.system}: version {move.to} was idle; its first calls fail until Lambda has made it ready")
    try:
        client.get_provisioned_concurrency_config(FunctionName=function.name, Qualifier=function.alias_name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
    else:
        err.print(f"{function.system}: provisioned concurrency follows in some minutes; until then calls start cold")


def _move_alias(move: Move) -> None:
    function, client = move.function, aws.client("lambda")
    try:
        client.update_alias(
            FunctionName=function.name,
            Name=function.alias_name,
            FunctionVersion=move.to,
            RoutingConfig={"AdditionalVersionWeights": {}},  # all calls, also those that had gone elsewhere
            RevisionId=function.revision,
        )
    except (client.exceptions.PreconditionFailedException, client.exceptions.ResourceConflictException) as error:
        raise CommandError(
            f"the alias {function.alias_name} of {function.name} was moved by somebody else at the same time: {error}",
            "Run it again.",
            EXIT_FAILED,
        ) from error
    deadline = time.monotonic() + SETTLED_SECONDS
    while client.get_alias(FunctionName=function.name, Name=function.alias_name)["FunctionVersion"] != move.to:
        if time.monotonic() > deadline:
            raise CommandError(
                f"the alias {function.alias_name} of {function.name} does not point to version {move.to} after "
                f"{SETTLED_SECONDS} s.",
                "Run it again.",
                EXIT_FAILED,
            )
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    run(main)
