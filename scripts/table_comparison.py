"""Compares a copy of a table with its source, which is in use meanwhile, item by item.

The source is read before the moment that the copy shows, and again after it. What is the same in both readings was so
at that moment, too, and the copy must have it; what moved in between is counted, and may be in the copy as before, as
after, or in between. (An item that was changed and changed back meanwhile is taken for unchanged.)

Digests lie in a temporary SQLite file, so that memory stays flat at any size.
"""

import hashlib
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts import item_digest

BEFORE, AFTER, COPY = READINGS = ("before", "after", "copy")

ALTERED, MISSING, EXTRA = "altered", "missing", "extra"
WRONG = {
    ALTERED: "before = after AND copy != before",
    # Changed meanwhile, it was there all the same.
    MISSING: "before IS NOT NULL AND after IS NOT NULL AND copy IS NULL",
    EXTRA: "before IS NULL AND after IS NULL",
}
_COUNTS = {
    "items": "before IS NOT NULL",
    "items_in_copy": "copy IS NOT NULL",
    "unchanged": "before = after",
    "changed_meanwhile": "before != after",
    "created_meanwhile": "before IS NULL AND after IS NOT NULL",
    "deleted_meanwhile": "before IS NOT NULL AND after IS NULL",
    **WRONG,
}
# So many wrong items are named; all are counted.
MOST_NAMED = 1000


class Wrong(NamedTuple):
    """An item of the copy that is not as it must be: `what` is `altered`, `missing` or `extra`."""

    what: str
    key: str


class Comparison(NamedTuple):
    """Counts by name (of `_COUNTS`), the wrong items, and the checksum of what did not move, of either side."""

    counts: Mapping[str, int]
    wrong: Sequence[Wrong]
    source_checksum: str
    copy_checksum: str

    @property
    def moved(self) -> int:
        """Items of the source that others wrote meanwhile."""
        return sum(self.counts[f"{what}_meanwhile"] for what in ("changed", "created", "deleted"))

    @property
    def failed(self) -> bool:
        """An item only in the copy may have been written and deleted meanwhile, unless nothing else moved."""
        return bool(self.counts[ALTERED] or self.counts[MISSING] or (self.counts[EXTRA] and not self.moved))


class Digests:
    """The digests of a source, read twice, and of its copy, by the items' keys."""

    def __init__(self, key_attributes: Sequence[str]) -> None:
        self._key_attributes = key_attributes
        self._folder = tempfile.TemporaryDirectory(prefix="digests-")
        self._database = sqlite3.connect(Path(self._folder.name) / "items.sqlite3", isolation_level=None)
        # Nobody needs it after a crash.
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32000;"
            "CREATE TABLE items (key BLOB PRIMARY KEY, before BLOB, after BLOB, copy BLOB) WITHOUT ROWID;"
        )

    def close(self) -> None:
        self._database.close()
        self._folder.cleanup()

    def read(self, reading: str, pages: Iterable[list[dict[str, Any]]]) -> Iterator[int]:
        """Takes a reading, one of READINGS; yields after each page how many items were read."""
        statement = (
            f"INSERT INTO items (key, {reading}) VALUES (?, ?) "  # noqa: S608 - one of three words
            f"ON CONFLICT (key) DO UPDATE SET {reading} = excluded.{reading}"
        )
        count = 0
        for page in pages:
            rows = [(item_digest.key_of(item, self._key_attributes), item_digest.digest(item)) for item in page]
            self._database.execute("BEGIN")
            self._database.executemany(statement, rows)
            self._database.execute("COMMIT")
            count += len(rows)
            yield count

    def compare(self) -> Comparison:
        sums = ", ".join(f"COALESCE(SUM({condition}), 0)" for condition in _COUNTS.values())
        row = self._database.execute(f"SELECT {sums} FROM items").fetchone()  # noqa: S608 - of this module's words
        wrong = [
            Wrong(what, item_digest.key_text(key))
            for what, condition in WRONG.items()
            for (key,) in self._database.execute(
                f"SELECT key FROM items WHERE {condition} ORDER BY key LIMIT {MOST_NAMED}"  # noqa: S608
            )
        ]
        source, copy = hashlib.sha256(), hashlib.sha256()
        for key, before, copied in self._database.execute(
            "SELECT key, before, copy FROM items WHERE before = after ORDER BY key"
        ):
            source.update(key + before)
            copy.update(key + (copied or b""))
        return Comparison(dict(zip(_COUNTS, row, strict=True)), wrong, source.hexdigest(), copy.hexdigest())
