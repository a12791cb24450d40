"""Restores a system's tables, compares and deletes the copies: `python -m scripts.drill --env NAME --system NAME`."""

import difflib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table

from scripts import (
    adopt,
    applied_state,
    aws,
    environment_file,
    environments,
    existing_table,
    price_list,
    rendering,
    restored_copies,
    restored_settings,
    stack,
    table_comparison,
    table_scan,
)
from scripts.console import EXIT_FAILED, CommandError, err, out, run, step
from scripts.existing_table import Existing
from scripts.restored_copies import BACKUP, RECOVERY, SOURCES, Copy
from scripts.restored_settings import Dropped
from scripts.stack import Stack
from scripts.table_comparison import AFTER, BEFORE, COPY, Comparison, Digests
from scripts.table_scan import ReadLimit

# Idempotency markers of all systems: theirs by use, but no system's data.
SHARED = "idempotency"
# Of a provisioned table, what a drill may take of its read units; its users have the rest.
SHARE_OF_PROVISIONED = 0.25
ON_DEMAND_UNITS_PER_SECOND = 4000.0
_UNIT_BYTES = 4096
_SHOWN_KEYS = 20


class Drill(NamedTuple):
    """One table's drill, before it begins."""

    logical: str
    arn: str
    source: Existing
    copy: Copy
    read_units_per_second: float
    about_bytes: int
    about_items: int

    @property
    def table(self) -> str:
        return self.source.name

    @property
    def about_units(self) -> float:
        """Of one reading of the table or its copy."""
        return max(self.about_bytes / _UNIT_BYTES, 1.0)


