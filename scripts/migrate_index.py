"""Gives an index other keys or another projection: `python -m scripts.migrate_index --env NAME`."""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from scripts import aws, environment_file, plan_guard, stack
from scripts.console import EXIT_FAILED, CommandError, Progress, ask, err, out, run, step
from scripts.index_migrations import Applied, Migration, applied_stage, declared, foreign_changes, stages_to_go
from scripts.stack import Stack
from scripts.terraform_cli import TerraformError

VARIABLE = "index_migrations"
_POLL_SECONDS = 2.0
_DOES = {"add": "add {new} beside {old}", "read": "let the function read {new}", "done": "remove {old}"}


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    index: Annotated[
        str, typer.Option(help="Declare a migration first: <system>.<table>/<index>, as the system names it.")
    ] = "",
    to: Annotated[str, typer.Option(help="Name of the new index; goes with --index.")] = "",
    range_key: Annotated[str, typer.Option(help="Range key of the new index: name:S, name:N or name:B.")] = "",
    projection: Annotated[str, typer.Option(help="ALL, KEYS_ONLY or INCLUDE:attribute,attribute.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Bring each index to what index_migrations declares: add the new one, fill it, read it, remove the old one.

    Interrupted anywhere, it goes on from what is applied.
    """
    if bool(index) != bool(to) or ((range_key or projection) and not to):
        raise CommandError(
            "a migration is declared by INDEX (--index) and TO (--to) together.",
            f"For example `make migrate-index ENV={env} INDEX=pet_store.pets/type-price-index TO=type-price-2`.",
        )
    with stack.exclusive(env):
        stack.build()
        opened = stack.open_stack(env)
        if opened.environment.embedded:
            stack.forget_interrupted_runs(opened)
        stack.initialise(opened)
        if replaced := stack.replaced_code(opened):
            # A new version would be published with that code.
            raise CommandError(
                f"the code of {', '.join(sorted(replaced))} was replaced outside Terraform.",
                f"`make apply ENV={env}` first; it puts the code back.",
            )
        systems = stack.outputs(opened).get("systems", {})
        before = after = opened.environment.file.read_text()
        if to:
            entry = _entry(opened, systems, index, {"name": to, **_range_key(range_key), **_projection(projection)})
            after = environment_file.edited(before, {(VARIABLE, index): entry})
        stated = environment_file.variables(after).get(VARIABLE, {})
        migrations = [_checked(opened, Migration(key, entry)) for key, entry in sorted(stated.items())]

        def begin() -> None:
            environment_file.write(opened.environment, before, after)
            opened.bundle_file.unlink(missing_ok=True)

        consent = _Consent(opened, yes, begin)
        done = [migration for migration in migrations if _migrate(opened, systems, migrations, migration, consent)]
        tidied = _finish(opened, migrations, stated, consent, migrated=bool(done)) if migrations else False
    if json_output:
        keys = [migration.key for migration in done]
        out.print_json(data={"environment": env, "migrated": keys, "tidied": tidied, VARIABLE: stated})
    elif done:
        out.print(f"{', '.join(f'{m.old} is {m.new} now' for m in done)}; next: make verify ENV={env}")
    else:
        out.print("finished what was left over" if tidied else "nothing to do: every index is as declared")


class _Consent:
    """Asked once, before the first change; then `begin` runs."""

    def __init__(self, opened: Stack, yes: bool, begin: Callable[[], None]) -> None:
        self._opened, self._given, self._begin, self._begun = opened, yes, begin, False

    def require(self, what: str) -> None:
        if self._begun:
            return
        env = self._opened.environment.name
        err.print(self._opened.place)
        err.print(what)
        if not self._given:
            if not sys.stdin.isatty():
                raise CommandError(
                    "nothing was changed: nobody is here to agree.", f"`make migrate-index ENV={env} YES=1` (--yes)."
                )
            if ask("Go on? [y/N]").lower() not in ("y", "yes"):
                raise CommandError("nothing was changed.")
        self._begin()
        self._begun = True


# --- what is declared ----------------------------------------------------------------------------------------------


def _range_key(text: str) -> dict[str, Any]:
    if not text:
        return {}
    name, _, kind = text.rpartition(":")
    if not name or kind not in ("S", "N", "B"):
        raise CommandError(
            f"RANGE_KEY={text} is no key attribute.", "Write its name and type, for example RANGE_KEY=price:N."
        )
    return {"range_key": {"name": name, "type": kind}}


def _projection(text: str) -> dict[str, Any]:
    if not text:
        return {}
    kind, _, attributes = text.partition(":")
    names = [name for name in attributes.split(",") if name]
    if kind not in ("ALL", "KEYS_ONLY", "INCLUDE") or (kind == "INCLUDE") != bool(names):
        raise CommandError(f"PROJECTION={text} is none.", "Use ALL, KEYS_ONLY or INCLUDE:attribute,attribute.")
    return {"projection_type": kind, **({"non_key_attributes": names} if names else {})}


def _entry(opened: Stack, systems: dict[str, Any], key: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """The entry that declares `wanted`; after an earlier migration of the same index, from where that ended."""
    stated = opened.environment.variables.get(VARIABLE, {}).get(key)
    if not re.fullmatch(r"[a-z_]+\.[a-z_]+/[a-zA-Z0-9_.-]{3,255}", key):
        raise CommandError(
            f"INDEX={key} is no index of a system.", "Write <system>.<table>/<index>, as output `systems` names them."
        )
    if stated and stated.get("name") == wanted["name"]:
        changed = sorted(name for name, value in wanted.items() if stated.get(name) != value)
        if changed:
            raise CommandError(
                f"{wanted['name']} is declared already, with another {' and '.join(changed)}.",
                "An index can't be changed in place: choose another name for it (TO).",
            )
        return dict(stated)
    earlier = Migration(key, stated) if stated else None
    present = _applied(opened, systems, earlier or Migration(key, wanted)).indexes
    if earlier and applied_stage(earlier, _applied(opened, systems, earlier)) != "done":
        raise CommandError(
            f"{key} is under way to {earlier.new}.", f"First `make migrate-index ENV={opened.environment.name}`."
        )
    current = earlier.new if earlier else Migration(key, wanted).old
    if current not in present:
        raise CommandError(f"table of {key} has no index {current}.", f"It has {', '.join(sorted(present)) or 'none'}.")
    if wanted["name"] in present:
        raise CommandError(f"the table has an index {wanted['name']} already.", "Choose another name (TO).")
    # Where it begins: as the earlier one has left it.
    left = {name: value for name, value in earlier.settings.items() if name not in ("from", "stage")} if earlier else {}
    return wanted | ({"from": left} if left else {})


def _checked(opened: Stack, migration: Migration) -> Migration:
    if migration.settings.get("stage", "done") != "done":
        raise CommandError(
            f"{VARIABLE} {migration.key} has stage = {migration.settings['stage']!r}: it is led by hand.",
            f"Go on with `make plan ENV={opened.environment.name}`, or take that line out and run this again.",
        )
    return migration


# --- what is applied -----------------------------------------------------------------------------------------------


def _applied(opened: Stack, systems: dict[str, Any], migration: Migration) -> Applied:
    system = systems.get(migration.system)
    if system is None:
        stack.require_system(opened, systems, migration.system)
        raise AssertionError
    tables = system["tables"]
    if migration.table not in tables:
        raise CommandError(
            f"{migration.key}: system {migration.system} has no table {migration.table!r}.",
            f"It has {', '.join(sorted(tables))}.",
        )
    name = tables[migration.table]["name"]
    table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    statuses = {index["IndexName"]: index["IndexStatus"] for index in table.get("GlobalSecondaryIndexes", [])}
    return Applied(name, statuses, frozenset(_read_by(system) & {migration.old, migration.new}))


def _read_by(system: dict[str, Any]) -> set[str]:
    """Indexes named in the environment of the versions that the function's alias leads to."""
    functions, name = aws.client("lambda"), system["function_name"]
    alias = functions.get_alias(FunctionName=name, Name=system["alias_name"])
    versions = [alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})]
    return {
        value
        for version in versions
        for variable, value in functions.get_function_configuration(FunctionName=name, Qualifier=version)
        .get("Environment", {})
        .get("Variables", {})
        .items()
        if variable.endswith("INDEX_NAME")
    }


