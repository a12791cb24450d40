"""Profiles as `POST /store` takes and writes them: the same rules, the same item, the same entries to be matched by."""

from datetime import UTC, datetime
from typing import Any

from agent_profiles import bodies, changes
from agent_profiles.items import is_ours
from agent_profiles.older import record_of
from common.change import Change
from common.dynamodb_json import marshal, marshal_item, unmarshal_item
from common.errors import InvalidValue, Problem
from common.exact_json import dumps
from common.memory import MAXIMUM_ITEM_BYTES, item_size
from common.table import Item
from scripts import item_digest
from scripts.migration.match_entries import MatchEntries
from scripts.migration.records import InvalidRecordError, Judgement, Record
from scripts.migration.state import KEPT, PRESENT, REPLACED

# An item holds a record's values up to three times, and a number of one digit in three bytes: shorter ones do fit.
_SURELY_FITS_BYTES = 40_000
_ID_BYTES = 16


class ProfileRecords:
    """`Kind` of records as older applications keep them in files. Without names nothing can be written."""

    form = "records"
    first_version: int | None = 1

    def __init__(self, profiles: str = "", match: str = "") -> None:
        self.entries = MatchEntries(profiles, match)

    def body(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise InvalidRecordError("a record is a JSON object")
        if value.keys() == {"Item"}:
            raise InvalidRecordError("this is an exported item, not a profile: migrate it with FORM=items")
        return value

    def check(self, body: Any, length: int) -> None:
        try:
            bodies.profile(body)
        except Problem as problem:
            raise InvalidRecordError(
                *(f"{error['pointer']} {error['detail']}" for error in problem.errors or [])
            ) from None
        except InvalidValue as error:
            raise InvalidRecordError(str(error)) from None
        if length > _SURELY_FITS_BYTES:
            item, _ = self._storing(self.record(body), None)
            if (size := item_size(marshal_item(item))) > MAXIMUM_ITEM_BYTES:
                raise InvalidRecordError(f"its item would have {size} bytes, of {MAXIMUM_ITEM_BYTES} at most")

    def record(self, body: Any) -> Record:
        digest = item_digest.digest(marshal(body)["M"])
        given = body.get("id")
        key = derived_id(digest) if given is None else given
        return Record(key, digest, body)

    def key(self, record_key: str) -> Item:
        return {"id": record_key}

    def record_key(self, item: dict[str, Any]) -> str:
        return str(item["id"]["S"])

    def new(self, record: Record) -> tuple[Change, list[Change]]:
        own, *entries = self._storing(record, None)[1]
        return own, entries

    def judge(self, record: Record, stored: Item) -> Judgement:
        version = stored.get("version") if is_ours(stored) else None
        if self._digest(stored) == record.digest:
            return Judgement(PRESENT, version)
        changed_at = stored.get("updatedAt") if is_ours(stored) else stored.get("timestamp")
        now, theirs, mine = datetime.now(UTC), _time(changed_at), _time(record.body.get("timestamp"))
        # A time to come would win over every change, again and again.
        if mine and theirs and theirs < mine <= now:
            return Judgement(REPLACED)
        return Judgement(KEPT, version, f"in the table since {changed_at or 'an unknown time'}")

    def replacing(self, record: Record, stored: Item) -> tuple[list[Change], int | None]:
        item, writes = self._storing(record, stored)
        return writes, item["version"]

    def digest(self, item: dict[str, Any]) -> bytes | None:
        # As `record_to_export` has it, without its way through Python's values.
        if "M" in item.get("indexed", ()) and "S" in item["profile_data"]["M"].get("id", ()):
            return item_digest.digest(item["profile_data"]["M"])
        return self._digest(unmarshal_item(item))

    def version(self, item: dict[str, Any]) -> int | None:
        return int(item["version"]["N"]) if "M" in item.get("indexed", ()) else None

    def exported(self, item: dict[str, Any]) -> tuple[str, bytes, str]:
        record = record_to_export(unmarshal_item(item))
        return item["id"]["S"], item_digest.digest(marshal(record)["M"]), dumps(record)

    def _storing(self, record: Record, stored: Item | None) -> tuple[Item, list[Change]]:
        return changes.storing(self.entries.profiles, self.entries.match, record.key, record.body, stored)

    def _digest(self, stored: Item) -> bytes:
        return item_digest.digest(marshal(record_to_export(stored))["M"])


def derived_id(digest: bytes) -> str:
    """The id of a record that has none: the same for the same record, wherever it stands."""
    return digest[:_ID_BYTES].hex()


def record_to_export(stored: Item) -> dict[str, Any]:
    """The record as it came in; one that was given its id by `POST /store` keeps it."""
    if not is_ours(stored):
        return record_of(stored)
    record: dict[str, Any] = stored["profile_data"]
    if record.get("id") is not None or derived_id(item_digest.digest(marshal(record)["M"])) == stored["id"]:
        return record
    return {**record, "id": stored["id"]}


def _time(text: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
