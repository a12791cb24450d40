"""Applies terraform/bootstrap for an environment's account: `python -m scripts.bootstrap --env NAME`."""

from typing import Annotated

import typer

from scripts import stack
from scripts.console import out, run


def main(
    env: Annotated[str, typer.Option(help="An environment of the account.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print where the state is kept as JSON.")] = False,
) -> None:
    """Make the bucket that keeps Terraform's state: once an account and region; again it changes nothing."""
    with stack.exclusive(env):
        opened = stack.open_stack(env)
        stack.bootstrap(opened)
    if json_output:
        place = {"account_id": opened.account_id, "region": opened.environment.region}
        out.print_json(data={"environment": env, "state_bucket": opened.state_bucket, **place})
        return
    out.print(f"state bucket {opened.state_bucket} in account {opened.account_id}; next: make plan ENV={env}")


if __name__ == "__main__":
    run(main)
