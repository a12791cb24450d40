"""Writes a table to files: `python -m scripts.export --env NAME --to FOLDER`.

Profiles become JSON files as older applications read them; the items of any table, lines as DynamoDB's own exports
have them. All of the table is read, in parallel and consistently, then written, read again and compared; the folder
appears when it is complete. Interrupted, it goes on with the segments that are not read yet.
"""

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from scripts import rendering, stack
from scripts.console import EXIT_FAILED, CommandError, err, out, run, step
from scripts.migrate import ITEMS, RECORDS, kind_of, target_of
from scripts.migration import export_manifest, layout, tables
from scripts.migration.calling import DEFAULT_SEGMENTS, Caller, Pace, in_parallel
from scripts.migration.connection import Connections
from scripts.migration.export_state import ExportState, Found
from scripts.migration.extents import SUFFIXES, extents
from scripts.migration.meter import Meter
from scripts.migration.proof import Checksum, Side
from scripts.migration.records import Kind, decoded
from scripts.migration.state import State, disk_errors
from scripts.migration.tables import PROFILES, Table

STATE = "state.sqlite"


class Page(NamedTuple):
    segment: int
    total: int
    after: Any
    found: list[Found]


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    to: Annotated[str, typer.Option(help="The folder to write; it must be new, empty, or an earlier export.")],
    table: Annotated[
        str, typer.Option(help="The table: <system>.<table>, or its own name; default: the profiles.")
    ] = PROFILES,
    form: Annotated[
        str, typer.Option(help="records: profiles as they came in; items: all that the table holds, lossless.")
    ] = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many segments are read at once.")] = DEFAULT_SEGMENTS,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an interrupted run has read.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the export's manifest as JSON.")] = False,
) -> None:
    """Write all records of a table to files, complete and compared, or not at all; resumable."""
    if form not in ("", RECORDS, ITEMS):
        raise CommandError(f"FORM={form} is no form.", f"Use FORM={RECORDS} or FORM={ITEMS}.")
    if not to:
        raise CommandError("an export needs a folder.", "Name one: TO=json_storage.")
    target_folder, began = Path(to).resolve(), time.monotonic()
    with stack.exclusive(env), disk_errors():
        opened = stack.open_stack(env)
        found = tables.find(opened, table)
        kind = kind_of(found, form, table)
        _require_own(target_folder, found)
        folder = opened.environment.build_dir / "export" / f"{found.name}-{kind.form}"
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        state = ExportState(folder / STATE)
        target = list(target_of(opened, found))
        try:
            _read(state, found, kind, target, Pace(workers))
            migration = layout.latest_migration(opened.environment.build_dir / "migration", target)
            manifest = _write(state, target_folder, kind, migration, {"environment": env, "target": target})
        finally:
            state.close()
        # What was read is in the folder now; the next export reads anew.
        shutil.rmtree(folder, ignore_errors=True)
    manifest["seconds"] = round(time.monotonic() - began, 3)
    if json_output:
        out.print_json(data=manifest)
        return
    out.print(f"{manifest['records']:,} {kind.form} of {found.name} in {manifest['files']:,} files: {to}", markup=False)
    out.print(f"checksum {manifest['checksum']}, of the table and of the files; {manifest['seconds']:.1f} s")


def _require_own(to: Path, table: Table) -> None:
    """Refuses a folder that holds anything but an earlier export of this table."""
    if not to.exists() or (to.is_dir() and not any(to.iterdir())):
        return
    before = export_manifest.read(to) if to.is_dir() else {}
    if before.get("table") != table.name:
        raise CommandError(f"{to} holds something else than an export of {table.name}.", "Name another: TO=….")
    found = sum(len(files) for _, _, files in os.walk(to)) - 1
    if found != before.get("files"):
        raise CommandError(
            f"{to} is an export of {before.get('files')} files, but holds {found}: what was added would be lost.",
            "Name another: TO=….",
        )


