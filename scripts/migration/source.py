"""The files of a migration: which there are, what is in them, and what of it is no record.

Reading notes each record's place, key and digest in the state, so that writing and proving take records from where
they stand, and nothing of the source is kept in memory. Interrupted, it goes on within the file that it was in.
"""

import base64
import hashlib
import itertools
import json
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from scripts.console import CommandError, err
from scripts.migration.extents import SUFFIXES, Extent, Place, extents
from scripts.migration.meter import Meter
from scripts.migration.records import InvalidRecordError, Kind, Record, decoded
from scripts.migration.state import OTHER, REFUSED, SAME, File, Row, State

_COMMIT_RECORDS = 500
# What is longer lies in a file beside the quarantine.
_INLINE_BYTES = 1024 * 1024
_SUFFIXES = tuple(suffix.encode() for suffix in SUFFIXES)


class Bad(NamedTuple):
    """What is no record, where it stands, and why."""

    file: str
    record: int
    line: int
    column: int
    offset: int
    length: int
    reasons: list[str]

    @property
    def place(self) -> str:
        return f"{self.file}: record {self.record}, line {self.line}, column {self.column}"


def list_files(state: State, root: Path) -> str:
    """Notes the files below `root` (or that one) in the state; returns a fingerprint of their names, sizes and times.

    What was noted before stays where the fingerprint is the same; else the state begins anew.
    """
    database = state.database
    database.execute("CREATE TEMP TABLE listed (path BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL)")
    with state.transaction():
        database.executemany("INSERT INTO listed VALUES (?, ?, ?)", _walk(root))
    fingerprint = hashlib.sha256()
    for row in database.execute("SELECT path, size, modified FROM listed ORDER BY path"):
        fingerprint.update(repr(row).encode())
    found = fingerprint.hexdigest()
    if state.fact("fingerprint") != found:
        state.forget()
        with state.transaction():
            database.execute("INSERT INTO files (path, size, modified) SELECT * FROM listed ORDER BY path")
            state.note(fingerprint=found)
    database.execute("DROP TABLE listed")
    return found


def _walk(root: Path) -> Iterator[tuple[bytes, int, int]]:
    """Path below `root`, size and time of each file that may hold records."""
    if root.is_file():
        status = root.stat()
        yield os.fsencode(root.name), status.st_size, status.st_mtime_ns
        return
    folders = [b""]
    while folders:
        folder = folders.pop()
        with os.scandir(os.path.join(os.fsencode(root), folder)) as entries:  # noqa: PTH118  bytes
            for entry in entries:
                path = os.path.join(folder, entry.name)  # noqa: PTH118
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_dir():
                    err.print(f"{os.fsdecode(entry.path)} is a link to a folder, and not followed", markup=False)
                elif entry.name.lower().endswith(_SUFFIXES) and (entry.is_file() or entry.is_symlink()):
                    with _explained(os.fsdecode(entry.path)):
                        status = entry.stat()
                    yield path, status.st_size, status.st_mtime_ns


@contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"{path} can't be read: {error.strerror}.", "Mend that, then run this again.") from error


