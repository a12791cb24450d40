"""Applies an environment: `python -m scripts.apply --env NAME`."""

import sys
from typing import Annotated

import typer

from scripts import stack
from scripts.console import EXIT_FAILED, CommandError, out, run
from scripts.terraform_cli import TerraformError


def main(
    env: Annotated[str, typer.Option(help="The environment to apply.")],
    yes: Annotated[bool, typer.Option("--yes", help="Apply a fresh plan without asking.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was applied as JSON.")] = False,
) -> None:
    """Apply the plan that `make plan` kept; without one, plan first and ask (a pipeline is not asked)."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        planned_before = stack.take_kept_plan(opened)
        stack.put_back_code(opened)
        changes = planned_before or stack.plan(opened)
        counts = stack.summary(opened)
        if changes:
            shown = ", ".join(f"{count} to {verb}" for verb, count in counts.items() if count) or "outputs only"
            if not json_output:
                out.print(f"{env}: {shown}")
            if not planned_before and not yes and sys.stdin.isatty() and not typer.confirm("Apply?"):
                opened.plan_file.unlink()
                raise CommandError("not applied.")
            try:
                stack.apply(opened)
            except TerraformError as error:
                if "stale" in error.message.lower():
                    raise CommandError(
                        "the state has changed since this plan was made.",
                        f"Run `make plan ENV={env}` again.",
                        EXIT_FAILED,
                    ) from error
                raise
        else:
            opened.plan_file.unlink()
        api = opened.terraform.outputs().get("api")
        url = api["url"] if api else None
    if json_output:
        out.print_json(data={"environment": env, "changes": changes, **counts, "api_url": url})
    else:
        out.print(f"{'applied' if changes else 'no changes'}; API {url or '(none)'}; next: make verify ENV={env}")


if __name__ == "__main__":
    run(main)
