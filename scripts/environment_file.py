"""Edits an environment's file for a person: comments and layout stay, and it is written whole or not at all."""

import shutil
import tomllib
from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.items import Table

from scripts import environments, rendering
from scripts.console import CommandError
from scripts.environments import Environment

# Where a setting stands below [variables], and its value; None takes it away.
Changes = Mapping[tuple[str, ...], Any]


def edited(text: str, changes: Changes) -> str:
    """`text` with the changes made."""
    document = tomlkit.parse(text)
    if "variables" not in document:
        document["variables"] = tomlkit.table()
    for path, value in changes.items():
        _change(document["variables"], path, value)
    return tomlkit.dumps(document)


def variables(text: str) -> dict[str, Any]:
    """What the text states in [variables]."""
    stated: dict[str, Any] = tomllib.loads(text).get("variables", {})
    return stated


def write(environment: Environment, before: str, after: str) -> bool:
    """Writes the environment's file, once it is known to be sound; False when nothing is changed.

    Raises CommandError when somebody else changed the file since `before` was read.
    """
    if before == after:
        return False
    file = environment.file.resolve()  # a link stays a link
    environments.parse(environment.name, file, after)
    if file.read_text() != before:
        raise CommandError(
            f"{environments.shown(environment.file)} was changed meanwhile; nothing was written.", "Run this again."
        )
    unfinished = rendering.write(file.with_name(f".{file.name}.edited"), after)
    shutil.copymode(file, unfinished)
    unfinished.replace(file)
    return True


def _change(table: Any, path: tuple[str, ...], value: Any) -> None:
    name, *rest = path
    if rest:
        if name not in table:
            if value is None:
                return
            # One line a setting, unless the person who made the table above wrote it in one line.
            inline = not isinstance(table, Table)
            table[name] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=len(rest) > 1)
        _change(table[name], tuple(rest), value)
    elif value is None:
        table.pop(name, None)
    elif table.get(name) != value:
        table[name] = _item(value)


def _item(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    table = tomlkit.inline_table()
    table.update({name: _item(inner) for name, inner in value.items()})
    return table
