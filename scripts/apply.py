"""Applies an environment: `python -m scripts.apply --env NAME`."""

import sys
from typing import Annotated

import typer

from scripts import stack
from scripts.console import EXIT_FAILED, CommandError, ask, err, out, run
from scripts.stack import Stack, StateLockedError
from scripts.terraform_cli import TerraformError


def main(
    env: Annotated[str, typer.Option(help="The environment to apply.")],
    yes: Annotated[bool, typer.Option("--yes", help="Apply a fresh plan without asking.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was applied as JSON.")] = False,
) -> None:
    """Apply the plan that `make plan` kept; without one, plan first and ask."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        replaced = stack.replaced_code(opened)
        if replaced and opened.kept_plan_file.exists():
            stack.drop_kept_plan(opened)
            raise CommandError(
                f"the code of {', '.join(sorted(replaced))} was replaced outside Terraform since this plan was made; "
                "nothing was applied.",
                f"Run `make plan ENV={env}` again.",
            )
        kept = stack.take_kept_plan(opened)
        changes = kept or stack.plan(opened)
        counts = stack.summary(opened)
        parts = [f"{count} to {verb}" for verb, count in counts.items() if count]
        parts += [f"the code of {name} to put back" for name in sorted(replaced)]
        changes = changes or bool(replaced)
        if changes:
            err.print(opened.place)
            if not json_output:
                out.print(f"{env}: {', '.join(parts) or 'outputs only'}")
            if not kept and not yes:
                _require_consent(opened)
            if replaced:
                counts = _with_code_put_back(opened, counts)
            _apply(opened, kept=kept)
        else:
            stack.settle_rollbacks(opened)
        opened.plan_file.unlink(missing_ok=True)
        api = opened.terraform.outputs().get("api")
        url = api["url"] if api else None
    if json_output:
        code = {"put_back": sorted(replaced)}
        out.print_json(data={"environment": env, "changes": changes, **counts, "deployed_code": code, "api_url": url})
    else:
        out.print(f"{'applied' if changes else 'no changes'}; API {url or '(none)'}; next: make verify ENV={env}")


def _require_consent(opened: Stack) -> None:
    env = opened.environment.name
    if not sys.stdin.isatty():
        opened.plan_file.unlink()
        raise CommandError(
            "nothing was applied: nobody is here to agree to a plan that was not kept.",
            f"Run `make plan ENV={env}` first, or `make apply ENV={env} YES=1` (--yes) to apply it unseen.",
        )
    if ask("Apply? [y/N]").lower() not in ("y", "yes"):
        opened.plan_file.unlink()
        raise CommandError("not applied.")


def _with_code_put_back(opened: Stack, agreed: dict[str, int]) -> dict[str, int]:
    """Puts the code back and plans anew, as that makes versions; the new plan may not take away more than the old."""
    stack.put_back_code(stack.replaced_code(opened))
    stack.plan(opened, "terraform plan with the code put back")
    counts = stack.summary(opened)
    if any(counts[verb] > agreed[verb] for verb in ("replace", "delete")):
        opened.plan_file.unlink()
        raise CommandError(
            "the stack has changed since the plan was made; only the code was put back.",
            f"Run `make plan ENV={opened.environment.name}` again.",
            EXIT_FAILED,
        )
    return counts


def _apply(opened: Stack, *, kept: bool) -> None:
    try:
        stack.apply(opened)
    except StateLockedError:
        if kept:
            stack.return_kept_plan(opened)
        raise
    except TerraformError as error:
        if "stale" in error.message.lower():
            raise CommandError(
                "the state has changed since this plan was made.",
                f"Run `make plan ENV={opened.environment.name}` again.",
                EXIT_FAILED,
            ) from error
        raise


if __name__ == "__main__":
    run(main)
