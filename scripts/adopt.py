"""Takes tables that exist into an environment as they are: `python -m scripts.adopt --env NAME --table NAME`."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import typer

from scripts import environment_file, environments, existing_table, stack
from scripts.console import EXIT_FAILED, CommandError, err, out, run
from scripts.environment_file import Changes
from scripts.existing_table import TABLE, Existing, Settings
from scripts.stack import Stack

EXTRA = "extra"

# The variable that names each table of the systems.
NAMED_BY = {
    "agent_profiles.conversations": ("agent_profiles", "conversations_table_name"),
    "agent_profiles.match": ("agent_profiles", "match_table_name"),
    "agent_profiles.profiles": ("agent_profiles", "profiles_table_name"),
    "agent_registry.agents": ("agent_registry", "table_name"),
    "agent_sessions.messages": ("agent_sessions", "messages_table_name"),
    "agent_sessions.sessions": ("agent_sessions", "sessions_table_name"),
    "chat_sessions.sessions": ("chat_sessions", "table_name"),
    "idempotency.markers": ("idempotency", "table_name"),
    "pet_store.pets": ("pet_store", "table_name"),
}

# Tables that only this stack has: one that merely has the same keys is not taken for them.
OWN = ("agent_profiles.match", "idempotency.markers")


class Planned(NamedTuple):
    """A table of the stack as a plan has it."""

    key: str  # `<system>.<table>`, or "extra"
    module: str
    name: str
    resources: Mapping[str, Any]
    in_state: bool


class Adoption(NamedTuple):
    existing: Existing
    key: str
    changes: Changes
    notes: list[str]


def main(
    env: Annotated[str, typer.Option(help="The environment that takes them.")],
    table: Annotated[str, typer.Option(help="The table's name; several with commas between.")],
    as_: Annotated[
        str, typer.Option("--as", help="What it is for the stack: <system>.<table>, or extra for none of its own.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Read tables that exist, and write the variables under which the plan imports them and changes nothing of them.

    The import blocks stand in terraform/adoption.tf, one for each table; the variable adopt_tables switches them on.
    """
    names = list(dict.fromkeys(name for name in table.replace(",", " ").split() if name))
    if not names or (as_ and len(names) > 1):
        raise CommandError("TABLE names one table, or several without AS.", f"make adopt ENV={env} TABLE=name [AS=…]")
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        found = [existing_table.read(name, opened.environment.region) for name in names]
        stack.initialise(opened)
        before = after = opened.environment.file.read_text()
        planned = _planned(_plan(opened, "plan: what the stack has", {}))
        held = {entry.name: entry.module for entry in planned if entry.in_state}
        adoptions = []
        for existing in (one for one in found if one.name not in held):
            stated = environment_file.variables(after)
            adoption = _adoption(existing, _place(existing, as_, planned, env), stated)
            adoptions.append(adoption)
            after = environment_file.edited(after, adoption.changes)
        beside = _prove(opened, adoptions, before, after) if adoptions else {}
        written = bool(adoptions) and not dry_run and environment_file.write(opened.environment, before, after)
    report = {
        "environment": env,
        "written": written,
        "held": {name: module for name, module in held.items() if name in names},
        "adopted": [
            {
                "table": one.existing.name,
                "as": one.key,
                "changes": {".".join(path): value for path, value in one.changes.items()},
                "notes": one.notes,
                "made_beside": beside[one.existing.name],
            }
            for one in adoptions
        ],
    }
    if json_output:
        out.print_json(data=report)
    else:
        _show(opened, report, dry_run=dry_run)


# --- what a table is for the stack ---------------------------------------------------------------------------------


