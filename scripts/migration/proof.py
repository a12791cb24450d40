"""Proves a migration: reads back every record that should be in the table, and compares both sides.

A side's checksum is the sum of the SHA-256 of each record's key and content, modulo 2^256: the same in any order.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from scripts.migration.calling import in_parallel
from scripts.migration.meter import Meter
from scripts.migration.records import Kind
from scripts.migration.source import Placed
from scripts.migration.state import IN_TABLE, Row, State
from scripts.migration.writing import Writer, batches

_NAMED = 20
_IN_TABLE = f"outcome IN ({', '.join('?' * len(IN_TABLE))})"


class Side(NamedTuple):
    records: int
    checksum: str


class Proof(NamedTuple):
    """`changed_since` were stored again by others after we had written them: they are on neither side."""

    source: Side
    table: Side
    changed_since: int
    missing: int
    different: int
    examples: tuple[str, ...]  # keys of some that are missing or different

    @property
    def equal(self) -> bool:
        return self.source == self.table and not self.missing and not self.different


class Checksum:
    """Of records in any order."""

    def __init__(self) -> None:
        self._records = self._sum = 0

    def add(self, key: str, digest: bytes) -> None:
        self._records += 1
        self._sum += int.from_bytes(hashlib.sha256(key.encode() + b"\0" + digest).digest(), "big")

    @property
    def side(self) -> Side:
        return Side(self._records, f"{self._sum % 2**256:064x}")


class _Tally:
    """Of what is found in the table; belongs to the thread that settles."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.source, self.table = Checksum(), Checksum()
        self.changed_since = self.missing = self.different = 0
        self.examples: list[str] = []

    def settle(self, found: Sequence[tuple[Row, bytes | None, int | None]]) -> None:
        for row, digest, version in found:
            if digest is not None and digest != row.digest and _is_later(version, row.version):
                self.changed_since += 1
                continue
            self.source.add(row.key, row.digest)
            if digest is not None:
                self.table.add(row.key, digest)
            if digest != row.digest:
                self.missing += digest is None
                self.different += digest is not None
                if len(self.examples) < _NAMED:
                    self.examples.append(row.key)


def prove(writer: Writer, kind: Kind, placed: Iterable[Placed], meter: Meter) -> Proof:
    """`placed` are the records that should be in the table."""
    tally = _Tally(kind)

    def look(batch: Sequence[Placed]) -> list[tuple[Row, bytes | None, int | None]]:
        items = {kind.record_key(item): item for item in writer.read([one.row.key for one in batch])}
        return [(one.row, *_seen(kind, items.get(one.row.key))) for one in batch]

    in_parallel(writer.pace, batches(placed), look, tally.settle, meter, len)
    return Proof(
        tally.source.side, tally.table.side, tally.changed_since, tally.missing, tally.different, tuple(tally.examples)
    )


def in_table(state: State) -> Iterable[Row]:
    return state.rows(_IN_TABLE, *IN_TABLE)


def _seen(kind: Kind, item: dict[str, Any] | None) -> tuple[bytes | None, int | None]:
    return (None, None) if item is None else (kind.digest(item), kind.version(item))


def _is_later(now: int | None, then: int | None) -> bool:
    return now is not None and now > (then or 0)
