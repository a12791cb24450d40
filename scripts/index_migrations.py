"""How an index gets other keys: beside the old one, in stages, since DynamoDB makes or drops one index at a time.

The variable `index_migrations` declares where an index shall be in the end. How far that is stands in no file: it is
read from what is applied, so that whatever was interrupted goes on from there.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

# What each stage of a declaration leaves: both indexes, the old one read; both, the new one read; only the new one.
STAGES = ("add", "read", "done")

# Attributes that follow from the index: the types of its keys, and the function's new version that the alias takes.
_FOLLOWING = {"aws_dynamodb_table": {"attribute"}, "aws_lambda_alias": {"function_version"}}
_NEVER_MADE_OR_REMOVED = ("aws_dynamodb_table", "aws_lambda_function", "aws_lambda_alias")


class Migration(NamedTuple):
    """One entry of the variable: `<system>.<table>/<index>` and what it says."""

    key: str
    settings: Mapping[str, Any]

    @property
    def system(self) -> str:
        return self.key.partition(".")[0]

    @property
    def table(self) -> str:
        """The table's logical name."""
        return self.key.partition("/")[0].partition(".")[2]

    @property
    def defined_index(self) -> str:
        """What the system's definition calls the index."""
        return self.key.partition("/")[2]

    @property
    def old(self) -> str:
        return str((self.settings.get("from") or {}).get("name", self.defined_index))

    @property
    def new(self) -> str:
        return str(self.settings["name"])

    def at(self, stage: str | None) -> dict[str, Any] | None:
        """The entry for a stage; None for none, since the system's own definition is what there is before the first."""
        if stage is not None:
            return {**self.settings, "stage": stage}
        return {**self.settings["from"], "stage": "done"} if self.settings.get("from") else None


class Applied(NamedTuple):
    """What of a migration is applied: the table's indexes with their status, and those that the function reads."""

    table_name: str
    indexes: Mapping[str, str]
    read: frozenset[str]


def applied_stage(migration: Migration, applied: Applied) -> str | None:
    """The last stage whose essence is applied; details of it may be missing. None when only the old index is there."""
    has_old, has_new = migration.old in applied.indexes, migration.new in applied.indexes
    if not has_new:
        return None if has_old else "done"  # neither: the next apply makes the new one, and nothing is to be migrated
    if not has_old:
        return "done"
    return "add" if migration.old in applied.read else "read"


def stages_to_go(migration: Migration, applied: Applied) -> tuple[str, ...]:
    """From the stage applied, of which an interruption may have left something out, to the end."""
    stage = applied_stage(migration, applied)
    return STAGES if stage is None else STAGES[STAGES.index(stage) :]


def declared(migrations: Iterable[Migration], stages: Mapping[str, str | None]) -> dict[str, Any]:
    """The variable's value with each migration at its stage."""
    entries = {migration.key: migration.at(stages[migration.key]) for migration in migrations}
    return {key: entry for key, entry in entries.items() if entry is not None}


def foreign_changes(plan: Mapping[str, Any], migration: Migration) -> list[str]:
    """What a plan changes in any other respect than the migration's two indexes: addresses, and of which attributes."""
    names = (migration.old, migration.new)
    found = []
    for change in plan.get("resource_changes", []):
        attributes = _foreign(names, change["type"], change["change"]) if change["mode"] == "managed" else None
        if attributes is not None:
            found.append(f"{change['address']} ({', '.join(attributes)})")
    return found


def _foreign(names: tuple[str, str], kind: str, change: Mapping[str, Any]) -> list[str] | None:
    """Attributes that change beside the indexes, or what else is done; None where nothing else is."""
    actions = change["actions"]
    if actions in (["no-op"], ["read"]):
        return ["import"] if change.get("importing") else None
    if actions in (["create"], ["delete"]):
        subject = change["after"] or change["before"]
        is_ours = kind not in _NEVER_MADE_OR_REMOVED and any(_speaks(names, leaf) for leaf in _leaves(subject))
        return None if is_ours else actions
    if actions != ["update"]:
        return list(actions)
    unknown = {name for name, value in (change.get("after_unknown") or {}).items() if _has_true(value)}
    unknown |= _FOLLOWING.get(kind, set())
    before, after = (
        {name: _without(names, value) for name, value in (change[side] or {}).items() if name not in unknown}
        for side in ("before", "after")
    )
    differing = sorted(
        name for name in before.keys() | after.keys() if (before.get(name) or None) != (after.get(name) or None)
    )
    return differing or None


def _without(names: tuple[str, str], value: Any) -> Any:
    """A value without what speaks of the indexes: entries of lists, and documents in JSON looked into."""
    if isinstance(value, Mapping):
        # What is not set reads "", 0 or [] in a state, and null in a plan.
        return {key: _without(names, inner) for key, inner in value.items() if inner and not _speaks(names, inner)}
    if isinstance(value, list):
        return [_without(names, inner) for inner in value if not _speaks(names, inner) and not _is_of(names, inner)]
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return _without(names, json.loads(value))
        except ValueError:
            return value
    return value


def _speaks(names: tuple[str, str], value: Any) -> bool:
    """An index's name, or an ARN or a resource id that ends with it."""
    return isinstance(value, str) and value.rpartition("/index/")[2] in names


def _is_of(names: tuple[str, str], value: Any) -> bool:
    """An entry such as an index of a table, a statement of a policy, a line of a dashboard: all about the indexes."""
    if isinstance(value, list):
        return any(_speaks(names, inner) for inner in value)
    if not isinstance(value, Mapping):
        return False
    return any(
        _speaks(names, inner) or (isinstance(inner, list) and inner and all(_speaks(names, one) for one in inner))
        for inner in value.values()
    )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(inner)
    else:
        yield value


def _has_true(value: Any) -> bool:
    """In `after_unknown`, true stands for what is not known; what is known has empty objects and lists."""
    if isinstance(value, Mapping):
        return any(map(_has_true, value.values()))
    return any(map(_has_true, value)) if isinstance(value, list) else bool(value)