def _read(state: ExportState, table: Table, kind: Kind, target: list[str], pace: Pace) -> None:
    """All of the table into the state."""
    if state.fact("target") != target:
        state.begin_anew(pace.workers, target=target, began_at=_now())
    else:
        err.print(f"goes on with the export that began at {state.fact('began_at')}; RESTART=1 begins anew")
    caller = Caller(Connections(), pace)

    def read(page: Page) -> Page:
        request: dict[str, Any] = {"Segment": page.segment, "TotalSegments": page.total, "ConsistentRead": True}
        if page.after:
            request["ExclusiveStartKey"] = page.after
        answer = caller.patiently(lambda: caller.database().table(table.name, table.key).call("Scan", request))
        return page._replace(
            after=answer.get("LastEvaluatedKey"), found=[Found(*kind.exported(item)) for item in answer["Items"]]
        )

    def settle(page: Page) -> list[Page]:
        state.store(page.segment, page.found, page.after)
        return [page._replace(found=[])] if page.after else []

    with step(f"read {table.name}") as progress:
        begin = [Page(number, total, after, []) for number, total, after in state.segments()]
        in_parallel(pace, begin, read, settle, Meter(progress, 0), lambda page: len(page.found))


def _write(state: ExportState, to: Path, kind: Kind, migration: Path | None, facts: dict[str, Any]) -> dict[str, Any]:
    """The files, compared with what was read; returns the manifest, which is in the folder, too."""
    unfinished = to.with_name(f".{to.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        manifest = _written(state, unfinished, to, kind, migration, facts)
        _put_in_place(unfinished, to)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _written(
    state: ExportState, unfinished: Path, to: Path, kind: Kind, migration: Path | None, facts: dict[str, Any]
) -> dict[str, Any]:
    with step(f"write {to}") as progress:
        files = layout.Files(state, unfinished, Meter(progress, state.count()))
        if kind.form == ITEMS:
            files.as_lines()
        else:
            if migration:
                known = State(migration)
                try:
                    files.as_they_came(known)
                finally:
                    known.close()
            files.one_each()
    table, written = _side(state), _compared(state, unfinished, kind)
    if table != written:
        raise CommandError(
            f"the files hold {written.records} records, checksum {written.checksum}; "
            f"the table {table.records}, checksum {table.checksum}.",
            "Nothing was put in place. Is the disk sound? Run this again with RESTART=1.",
            EXIT_FAILED,
        )
    account, region, name, _ = facts["target"]
    manifest = {
        "form": kind.form,
        "environment": facts["environment"],
        "account_id": account,
        "region": region,
        "table": name,
        "began_at": state.fact("began_at"),
        "exported_at": _now(),
        "files": files.count,
        **table._asdict(),
    }
    rendering.write(unfinished / export_manifest.FILE, rendering.json_text(manifest))
    return manifest


def _side(state: ExportState) -> Side:
    checksum = Checksum()
    for record in state.records():
        checksum.add(record.key, record.digest)
    return checksum.side


def _compared(state: ExportState, folder: Path, kind: Kind) -> Side:
    """Of the records in the files, each once."""
    checksum = Checksum()
    state.mark_none()
    with step("read the files back") as progress, state.transaction():
        meter = Meter(progress, state.count())
        for record in _records(folder, kind):
            if state.mark_first(record.key):
                checksum.add(record.key, record.digest)
                meter.add(1)
    return checksum.side


def _records(folder: Path, kind: Kind) -> Iterator[Any]:
    for directory, _, names in os.walk(folder):
        for name in names:
            if name.lower().endswith(SUFFIXES):
                with (Path(directory) / name).open("rb") as file:
                    for extent, _ in extents(file, name.lower()):
                        yield kind.record(kind.body(decoded(extent.raw)))


def _put_in_place(unfinished: Path, to: Path) -> None:
    """The new folder in the place of an earlier one, if there is one."""
    old = to.with_name(f".{to.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if to.exists():
        to.rename(old)
    unfinished.rename(to)
    shutil.rmtree(old, ignore_errors=True)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    run(main)
