"""Destroys an environment's stack: `python -m scripts.destroy --env NAME`."""

import sys
from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from scripts import aws, stack
from scripts.console import CommandError, ask, err, out, run
from scripts.stack import Stack


def main(
    env: Annotated[str, typer.Option(help="The environment to destroy.")],
    confirm: Annotated[str, typer.Option(help="The environment's name once more, instead of typing it.")] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print what was destroyed as JSON.")] = False,
) -> None:
    """Destroy everything that the environment's stack made. Tables under deletion protection are refused."""
    with stack.exclusive(env):
        if confirm or not sys.stdin.isatty():
            _require_name(env, confirm)
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        _refuse_protected_tables(opened)
        changes = stack.plan(opened, "terraform plan -destroy", destroy=True)
        count = stack.summary(opened)["delete"]
        try:
            if changes:
                if not confirm:
                    err.print(
                        f"This deletes {count} resources and all data in their tables in [bold]{opened.place}[/bold]."
                    )
                    _require_name(env, ask(f"Type the environment's name ({env}) to go on:"))
                stack.apply(opened, "terraform destroy")
        finally:
            opened.plan_file.unlink(missing_ok=True)
    if json_output:
        out.print_json(data={"environment": env, "destroyed": count, "state_bucket": opened.state_bucket})
    elif changes:
        out.print(f"{env}: destroyed {count} resources; the state bucket {opened.state_bucket} stays")
    else:
        out.print(f"{env}: nothing to destroy")


def _require_name(env: str, given: str) -> None:
    if not given:
        raise CommandError(
            "nothing was destroyed: the environment's name was not given.",
            f"Run `make destroy ENV={env} CONFIRM={env}` where nobody can type it.",
        )
    if given != env:
        raise CommandError(f"nothing was destroyed: {given!r} is not {env!r}.")


def _refuse_protected_tables(opened: Stack) -> None:
    protected = [name for name in _tables(opened.terraform.show()) if _is_protected(name)]
    if protected:
        raise CommandError(
            f"deletion protection is on for {', '.join(protected)}; nothing was destroyed.",
            f"To give up their data, set deletion_protection = false in {opened.environment.file.name}, "
            f"`make apply ENV={opened.environment.name}` with the ALLOW that its guard names, and destroy again.",
        )


def _tables(state: dict[str, Any]) -> list[str]:
    def of(module: dict[str, Any]) -> list[str]:
        here = [
            resource["values"]["name"]
            for resource in module.get("resources", [])
            if resource["type"] == "aws_dynamodb_table" and resource["mode"] == "managed"
        ]
        return here + [name for child in module.get("child_modules", []) for name in of(child)]

    return sorted(of(state.get("values", {}).get("root_module", {})))


def _is_protected(name: str) -> bool:
    """What DynamoDB says now: the state may be older than the table."""
    try:
        table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return False
        raise
    return bool(table.get("DeletionProtectionEnabled"))


if __name__ == "__main__":
    run(main)
