"""Tables of any size: items that a function has written, written again and again under other keys."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from scripts.benchmarks.engines import Engine

BATCH = 25
# More at a time make no engine faster
_THREADS = 4
_BATCHES_A_TASK = 40
_PATIENCE_SECONDS = 600.0

Item = dict[str, Any]  # in DynamoDB's JSON
Stored = tuple[str, Item]  # table and item
Numbered = Callable[[int], str]
T = TypeVar("T")


class Template(NamedTuple):
    """A record's items as their function wrote them, by table; `marks` are the texts in them that tell it apart."""

    items: tuple[tuple[str, str], ...]
    marks: Mapping[str, Numbered]

    def copy(self, number: int) -> Iterator[Stored]:
        for table, text in self.items:
            for mark, numbered in self.marks.items():
                text = text.replace(mark, numbered(number))
            yield table, json.loads(text)


def template(dynamodb: Any, tables: Iterable[str], marks: Mapping[str, Numbered]) -> Template:
    """Of the record whose items hold the first of the marks; for tables of few items."""
    first = next(iter(marks))
    texts = [(table, json.dumps(item, ensure_ascii=False)) for table in tables for item in every(dynamodb, table)]
    return Template(tuple((table, text) for table, text in texts if first in text), marks)


def every(dynamodb: Any, table: str) -> Iterator[Item]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return (item for page in pages for item in page["Items"])


def numbered_time(text: str) -> Numbered:
    """Times of one second, a microsecond apart, in the form of 2026-11-21T03:47:12.000000Z."""
    return lambda number: f"{text[:20]}{number:06}{text[26:]}"


def numbered_id(number: int) -> str:
    """In place of 32 random hexadecimal digits."""
    return f"{number:032x}"


def write(engine: Engine, records: Iterator[Iterable[Stored]], tell: Callable[[int], None]) -> None:
    """Writes all items of the records in batches; `tell` is called with the number of records written."""
    done = 0
    with ThreadPoolExecutor(_THREADS) as pool:
        for group in _parts(_parts(map(list, records), BATCH * _BATCHES_A_TASK), _THREADS):
            for count in pool.map(lambda task: _write_some(engine, task), group):
                done += count
                tell(done)


def _write_some(engine: Engine, records: list[list[Stored]]) -> int:
    from common.dynamodb_client import DynamoDBClient  # the functions' own, which is many times as fast as boto3's

    client = DynamoDBClient(engine.connection)
    client.read_seconds = _PATIENCE_SECONDS
    client.begin(time.monotonic() + _PATIENCE_SECONDS)
    for batch in _parts((stored for record in records for stored in record), BATCH):
        requests: dict[str, list[Any]] = {}
        for table, item in batch:
            requests.setdefault(table, []).append({"PutRequest": {"Item": item}})
        attempt = 0
        while requests:
            requests = client.call("BatchWriteItem", {"RequestItems": requests}).get("UnprocessedItems") or {}
            if requests:
                time.sleep(min(1.0, 0.05 * 2**attempt))
                attempt += 1
    client.forget()
    return len(records)


def _parts(things: Iterable[T], size: int) -> Iterator[list[T]]:
    left = iter(things)
    while part := list(islice(left, size)):
        yield part
