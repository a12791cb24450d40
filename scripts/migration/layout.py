"""In which files records are exported: those that they came in, where that is known; else one each, or many lines."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

from scripts.migration.export_state import ExportState, Found
from scripts.migration.extents import LINE_SUFFIXES
from scripts.migration.meter import Meter
from scripts.migration.state import OTHER, REFUSED, State

RECORDS_A_FILE = 10_000
_MARK_RECORDS = 1000
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_LONGEST_NAME_BYTES = 200


class Files:
    """Writes the records of `state` into `folder`; `count` is how many files that makes."""

    def __init__(self, state: ExportState, folder: Path, meter: Meter) -> None:
        self._state, self._folder, self._meter = state, folder, meter
        self._written: list[str] = []
        self.count = 0
        state.mark_none()

    def as_lines(self) -> None:
        """A record a line, `RECORDS_A_FILE` a file, in the order of their keys."""
        records = self._state.records()
        while first := next(records, None):
            others = itertools.islice(records, RECORDS_A_FILE - 1)
            self._file(f"items-{self.count + 1:06d}.jsonl", itertools.chain([first], others), is_array=False)

    def as_they_came(self, migration: State) -> None:
        """The files that were migrated, with what the table holds of their records now."""
        rows = migration.rows("outcome IS NULL OR outcome NOT IN (?, ?)", OTHER, REFUSED)
        for number, group in itertools.groupby(rows, key=lambda row: row.file):
            path, shape = migration.path_of(number), migration.shape_of(number)
            records = (found for row in group if (found := self._state.get(row.key)))
            first = next(records, None)
            if first is None:
                continue
            second = next(records, None)
            several = [first] if second is None else itertools.chain([first, second], records)
            is_lines = path.lower().endswith(LINE_SUFFIXES)
            single = second is None and shape != "array"
            self._file(path, several, is_array=not (is_lines or single))

    def one_each(self) -> None:
        """A file for each record that is in none yet."""
        self._mark()
        for record in self._state.records(unwritten=True):
            name = _file_name(record.key)
            if (self._folder / name).exists():  # also where a file system does not tell A from a
                name = f"%{hashlib.sha256(record.key.encode()).hexdigest()}.json"
            self._file(name, [record], is_array=False)
        self._mark()

    def _file(self, path: str, records: Iterator[Found] | list[Found], *, is_array: bool) -> None:
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self.count += 1
        with target.open("w", encoding="utf-8") as file:
            if is_array:
                file.write("[\n")
            self._records(file, records, ",\n" if is_array else "\n")
            file.write("\n]\n" if is_array else "\n")

    def _records(self, file: TextIO, records: Iterator[Found] | list[Found], between: str) -> None:
        for place, record in enumerate(records):
            file.write(between + record.text if place else record.text)
            self._written.append(record.key)
            self._meter.add(1)
            if len(self._written) >= _MARK_RECORDS:
                self._mark()

    def _mark(self) -> None:
        self._state.mark(self._written)
        self._written.clear()


def latest_migration(folder: Path, target: list[str]) -> Path | None:
    """The state of the last migration of records into this table, among all below `folder`."""
    found: list[tuple[str, Path]] = []
    for manifest in folder.glob("*/manifest.json"):
        try:
            told = json.loads(manifest.read_text())
        except (OSError, ValueError):
            continue
        into = told.get("target", {})
        same = [into.get(name) for name in ("account_id", "region", "table", "made_at")] == target
        if same and told.get("source", {}).get("form") == "records":
            found.append((str(told.get("began_at")), manifest.with_name("state.sqlite")))
    return max(found)[1] if found else None


def _file_name(key: str) -> str:
    """A name for a record's file that tells its key, or at least is no other's."""
    if _PLAIN_NAME.fullmatch(key):
        return f"{key}.json"
    quoted = quote(key, safe="")
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if len(quoted) > _LONGEST_NAME_BYTES:
        quoted = f"%{hashlib.sha256(key.encode()).hexdigest()}"
    return f"{quoted}.json"
