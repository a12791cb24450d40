"""Brings records from files into a table: `python -m scripts.migrate --env NAME --from json_storage`.

First everything is read and checked; then what is good is written, where its key is absent; then all of it is read
back. Each part goes on where it was interrupted.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.table import Table as Shown

from scripts import environments, rendering, stack
from scripts.console import EXIT_FAILED, CommandError, err, out, run, step
from scripts.migration import tables
from scripts.migration.calling import Pace, in_parallel
from scripts.migration.connection import Connections
from scripts.migration.export_manifest import form_of
from scripts.migration.item_records import ItemRecords
from scripts.migration.meter import Meter
from scripts.migration.profile_records import ProfileRecords
from scripts.migration.proof import Proof, in_table, prove
from scripts.migration.records import Kind
from scripts.migration.source import Bad, Placed, Source, list_files
from scripts.migration.state import KEPT, OTHER, PRESENT, REFUSED, REPLACED, SAME, WRITTEN, Row, State, disk_errors
from scripts.migration.tables import PROFILES, Table
from scripts.migration.writing import Result, Writer, batches
from scripts.stack import Stack

# A call waits for the network most of its time; who is throttled asks for less: scripts.migration.calling.Pace.
DEFAULT_WORKERS = 8
MANIFEST, QUARANTINE, KEPT_FILE, STATE = "manifest.json", "quarantine.jsonl", "kept.jsonl", "state.sqlite"
RECORDS, ITEMS = "records", "items"
_SHOWN_BAD, _BAD_IN_JSON = 20, 1000
_NOTE_SECONDS = 2.0
# A file's name has up to 255 bytes, and a table's is in it, too.
_LONGEST_NAME = 40
_TOLD = {
    WRITTEN: "written by this migration",
    REPLACED: "replaced: the one in the table was older",
    PRESENT: "in the table already",
    KEPT: "left out: the table holds a newer or other one",
    SAME: "left out: equal to an earlier record",
}


class Target(NamedTuple):
    """Where records go: what a migration must not confuse with another place."""

    account_id: str
    region: str
    table: str
    made_at: str


def main(
    env: Annotated[str, typer.Option(help="The environment.")],
    source: Annotated[str, typer.Option("--from", help="A folder of .json and .jsonl files, or one such file.")],
    table: Annotated[
        str, typer.Option(help="The table: <system>.<table>, or its own name; default: the profiles.")
    ] = PROFILES,
    form: Annotated[
        str, typer.Option(help="What the files hold: records (profiles as POST /store takes them), or items.")
    ] = "",
    quarantine: Annotated[Path | None, typer.Option(help="The file for records that are no good.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many batches are under way.")] = DEFAULT_WORKERS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only read and check; list every bad record.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Forget what an earlier run knows.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Write records from files into a table, unless something newer or other is there; resumable, and proved."""
    root = Path(source)
    if not source or not root.exists():
        raise CommandError(f"there is no folder or file {source!r}.", "Name one: FROM=json_storage.")
    if form not in ("", RECORDS, ITEMS):
        raise CommandError(f"FORM={form} is no form.", f"Use FORM={RECORDS} or FORM={ITEMS}.")
    if quarantine and quarantine.resolve().is_relative_to(root.resolve()):
        raise CommandError(f"{quarantine} lies in {root}: it would be read as records.", "Name another: QUARANTINE=….")
    with stack.exclusive(env), disk_errors():
        folder = folder_of(environments.load(env).build_dir, table, root)
        if restart:
            for leftover in folder.glob(f"{STATE}*"):
                leftover.unlink()
        migration = Migration(env, root, folder, quarantine or folder / QUARANTINE)
        try:
            form = form or form_of(root)
            if dry_run and table == PROFILES and form in ("", RECORDS):
                kind: Kind = ProfileRecords()  # its rules need no table, and nobody to sign in
            else:
                opened = stack.open_stack(env)
                found = tables.find(opened, table)
                kind = kind_of(found, form, table)
            if dry_run:
                passed = migration.check(kind)
            else:
                passed = migration.migrate(kind, found, target_of(opened, found), Pace(workers))
        finally:
            migration.close()
    if json_output:
        out.print_json(data=migration.manifest)
    else:
        migration.show(everything=dry_run)
    if not passed:
        raise CommandError(migration.failure, migration.next_step, EXIT_FAILED)


def folder_of(build_dir: Path, table: str, source: Path) -> Path:
    """Where a migration from this source into this table keeps what it knows."""
    mark = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
    return build_dir / "migration" / f"{table.replace('/', '_')}-{source.resolve().name[:_LONGEST_NAME]}-{mark}"


def kind_of(table: Table, form: str, named: str) -> Kind:
    if form == RECORDS or (not form and table.match):
        if not table.match:
            raise CommandError(f"{named} holds no profiles.", f"Use FORM={ITEMS}, which any table takes.")
        return ProfileRecords(table.name, table.match)
    return ItemRecords(table.name, table.key, table.indexes, table.match)


