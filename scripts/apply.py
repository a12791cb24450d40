"""Applies an environment: `python -m scripts.apply --env NAME`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts import deployed_code, environments, plan_bundle, plan_guard, rendering, stack
from scripts.console import EXIT_FAILED, CommandError, ask, err, out, run
from scripts.plan_bundle import Bundle
from scripts.stack import Stack
from scripts.terraform_cli import TerraformError, require_terraform


def main(
    env: Annotated[str, typer.Option(help="The environment to apply.")],
    bundle: Annotated[str, typer.Option(help="The sealed plan; default: what `make plan` left, if anything.")] = "",
    digest: Annotated[str, typer.Option(help="The SHA-256 that the sealed plan must have.")] = "",
    allow: Annotated[str, typer.Option(help='For a fresh plan: what the guard lets through, "rule:address …".')] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Apply a fresh plan without asking.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was applied as JSON.")] = False,
) -> None:
    """Apply the plan that `make plan` sealed; without one, plan first, hold it against the guard, and ask."""
    with stack.exclusive(env):
        file = Path(bundle) if bundle else environments.load(env).build_dir / plan_bundle.FILE
        if bundle or digest or file.exists():
            if allow:
                raise CommandError(
                    "ALLOW has no meaning with a sealed plan; nothing was applied.",
                    f"What it lets through was said when it was made: make plan ENV={env} ALLOW='{allow}'",
                )
            opened, applied = _apply_sealed(env, plan_bundle.read(file, digest), say=not json_output)
            file.unlink(missing_ok=True)
        else:
            opened, applied = _apply_fresh(env, allow, yes=yes, say=not json_output)
        api = stack.outputs(opened).get("api")
        url = api["url"] if api else None
    if json_output:
        out.print_json(data={"environment": env, **applied, "api_url": url})
    else:
        done = "applied" if applied["changes"] else "no changes"
        out.print(f"{done}; API {url or '(none)'}; next: make verify ENV={env}")


def _apply_sealed(env: str, bundle: Bundle, *, say: bool) -> tuple[Stack, dict[str, Any]]:
    """Applies the bundle's own plan, once everything is as it was when that was made."""
    environment = environments.load(env)
    plan_bundle.require_sources(bundle, environment)
    opened = stack.open_stack(env, plan_bundle.functions_of(bundle))
    now = {**opened.facts(), "terraform_version": require_terraform()}
    plan_bundle.require_place(bundle, now, opened.files["variables"].read_bytes())
    stack.initialise(opened)
    plan_bundle.require_state(bundle, *opened.terraform.state_version())
    replaced = stack.replaced_code(opened)
    if replaced:
        raise CommandError(
            f"the code of {', '.join(sorted(replaced))} was replaced outside Terraform since this plan was made; "
            "nothing was applied.",
            f"Run `make plan ENV={env}` again.",
        )
    facts = bundle.facts
    if facts["changes"]:
        err.print(opened.place)
        if say:
            _say(env, facts["counts"], [])
        plan_bundle.unpack(bundle, opened.plan_file)
        try:
            _apply(opened, facts["commit"], bundle.digest)
        finally:
            opened.plan_file.unlink(missing_ok=True)
    else:
        stack.settle_rollbacks(opened)
        _note(opened, facts["commit"], bundle.digest, {})
    guard = facts["guard"]["let_through"]
    return opened, {
        "changes": facts["changes"],
        **facts["counts"],
        "deployed_code": {"put_back": []},
        "digest": bundle.digest,
        "let_through": [f"{finding['rule']}:{finding['address']}" for finding in guard],
    }


def _apply_fresh(env: str, allow: str, *, yes: bool, say: bool) -> tuple[Stack, dict[str, Any]]:
    """Plans, holds that against the guard, asks, and applies."""
    stack.build()
    opened = stack.open_stack(env)
    stack.initialise(opened)
    replaced = stack.replaced_code(opened)
    changes = stack.plan(opened)
    try:
        counts = _guarded(opened, allow)
        if changes or replaced:
            changes = True
            err.print(opened.place)
            if say:
                _say(env, counts, sorted(replaced))
            if not yes:
                _require_consent(env)
            if replaced:
                counts = _with_code_put_back(opened, counts, allow)
            _apply(opened, plan_bundle.source_facts()["commit"], None)
        else:
            stack.settle_rollbacks(opened)
    finally:
        opened.plan_file.unlink(missing_ok=True)
    return opened, {"changes": changes, **counts, "deployed_code": {"put_back": sorted(replaced)}}


def _guarded(opened: Stack, allow: str) -> dict[str, int]:
    """The counts of the plan, unless the guard refuses it."""
    planned = opened.terraform.show(opened.plan_file)
    review = plan_guard.review(planned, allow, opened.environment.guard_allow)
    if review.refused:
        plan_guard.show(review)
    plan_guard.require_allowed(review, opened.environment.name)
    return stack.counts(planned)


def _say(env: str, counts: dict[str, int], replaced: list[str]) -> None:
    parts = [f"{count} to {verb}" for verb, count in counts.items() if count]
    parts += [f"the code of {name} to put back" for name in replaced]
    out.print(f"{env}: {', '.join(parts) or 'outputs only'}")


def _require_consent(env: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError(
            "nothing was applied: nobody is here to agree to a plan that was not sealed.",
            f"Run `make plan ENV={env}` first, or `make apply ENV={env} YES=1` (--yes) to apply it unseen.",
        )
    if ask("Apply? [y/N]").lower() not in ("y", "yes"):
        raise CommandError("not applied.")


def _with_code_put_back(opened: Stack, agreed: dict[str, int], allow: str) -> dict[str, int]:
    """Puts the code back and plans anew, as that makes versions; the new plan may not take away more than the old."""
    stack.put_back_code(stack.replaced_code(opened))
    stack.plan(opened, "terraform plan with the code put back")
    counts = _guarded(opened, allow)
    if any(counts[verb] > agreed[verb] for verb in ("replace", "delete")):
        raise CommandError(
            "the stack has changed since the plan was made; only the code was put back.",
            f"Run `make plan ENV={opened.environment.name}` again.",
            EXIT_FAILED,
        )
    return counts


def _apply(opened: Stack, commit: str | None, digest: str | None) -> None:
    try:
        with _noting_versions(opened, commit, digest):
            stack.apply(opened)
    except TerraformError as error:
        if "stale" in error.message.lower():
            raise CommandError(
                "the state has changed since this plan was made.",
                f"Run `make plan ENV={opened.environment.name}` again.",
                EXIT_FAILED,
            ) from error
        raise


@contextmanager
def _noting_versions(opened: Stack, commit: str | None, digest: str | None) -> Iterator[None]:
    """Leaves which functions the apply moved, also when it fails on its way: `make rollback` moves those back."""
    before = deployed_code.live_versions(stack.outputs(opened))

    def note() -> None:
        after = deployed_code.live_versions(stack.outputs(opened))
        moved = {
            system: {"from": before.get(system), "to": version}
            for system, version in after.items()
            if before.get(system) != version
        }
        _note(opened, commit, digest, moved)

    try:
        yield
    except BaseException:
        with suppress(Exception):  # the failure itself is what must be told
            note()
        raise
    note()


def _note(opened: Stack, commit: str | None, digest: str | None, moved: dict[str, dict[str, str | None]]) -> None:
    rendering.write(opened.applied_file, rendering.json_text({"commit": commit, "digest": digest, "functions": moved}))


if __name__ == "__main__":
    run(main)
