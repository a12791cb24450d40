"""Renders the `.env` of applications that use the stack: `python -m scripts.env --env NAME`."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from scripts import rendering, stack
from scripts.api_client import reachable_url
from scripts.console import CommandError, err, out, run
from scripts.environments import Environment

# How applications call a system's tables: by system, the variable and the table's logical name. They are the names of
# the functions' own settings, too, and differ from system to system, so that one file can hold them all.
TABLES = {
    "agent_profiles": {"PROFILE_TABLE_NAME": "profiles", "CONVERSATION_TABLE_NAME": "conversations"},
    "agent_registry": {"AGENT_REGISTRY_TABLE_NAME": "agents"},
    "agent_sessions": {"DYNAMODB_SESSIONS_TABLE": "sessions", "DYNAMODB_MESSAGES_TABLE": "messages"},
    "chat_sessions": {"DYNAMODB_TABLE_NAME": "sessions"},
    "pet_store": {"PET_STORE_TABLE_NAME": "pets"},
}
# By its first line a file is known to be ours to overwrite.
MARK = "# Rendered by `make env`"
_EMBEDDED = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Part(NamedTuple):
    """Variables that belong together; `notes` are comments below them."""

    title: str
    variables: dict[str, str]
    notes: tuple[str, ...] = ()


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    system: Annotated[
        str, typer.Option(help="The system whose application the file is for; all of them if none.")
    ] = "",
    output: Annotated[Path | None, typer.Option(help="Write this file instead of printing.")] = None,
    force: Annotated[bool, typer.Option(help="Overwrite a file that was not rendered by this command.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the variables as JSON.")] = False,
) -> None:
    """Render the environment file by which an application finds tables and API. It never holds a secret."""
    if output and not force:
        _require_ours(output)
    opened = stack.open_stack(env)
    outputs = stack.outputs(opened)
    _require_applied(env, outputs)
    if system:
        stack.require_system(opened, outputs["systems"], system)
    parts = describe(opened.environment, outputs, system)
    text = rendering.render("application.env.j2", mark=MARK, environment=env, parts=parts)
    if output:
        _write(output, text)
    if json_output:
        out.print_json(data={name: value for part in parts for name, value in part.variables.items()})
    elif output:
        err.print(f"wrote {output}", markup=False)
    else:
        sys.stdout.write(text)


def describe(environment: Environment, outputs: Mapping[str, Any], system: str = "") -> list[Part]:
    """What the application of `system` is told, or with "" what all are: where, its own variables, others' tables."""
    systems = outputs["systems"]
    own = {name: systems[name] for name in sorted(systems) if system in ("", name)}
    others = {name: systems[name] for name in sorted(systems) if name not in own}
    parts = [_place(environment, outputs)]
    parts += [
        Part(
            f"{name.replace('_', ' ')}: its own variables",
            _tables(name, made) | _settings(name, made, environment, outputs),
            _notes(name, outputs),
        )
        for name, made in own.items()
    ]
    parts += [Part(f"{name.replace('_', ' ')}: its tables", _tables(name, made)) for name, made in others.items()]
    return parts


def _place(environment: Environment, outputs: Mapping[str, Any]) -> Part:
    # AWS's programs disagree on the region's name.
    region = {"AWS_REGION": environment.region, "AWS_DEFAULT_REGION": environment.region}
    api = {"API_URL": reachable_url(outputs["api"]["url"])} if "api" in outputs else {}
    if not environment.embedded:
        return Part("where", region | api, ("AWS credentials are the application's own.",))
    embedded = {name: os.environ[name] for name in _EMBEDDED}
    return Part("where", region | api | embedded, ("The embedded AWS: these credentials open nothing else.",))


def _tables(system: str, made: dict[str, Any]) -> dict[str, str]:
    return {variable: made["tables"][logical]["name"] for variable, logical in TABLES[system].items()}


def _settings(
    system: str, made: dict[str, Any], environment: Environment, outputs: Mapping[str, Any]
) -> dict[str, str]:
    if system == "chat_sessions":
        in_dynamodb = made["persistence"] == "dynamodb"
        return {"DYNAMODB_REGION": environment.region, "USE_DYNAMODB": "true" if in_dynamodb else "false"}
    if system == "agent_sessions" and (url := outputs["reply"]["url"]):
        return {"API_SERVER_URL": url}
    return {}


def _notes(system: str, outputs: Mapping[str, Any]) -> tuple[str, ...]:
    if system != "agent_sessions":
        return ()
    reply = outputs["reply"]
    if reply["backend"] != "http":
        return (f"Replies come from the backend {reply['backend']}: API_SERVER_URL and API_SERVER_KEY are not used.",)
    if arn := reply["key_secret_arn"]:
        return (f"API_SERVER_KEY lies in Secrets Manager: {arn}",)
    if name := reply["key_parameter_name"]:
        return (f"API_SERVER_KEY lies in SSM, in the parameter {name}",)
    return ("API_SERVER_KEY: the server is called without a key.",)


def _require_applied(env: str, outputs: Mapping[str, Any]) -> None:
    # Terraform leaves out what is null.
    if "systems" not in outputs or ("agent_sessions" in outputs["systems"] and "reply" not in outputs):
        raise CommandError(
            f"environment {env!r} is not applied, or by an older version only.", f"Run `make apply ENV={env}` first."
        )


def _require_ours(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_file() or not output.read_bytes().startswith(MARK.encode()):
        raise CommandError(
            f"{output} is there already, and was not written by `make env`.",
            "Choose another file, or overwrite it with FORCE=1 (--force).",
        )


def _write(output: Path, text: str) -> None:
    try:
        rendering.write(output, text)
    except OSError as error:
        raise CommandError(
            f"{output} can't be written: {error.strerror}.", "Name a file in a folder of yours."
        ) from error


if __name__ == "__main__":
    run(main)