def target_of(opened: Stack, table: Table) -> Target:
    return Target(opened.account_id, opened.environment.region, table.name, table.made_at)


class Migration:
    """From `root`, with what it knows in `folder`. `manifest` is what it tells; `failure` says why it did not pass."""

    def __init__(self, env: str, root: Path, folder: Path, quarantine: Path) -> None:
        self._env, self._root, self._folder, self._quarantine = env, root, folder, quarantine
        self._state = State(folder / STATE)
        self._began, self._noted = time.monotonic(), 0.0
        self.failure = self.next_step = ""
        self.manifest: dict[str, Any] = {
            "environment": env,
            "source": {"path": str(root)},
            "began_at": _now(),
            "quarantine": environments.shown(quarantine),
            "written_by_this_run": 0,
            "seconds": {},
        }

    def close(self) -> None:
        self._state.close()

    def check(self, kind: Kind) -> bool:
        """Reads and checks; writes nothing but the quarantine."""
        self._read(kind)
        bad = self._put_aside(kind)
        self.manifest["bad"] = [one._asdict() for _, one in zip(range(_BAD_IN_JSON), self._bad(kind), strict=False)]
        self._note(status="checked")
        return self._require_good(bad)

    def migrate(self, kind: Kind, table: Table, target: Target, pace: Pace) -> bool:
        self._aim(target)
        self._read(kind)
        self._put_aside(kind)
        writer = Writer(Connections(), kind, table.name, table.key, pace)
        self._write(writer)
        bad = self._put_aside(kind)
        self._list_kept()
        proof = self._prove(writer, kind)
        self.manifest["proof"] = {
            **{name: getattr(proof, name)._asdict() for name in ("source", "table")},
            **{name: getattr(proof, name) for name in ("equal", "changed_since", "missing", "different", "examples")},
            "proved_at": _now(),
        }
        self._note(status="proved" if proof.equal else "failed")
        if not proof.equal:
            self.failure = (
                f"{proof.missing} records are no longer in {table.name}, and {proof.different} are others, "
                f"for example {', '.join(proof.examples[:3])}."
            )
            self.next_step = "Somebody removed or changed them. To write what is missing again: RESTART=1."
            return False
        return self._require_good(bad)

    # --- its parts -------------------------------------------------------------------------------------------------

    def _aim(self, target: Target) -> None:
        """Refuses to go on in another place than before; begins to write anew in a table that was made anew."""
        before = self._state.fact("target")
        if before and Target(*before)[:3] != target[:3]:
            raise CommandError(
                f"this migration is one into {_place(Target(*before))}, but {self._env!r} is {_place(target)} now.",
                "Nothing was written. To begin a new one here: RESTART=1.",
            )
        if before and before[3] != target.made_at:
            err.print(f"table {target.table} was made anew at {target.made_at}: all is written again", markup=False)
            self._state.reset_outcomes()
        self._state.note(target=list(target))
        self.manifest["target"] = target._asdict()

    def _read(self, kind: Kind) -> None:
        state, target = self._state, self._state.fact("target")
        with step(f"read and check {self._root}") as progress:
            before = state.fact("fingerprint")
            if state.fact("form") not in (None, kind.form):
                state.forget()
            fingerprint = list_files(state, self._root)
            if before not in (None, fingerprint):
                err.print(f"{self._root} has changed since the last run: it is read anew", markup=False)
            state.note(form=kind.form, **({"target": target} if target else {}))
            # An export of an empty table has none, and is as good as any.
            if not state.number("SELECT count(*) FROM files") and not form_of(self._root):
                raise CommandError(f"{self._root} holds no .json, .jsonl or .ndjson file.", "Name another: FROM=….")
            Source(state, self._root, kind).read_all(Meter(progress, 0))
            self._took("read")
        self.manifest["source"] |= {
            "files": state.number("SELECT count(*) FROM files"),
            "bytes": state.number("SELECT sum(size) FROM files"),
            "fingerprint": fingerprint,
            "form": kind.form,
        }
        self._note(status="read")

    def _put_aside(self, kind: Kind) -> int:
        return Source(self._state, self._root, kind).quarantine(self._quarantine)

    def _bad(self, kind: Kind) -> Iterator[Bad]:
        return Source(self._state, self._root, kind).bad()

    def _write(self, writer: Writer) -> None:
        left = self._state.number("SELECT count(*) FROM records WHERE outcome IS NULL")
        if not left:
            return

        def settle(results: list[Result]) -> None:
            self._state.settle(results)
            written = sum(outcome in (WRITTEN, REPLACED) for outcome, *_ in results)
            self.manifest["written_by_this_run"] += written
            if time.monotonic() - self._noted > _NOTE_SECONDS:
                self._note(status="writing")

        with step(f"write {left:,} records") as progress:
            rows = self._placed(self._state.rows("outcome IS NULL"))
            meter = Meter(progress, left)
            work = batches(rows)
            in_parallel(writer.pace, work, writer.write, settle, meter, len)
            self._took("write")
        self._note(status="written")

    def _prove(self, writer: Writer, kind: Kind) -> Proof:
        counts = self._state.outcomes()
        total = sum(counts.get(outcome, 0) for outcome in (WRITTEN, PRESENT, REPLACED))
        with step(f"read {total:,} records back") as progress:
            proof = prove(writer, kind, self._placed(in_table(self._state)), Meter(progress, total))
            self._took("prove")
            return proof

    def _placed(self, rows: Iterable[Row]) -> Iterator[Placed]:
        known: tuple[int, Path] = (0, self._root)
        for row in rows:
            if row.file != known[0]:
                single = self._root.is_file()
                known = (row.file, self._root if single else self._root / self._state.path_of(row.file))
            yield Placed(row, known[1])

    def _list_kept(self) -> None:
        """Records that stay out of the table because of what is there, a JSON line each."""
        target = self._folder / KEPT_FILE
        with target.open("w", encoding="utf-8") as lines:
            for row in self._state.rows("outcome = ?", KEPT):
                entry = {
                    "key": row.key,
                    "file": self._state.path_of(row.file),
                    "record": row.ordinal,
                    "line": row.line,
                    "in_table": {"version": row.version, "detail": row.detail},
                }
                lines.write(json.dumps(entry) + "\n")

    def _took(self, part: str) -> None:
        """Notes the time since the last part ended."""
        now = time.monotonic()
        self.manifest["seconds"][part] = round(now - self._began, 3)
        self._began = now

    # --- what it tells ---------------------------------------------------------------------------------------------

    def _note(self, status: str) -> None:
        counts = self._state.outcomes()
        bad = self._state.number("SELECT count(*) FROM bad") + counts.get(OTHER, 0) + counts.get(REFUSED, 0)
        found = self._state.number("SELECT count(*) FROM bad") + sum(counts.values())
        self.manifest |= {
            "status": status,
            "updated_at": _now(),
            "counts": {"records": found, "bad": bad, "left": counts.get("", 0)}
            | {name: counts.get(name, 0) for name in _TOLD},
        }
        rendering.write(self._folder / MANIFEST, rendering.json_text(self.manifest))
        self._noted = time.monotonic()

    def _require_good(self, bad: int) -> bool:
        if bad:
            found, where = self.manifest["counts"]["records"], environments.shown(self._quarantine)
            self.failure = f"{bad} of {found} records are bad; see {where}."
            self.next_step = "Mend them at their place, and run this again."
        return not bad

    def show(self, *, everything: bool) -> None:
        most = None if everything else _SHOWN_BAD
        count = 0
        with self._quarantine.open(encoding="utf-8") as lines:
            for count, line in enumerate(lines, start=1):
                if most is None or count <= most:
                    one = json.loads(line)
                    place = f"{one['file']}: record {one['record']}, line {one['line']}, column {one['column']}"
                    out.print(f"{place}: {'; '.join(one['reasons'])}", markup=False)
        if most is not None and count > most:
            out.print(f"… and {count - most} more in {environments.shown(self._quarantine)}", markup=False)
        counts, proof = self.manifest["counts"], self.manifest.get("proof")
        table = Shown(box=None, pad_edge=False, show_header=False)
        table.add_column(justify="right")
        table.add_column()
        table.add_row(f"{counts['records']:,}", f"records in {self.manifest['source']['files']:,} files")
        table.add_row(f"{counts['bad']:,}", f"bad, in {environments.shown(self._quarantine)}")
        for outcome, text in _TOLD.items():
            if counts[outcome]:
                table.add_row(f"{counts[outcome]:,}", text)
        if proof:
            table.add_row(f"{self.manifest['written_by_this_run']:,}", "written by this run")
        if counts["left"]:
            table.add_row(f"{counts['left']:,}", "good, and not written yet")
        out.print(table)
        if counts[KEPT]:
            out.print(f"what was left out: {environments.shown(self._folder / KEPT_FILE)}", markup=False)
        if proof:
            equal = "equal" if proof["equal"] else "NOT equal"
            for side in ("source", "table"):
                out.print(f"{side}: {proof[side]['records']:,} records, checksum {proof[side]['checksum']}")
            since = f"; {proof['changed_since']} were changed since by others" if proof["changed_since"] else ""
            out.print(f"both sides are {equal}{since}; {sum(self.manifest['seconds'].values()):.1f} s")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _place(target: Target) -> str:
    return f"table {target.table} of account {target.account_id} in {target.region}"


if __name__ == "__main__":
    run(main)