# --- the stages ----------------------------------------------------------------------------------------------------


def _migrate(
    opened: Stack, systems: dict[str, Any], migrations: list[Migration], migration: Migration, consent: _Consent
) -> bool:
    """Brings one migration to its end; False when it was there."""
    table = _applied(opened, systems, migration).table_name
    _wait_until_gone(table, (migration.old, migration.new))
    applied = {other.key: _applied(opened, systems, other) for other in migrations}
    stages = {other.key: applied_stage(other, applied[other.key]) for other in migrations}
    if stages[migration.key] == "done":
        return False
    ahead = stages_to_go(migration, applied[migration.key])
    what = f"{migration.key}, table {table}: {', '.join(_does(migration, stage) for stage in ahead)}"
    for stage in ahead:
        if stage == "read":
            _wait_until_filled(table, migration.new)
        elif stage == "done":
            _let_readers_go(systems[migration.system], migration)
        stages[migration.key] = stage
        _bring_to(opened, table, migration, stage, declared(migrations, stages), lambda: _agree(opened, consent, what))
    return True


def _bring_to(
    opened: Stack, table: str, migration: Migration, stage: str, value: dict[str, Any], agree: Callable[[], None]
) -> None:
    does = _does(migration, stage)
    if not stack.plan(opened, f"plan: {does}", variables={VARIABLE: value}):
        opened.plan_file.unlink(missing_ok=True)
        return
    if foreign := _foreign(opened, [migration]):
        opened.plan_file.unlink()
        raise CommandError(
            f"the plan changes more than this index: {_listed(foreign)}; nothing of it was applied.",
            f"`make apply ENV={opened.environment.name}` first, with {migration.key} not yet in {VARIABLE}.",
        )
    _pass_guard(opened, table, migration.old if stage == "done" else "")
    agree()
    try:
        stack.apply(opened, f"apply: {does}", lambda progress: _watched(progress, table, migration.new))
    except TerraformError:
        # The provider waits an hour for an index, and a large table takes longer. DynamoDB goes on with it.
        if stage != "add" or _index(table, migration.new).get("IndexStatus") != "CREATING":
            raise
        err.print(f"Terraform no longer waits for {migration.new}; DynamoDB goes on")
        _wait_until_filled(table, migration.new)
        _bring_to(opened, table, migration, stage, value, agree)