class Source:
    """`root` is a folder or a file; `kind` says what a record is."""

    def __init__(self, state: State, root: Path, kind: Kind) -> None:
        self._state, self._root, self._kind = state, root, kind

    def path(self, relative: bytes) -> Path:
        return self._root if self._root.is_file() else self._root / os.fsdecode(relative)

    def read_all(self, meter: Meter) -> None:
        """Reads what is not yet read; then tells records with the key of an earlier one from the others."""
        state = self._state
        rows: list[tuple[Any, ...]] = []
        bad: list[tuple[Any, ...]] = []
        places: dict[int, tuple[Place | None, int]] = {}

        def commit() -> None:
            with state.transaction():
                state.database.executemany(
                    "INSERT INTO records (file, ordinal, offset, length, line, col, crc, key, digest) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
                state.database.executemany(
                    "INSERT INTO bad (file, ordinal, offset, length, line, col, reasons) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    bad,
                )
                state.database.executemany(
                    "UPDATE files SET place = ?, done = ? WHERE number = ?",
                    [(json.dumps(place), done, number) for number, (place, done) in places.items()],
                )
            meter.add(len(rows) + len(bad))
            rows.clear()
            bad.clear()
            places.clear()

        for file in state.unread_files():
            for extent, place in self._extents(file):
                at = (file.number, extent.ordinal, extent.offset, extent.length, extent.line, extent.column)
                try:
                    record = self._checked(extent)
                except InvalidRecordError as error:
                    bad.append((*at, json.dumps(error.reasons)))
                else:
                    rows.append((*at, zlib.crc32(extent.raw), record.key, record.digest))
                places[file.number] = (place, 0)
                if len(rows) + len(bad) >= _COMMIT_RECORDS:
                    commit()
            before = places.get(file.number, (_place(file), 0))[0]
            places[file.number] = (before, 1)
            if len(places) >= _COMMIT_RECORDS:
                commit()
        commit()
        if not state.fact("read"):
            self._tell_repeated_keys()
            state.note(read=True)

    def _extents(self, file: File) -> Iterator[tuple[Extent, Place]]:
        path = self.path(file.path)
        with _explained(path), path.open("rb") as opened:
            yield from extents(opened, path.name.lower(), _place(file))

    def _checked(self, extent: Extent) -> Record:
        if extent.problem:
            raise InvalidRecordError(extent.problem)
        body = self._kind.body(decoded(extent.raw, extent.line, extent.column))
        self._kind.check(body, extent.length)
        return self._kind.record(body)

    def _tell_repeated_keys(self) -> None:
        """The first of those with one key counts; equal ones are the same record, others are bad."""
        state = self._state
        with state.transaction():
            state.database.execute("CREATE INDEX IF NOT EXISTS by_key ON records (key, number)")
            state.database.execute(
                "UPDATE records SET outcome = iif(records.digest = one.digest, ?, ?), first = one.number "
                "FROM (SELECT key, digest, min(number) AS number FROM records GROUP BY key HAVING count(*) > 1) AS one "
                "WHERE records.key = one.key AND records.number > one.number",
                (SAME, OTHER),
            )

    def bad(self) -> Iterator[Bad]:
        """All that is not written because of what it is."""
        state = self._state
        last = 0
        while found := state.database.execute(
            "SELECT * FROM bad WHERE number > ? ORDER BY number LIMIT 500", (last,)
        ).fetchall():
            for _, file, ordinal, offset, length, line, column, reasons in found:
                yield Bad(state.path_of(file), ordinal, line, column, offset, length, json.loads(reasons))
            last = found[-1][0]
        for row in state.rows("outcome IN (?, ?)", OTHER, REFUSED):
            if row.outcome == OTHER:
                first = next(state.rows("number = ?", row.first))
                place = f"record {first.ordinal} of {state.path_of(first.file)}, line {first.line}"
                reasons = [f"has the key {row.key} of {place}, but not its content"]
            else:
                reasons = [row.detail or ""]
            yield Bad(state.path_of(row.file), row.ordinal, row.line, row.column, row.offset, row.length, reasons)

    def quarantine(self, target: Path) -> int:
        """Writes all that is bad to `target`, a JSON line each, with the text as it stands; returns how many there are.

        Text that is no UTF-8 is in base64 (`raw_base64`); a long one is in a file of its own (`raw_file`).
        """
        parts, count = target.with_name(f"{target.name}.parts"), 0
        shutil.rmtree(parts, ignore_errors=True)
        unfinished = target.with_name(f"{target.name}.new")
        with unfinished.open("w", encoding="utf-8") as lines:
            for count, bad in enumerate(self.bad(), start=1):
                entry = bad._asdict()
                with self.path(os.fsencode(bad.file)).open("rb") as file:
                    file.seek(bad.offset)
                    if bad.length > _INLINE_BYTES:
                        parts.mkdir(exist_ok=True)
                        entry["raw_file"] = str(parts / f"{count}.raw")
                        _copy(file, parts / f"{count}.raw", bad.length)
                    else:
                        entry |= _raw(file.read(bad.length))
                lines.write(json.dumps(entry, ensure_ascii=True) + "\n")
        unfinished.replace(target)
        return count


def _place(file: File) -> Place | None:
    """How far a file is read."""
    stated = json.loads(file.place) if file.place else None
    return Place(*stated) if stated else None


def _raw(content: bytes) -> dict[str, str]:
    try:
        return {"raw": content.decode()}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(content).decode()}


def _copy(file: BinaryIO, target: Path, length: int) -> None:
    with target.open("wb") as copy:
        while length > 0 and (chunk := file.read(min(length, _INLINE_BYTES))):
            copy.write(chunk)
            length -= len(chunk)


class Placed(NamedTuple):
    """A record and the file where it stands."""

    row: Row
    path: Path


def read_placed(records: Sequence[Placed]) -> Iterator[tuple[Row, bytes]]:
    """What stands at each place, as it did when it was noted. Any thread may call it."""
    for path, group in itertools.groupby(records, key=lambda one: one.path):
        with _explained(path), path.open("rb") as file:
            for row, _ in group:
                file.seek(row.offset)
                raw = file.read(row.length)
                if zlib.crc32(raw) != row.crc:
                    raise CommandError(f"{path} was changed since it was read.", "Run this again.")
                yield row, raw