class Found(NamedTuple):
    """What a table's drill found."""

    drill: Drill
    comparison: Comparison
    wrong_settings: list[str]
    dropped: list[Dropped]
    compare_seconds: float

    @property
    def table(self) -> str:
        return self.drill.table

    @property
    def failed(self) -> bool:
        return bool(self.wrong_settings) or self.comparison.failed


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    system: Annotated[str, typer.Option(help="The system whose tables are restored.")],
    table: Annotated[str, typer.Option(help="Only this one: as the system calls it, or its name.")] = "",
    source: Annotated[
        str, typer.Option("--from", help="recovery or backup; default: point-in-time recovery where it is on.")
    ] = "",
    read_units: Annotated[
        float, typer.Option(min=0, help="Read units a second at most; default: a quarter of provisioned, or 4000.")
    ] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Prove that tables can be restored: restore under a temporary name, compare every item and setting, delete.

    The stack and its tables are only read. Leaves the runbook of a real restore, as the drill did it.
    """
    with aws.kept_clients():
        opened = stack.open_stack(env)
        applied = stack.applied_systems(opened)
        stack.require_system(opened, applied, system)
        if source not in ("", *SOURCES):
            raise CommandError(f"FROM={source} is none.", f"Use {' or '.join(SOURCES)}.")
        tables = _chosen(applied[system]["tables"], table, system)
        with step(f"look at {', '.join(tables.values())}") as progress:
            drills = [_prepared(opened, logical, name, source, read_units) for logical, name in tables.items()]
            removed = [name for drill in drills for name in restored_copies.remove_left_over(drill.table, progress)]
        for name in removed:
            err.print(f"removed {name}, which a killed drill had left", markup=False)
        err.print(opened.place, markup=False)
        for drill in drills:
            err.print(_announced(drill, opened.environment.region), markup=False)
        if applied[system]["persistence"] == "memory":
            err.print(f"{system} runs in memory: its tables are as they were when it last ran in DynamoDB")
        began = datetime.now(UTC)
        # The embedded AWS has nothing of the minute by which a backup may be off.
        margin = 0.0 if opened.environment.embedded else restored_copies.BACKUP_MARGIN_SECONDS
        found = run_drills(drills, margin)
        failed = [one for one in found if one.failed]
        runbook = None if failed else _write_runbook(opened, system, found, began)
    if json_output:
        report = {"environment": env, "system": system, "passed": not failed, "removed_left_over": removed}
        shown = environments.shown(runbook) if runbook else None
        out.print_json(data=report | {"runbook": shown, "tables": [as_json(one) for one in found]})
    else:
        _show(found)
        if runbook:
            out.print(f"runbook of a real restore: {environments.shown(runbook)}")
    if failed:
        said = "; ".join(f"{one.table}: {_outcome(one)}" for one in failed)
        raise CommandError(f"the drill failed: {said}.", exit_code=EXIT_FAILED)


# --- before --------------------------------------------------------------------------------------------------------


def _chosen(declared: dict[str, Any], wanted: str, system: str) -> dict[str, str]:
    """Names of tables by what the system calls them: its own, or the one that is wanted."""
    names = {logical: settings["name"] for logical, settings in declared.items()}
    if not wanted:
        return {logical: name for logical, name in names.items() if logical != SHARED}
    found = {logical: name for logical, name in names.items() if wanted in (logical, name)}
    if not found:
        raise CommandError(
            f"system {system} has no table {wanted!r}.",
            f"It has {', '.join(f'{logical} ({name})' for logical, name in sorted(names.items()))}.",
        )
    return found


def _prepared(opened: Stack, logical: str, name: str, wanted: str, read_units: float) -> Drill:
    existing = existing_table.read(name, opened.environment.region)
    recovers = bool(existing.settings["point_in_time_recovery_days"])
    if wanted == RECOVERY and not recovers:
        raise CommandError(
            f"point-in-time recovery of {name} is off.",
            "Switch it on (enable_pitr) and apply, or drill with FROM=backup.",
        )
    described = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    restored_from = wanted or (RECOVERY if recovers else BACKUP)
    return Drill(
        logical=logical,
        arn=described["TableArn"],
        source=existing,
        copy=restored_copies.new_copy(name, restored_from),
        read_units_per_second=read_units or _polite(existing),
        about_bytes=described.get("TableSizeBytes", 0),
        about_items=described.get("ItemCount", 0),
    )


def _polite(existing: Existing) -> float:
    """So many read units a second that the table's users don't feel it."""
    settings = existing.settings
    if settings["billing_mode"] == "PROVISIONED":
        return max(1.0, float(settings["read_capacity"] * SHARE_OF_PROVISIONED))
    cap = (settings["on_demand_throughput"] or {}).get("max_read_request_units")
    return max(1.0, cap * SHARE_OF_PROVISIONED) if cap else ON_DEMAND_UNITS_PER_SECOND


def _announced(drill: Drill, region: str) -> str:
    """What will be done, and what it costs; sizes are those that DynamoDB counts every six hours."""
    units = 3 * drill.about_units
    seconds = 2 * drill.about_units / drill.read_units_per_second
    gigabytes = drill.about_bytes / 1e9
    prices = price_list.load(region)
    where = "" if prices.price_region == region else f", prices of {prices.price_region}"
    # A provisioned table's reads are paid already; the copy's are, too.
    on_demand = drill.source.settings["billing_mode"] != "PROVISIONED"
    dollars = units / 1e6 * prices.by_use["on_demand_reads_million"] if on_demand else 0.0
    costs = [f"reads {dollars:.2f} USD"]
    costs.append(f"the restore {gigabytes * prices.by_use['restore_gigabyte']:.2f} USD")
    if drill.copy.restored_from == BACKUP:
        costs.append("the backup while it is there")
    how = "point-in-time recovery" if drill.copy.restored_from == RECOVERY else "a backup made for this"
    return (
        f"{drill.table}, about {drill.about_items} items, {drill.about_bytes / 1e6:.1f} MB: restored from {how} as "
        f"{drill.copy.name}, then deleted; {units:.0f} read units, of the table's at most "
        f"{drill.read_units_per_second:g} a second ({timedelta(seconds=round(seconds))}); "
        f"AWS bills {', '.join(costs)}{where}"
    )


# --- the drill -----------------------------------------------------------------------------------------------------


def run_drills(
    drills: Sequence[Drill], margin_seconds: float, restored: Callable[[Copy], None] = lambda _copy: None
) -> list[Found]:
    """Restores all tables at once, as a real restore would, compares each, and deletes the copies whatever happens.

    `margin_seconds`: by how much a backup may be off its time. `restored` is called with each copy before it is read.
    """
    with ExitStack() as to_end:
        digests = [Digests(_key_attributes(drill.source)) for drill in drills]
        for each in digests:
            to_end.callback(each.close)
        for drill, kept in zip(drills, digests, strict=True):
            _read(kept, BEFORE, drill.table, drill.read_units_per_second)
        read_until = restored_copies.aws_time(drills[0].table)
        for drill in drills:
            to_end.callback(_delete, drill.copy)
            with step(f"choose the time to restore {drill.table} to") as progress:
                restored_copies.choose_moment(drill.copy, read_until, margin_seconds, progress)
        began = time.monotonic()
        with step(f"restore {', '.join(drill.table for drill in drills)}") as progress:
            for drill in drills:
                restored_copies.start_restore(drill.copy)
            restored_copies.wait_until_made([drill.copy for drill in drills], began, progress)
        for drill in drills:
            restored(drill.copy)
        return [_compared(drill, kept, margin_seconds) for drill, kept in zip(drills, digests, strict=True)]


def _key_attributes(existing: Existing) -> list[str]:
    return [key["name"] for key in existing.keys.values() if key]


def _read(digests: Digests, reading: str, table: str, read_units_per_second: float | None) -> None:
    title = {BEFORE: f"read {table}", AFTER: f"read {table} again", COPY: f"read {table}"}[reading]
    with step(title) as progress:
        for count in digests.read(reading, table_scan.pages(table, ReadLimit(read_units_per_second))):
            progress.update(f"{count} items")


def _compared(drill: Drill, digests: Digests, margin_seconds: float) -> Found:
    began = time.monotonic()
    region = aws.client("dynamodb").meta.region_name
    copied = restored_copies.without_own_tags(drill.copy, existing_table.read(drill.copy.name, region))
    # Nobody else uses the copy.
    provisioned = drill.source.settings["billing_mode"] == "PROVISIONED"
    own_units = float(copied.settings["read_capacity"] or 1) if provisioned else ON_DEMAND_UNITS_PER_SECOND
    _read(digests, COPY, drill.copy.name, own_units)
    with step(f"wait until {drill.table} is past that time") as progress:
        restored_copies.wait_until_past(drill.copy, margin_seconds, progress)
    _read(digests, AFTER, drill.table, drill.read_units_per_second)
    with step(f"compare {drill.table}"):
        return Found(
            drill,
            digests.compare(),
            restored_settings.wrong(drill.source, existing_table.read(drill.table, region), copied),
            restored_settings.dropped(drill.source, copied, restored_name(drill.table)),
            time.monotonic() - began,
        )


def restored_name(table: str) -> str:
    """What the runbook calls a really restored table; nothing else may have that name."""
    stem = re.sub(r"-restored-\d{8}$", "", table)
    return f"{stem[:235]}-restored-{datetime.now(UTC):%Y%m%d}"


def _delete(copy: Copy) -> None:
    if copy.restored_from == RECOVERY and not copy.is_asked_for:
        return
    with step(f"delete {copy.name}") as progress, ExitStack() as both:
        both.callback(restored_copies.delete_backup, copy, progress)
        both.callback(restored_copies.delete_copy, copy, progress)


# --- what is told --------------------------------------------------------------------------------------------------


def as_json(found: Found) -> dict[str, Any]:
    copy, compared = found.drill.copy, found.comparison
    return {
        "table": found.table,
        "logical_name": found.drill.logical,
        "copy": copy.name,
        "restored_from": copy.restored_from,
        "restored_to": copy.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "data_age_seconds": round(copy.age_seconds, 1),
        "restore_seconds": round(copy.restore_seconds, 1),
        "compare_seconds": round(found.compare_seconds, 1),
        "passed": not found.failed,
        **compared.counts,
        "wrong_items": [one._asdict() for one in compared.wrong],
        "checksums": {"source": compared.source_checksum, "copy": compared.copy_checksum},
        "wrong_settings": found.wrong_settings,
        "to_set_again": [one._asdict() | {"name": one.name} for one in found.dropped],
    }


def _show(results: Sequence[Found]) -> None:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("table", "from", "restored to", "data's age", "restore took", "compare took", "items", ""):
        shown.add_column(column, overflow="fold")
    for found in results:
        copy = found.drill.copy
        shown.add_row(
            found.table,
            copy.restored_from,
            f"{copy.at:%Y-%m-%d %H:%M:%S}Z",
            f"{copy.age_seconds:.0f} s",
            f"{copy.restore_seconds:.0f} s",
            f"{found.compare_seconds:.0f} s",
            str(found.comparison.counts["items_in_copy"]),
            f"{'[red]FAILED[/red]' if found.failed else '[green]passed[/green]'}: {_outcome(found)}",
        )
    out.print(shown)
    for found in results:
        for line in _details(found):
            out.print(f"  {found.table}: {line}", markup=False)


def _details(found: Found) -> Iterator[str]:
    compared = found.comparison
    named = compared.wrong[:_SHOWN_KEYS]
    yield from (f"{_WHY[one.what]}: {one.key}" for one in named)
    if (hidden := sum(compared.counts[what] for what in table_comparison.WRONG) - len(named)) > 0:
        yield f"and {hidden} more; --json names up to {table_comparison.MOST_NAMED} of a kind"
    yield from (f"not kept: {text}" for text in found.wrong_settings)
    if found.dropped:
        yield f"a real restore must set again: {', '.join(one.name for one in found.dropped)}"


_WHY = {
    table_comparison.ALTERED: "other than in the table",
    table_comparison.MISSING: "missing in the copy",
    table_comparison.EXTRA: "only in the copy",
}


def _outcome(found: Found) -> str:
    compared = found.comparison
    counts = compared.counts
    wrong = [f"{counts[what]} {what}" for what in table_comparison.WRONG if counts[what]]
    wrong += [f"{len(found.wrong_settings)} settings not kept"] if found.wrong_settings else []
    moved = [f"{compared.moved} written by others meanwhile"] if compared.moved else []
    return ", ".join([*([] if found.failed else [f"{counts['unchanged']} the same"]), *wrong, *moved])


# --- the runbook ---------------------------------------------------------------------------------------------------


def _write_runbook(opened: Stack, system: str, results: Sequence[Found], began: datetime) -> Path:
    """What the drill did, as a person does it for a real restore, and what comes after: see README."""
    environment = opened.environment
    names = {found.table: restored_name(found.table) for found in results}
    addresses = applied_state.read(opened.state_bucket, environment.state_key).addresses
    return rendering.write(
        environment.build_dir / f"restore-runbook-{system}.md",
        rendering.render(
            "restore-runbook.md.j2",
            environment=environment,
            file=environments.shown(environment.file),
            place=opened.place,
            system=system,
            results=results,
            recovered=[found for found in results if found.drill.copy.restored_from == RECOVERY],
            words={RECOVERY: "point-in-time recovery", BACKUP: "a backup made for it"},
            began=began,
            names=names,
            settings=stack.client_settings(environment, {"AWS_DEFAULT_REGION": environment.region}),
            addresses={found.table: addresses[found.drill.arn] for found in results},
            diff=_named_anew(opened, system, results, names),
        ),
    )


def _named_anew(opened: Stack, system: str, results: Sequence[Found], names: Mapping[str, str]) -> str:
    """How the environment's file changes for the restored tables to be the system's."""
    environment = opened.environment
    before, stated = environment.file.read_text(), environment.variables
    adopted = {*stated.get("adopt_tables", []), *names.values()} - names.keys()
    changes: dict[tuple[str, ...], Any] = {("adopt_tables",): sorted(adopted)}
    for found in results:
        key = "idempotency.markers" if found.drill.logical == SHARED else f"{system}.{found.drill.logical}"
        changes[adopt.naming_variable(key, stated)] = names[found.table]
    after = environment_file.edited(before, changes)
    file = environments.shown(environment.file)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{file}", f"b/{file}", lineterm="")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(main)