def _finish(
    opened: Stack, migrations: list[Migration], stated: dict[str, Any], consent: _Consent, *, migrated: bool
) -> bool:
    """Proves that the declaration alone plans to nothing; True when an interrupted run had left something to apply."""
    tidied = False
    while stack.plan(opened, "plan: is anything left to do?", variables={VARIABLE: stated}):
        foreign = _foreign(opened, migrations)
        if foreign or tidied:
            opened.plan_file.unlink()
            if not migrated and not tidied:
                return False  # somebody's other work, which is not ours to judge
            raise CommandError(
                f"the indexes are as declared, but the next plan is not empty: {_listed(foreign)}.",
                f"See `make plan ENV={opened.environment.name}`.",
                EXIT_FAILED,
            )
        _agree(opened, consent, "finish what an interrupted run left over")
        stack.apply(opened, "apply: finish what was left over")
        tidied = True
    opened.plan_file.unlink(missing_ok=True)
    return tidied


def _pass_guard(opened: Stack, table: str, may_drop: str) -> None:
    """Every plan passes the guard; of an index that nobody reads any more, the removal is let through."""
    planned = opened.terraform.show(opened.plan_file)
    addresses = [
        f"{change['address']}/{may_drop}"
        for change in planned.get("resource_changes", [])
        if change["type"] == "aws_dynamodb_table" and (change["change"]["before"] or {}).get("name") == table
    ]
    found = plan_guard.findings(planned)
    meant = [finding for finding in found if finding.rule == "drop-index" and finding.address in addresses]
    review = plan_guard.judge(found, " ".join(finding.name for finding in meant), opened.environment.guard_allow)
    for finding, _ in review.let_through:
        err.print(f"guard: {finding.name} is let through: nobody reads it any more", markup=False)
    if review.refused:
        opened.plan_file.unlink()
        said = "; ".join(f"{finding.name}: {finding.change}" for finding in review.refused)
        raise CommandError(f"the guard refuses this plan: {said}.", "Nothing of it was applied.", EXIT_FAILED)


