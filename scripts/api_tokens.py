"""Tokens for an API that asks for them (`api_auth = "jwt"`): where they come from, and whose they are.

API_TOKEN is one, API_TOKEN_COMMAND prints one. Without either, a stack that has a user pool makes a user in it, for as
long as the token is needed. Nothing of a token is written or shown.
"""

import base64
import contextlib
import json
import os
import secrets
import shlex
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from botocore import UNSIGNED

from scripts import aws
from scripts.console import EXIT_FAILED, CommandError, one_line

TOKEN, COMMAND = "API_TOKEN", "API_TOKEN_COMMAND"
TENANT_ATTRIBUTE = "custom:tenantId"
_COMMAND_SECONDS = 60
_LEFT_SECONDS = 60  # less is too little for what a command is about to do


class Token(NamedTuple):
    """`tenant` and `user`: whose data its requests are about; None where the token does not say."""

    text: str
    tenant: str | None
    user: str | None
    claims: dict[str, Any]


@contextlib.contextmanager
def signed_in(verification: Mapping[str, Any]) -> Iterator[Token | None]:
    """A token for the API of the output `verification`; None where it asks for none. Raises CommandError."""
    jwt = (verification.get("api") or {}).get("jwt")
    if jwt is None:
        yield None
    elif given := os.environ.get(TOKEN):
        yield read(given.strip(), verification["token_claims"], TOKEN)
    elif command := os.environ.get(COMMAND):
        yield read(_printed(command), verification["token_claims"], COMMAND)
    elif pool := verification.get("user_pool"):
        with passing_user(pool) as text:
            yield read(text, verification["token_claims"], "the user pool's answer")
    else:
        raise CommandError(
            f"the API asks for a token of {jwt['issuer']}, and there is none.",
            f"Put one into {TOKEN}, or a command that prints one into {COMMAND}: for "
            f"{' or '.join(jwt['audiences'])}, with the scopes of all routes, of a user that nobody else is.",
        )


def read(text: str, claim_names: Mapping[str, str], source: str) -> Token:
    """What a token says of itself; the API judges it. Raises CommandError for what is none, and one that has ended."""
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        ends = float(claims.get("exp", 0))
    except (IndexError, ValueError, TypeError, AttributeError) as error:
        raise CommandError(f"{source} holds no token.", "A token has three parts, with dots between.") from error
    if ends < time.time() + _LEFT_SECONDS:
        raise CommandError(f"the token of {source} has ended, or is about to.", "Get a new one from its issuer.")
    return Token(text, _text(claims.get(claim_names["tenant"])), _text(claims.get(claim_names["user"])), claims)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def password_token(client_id: str, name: str, password: str) -> str:
    """An access token of a user of a pool. Raises CommandError where Cognito gives none."""
    # Signing in is what a user does, with no keys of AWS.
    client = aws.client("cognito-idp", signature_version=UNSIGNED)
    refused = (client.exceptions.NotAuthorizedException, client.exceptions.UserNotFoundException)
    try:
        answer = client.initiate_auth(
            ClientId=client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
    except refused as error:
        raise CommandError(
            f"the user pool refuses {name}: {error.response['Error']['Message']}", "Check name and password."
        ) from error
    if "AuthenticationResult" not in answer:
        raise CommandError(
            f"the user pool asks {name} for more than a password: {answer.get('ChallengeName')}.",
            "Where it is NEW_PASSWORD_REQUIRED, set one for good: aws cognito-idp admin-set-user-password --permanent.",
        )
    return str(answer["AuthenticationResult"]["AccessToken"])


def add_user(pool: Mapping[str, Any], name: str, tenant: str, groups: list[str], password: str) -> None:
    """A user of a tenant, with the scopes of its groups, that can sign in with `password` at once; or none at all."""
    client = aws.client("cognito-idp")
    user = {"UserPoolId": pool["id"], "Username": name}
    client.admin_create_user(
        **user, MessageAction="SUPPRESS", UserAttributes=[{"Name": TENANT_ATTRIBUTE, "Value": tenant}]
    )
    try:
        for group in groups:
            client.admin_add_user_to_group(**user, GroupName=group)
        client.admin_set_user_password(**user, Password=password, Permanent=True)
    except BaseException:
        client.admin_delete_user(**user)
        raise


@contextlib.contextmanager
def passing_user(pool: Mapping[str, Any]) -> Iterator[str]:
    """An access token of a user with all scopes, in a tenant of its own; the user is deleted afterwards."""
    name, password = f"verify-{uuid.uuid4().hex}", secrets.token_urlsafe(48)
    add_user(pool, name, name, pool["groups"], password)
    try:
        yield password_token(pool["client_id"], name, password)
    finally:
        aws.client("cognito-idp").admin_delete_user(UserPoolId=pool["id"], Username=name)


def _printed(command: str) -> str:
    """What the command prints. Nothing that it says is shown: it may be half a token."""
    try:
        answer = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise CommandError(
            f"{COMMAND} can't be run: {one_line(getattr(error, 'strerror', None) or type(error).__name__)}.",
            "It is a command with its arguments, without a shell.",
        ) from error
    if answer.returncode != 0 or not answer.stdout.strip():
        raise CommandError(
            f"{COMMAND} ended with {answer.returncode}, and {'' if answer.stdout.strip() else 'without '}a word.",
            "Run it by itself: it must print a token, and end with 0.",
            EXIT_FAILED,
        )
    return answer.stdout.strip()
