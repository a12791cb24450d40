"""Prints a token of a caller of the API: `python -m scripts.sign_in --env NAME --name CALLER`."""

import getpass
import os
import sys
from typing import Annotated, Any

import typer

from scripts import api_tokens, stack
from scripts.console import CommandError, out, run

PASSWORD = "API_PASSWORD"  # noqa: S105 - the name of a variable


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    name: Annotated[str, typer.Option(help="The caller's name in the user pool.")],
    json_output: Annotated[bool, typer.Option("--json", help="Print what the token says, too, as JSON.")] = False,
) -> None:
    """Sign a caller in to the environment's user pool, and print the access token and nothing else."""
    applied = stack.applied_verification(stack.open_stack(env))
    pool = require_pool(env, applied.get("user_pool"))
    text = api_tokens.password_token(pool["client_id"], name, given_password(name))
    if not json_output:
        out.print(text, markup=False)
        return
    token = api_tokens.read(text, applied["token_claims"], "the user pool's answer")
    out.print_json(
        data={
            "token": text,
            "tenant": token.tenant,
            "user": token.user,
            "scopes": str(token.claims.get("scope", "")).split(),
            "ends_at_epoch_seconds": token.claims["exp"],
        }
    )


def require_pool(env: str, pool: dict[str, Any] | None) -> dict[str, Any]:
    if pool is None:
        raise CommandError(
            f"environment {env!r} has no user pool: its callers sign in elsewhere, or with keys of AWS.",
            "api_jwt = { cognito = {} } in its file makes one.",
        )
    return pool


def given_password(name: str) -> str:
    """Never on the command line, which others on the machine can read."""
    if given := os.environ.get(PASSWORD):
        return given
    if not sys.stdin.isatty():
        raise CommandError(f"nobody is here to type the password of {name}.", f"Put it into {PASSWORD}.")
    return getpass.getpass(f"Password of {name}: ", stream=sys.stderr)


if __name__ == "__main__":
    run(main)
