"""What clients do to each system under load, and what must be there afterwards: one module a system.

Each has a class `Model`. Its clients work on things of their own and on things that they share, and note what was
acknowledged; at the end all of it is read back, through the API and from the tables, and held against that.

Everything bears the run's mark in its key, so that what was written is found, also what should not be there.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, urlencode

from boto3.dynamodb.types import TypeDeserializer

from scripts import aws, paths
from scripts.api_client import Answer, ApiClient
from scripts.console import EXIT_FAILED, CommandError

paths.functions_can_be_imported()

# How long a request that was refused for the moment is sent again
PATIENCE_SECONDS = 30.0
# An index follows its table after a moment
INDEX_SECONDS = 30.0
POLL_SECONDS = 0.25
TOO_MANY = 429
KEYS_A_BATCH = 100
WORKERS = 16  # that read and remove at the end

T = TypeVar("T")
Item = dict[str, Any]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class UnansweredError(CommandError):
    """The request may have been carried out or not."""


class Calls:
    """Sends requests and counts how they were answered. May be used by many threads at once.

    `retries` tells how often the function itself has sent something to DynamoDB again, meanwhile; `environment` are
    its variables.
    """

    def __init__(self, api: ApiClient, environment: Mapping[str, str], retries: Callable[[], int] = lambda: 0) -> None:
        self._api = api
        self.environment = environment
        self.retries = retries
        self._lock = threading.Lock()
        self.milliseconds: list[float] = []
        self.statuses: Counter[int] = Counter()  # 0: no answer
        self.refused: list[str] = []  # what answers of 500 and above said

    @property
    def failed(self) -> int:
        """Requests without an answer, or answered by an error that is not the caller's."""
        return sum(count for status, count in self.statuses.items() if status == 0 or status >= 500)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        expect: tuple[int, ...] = (200,),
        when_repeated: tuple[int, ...] = (),
    ) -> Answer:
        """Sends it again while it gets no answer, or one that says to come again.

        `when_repeated`: what it may be answered, too, where an earlier attempt may have been carried out.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer, failure = self._attempt(method, path, body, headers)
            if answer and answer.status != TOO_MANY and answer.status < 500:
                return answer.expect(*expect)
            expect = (*expect, *when_repeated)
            if time.monotonic() > deadline:
                raise failure or UnansweredError(f"{method} {path} was answered {answer and answer.status} to the end")
            time.sleep(float(answer.headers.get("retry-after", 1)) if answer else 1.0)

    def _attempt(
        self, method: str, path: str, body: Any, headers: Mapping[str, str]
    ) -> tuple[Answer | None, CommandError | None]:
        try:
            answer = self._api.send(method, path, body, headers)
        except CommandError as error:
            with self._lock:
                self.statuses[0] += 1
                self.refused.append(error.message)
            return None, UnansweredError(error.message, exit_code=EXIT_FAILED)
        with self._lock:
            self.statuses[answer.status] += 1
            self.milliseconds.append(answer.milliseconds)
            if answer.status >= 500:
                self.refused.append(f"{answer.request}: {answer.status} {answer.body}")
        return answer, None

    def pages(
        self, path: str, name: str, headers: Mapping[str, str] = NO_HEADERS, **query: str
    ) -> Iterator[dict[str, Any]]:
        """All that a list holds."""
        token: dict[str, str] = {}
        while True:
            page = self.send("GET", f"{path}?{urlencode({**query, 'limit': '100', **token})}", None, headers).body
            yield from page[name]
            if "next_token" not in page:
                return
            token = {"next_token": page["next_token"]}


@dataclass
class Findings:
    """What was checked at the end, and what was found wrong of it, in words."""

    checked: int = 0
    lost: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    lost_updates: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def compare(
        self, where: str, expected: Mapping[Any, Any], found: Iterable[tuple[Any, Any]], maybe: Iterable[Any] = ()
    ) -> None:
        """Holds what is `found`, as (id, value), against what was acknowledged. Of `maybe` each may be there or not."""
        counts: Counter[Any] = Counter()
        uncertain = set(maybe)
        for key, value in found:
            counts[key] += 1
            if key in uncertain:
                continue
            if key not in expected:
                self.wrong.append(f"{where}: {key} is there, and nobody was told so")
            elif value != expected[key]:
                self.lost_updates.append(f"{where}: {key} is {value}, and {expected[key]} was acknowledged")
        self.duplicates += [f"{where}: {key} is there {count} times" for key, count in counts.items() if count > 1]
        self.lost += [f"{where}: {key} is not there" for key in expected if key not in counts and key not in uncertain]
        self.checked += len(expected)

    def equal(self, where: str, expected: Any, found: Any) -> None:
        """The same of one thing that was changed many times."""
        self.checked += 1
        if expected != found:
            self.lost_updates.append(f"{where} is {found}, and {expected} was acknowledged")

    @property
    def bad(self) -> list[str]:
        return [*self.lost, *self.duplicates, *self.lost_updates, *self.wrong]


class Model(Protocol):
    """One system under load; made as `Model(calls, tables, mark, clients)`. `act` runs in a thread for each client."""

    def prepare(self) -> None:
        """Makes what the clients share."""

    def act(self, client: int, chance: random.Random) -> None:
        """One thing that a client does. Raises CommandError where it is not answered as the contract says."""

    def check(self, findings: Findings) -> None:
        """Reads everything back."""

    def remove(self) -> None:
        """Takes away all that was written."""


class Sent(NamedTuple):
    """A request that creates something, as it can be sent again."""

    body: dict[str, Any]
    headers: dict[str, str]
    answer: Any


def shared_by(clients: int) -> int:
    """How many things they share: about four work on each."""
    return max(1, clients // 4)


def at_once(work: Callable[[T], Any], things: Iterable[T]) -> list[Any]:
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, things))


def settled(read: Callable[[], T], expected: T) -> T:
    """What an index answers, once it is as expected or has had its time."""
    deadline = time.monotonic() + INDEX_SECONDS
    while (found := read()) != expected and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return found


def segment(text: str) -> str:
    """As a part of a path."""
    return quote(text, safe="")


def dynamodb() -> Any:
    """A client for as many threads as work at the end."""
    return aws.client("dynamodb", max_pool_connections=WORKERS)


def partition(table: str, key: str, value: str, index: str = "") -> list[Item]:
    """All items under a partition key: read consistently from the table, or from an index."""
    asked: dict[str, Any] = {"IndexName": index} if index else {"ConsistentRead": True}
    pages = (
        dynamodb()
        .get_paginator("query")
        .paginate(
            TableName=table,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames={"#key": key},
            ExpressionAttributeValues={":value": {"S": value}},
            **asked,
        )
    )
    return [_plain(item) for page in pages for item in page["Items"]]


def items(table: str, keys: Iterable[Item]) -> list[Item]:
    """The items of these keys (in DynamoDB's JSON) that are there, read consistently."""
    client, left, found = dynamodb(), list(keys), []
    while left:
        batch, left = left[:KEYS_A_BATCH], left[KEYS_A_BATCH:]
        answer = client.batch_get_item(RequestItems={table: {"Keys": batch, "ConsistentRead": True}})
        found += [_plain(item) for item in answer["Responses"].get(table, ())]
        if unread := answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys"):
            left += unread
            time.sleep(POLL_SECONDS)
    return found


def _plain(item: Mapping[str, Any]) -> Item:
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}
