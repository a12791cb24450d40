"""Writes the records of a migration, in parallel, and never over what is newer.

Each record is written under the condition that its key is absent, in transactions: they are the only batches of
DynamoDB that have conditions, and a profile appears together with the entries by which it is found. BatchWriteItem
would halve the price and overwrite; its siblings of PartiQL took four times as long on the same engine.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from common.change import Change
from common.dynamodb_failures import ServiceError
from common.dynamodb_json import marshal_item, unmarshal_item
from common.errors import ConditionFailed, InvalidValue, ItemTooLarge, Throttled, Unavailable
from common.table import Item
from scripts.migration.calling import Caller, Pace
from scripts.migration.connection import Connections
from scripts.migration.records import Kind, Record, decoded
from scripts.migration.source import Placed, read_placed
from scripts.migration.state import REFUSED, REPLACED, WRITTEN, Row

MAXIMUM_KEYS = 100
# Of a batch as it stands in the files. In memory and on the way it is several times as much; a transaction takes 4 MB.
BATCH_BYTES = 400_000

Result = tuple[str, int | None, str, int]  # outcome, version, detail, number of the row


def batches(placed: Iterable[Placed], most: int, *, weighed: bool) -> Iterator[list[Placed]]:
    """Groups of records that together take at most `most` writes (weighed) or are at most so many."""
    batch: list[Placed] = []
    weight = size = 0
    for one in placed:
        own = one.row.changes if weighed else 1
        if batch and (weight + own > most or size + one.row.length > BATCH_BYTES):
            yield batch
            batch, weight, size = [], 0, 0
        batch.append(one)
        weight += own
        size += one.row.length
    if batch:
        yield batch


class _Todo(NamedTuple):
    row: Row
    record: Record


class Writer(Caller):
    """Any thread may use it."""

    def __init__(self, connections: Connections, kind: Kind, table: str, key: dict[str, str], pace: Pace) -> None:
        super().__init__(connections, pace)
        self._kind = kind
        self._table, self._key = table, key
        # Reading first spares writes that would fail; where nothing is there, it is left out.
        self._reads_first = True

    def write(self, batch: Sequence[Placed]) -> list[Result]:
        """Writes what is not there, and tells what became of each record."""
        kind = self._kind
        todo = [
            _Todo(row, Record(row.key, row.digest, row.changes, kind.body(decoded(raw))))
            for row, raw in read_placed(batch)
        ]
        results: list[Result] = []
        if self._reads_first:
            stored = {kind.record_key(item): item for item in self.read([one.row.key for one in todo])}
            self._reads_first = bool(stored)
            results += [self._judged(one, unmarshal_item(stored[one.row.key])) for one in todo if one.row.key in stored]
            todo = [one for one in todo if one.row.key not in stored]
        results += self._write_new(todo)
        return results

    def read(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The items as of now, in DynamoDB JSON, those that don't exist left out."""

        def attempt() -> list[dict[str, Any]]:
            table = self.database().table(self._table, self._key)
            wanted = {"Keys": [marshal_item(self._kind.key(key)) for key in keys], "ConsistentRead": True}
            found: list[dict[str, Any]] = []
            for answer in table.batch("BatchGetItem", wanted if keys else None, "UnprocessedKeys"):
                found += answer["Responses"].get(self._table, ())
            return found

        return self.patiently(attempt)

    def _write_new(self, todo: list[_Todo]) -> list[Result]:
        results: list[Result] = []
        pieces = deque(_pieces(todo, self.pace.changes))
        attempt = 0
        while pieces:
            piece = pieces.popleft()
            writes = [self._kind.new(one.record) for one in piece]
            try:
                self.database().write([change for changes in writes for change in changes])
            except ConditionFailed as error:
                self._reads_first = True
                there = _owners(writes, error.positions)
                results += [self._judged(piece[i], error.found.get(at)) for i, at in there.items()]
                if rest := [one for i, one in enumerate(piece) if i not in there]:
                    pieces.appendleft(rest)
            except (Throttled, Unavailable) as error:
                self.pace.failed(error, attempt)
                attempt += 1
                pieces.extendleft(reversed(_halves(piece)))
            except (ItemTooLarge, InvalidValue, ServiceError) as error:
                if not _is_about_an_item(error):
                    raise
                if len(piece) > 1:
                    pieces.extendleft(reversed(_halves(piece)))
                else:
                    results.append((REFUSED, None, f"DynamoDB refused it: {error}", piece[0].row.number))
            else:
                attempt = 0
                self.pace.succeeded()
                version = self._kind.first_version
                results += [(WRITTEN, version, "", one.row.number) for one in piece]
        return results

    def _judged(self, one: _Todo, stored: Item | None) -> Result:
        """What becomes of a record whose key is taken."""
        for attempt in range(1_000_000):
            if stored is None:  # gone again, or not told
                found = self.read([one.row.key])
                if not found:
                    return self._write_new([one])[0]
                stored = unmarshal_item(found[0])
            judgement = self._kind.judge(one.record, stored)
            if judgement.outcome != REPLACED:
                return judgement.outcome, judgement.version, judgement.detail, one.row.number
            changes, version = self._kind.replacing(one.record, stored)
            stored = None  # whatever comes, it is not that any more
            try:
                self.database().write(changes)
            except ConditionFailed:
                continue  # changed meanwhile: judged anew
            except (Throttled, Unavailable) as error:
                self.pace.failed(error, attempt)
            else:
                return REPLACED, version, "", one.row.number
        raise AssertionError("unreachable: the pace loses its patience before")


def _pieces(todo: Sequence[_Todo], most: int) -> Iterator[list[_Todo]]:
    piece: list[_Todo] = []
    changes = 0
    for one in todo:
        if piece and changes + one.record.changes > most:
            yield piece
            piece, changes = [], 0
        piece.append(one)
        changes += one.record.changes
    if piece:
        yield piece


def _halves(piece: list[_Todo]) -> list[list[_Todo]]:
    middle = len(piece) // 2
    return [half for half in (piece[:middle], piece[middle:]) if half]


def _owners(writes: Sequence[Sequence[Change]], positions: Iterable[int]) -> dict[int, int]:
    """Which record's own item each failed change is: place of the record to position of the change."""
    first, firsts = 0, {}
    for place, changes in enumerate(writes):
        firsts[first] = place
        first += len(changes)
    return {firsts[position]: position for position in positions}


def _is_about_an_item(error: Exception) -> bool:
    """Whether DynamoDB refuses what an item holds, not who asks, or where."""
    if not isinstance(error, ServiceError):
        return True
    reasons = {str(reason.get("Code")) for reason in error.answer.get("CancellationReasons") or ()}
    return error.code in ("ValidationException", "ItemCollectionSizeLimitExceededException") or bool(
        reasons & {"ValidationError", "ItemCollectionSizeLimitExceeded"}
    )
