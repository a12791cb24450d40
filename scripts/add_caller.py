"""Adds a caller of the API to an environment's user pool: `python -m scripts.add_caller --env NAME …`."""

import os
import secrets
from typing import Annotated, Any

import typer
from rich.table import Table

from scripts import api_tokens, aws, stack
from scripts.console import CommandError, err, out, run, step
from scripts.sign_in import PASSWORD, require_pool


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    name: Annotated[str, typer.Option(help="What the caller signs in as.")],
    tenant: Annotated[str, typer.Option(help="The tenant that it belongs to, for good.")],
    scopes: Annotated[
        str, typer.Option(help="What it may do, such as 'pet_store.read pet_store.write'; everything if none.")
    ] = "",
    json_output: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Add an agent or a person that may call the API.

    The password is that of API_PASSWORD, or a new one, which is printed once and kept nowhere.
    """
    pool = require_pool(env, stack.applied_verification(stack.open_stack(env)).get("user_pool"))
    groups = _groups(scopes, pool["groups"])
    if not tenant.strip() or len(tenant) > 256:
        raise CommandError("a tenant has 1 to 256 characters, not all of them blanks.")
    password = os.environ.get(PASSWORD) or secrets.token_urlsafe(32)
    with step(f"add {name} to the user pool {pool['id']}"):
        _add(pool, name, tenant, groups, password)
    made = {"name": name, "tenant": tenant, "scopes": groups}
    if PASSWORD not in os.environ:
        made["password"] = password
    if json_output:
        out.print_json(data=made)
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for what, value in made.items():
        table.add_row(what, " ".join(value) if isinstance(value, list) else str(value))
    out.print(table)
    err.print(f"A token: {PASSWORD}=… make -s sign-in ENV={env} NAME={name}", markup=False)


def _groups(asked: str, there_are: list[str]) -> list[str]:
    wanted = asked.replace(",", " ").split() or list(there_are)
    if unknown := sorted(set(wanted) - set(there_are)):
        raise CommandError(f"there is no scope {', '.join(unknown)}.", f"There are: {', '.join(there_are)}.")
    return wanted


def _add(pool: dict[str, Any], name: str, tenant: str, groups: list[str], password: str) -> None:
    known = aws.client("cognito-idp").exceptions
    try:
        api_tokens.add_user(pool, name, tenant, groups, password)
    except known.UsernameExistsException as error:
        raise CommandError(
            f"the user pool has a caller {name} already.",
            "A tenant is for good: delete the user, or take another name. Scopes are groups: "
            f"aws cognito-idp admin-add-user-to-group --user-pool-id {pool['id']} --username {name} --group-name …",
        ) from error
    except known.InvalidPasswordException as error:
        raise CommandError(
            f"the user pool takes no such password: {error.response['Error']['Message']}",
            f"Put a longer one into {PASSWORD}, or none for a random one.",
        ) from error


if __name__ == "__main__":
    run(main)
