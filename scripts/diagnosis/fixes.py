"""The commands that mend, to be pasted into a shell in this checkout."""

import shlex

from scripts import environments, stack
from scripts.environments import Environment


def make(environment: Environment, target: str) -> str:
    return f"make {target} ENV={environment.name}"


def apply(environment: Environment) -> str:
    """Brings everything to what the configuration says."""
    return "make up" if environment.embedded else make(environment, "apply")


def edit_and_apply(environment: Environment) -> str:
    """For what the environment's file must say first; the cause says what."""
    file = shlex.quote(environments.shown(environment.file))
    return f'"${{EDITOR:-vi}}" {file} && {apply(environment)}'


def aws(environment: Environment, command: str) -> str:
    """An `aws` command on the environment's account and region."""
    return f"{stack.client_settings(environment)}aws {command} --region {environment.region}"


def sign_in(environment: Environment) -> str:
    return f"aws sso login --profile {shlex.quote(environment.profile)}" if environment.profile else "aws sso login"
