"""What a migration knows, in a file that survives a kill at any moment: SQLite, so that memory stays flat.

Tables: `files` of the source, in order, with how far each is read; `records` found in them, with what became of each;
`bad` ones; `facts`, a few values as JSON.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scripts.console import EXIT_FAILED, CommandError
from scripts.migration.database import Database

# What becomes of a record. WRITTEN: by us; PRESENT: it was there; REPLACED: an older one was; KEPT: a newer or other
# one is there, and stays; SAME: another record of the source is equal; OTHER: … has its key; REFUSED: by DynamoDB.
WRITTEN, PRESENT, REPLACED, KEPT = "written", "present", "replaced", "kept"
SAME, OTHER, REFUSED = "same", "other", "refused"
IN_TABLE = (WRITTEN, PRESENT, REPLACED)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  number INTEGER PRIMARY KEY, path BLOB NOT NULL, size INTEGER NOT NULL, modified INTEGER NOT NULL,
  place TEXT, done INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY, file INTEGER NOT NULL, ordinal INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, line INTEGER NOT NULL, col INTEGER NOT NULL, crc INTEGER NOT NULL, key TEXT NOT NULL,
  digest BLOB NOT NULL, first INTEGER, outcome TEXT, version INTEGER, detail TEXT
);
CREATE TABLE IF NOT EXISTS bad (
  number INTEGER PRIMARY KEY, file INTEGER NOT NULL, ordinal INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, line INTEGER NOT NULL, col INTEGER NOT NULL, reasons TEXT NOT NULL
);
"""
_ROWS = 1000


@contextmanager
def disk_errors() -> Iterator[None]:
    """Tells in one line that a file can't be read or written."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CommandError(
            f"a file can't be read or written: {error}.",
            "Is the disk full, or may nobody do so? Then run this again: it goes on from here.",
            EXIT_FAILED,
        ) from error


class Row(NamedTuple):
    """A record of the source: where it stands, and what it is."""

    number: int
    file: int
    ordinal: int
    offset: int
    length: int
    line: int
    column: int
    crc: int
    key: str
    digest: bytes
    first: int | None  # the earlier record with the same key
    outcome: str | None
    version: int | None
    detail: str | None


class File(NamedTuple):
    number: int
    path: bytes
    size: int
    modified: int
    place: str | None


class State(Database):
    """Belongs to one thread."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, _SCHEMA)

    def forget(self) -> None:
        """Begins anew."""
        with self.transaction():
            for table in ("facts", "files", "records", "bad"):
                self.database.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
            self.database.execute("DROP INDEX IF EXISTS by_key")

    def reset_outcomes(self) -> None:
        """As if nothing had been written."""
        self.database.execute(
            "UPDATE records SET outcome = NULL, version = NULL, detail = NULL WHERE outcome NOT IN (?, ?)",
            (SAME, OTHER),
        )

    def unread_files(self) -> Iterator[File]:
        last = 0
        while rows := self.database.execute(
            "SELECT number, path, size, modified, place FROM files WHERE number > ? AND NOT done "
            "ORDER BY number LIMIT ?",
            (last, _ROWS),
        ).fetchall():
            yield from (File(*row) for row in rows)
            last = rows[-1][0]

    def path_of(self, file: int) -> str:
        found = self.database.execute("SELECT path FROM files WHERE number = ?", (file,)).fetchone()
        return os.fsdecode(found[0])

    def shape_of(self, file: int) -> str:
        """`array`, `lines` or `values`: of what a file was made."""
        place = self.database.execute("SELECT place FROM files WHERE number = ?", (file,)).fetchone()[0]
        stated = json.loads(place) if place else None
        shape = stated[0] if stated else "values"
        return "array" if shape in ("behind", "ended") else str(shape)

    def rows(self, where: str, *values: Any) -> Iterator[Row]:
        """Records in the order of the source, a part at a time: what is noted meanwhile does not disturb."""
        last = 0
        query = f"SELECT * FROM records WHERE number > ? AND ({where}) ORDER BY number LIMIT ?"  # noqa: S608
        while found := self.database.execute(query, (last, *values, _ROWS)).fetchall():
            yield from (Row(*row) for row in found)
            last = found[-1][0]

    def settle(self, outcomes: Iterable[tuple[str, int | None, str, int]]) -> None:
        """Outcome, version and detail of records, by number; all or none."""
        update = "UPDATE records SET outcome = ?, version = ?, detail = ? WHERE number = ?"
        with self.transaction():
            self.database.executemany(update, outcomes)

    def outcomes(self) -> dict[str, int]:
        """How many records have which outcome; "" for none yet."""
        found = self.database.execute("SELECT coalesce(outcome, ''), count(*) FROM records GROUP BY 1").fetchall()
        return dict(found)

    def number(self, query: str) -> int:
        return int(self.database.execute(query).fetchone()[0] or 0)
