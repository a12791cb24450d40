"""Writes the records of a migration, in parallel, and never over what is newer.

Each record's own item is written under the condition that its key is absent, in transactions: they are the only batches
of DynamoDB that have conditions. A profile's entries are written before it, by BatchWriteItem, at half the price: what
is killed in between leaves entries of nothing, which nobody is shown, and never a profile that nobody finds. Entries
that somebody else's profile has got that way are put right, under the condition that it is still that profile.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from common.batch_deletion import MAXIMUM_BATCH
from common.change import Change
from common.dynamodb_failures import ServiceError
from common.dynamodb_json import marshal_item, unmarshal_item
from common.errors import ConditionFailed, InvalidValue, ItemTooLarge, Throttled, Unavailable
from common.table import Item
from scripts.migration.calling import MAXIMUM_ITEMS, Caller, Pace
from scripts.migration.connection import Connections
from scripts.migration.records import Kind, Record, decoded
from scripts.migration.source import Placed, read_placed
from scripts.migration.state import KEPT, REFUSED, REPLACED, WRITTEN, Row

# Of a batch as it stands in the files. In memory and on the way it is several times as much; a transaction takes 4 MB.
BATCH_BYTES = 400_000

_One = TypeVar("_One")
Result = tuple[str, int | None, str, int]  # outcome, version, detail, number of the row


def batches(placed: Iterable[Placed]) -> Iterator[list[Placed]]:
    """Groups of records that a call can take."""
    batch: list[Placed] = []
    size = 0
    for one in placed:
        if batch and (len(batch) == MAXIMUM_ITEMS or size + one.row.length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
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

    def write(self, batch: Sequence[Placed]) -> list[Result]:
        """Writes what is not there, and tells what became of each record."""
        kind = self._kind
        todo = [_Todo(row, Record(row.key, row.digest, kind.body(decoded(raw)))) for row, raw in read_placed(batch)]
        stored = {kind.record_key(item): item for item in self.read([one.row.key for one in todo])}
        results = [self._judged(one, unmarshal_item(stored[one.row.key])) for one in todo if one.row.key in stored]
        return results + self._write_new([one for one in todo if one.row.key not in stored])

    def read(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The items as of now, in DynamoDB JSON, those that don't exist left out."""
        return self._read(self._table, self._key, [self._kind.key(key) for key in keys])

    def _read(self, table: str, schema: dict[str, str], keys: Sequence[Item]) -> list[dict[str, Any]]:
        wanted = {"Keys": [marshal_item(key) for key in keys], "ConsistentRead": True} if keys else None

        def attempt() -> list[dict[str, Any]]:
            opened = self.database().table(table, schema)
            answers = opened.batch("BatchGetItem", wanted, "UnprocessedKeys")
            return [item for answer in answers for item in answer["Responses"].get(table, ())]

        return self.patiently(attempt)

    def _write_new(self, todo: list[_Todo]) -> list[Result]:
        results: list[Result] = []
        pieces = deque(_parts(todo, self.pace.items))
        attempt = 0
        while pieces:
            piece = pieces.popleft()
            writes = [self._kind.new(one.record) for one in piece]
            try:
                self._put_entries([entry for _, entries in writes for entry in entries])
                self.database().write([own for own, _ in writes])
            except ConditionFailed as error:
                results += [self._judged(piece[i], error.found.get(i), has_entries=True) for i in error.positions]
                if rest := [one for i, one in enumerate(piece) if i not in error.positions]:
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
                    results.append(self._refused(piece[0], error))
            else:
                attempt = 0
                self.pace.succeeded()
                version = self._kind.first_version
                results += [(WRITTEN, version, "", one.row.number) for one in piece]
        return results

    def _put_entries(self, puts: Sequence[Change]) -> None:
        for batch in _parts(puts, MAXIMUM_BATCH):
            table = self.database().table(batch[0].table, {})
            requests = [{"PutRequest": {"Item": marshal_item(put.item or {})}} for put in batch]
            for _ in table.batch("BatchWriteItem", requests, "UnprocessedItems"):
                pass

    def _judged(self, one: _Todo, stored: Item | None, *, has_entries: bool = False) -> Result:
        """What becomes of a record whose key is taken. `has_entries`: its own were written, and may be another's."""
        while True:
            stored = stored or self._stored(one)  # which is not always told
            if stored is None:
                return self._write_new([one])[0]
            judgement = self._kind.judge(one.record, stored)
            changes: list[Change] = []
            version = judgement.version
            if judgement.outcome == REPLACED:
                changes, version = self._kind.replacing(one.record, stored)
            elif judgement.outcome == KEPT or has_entries:
                # An interrupted run can have left some.
                changes = self._righting(one, stored)
            if self._is_done(changes):
                return judgement.outcome, version, judgement.detail, one.row.number
            stored = None  # changed meanwhile: judged anew

    def _refused(self, one: _Todo, error: Exception) -> Result:
        while not self._is_done(self._righting(one, self._stored(one))):
            pass
        return REFUSED, None, f"DynamoDB refused it: {error}", one.row.number

    def _righting(self, one: _Todo, stored: Item | None) -> list[Change]:
        """What makes the record's entries those of what is stored instead."""
        kind = self._kind
        _, own = kind.new(one.record)
        if not kind.entries or not own:
            return []
        found = self._read(kind.entries.match.name, kind.entries.match_key, [dict(change.key) for change in own])
        return kind.entries.righting(own, [unmarshal_item(item) for item in found], one.row.key, stored)

    def _stored(self, one: _Todo) -> Item | None:
        found = self.read([one.row.key])
        return unmarshal_item(found[0]) if found else None

    def _is_done(self, changes: list[Change]) -> bool:
        """Writes them; False where a condition fails."""
        try:
            if changes:
                self.patiently(lambda: self.database().write(changes))
        except ConditionFailed:
            return False
        return True


def _parts(whole: Sequence[_One], most: int) -> list[Sequence[_One]]:
    return [whole[start : start + most] for start in range(0, len(whole), most)]


def _halves(piece: Sequence[_Todo]) -> list[Sequence[_Todo]]:
    return _parts(piece, (len(piece) + 1) // 2)


def _is_about_an_item(error: Exception) -> bool:
    """Whether DynamoDB refuses what an item holds, not who asks, or where."""
    if not isinstance(error, ServiceError):
        return True
    reasons = {str(reason.get("Code")) for reason in error.answer.get("CancellationReasons") or ()}
    return error.code in ("ValidationException", "ItemCollectionSizeLimitExceededException") or bool(
        reasons & {"ValidationError", "ItemCollectionSizeLimitExceeded"}
    )
