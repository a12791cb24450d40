"""Calls that wait as long as it takes while a table throttles, and work that is done in parallel and can be stopped."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from common.dynamodb import DynamoDB
from common.errors import TableError, Throttled, Unavailable
from scripts.console import EXIT_FAILED, CommandError, err
from scripts.migration.connection import Connections
from scripts.migration.meter import Meter

# Of one transaction, and of one BatchGetItem.
MAXIMUM_ITEMS = 100
CALL_SECONDS = 90.0
# Of a table that may be in use meanwhile.
DEFAULT_SEGMENTS = 4
# How long nothing at all may succeed before the run ends; the next one goes on.
PATIENCE_SECONDS = {Throttled: 900.0, Unavailable: 90.0}
_TOLD_SECONDS = 15.0
LONGEST_PAUSE_SECONDS = 20.0
_Done = TypeVar("_Done")
_Batch = TypeVar("_Batch")


class Pace:
    """How much is asked of the table: half as much, and later, whenever it throttles; slowly more again after that."""

    def __init__(self, workers: int) -> None:
        self._lock = threading.Lock()
        self._items = float(MAXIMUM_ITEMS)
        self._succeeded_at = time.monotonic()
        self._told_at = 0.0
        self.workers = workers
        self.throttled = 0
        self.stopped = threading.Event()

    @property
    def items(self) -> int:
        """How many a transaction should have."""
        return max(1, int(self._items))

    def succeeded(self) -> None:
        with self._lock:
            self._succeeded_at = time.monotonic()
            self._items = min(float(MAXIMUM_ITEMS), self._items + 0.5)

    def failed(self, cause: Throttled | Unavailable, attempt: int) -> None:
        """Waits before another attempt; raises CommandError when there was no success for too long."""
        with self._lock:
            self.throttled += isinstance(cause, Throttled)
            self._items = max(1.0, self._items / 2)
            now = time.monotonic()
            silent = now - self._succeeded_at
            is_told = silent > _TOLD_SECONDS and now - self._told_at > _TOLD_SECONDS
            self._told_at = now if is_told else self._told_at
        if silent > PATIENCE_SECONDS[type(cause)]:
            raise CommandError(
                f"no call has succeeded for {silent:.0f} s: {cause}.",
                "Raise the table's capacity, or wait, then run this again: it goes on from here.",
                EXIT_FAILED,
            )
        if is_told:
            err.print(f"no call has succeeded for {silent:.0f} s, trying on: {cause}", markup=False)
        # The client has tried ten times, with jittered pauses up to a second: this is the long breath above.
        self.stopped.wait(min(LONGEST_PAUSE_SECONDS, 2.0 ** min(attempt, 10)))
        self.require_running()

    def require_running(self) -> None:
        if self.stopped.is_set():
            raise StoppedError


class StoppedError(Exception):
    """Another worker failed, or somebody pressed Ctrl-C."""


class Caller:
    """Any thread may use it."""

    def __init__(self, connections: Connections, pace: Pace) -> None:
        self._connections, self.pace = connections, pace

    def database(self) -> DynamoDB:
        """The thread's own, ready for one call."""
        self.pace.require_running()
        database = self._connections.database()
        database.begin(time.monotonic() + CALL_SECONDS)
        return database

    def patiently(self, work: Callable[[], _Done]) -> _Done:
        attempt = 0
        while True:
            try:
                done = work()
            except (Throttled, Unavailable) as error:
                self.pace.failed(error, attempt)
                attempt += 1
            else:
                self.pace.succeeded()
                return done


def in_parallel(
    pace: Pace,
    batches: Iterable[_Batch],
    work: Callable[[_Batch], _Done],
    settle: Callable[[_Done], Iterable[_Batch] | None],
    meter: Meter,
    size: Callable[[_Done], int],
) -> None:
    """Does `work` on each batch in `pace.workers` threads, and hands each result to `settle` in the calling thread.

    What `settle` returns is more to do. Few batches are held at a time. Whatever happens, all that was done is settled.
    """
    pending: set[Future[_Done]] = set()

    def explained(batch: _Batch) -> _Done:
        try:
            return work(batch)
        except TableError as error:
            raise CommandError(
                f"DynamoDB refused: {error}.", "Mend that, then run this again: it goes on from here.", EXIT_FAILED
            ) from error

    def harvest(most: int) -> None:
        """Until no more than `most` are under way."""
        while len(pending) > most:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                pending.discard(future)
                result = future.result()
                more = settle(result)
                pending.update(pool.submit(explained, one) for one in more or ())
                meter.add(size(result), f"throttled {pace.throttled} times" if pace.throttled else "")

    with ThreadPoolExecutor(pace.workers) as pool:
        try:
            for batch in batches:
                pending.add(pool.submit(explained, batch))
                harvest(2 * pace.workers - 1)
            harvest(0)
        except BaseException:
            pace.stopped.set()
            for future in pending:
                future.cancel()
            for future in wait(pending).done:
                if not future.cancelled() and future.exception() is None:
                    settle(future.result())
            raise
