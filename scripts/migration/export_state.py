"""What an export has read so far: every record by its key, and how far each segment of the table is, in one file."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
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


class ExportState:
    """Belongs to one thread."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.database = sqlite3.connect(file, isolation_level=None)
        self.database.execute("PRAGMA journal_mode=WAL")
        self.database.execute("PRAGMA synchronous=NORMAL")
        self.database.executescript(_SCHEMA)

    def close(self) -> None:
        self.database.close()

    def begin(self, segments: int, **facts: Any) -> None:
        """Anew."""
        self.database.execute("BEGIN IMMEDIATE")
        for table in ("facts", "segments", "records"):
            self.database.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
        self.database.executemany("INSERT INTO segments (number) VALUES (?)", [(number,) for number in range(segments)])
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        self.database.executemany("INSERT INTO facts VALUES (?, ?)", rows)
        self.database.execute("COMMIT")

    def fact(self, name: str) -> Any:
        found = self.database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if found is None else json.loads(found[0])

    def segments(self) -> list[tuple[int, int, Any]]:
        """Those not read to their end: number, of how many, and the key to go on after."""
        total = self.database.execute("SELECT count(*) FROM segments").fetchone()[0]
        rows = self.database.execute("SELECT number, after FROM segments WHERE NOT done ORDER BY number").fetchall()
        return [(number, total, after and json.loads(after)) for number, after in rows]

    def store(self, segment: int, found: Iterable[Found], after: Any) -> None:
        """A page and the place behind it, both or neither; `after` is None at the segment's end."""
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("INSERT OR REPLACE INTO records (key, digest, text) VALUES (?, ?, ?)", found)
        self.database.execute(
            "UPDATE segments SET after = ?, done = ? WHERE number = ?",
            (after and json.dumps(after), after is None, segment),
        )
        self.database.execute("COMMIT")

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
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany("UPDATE records SET written = 1 WHERE key = ?", [(key,) for key in keys])
        self.database.execute("COMMIT")

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """All changes within are one transaction."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.database.execute("COMMIT")

    def mark_first(self, key: str) -> bool:
        """Whether this is the first time since `mark_none`."""
        found = self.database.execute("UPDATE records SET written = 1 WHERE key = ? AND NOT written", (key,))
        return found.rowcount > 0

    def mark_none(self) -> None:
        self.database.execute("UPDATE records SET written = 0 WHERE written")
