"""Plans an environment: `python -m scripts.plan --env NAME`."""

from typing import Annotated

import typer

from scripts import stack
from scripts.console import err, out, run


def main(
    env: Annotated[str, typer.Option(help="The environment to plan.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print the counts of changes as JSON.")] = False,
) -> None:
    """Show what an apply would change, and keep that plan for `make apply`. Changes nothing."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        replaced = sorted(stack.replaced_code(opened))
        changes = stack.plan(opened)
        counts = stack.summary(opened)
        if not json_output:
            out.print(opened.terraform.show_text(opened.plan_file).strip(), markup=False)
        stack.drop_kept_plan(opened)
        # Putting code back makes a version that this plan doesn't know.
        kept = changes and not replaced
        if kept:
            stack.keep_plan(opened)
        else:
            opened.plan_file.unlink()
    if json_output:
        out.print_json(
            data={
                "environment": env,
                "changes": changes,
                **counts,
                "kept": kept,
                "deployed_code": {"replaced": replaced},
            }
        )
        return
    for name in replaced:
        out.print(f"\nThe code of {name} was replaced outside Terraform.")
    if replaced:
        out.print(f"This plan is not kept: `make apply ENV={env}` asks, puts the code back, and plans anew.")
    elif changes:
        out.print(f"\nThis plan is kept: `make apply ENV={env}` applies exactly it.")
    err.print(opened.place)


if __name__ == "__main__":
    run(main)