def _agree(opened: Stack, consent: _Consent, what: str) -> None:
    try:
        consent.require(what)
    except BaseException:
        opened.plan_file.unlink(missing_ok=True)
        raise


def _foreign(opened: Stack, migrations: list[Migration]) -> list[str]:
    """What the plan changes beside the indexes of the migrations."""
    planned = opened.terraform.show(opened.plan_file)
    each = [foreign_changes(planned, migration) for migration in migrations]
    return [address for address in each[0] if all(address in others for others in each)]


def _listed(addresses: list[str]) -> str:
    return ", ".join(addresses[:5]) + (f" and {len(addresses) - 5} more" if len(addresses) > 5 else "")


def _does(migration: Migration, stage: str) -> str:
    return _DOES[stage].format(old=migration.old, new=migration.new)


# --- waiting -------------------------------------------------------------------------------------------------------


def _index(table: str, name: str) -> dict[str, Any]:
    described = aws.client("dynamodb").describe_table(TableName=table)["Table"]
    found = [index for index in described.get("GlobalSecondaryIndexes", []) if index["IndexName"] == name]
    return {"items": described.get("ItemCount", 0), **found[0]} if found else {}


def _wait_until_filled(table: str, name: str) -> None:
    with step(f"wait until {name} is filled") as progress, _watched(progress, table, name):
        while (index := _index(table, name)).get("IndexStatus") != "ACTIVE" or index.get("Backfilling"):
            if not index:
                raise CommandError(f"index {name} of table {table} is gone.", "Run this again.", EXIT_FAILED)
            time.sleep(_POLL_SECONDS)


def _wait_until_gone(table: str, names: tuple[str, ...]) -> None:
    """An index that is being removed still stands in the way of every other change."""
    for name in names:
        if _index(table, name).get("IndexStatus") == "DELETING":
            with step(f"wait until {name} is removed"):
                while _index(table, name):
                    time.sleep(_POLL_SECONDS)


def _let_readers_go(system: dict[str, Any], migration: Migration) -> None:
    """Proves that the function reads the new index, and waits for calls that began while it read the old one."""
    if migration.old in _read_by(system):
        raise CommandError(
            f"alias {system['alias_name']} of {system['function_name']} leads to a version that reads {migration.old}, "
            "which therefore stays.",
            "Is it held back by a rollback? Release it, then run this again.",
            EXIT_FAILED,
        )
    functions = aws.client("lambda")
    seconds = functions.get_function_configuration(FunctionName=system["function_name"])["Timeout"]
    with step(f"wait for calls that began with {migration.old} ({seconds} s, the function's timeout)"):
        time.sleep(seconds)


@contextmanager
def _watched(progress: Progress, table: str, name: str) -> Iterator[None]:
    """Tells meanwhile how far the index is filled."""
    ended = threading.Event()
    thread = threading.Thread(target=_tell, args=(progress, table, name, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _tell(progress: Progress, table: str, name: str, ended: threading.Event) -> None:
    cloudwatch = aws.client("cloudwatch")
    while not ended.wait(_POLL_SECONDS):
        try:
            index = _index(table, name)
            if index.get("IndexStatus") != "CREATING":
                continue
            said = f"{name}: {_filled(cloudwatch, table, name) or _counted(index)}"
        except (BotoCoreError, ClientError) as error:
            said = f"{name}: {error}"  # telling is not worth failing for
        progress.update(said)


def _filled(cloudwatch: Any, table: str, name: str) -> str:
    now = datetime.now(UTC)
    points = cloudwatch.get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName="OnlineIndexPercentageProgress",
        Dimensions=[{"Name": "TableName", "Value": table}, {"Name": "GlobalSecondaryIndexName", "Value": name}],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )["Datapoints"]
    latest = max(points, key=lambda point: point["Timestamp"], default=None)
    return f"{latest['Maximum']:.0f} % filled" if latest else ""


def _counted(index: dict[str, Any]) -> str:
    """DynamoDB counts items about every six hours."""
    return f"{index.get('ItemCount', 0)} of about {index['items']} items"


if __name__ == "__main__":
    run(main)
