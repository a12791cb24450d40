"""Switches a system to its old in-memory behaviour, and back: `python -m scripts.rollback_to_memory --env NAME …`.

The environment's file says where a system keeps its state (`persistence`); this edits it, and applies that alone.
"""

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from scripts import api_tokens, aws, environment_file, environments, plan_guard, stack, verification, verify
from scripts.api_client import ApiClient
from scripts.console import EXIT_FAILED, CommandError, ask, err, out, run
from scripts.stack import Stack

VARIABLE = "persistence"
MEMORY, DYNAMODB = "memory", "dynamodb"
_SETTING = "PERSISTENCE"

# What memory means for each system, beside what it means for all.
_LOSES = {
    "agent_profiles": "profiles and conversations begin empty: matching and lists show what one environment was given",
    "agent_registry": "agents must register again, and are found only where they did; their leases begin anew",
    "agent_sessions": "users begin new sessions; an erasure erases memory only, and must be repeated on the way back",
    "chat_sessions": "sessions begin empty; one that is deleted stays in the table, and is there again afterwards",
    "pet_store": "each environment begins with the seed and counts on by itself: different pets get the same number",
}
# What a system can be asked without changing anything.
_READS = {
    "agent_profiles": "/list?limit=1",
    "agent_registry": "/agents?capability=none",
    "agent_sessions": "/agent/sessions/none/messages",
    "chat_sessions": "/sessions/none",
    "pet_store": "/pets?limit=1",
}


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    system: Annotated[str, typer.Option(help="The system.")],
    back: Annotated[bool, typer.Option("--back", help="The way back: to DynamoDB.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Let a system answer from memory, as it did before it had tables; with --back, from its tables again.

    Tables and their data stay. Interrupted anywhere, the same command goes on.
    """
    mode = DYNAMODB if back else MEMORY
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        if opened.environment.embedded:
            stack.forget_interrupted_runs(opened)
        stack.initialise(opened)
        systems = stack.outputs(opened).get("systems", {})
        stack.require_system(opened, systems, system)
        _require_own_code(opened, system)
        before = opened.environment.file.read_text()
        stated = opened.environment.variables.get(VARIABLE, {})
        after = environment_file.edited(before, {(VARIABLE,): _with(stated, system, mode)})
        losses = _losses(systems[system], system, mode)
        changed = before != after or {systems[system][VARIABLE], _served(systems[system])[0]} != {mode}
        if changed and not yes and not sys.stdin.isatty():
            _agree(opened, system, mode, losses, yes=False)  # nobody will: that needs no plan
        switches = changed and _plan(opened, system, systems[system], mode, _with(stated, system, mode) or {})
        changed = switches or before != after
        if changed:
            try:
                _agree(opened, system, mode, losses, yes=yes)
                environment_file.write(opened.environment, before, after)
                opened.bundle_file.unlink(missing_ok=True)  # it would undo this
                if switches:
                    stack.apply(opened, f"apply: {system} keeps its state in {_place(mode)}")
            finally:
                opened.plan_file.unlink(missing_ok=True)
            _prove(env, system, mode, show=not json_output)
    if json_output:
        out.print_json(data={"environment": env, "system": system, VARIABLE: mode, "changed": changed})
    elif changed:
        file = environments.shown(opened.environment.file)
        out.print(f"{system} keeps its state in {_place(mode)}; {file} says so: commit it, or a later apply undoes it")
    else:
        out.print(f"{system} keeps its state in {_place(mode)} already; nothing was changed")


def _place(mode: str) -> str:
    return "memory" if mode == MEMORY else "DynamoDB"


def _with(stated: Mapping[str, str], system: str, mode: str) -> dict[str, str] | None:
    """The variable with the system in that mode; None where it need not be stated: DynamoDB is the default."""
    others = {name: value for name, value in stated.items() if name != system}
    return others | ({system: mode} if mode == MEMORY else {}) or None


# --- before --------------------------------------------------------------------------------------------------------


def _require_own_code(opened: Stack, system: str) -> None:
    """A new version would be published with foreign code, and callers who were rolled back would not get it."""
    env = opened.environment.name
    if system in stack.replaced_code(opened):
        raise CommandError(
            f"the code of {system} was replaced outside Terraform.", f"`make apply ENV={env}` first; it puts it back."
        )
    if system in opened.pinned_versions:
        raise CommandError(
            f"callers of {system} are rolled back to version {opened.pinned_versions[system]} with its own settings.",
            f"`make rollback ENV={env} SYSTEM={system} TO=latest` first.",
        )


def _plan(opened: Stack, system: str, applied: Mapping[str, Any], mode: str, persistence: Mapping[str, str]) -> bool:
    """Plans the switch; False when it is applied already. Refuses a plan that does anything else."""
    title = f"plan: {system} keeps its state in {_place(mode)}"
    if not stack.plan(opened, title, variables={VARIABLE: persistence}):
        opened.plan_file.unlink(missing_ok=True)
        return False
    try:
        planned = opened.terraform.show(opened.plan_file)
        changes = [change for change in planned.get("resource_changes", []) if _changes(change["change"])]
        own = [change for change in changes if _switches(change, applied["function_name"])]
        foreign = [change["address"] for change in changes if change not in own]
        if not own and applied[VARIABLE] == mode:
            opened.plan_file.unlink()
            return False  # somebody's other work, which is not ours to do
        if foreign:
            raise CommandError(
                f"the plan changes more than where {system} keeps its state: {', '.join(foreign[:5])}"
                f"{f' and {len(foreign) - 5} more' if len(foreign) > 5 else ''}; nothing of it was applied.",
                f"Check out what is applied, or `make apply ENV={opened.environment.name}` first.",
            )
        review = plan_guard.review(planned, "", opened.environment.guard_allow)
        if review.refused:
            plan_guard.show(review)
        plan_guard.require_allowed(review, opened.environment.name)
    except BaseException:
        opened.plan_file.unlink(missing_ok=True)
        raise
    return True


def _changes(change: Mapping[str, Any]) -> bool:
    return change["actions"] not in (["no-op"], ["read"]) or bool(change.get("importing"))


def _switches(planned: Mapping[str, Any], function_name: str) -> bool:
    """Whether a planned change is that of the setting, or follows from it: a version, and the seed's invocation."""
    change, kind = planned["change"], planned["type"]
    before, after = change["before"] or {}, change["after"] or {}
    if (before or after).get("function_name") != function_name:
        return False
    if kind == "aws_lambda_invocation":
        return change["actions"] in (["create"], ["delete"])
    if change["actions"] != ["update"]:
        return False
    unknown = {name for name, value in (change.get("after_unknown") or {}).items() if value is True}
    # What is not set reads "", 0 or [] in a state, and null in a plan.
    differing = {name for name in after.keys() - unknown if (before.get(name) or None) != (after[name] or None)}
    if kind == "aws_lambda_function":
        return differing <= {"environment"} and _other_settings(before) == _other_settings(after)
    return kind == "aws_lambda_alias" and differing <= {"function_version"}


def _other_settings(function: Mapping[str, Any]) -> list[dict[str, str]]:
    return [
        {name: value for name, value in (stated.get("variables") or {}).items() if name != _SETTING}
        for stated in function.get("environment") or []
    ]


def _losses(applied: Mapping[str, Any], system: str, mode: str) -> list[str]:
    tables = ", ".join(sorted(table["name"] for table in applied["tables"].values()))
    if mode == DYNAMODB:
        return [
            "what was written in memory is lost: nothing of it is put into the tables",
            f"what {tables} held when it was switched to memory is there again, but for what has expired since",
        ]
    return [
        "what is written from now on is gone with its execution environment: after idle minutes, or a deployment",
        "each execution environment has a memory of its own: what one was told, others don't know, so answers differ",
        f"what {tables} hold is not seen, changed or deleted meanwhile; it is there again on the way back",
        "Idempotency-Key, If-Match and unique ids hold within one execution environment only",
        "alarms on the tables fall silent, and `make verify` can't prove that anything is kept",
        *([_LOSES[system]] if system in _LOSES else []),
    ]


def _agree(opened: Stack, system: str, mode: str, losses: list[str], *, yes: bool) -> None:
    err.print(opened.place, markup=False)
    err.print(f"{system} is to keep its state in {_place(mode)}:", markup=False)
    for loss in losses:
        err.print(f"  - {loss}", markup=False)
    if yes:
        return
    if not sys.stdin.isatty():
        target = "rollback-to-memory" if mode == MEMORY else "back-to-dynamodb"
        raise CommandError(
            "nothing was changed: nobody is here to agree.",
            f"`make {target} ENV={opened.environment.name} SYSTEM={system} YES=1` (--yes).",
        )
    if ask("Go on? [y/N]").lower() not in ("y", "yes"):
        raise CommandError("nothing was changed.")


# --- afterwards ----------------------------------------------------------------------------------------------------


def _prove(env: str, system: str, mode: str, *, show: bool) -> None:
    """What callers get has the setting, the system answers, and the file as it is now plans to nothing."""
    opened = stack.open_stack(env)
    outputs = stack.outputs(opened)
    declared = outputs["verification"]
    _require_setting(declared["systems"][system], system, mode)
    if mode == MEMORY:
        # No more than a read: what a verification writes could not be taken out of memory again.
        with api_tokens.signed_in(declared) as token:
            api = ApiClient(declared["api"]["url"], declared["api"]["auth"], declared["region"], token=token)
            if system in _READS and (answer := api.send("GET", _READS[system])).status >= 500:
                raise CommandError(
                    f"{answer.request} answers {answer.status}.",
                    f"See `make logs ENV={env} SYSTEM={system}`.",
                    EXIT_FAILED,
                )
        checks = [verification.no_changes(lambda: stack.plan(opened, "verify the next plan"), dict)]
        opened.plan_file.unlink(missing_ok=True)
    else:
        checks = verify.verify(opened, outputs, system)
        if show:
            verify.show(checks)
    verify.require_passed(checks)


def _served(applied: Mapping[str, Any]) -> tuple[str, str]:
    """What callers get: where it keeps its state, and which version that is."""
    serving = aws.client("lambda").get_function_configuration(
        FunctionName=applied["function_name"], Qualifier=applied["alias_name"]
    )
    return serving.get("Environment", {}).get("Variables", {}).get(_SETTING, ""), serving["Version"]


def _require_setting(applied: Mapping[str, Any], system: str, mode: str) -> None:
    has, version = _served(applied)
    if has != mode:
        raise CommandError(
            f"callers of {system} get version {version}, which keeps its state in {has}.",
            "Run this again.",
            EXIT_FAILED,
        )


if __name__ == "__main__":
    run(main)