def _plan(opened: Stack, title: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    try:
        stack.plan(opened, title, variables=variables)
        return opened.terraform.show(opened.plan_file)
    finally:
        opened.plan_file.unlink(missing_ok=True)


def _planned(plan: Mapping[str, Any]) -> list[Planned]:
    systems = (plan.get("output_changes", {}).get("systems", {}).get("after")) or {}
    keys = {
        table["name"]: "idempotency.markers" if logical == "idempotency" else f"{system}.{logical}"
        for system, made in systems.items()
        for logical, table in made["tables"].items()
    }
    in_state = {
        change["address"]
        for change in plan.get("resource_changes", [])
        if change["change"]["before"] is not None and "importing" not in change["change"]
    }
    return [
        Planned(
            key=keys.get(resources[TABLE]["name"], EXTRA),
            module=module,
            name=resources[TABLE]["name"],
            resources=resources,
            in_state=f"{module}.{TABLE}" in in_state,
        )
        for module, resources in existing_table.planned_tables(plan).items()
    ]


def _place(existing: Existing, as_: str, planned: list[Planned], env: str) -> Planned | None:
    """The stack's table that this one is to be; None for an extra one that the stack does not know yet."""
    if as_ == EXTRA:
        return next((entry for entry in planned if entry.key == EXTRA and entry.name == existing.name), None)
    of_systems = {entry.key: entry for entry in planned if entry.key != EXTRA}
    if as_ and as_ not in of_systems:
        raise CommandError(
            f"AS={as_}: the stack has no such table.",
            f"Use {', '.join(sorted(of_systems))} or {EXTRA}; a system that is left out has none (variable systems).",
        )
    place = of_systems.get(as_) or next((entry for entry in planned if entry.name == existing.name), None)
    if place is None:
        fitting = [
            key
            for key, entry in sorted(of_systems.items())
            if key not in OWN and not entry.in_state and _fits(existing, entry)
        ]
        if fitting:
            raise CommandError(
                f"table {existing.name} has the keys of {', '.join(fitting)}, but another name.",
                f"Say which it is: {' or '.join(f'AS={key}' for key in [*fitting, EXTRA])}.",
            )
        return None
    if place.in_state:
        raise CommandError(
            f"the stack has its own {place.key}, table {place.name}: giving it {existing.name} instead would destroy "
            "that one with its items.",
            f"Adopt {existing.name} with AS={EXTRA}, or copy its items; in a new environment, adopt before the first "
            f"`make apply ENV={env}`.",
        )
    if not _fits(existing, place):
        wanted = existing_table.planned_keys(place.resources)
        raise CommandError(
            f"table {existing.name} has the keys {_shown_keys(existing.keys)}, but {place.key} needs "
            f"{_shown_keys(wanted)}. A table's keys can't be changed: Terraform would destroy it with its items.",
            f"Copy its items into a table with the right keys; or adopt it with AS={EXTRA}, for other programs.",
        )
    return place


def _fits(existing: Existing, place: Planned) -> bool:
    return existing_table.planned_keys(place.resources) == existing.keys


def _shown_keys(keys: Settings) -> str:
    return ", ".join(f"{key['name']} ({key['type']})" for key in keys.values() if key)


# --- what is to be written -----------------------------------------------------------------------------------------


def _adoption(existing: Existing, place: Planned | None, stated: Mapping[str, Any]) -> Adoption:
    changes: dict[tuple[str, ...], Any] = {}
    notes: list[str] = []
    name, key = existing.name, place.key if place else EXTRA
    if place is None:
        changes |= {("extra_tables", name, setting): value for setting, value in _new_extra(existing).items()}
    else:
        if place.name != name:
            changes[naming_variable(key, stated)] = name
        variable = ("extra_tables", name) if key == EXTRA else ("tables", key)
        said = stated.get(variable[0], {}).get(variable[1], {})
        wanted, notes = _differences(existing.settings, existing_table.planned_settings(place.resources), said, key)
        changes |= {(*variable, setting): value for setting, value in wanted.items()}
    if existing.settings["resource_policy"]:
        notes.append("its resource policy is put again, word for word: the provider can't take one over unchanged")
    changes[("adopt_tables",)] = sorted({*stated.get("adopt_tables", []), name})
    if parts := existing_table.parts(existing):
        changes |= {("adopt_table_parts", name, part): value for part, value in parts.items()}
    return Adoption(existing, key, changes, notes)


def naming_variable(key: str, stated: Mapping[str, Any]) -> tuple[str, ...]:
    """The variable that names a table of a system, where these are stated."""
    return ("table_name",) if key == "chat_sessions.sessions" and stated.get("table_name") else NAMED_BY[key]


def _new_extra(existing: Existing) -> Settings:
    """All settings, said in full: nothing of a table of others hangs on defaults."""
    return {**existing_table.stated(existing.keys | existing.settings), "own_tags_only": True}


def _differences(
    actual: Settings, planned: Settings, stated: Mapping[str, Any], key: str
) -> tuple[Settings, list[str]]:
    """Settings that must be said for the stack to leave the table as it is; None for one that must no longer be."""
    notes: list[str] = []
    wanted = {name: value for name, value in actual.items() if name != "indexes" and value != planned[name]}
    if "tags" in wanted:
        wanted["own_tags_only"] = True
    if "ttl" in wanted and planned["ttl"]:
        if actual["ttl"] is None:
            # The attribute stays, by which a person switches it on.
            wanted["ttl"] = planned["ttl"] | {"enabled": False}
            notes.append(f"no item expires: {key} counts on TTL by {planned['ttl']['attribute']}, which is off")
        else:
            notes.append(f"TTL goes by {actual['ttl']['attribute']}, {key} writes {planned['ttl']['attribute']}")
    indexes, more = _index_differences(actual["indexes"], planned["indexes"], stated.get("indexes", {}), key)
    if indexes:
        wanted["indexes"] = indexes
    return {name: value for name, value in wanted.items() if value or name in stated or name != "tags"}, notes + more


def _index_differences(
    actual: Settings, planned: Settings, stated: Mapping[str, Any], key: str
) -> tuple[Settings, list[str]]:
    notes = [
        f"the plan adds index {name}, which {key} needs; DynamoDB fills it from the items while the table is in use"
        for name in sorted(planned.keys() - actual.keys())
    ]
    wanted = dict(stated)
    for name, index in actual.items():
        if name not in planned:
            wanted[name] = existing_table.stated(index)
            continue
        keys = [_shown_keys({kind: of[kind] for kind in ("hash_key", "range_key")}) for of in (index, planned[name])]
        if keys[0] != keys[1]:
            raise CommandError(
                f"index {name} has the keys {keys[0]}, {key} needs {keys[1]} under that name: Terraform would drop it "
                "and make it anew, and queries would fail meanwhile.",
                f'Let {key} read another index: index_migrations = {{ "{key}/{name}" = {{ name = "{name}-2" }} }}.',
            )
        differing = {setting: value for setting, value in index.items() if value != planned[name][setting]}
        if differing:
            said = {setting: value for setting, value in differing.items() if value is not None}
            wanted[name] = {**stated.get(name, {}), **said}
        if "projection_type" in differing and planned[name]["projection_type"] == "ALL":
            notes.append(
                f"index {name} holds {index['projection_type']}, {key} reads ALL from it: `make migrate-index "
                f"INDEX={key}/{name} TO={name}-2 PROJECTION=ALL` mends that"
            )
    return wanted if wanted != stated else {}, notes


# --- the proof -----------------------------------------------------------------------------------------------------


def _prove(opened: Stack, adoptions: list[Adoption], before: str, after: str) -> dict[str, list[str]]:
    """Plans with what is to be written: the tables are imported and not changed. Returns what is made beside each."""
    old, new = environment_file.variables(before), environment_file.variables(after)
    changed = {name: value for name, value in new.items() if value != old.get(name)}
    plan = _plan(opened, "plan: does it leave the tables alone?", changed)
    modules = {entry.name: entry.module for entry in _planned(plan)}
    beside: dict[str, list[str]] = {}
    refused: list[str] = []
    for adoption in adoptions:
        name = adoption.existing.name
        if name not in modules:
            refused.append(f"{name} is in no plan")
            continue
        made, wrong = _of_module(plan, modules[name])
        beside[name] = made
        refused += wrong
    if refused:
        raise CommandError(
            f"the plan would not leave the tables as they are: {'; '.join(refused)}. "
            f"{environments.shown(opened.environment.file)} was left as it was.",
            "Make them alike by hand, in AWS or in the file, then run this again.",
            EXIT_FAILED,
        )
    return beside


def _of_module(plan: Mapping[str, Any], module: str) -> tuple[list[str], list[str]]:
    """What a plan makes in a table's module, and what it would do that it must not."""
    made: list[str] = []
    wrong: list[str] = []
    for entry in plan["resource_changes"]:
        change, address = entry["change"], entry["address"]
        if not address.startswith(f"{module}.") or entry["mode"] != "managed":
            continue
        imported = "importing" in change
        if address == f"{module}.{TABLE}" and not imported:
            wrong.append(f"{address} is not imported")
        elif change["actions"] == ["create"]:
            made.append(address.removeprefix(f"{module}."))
        elif change["actions"] != ["no-op"] and not (address.endswith(TABLE) and _adds_indexes_only(change)):
            wrong.append(f"{address}: {'/'.join(change['actions'])} {_shown_changes(change)}")
    return made, wrong


def _adds_indexes_only(change: Mapping[str, Any]) -> bool:
    before, after = change["before"], change["after"]
    return (
        change["actions"] == ["update"]
        and set(_changed(change)) <= {"global_secondary_index", "attribute"}
        and all(
            _plain(index) in map(_plain, after["global_secondary_index"]) for index in before["global_secondary_index"]
        )
    )


def _plain(index: Mapping[str, Any]) -> dict[str, Any]:
    """What is not set reads "" or 0 in a state, and null in a plan."""
    return {setting: value for setting, value in index.items() if value}


def _changed(change: Mapping[str, Any]) -> list[str]:
    before, after = change["before"] or {}, change["after"] or {}
    unknown = {name for name, value in (change.get("after_unknown") or {}).items() if value is True}
    return [name for name, value in after.items() if name not in unknown and value != before.get(name)]


def _shown_changes(change: Mapping[str, Any]) -> str:
    before, after = change["before"] or {}, change["after"] or {}
    return ", ".join(f"{name} {before.get(name)} → {after[name]}" for name in _changed(change))


# --- what is said --------------------------------------------------------------------------------------------------


def _show(opened: Stack, report: Mapping[str, Any], *, dry_run: bool) -> None:
    file = environments.shown(opened.environment.file)
    for name, module in report["held"].items():
        out.print(f"{name}: in the state already, as {module}; nothing to do", markup=False)
    for adopted in report["adopted"]:
        out.print(f"{adopted['table']}: {adopted['as']}; 1 to import, nothing of it to change", markup=False)
        for path, value in adopted["changes"].items():
            out.print(f"  {path} = {value}", markup=False)
        for note in adopted["notes"]:
            out.print(f"  note: {note}", markup=False)
        if adopted["made_beside"]:
            out.print(f"  made beside it: {len(adopted['made_beside'])} ({', '.join(adopted['made_beside'][:3])}, …)")
    if not report["adopted"]:
        return
    if dry_run:
        out.print(f"{file} was left as it was; without DRY_RUN=1 these variables are written there")
    else:
        out.print(
            f"{file} {'says so now' if report['written'] else 'says so already'}. terraform/adoption.tf holds the"
        )
        out.print("import blocks, which adopt_tables switches on. The names may stay there afterwards.")
        out.print(f"next: make plan ENV={opened.environment.name}")
    err.print(opened.place)


if __name__ == "__main__":
    run(main)
