"""Plans an environment: `python -m scripts.plan --env NAME`."""

from typing import Annotated

import typer

from scripts import stack
from scripts.console import out, run


def main(
    env: Annotated[str, typer.Option(help="The environment to plan.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the counts of changes as JSON.")] = False,
) -> None:
    """Show what an apply would change, and keep that plan for `make apply`. Changes nothing."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        changes = stack.plan(opened)
        counts = stack.summary(opened)
        if not json_output:
            out.print(opened.terraform.show_text(opened.plan_file).strip(), markup=False)
        opened.kept_plan_file.unlink(missing_ok=True)
        if changes:
            stack.keep_plan(opened)
        else:
            opened.plan_file.unlink()
    if json_output:
        out.print_json(data={"environment": env, "changes": changes, **counts})
    elif changes:
        out.print(f"\nThis plan is kept: `make apply ENV={env}` applies exactly it.")


if __name__ == "__main__":
    run(main)
