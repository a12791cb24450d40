"""What a record is once it is read: its key, its digest, and everything that is wrong with it.

A record is JSON whose numbers keep their exact value; NaN, a name that stands twice in one object, and bytes that are
no UTF-8 would lose something on their way, and are refused.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

from common.change import Change
from common.dynamodb_json import number
from common.errors import InvalidValue
from common.table import Item
from scripts.migration.match_entries import MatchEntries


class InvalidRecordError(Exception):
    """`reasons` says all that is wrong, a line each."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class Record(NamedTuple):
    """`key` identifies it in its table; equal records have equal digests."""

    key: str
    digest: bytes
    body: Any


class Judgement(NamedTuple):
    """What a record finds in the table: `outcome` is one of scripts.migration.state."""

    outcome: str
    version: int | None = None
    detail: str = ""


class Kind(Protocol):
    """What the records of a migration are, and how they stand in their table."""

    form: str
    first_version: int | None  # of a record that was not there

    @property
    def entries(self) -> MatchEntries | None:
        """Where the records are profiles, by which the functions find them."""

    def body(self, value: Any) -> Any:
        """`Record.body` of what stands in a file. Raises InvalidRecordError where it can have none."""

    def check(self, body: Any, length: int) -> None:
        """Raises InvalidRecordError for what the table may not hold; `length` is that of the text, in bytes."""

    def record(self, body: Any) -> Record: ...

    def key(self, record_key: str) -> Item:
        """The key in the table."""

    def record_key(self, item: dict[str, Any]) -> str:
        """`Record.key` of an item in DynamoDB JSON."""

    def new(self, record: Record) -> tuple[Change, list[Change]]:
        """The write of a record's own item, which must be absent, and those of its entries."""

    def judge(self, record: Record, stored: Item) -> Judgement:
        """Present, kept, or replaceable."""

    def replacing(self, record: Record, stored: Item) -> tuple[list[Change], int | None]:
        """The writes that replace what is stored, unless it changes meanwhile, and the version then."""

    def digest(self, item: dict[str, Any]) -> bytes | None:
        """`Record.digest` of an item in DynamoDB JSON; None where it holds no such record."""

    def version(self, item: dict[str, Any]) -> int | None: ...

    def exported(self, item: dict[str, Any]) -> tuple[str, bytes, str]:
        """Key, digest and JSON text of the record that is written to a file for an item in DynamoDB JSON."""


def decoded(raw: bytes, line: int = 1, column: int = 1) -> Any:
    """The value in `raw`, which stands at this place of its file. Raises InvalidRecordError."""
    if not raw:
        raise InvalidRecordError("there is no record between two commas or brackets")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"not UTF-8 at byte {error.start + 1} of the record") from None
    try:
        return _DECODER.decode(text)
    except InvalidValue as error:
        raise InvalidRecordError(str(error)) from None
    except RecursionError:
        raise InvalidRecordError("nested too deeply") from None
    except json.JSONDecodeError as error:
        at = error.colno + (column - 1 if error.lineno == 1 else 0)
        raise InvalidRecordError(f"no JSON: {error.msg} at line {line + error.lineno - 1} column {at}") from None


def _no_constant(name: str) -> NoReturn:
    raise InvalidValue(f"{name} is not a JSON number")


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidValue(f"the name {json.dumps(twice)[:100]} stands twice in one object")
    return made


_DECODER = json.JSONDecoder(
    parse_int=number, parse_float=number, parse_constant=_no_constant, object_pairs_hook=_object
)
