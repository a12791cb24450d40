"""What an export has read so far: every record by its key, and how far each segment of the table is, in one file."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from scripts.migration.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS segments (number INTEGER PRIMARY KEY, after TEXT, done INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS records (
  key TEXT PRIMARY KEY, digest BLOB NOT NULL, text TEXT NOT NULL, written INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""
_ROWS = 500


class Found(NamedTuple):
    """A record in the table, as it is written to files."""

    key: str
    digest: bytes
    text: str


class ExportState(Database):
    """Belongs to one thread."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, _SCHEMA)

    def begin_anew(self, segments: int, **facts: Any) -> None:
        numbers = [(number,) for number in range(segments)]
        with self.transaction():
            for table in ("facts", "segments", "records"):
                self.database.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
            self.database.executemany("INSERT INTO segments (number) VALUES (?)", numbers)
            self.note(**facts)

    def segments(self) -> list[tuple[int, int, Any]]:
        """Those not read to their end: number, of how many, and the key to go on after."""
        total = self.database.execute("SELECT count(*) FROM segments").fetchone()[0]
        rows = self.database.execute("SELECT number, after FROM segments WHERE NOT done ORDER BY number").fetchall()
        return [(number, total, after and json.loads(after)) for number, after in rows]

    def store(self, segment: int, found: Iterable[Found], after: Any) -> None:
        """A page and the place behind it, both or neither; `after` is None at the segment's end."""
        with self.transaction():
            self.database.executemany("INSERT OR REPLACE INTO records (key, digest, text) VALUES (?, ?, ?)", found)
            self.database.execute(
                "UPDATE segments SET after = ?, done = ? WHERE number = ?",
                (after and json.dumps(after), after is None, segment),
            )

    def count(self) -> int:
        return int(self.database.execute("SELECT count(*) FROM records").fetchone()[0])

    def records(self, *, unwritten: bool = False) -> Iterator[Found]:
        """In the order of their keys."""
        last = ""
        query = f"SELECT key, digest, text FROM records WHERE key > ?{' AND NOT written' if unwritten else ''}"  # noqa: S608
        while rows := self.database.execute(f"{query} ORDER BY key LIMIT ?", (last, _ROWS)).fetchall():
            yield from (Found(*row) for row in rows)
            last = rows[-1][0]

    def get(self, key: str) -> Found | None:
        row = self.database.execute("SELECT key, digest, text FROM records WHERE key = ?", (key,)).fetchone()
        return Found(*row) if row else None

    def mark(self, keys: Iterable[str]) -> None:
        """As written to a file."""
        with self.transaction():
            self.database.executemany("UPDATE records SET written = 1 WHERE key = ?", [(key,) for key in keys])

    def mark_first(self, key: str) -> bool:
        """Whether this is the first time since `mark_none`."""
        found = self.database.execute("UPDATE records SET written = 1 WHERE key = ? AND NOT written", (key,))
        return found.rowcount > 0

    def mark_none(self) -> None:
        self.database.execute("UPDATE records SET written = 0 WHERE written")
