"""Destroys an environment's stack: `python -m scripts.destroy --env NAME`."""

from typing import Annotated, Any

import typer
from botocore.exceptions import ClientError

from scripts import aws, stack
from scripts.console import CommandError, err, out, run
from scripts.stack import Stack


def main(
    env: Annotated[str, typer.Option(help="The environment to destroy.")],
    confirm: Annotated[str, typer.Option(help="The environment's name once more, instead of typing it.")] = "",
) -> None:
    """Destroy everything that the environment's stack made. Tables under deletion protection are refused."""
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        stack.initialise(opened)
        _refuse_protected_tables(opened)
        if not stack.plan(opened, "terraform plan -destroy", destroy=True):
            opened.plan_file.unlink()
            out.print(f"{env}: nothing to destroy")
            return
        count = stack.summary(opened)["delete"]
        try:
            _require_confirmation(env, confirm, f"{count} resources and all data in their tables")
            stack.apply(opened, "terraform destroy")
        finally:
            opened.plan_file.unlink(missing_ok=True)
    out.print(f"{env}: destroyed {count} resources; the state bucket {opened.state_bucket} stays")


def _require_confirmation(env: str, confirm: str, what: str) -> None:
    if not confirm:
        err.print(f"This deletes {what} in environment [bold]{env}[/bold].")
        try:
            confirm = input(f"Type the environment's name ({env}) to go on: ").strip()
        except EOFError:
            raise CommandError(
                "nothing was destroyed: the environment's name was not given.",
                f"Run `make destroy ENV={env} CONFIRM={env}` where nobody can type it.",
            ) from None
    if confirm != env:
        raise CommandError(f"nothing was destroyed: {confirm!r} is not {env!r}.")


def _refuse_protected_tables(opened: Stack) -> None:
    protected = [name for name in _tables(opened.terraform.show()) if _is_protected(name)]
    if protected:
        raise CommandError(
            f"deletion protection is on for {', '.join(protected)}; nothing was destroyed.",
            f"To give up their data, set deletion_protection = false in {opened.environment.file.name}, "
            f"`make apply ENV={opened.environment.name}`, and destroy again.",
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
