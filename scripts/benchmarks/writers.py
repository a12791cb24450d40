"""The writers of one round, each in a process of its own: `python -m scripts.benchmarks.writers < round.json`.

Ours call the function's own code as an execution environment does; the others do what the five applications did. All
begin when the last is ready. The answer is a list: what each was told, or the text of an error.
"""

import json
import multiprocessing
import os
import queue
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from scripts import paths
from scripts.benchmarks import old_designs
from scripts.benchmarks.engines import Engine
from scripts.console import EXIT_FAILED, CommandError, one_line
from scripts.function_caller import Caller

OURS, NO_CONDITION, CONDITION = "ours", "without a condition", "with a condition, and again"
PETS, SESSION = "pets", "session"
# So many of them are within the 400 KB of an item.
MESSAGE_BYTES = 200
# To begin, and to end, beside much else on this machine
_PATIENCE_SECONDS = 300.0
_LONGEST_PAUSE_SECONDS = 0.05
_PET = {"type": "dog", "price": 249.99}

# Given a name that no other record has, and the time (monotonic) from which no attempt is begun; gives what was
# acknowledged, and raises TimeoutError where nothing was by then
Write = Callable[[str, float], Any]


class Place(NamedTuple):
    """Where they write: all that their processes are given. `key` is the session's id."""

    url: str
    environment: Mapping[str, str]
    table: str
    key: str = ""


class Size(NamedTuple):
    """So many records are there before so many writers write for so long."""

    records: int
    writers: int
    seconds: float


class Written(NamedTuple):
    """What one writer was told: names with what was acknowledged, in its order; and between which times (monotonic)."""

    acknowledged: list[tuple[str, Any]]
    refused: int
    began: float
    ended: float


def at_once(kind: str, way: str, place: Place, size: Size) -> list[Written]:
    """Raises CommandError for a writer that fails."""
    asked = json.dumps({"kind": kind, "way": way, "place": place, "size": size})
    command = [sys.executable, "-m", __name__]
    # a session of its own: whatever ends this ends all of them
    process = subprocess.Popen(
        command, cwd=paths.ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        told, _ = process.communicate(asked)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    answers = json.loads(told) if process.returncode == 0 else ["no answer"]
    if failed := next((one for one in answers if isinstance(one, str)), None):
        raise CommandError(f"a writer ({kind}, {way}) failed: {one_line(failed)}", exit_code=EXIT_FAILED)
    return [Written(*one) for one in answers]


def message(name: str) -> dict[str, Any]:
    return {"role": "user", "content": name.ljust(MESSAGE_BYTES, "x"), "tokens": MESSAGE_BYTES // 4}


# --- what a writer does


def _our_pets(place: Place) -> Write:
    caller = Caller("pet_store", place.environment, Engine(place.url).connection)
    return lambda name, _: caller.send("POST", "/pets", {"name": name, **_PET}).body["id"]


def _our_messages(place: Place) -> Write:
    caller = Caller("chat_sessions", place.environment, Engine(place.url).connection)
    path = f"/sessions/{place.key}/messages"
    return lambda name, _: caller.send("POST", path, message(name)).body["time"]


def _their_pets(place: Place, *, is_conditional: bool) -> Write:
    table = Engine(place.url).table(place.table)

    def add(name: str, _: float) -> int:
        number = old_designs.highest_id(table) + 1
        condition = {"ConditionExpression": Attr("id").not_exists()} if is_conditional else {}
        item = {"id": number, "name": name, "type": _PET["type"], "price": Decimal(str(_PET["price"]))}
        table.put_item(Item=item, **condition)
        return number

    return _until_it_is_there(add) if is_conditional else add


def _their_messages(place: Place, *, is_conditional: bool) -> Write:
    table = Engine(place.url).table(place.table)

    def append(name: str, _: float) -> None:
        item = table.get_item(Key={"id": place.key}, ConsistentRead=True)["Item"]
        condition = {"ConditionExpression": Attr("version").eq(item["version"])} if is_conditional else {}
        sent = message(name)
        item["history"].append({"role": sent["role"], "content": sent["content"], "timestamp": str(time.time())})
        item["version"] += 1
        table.put_item(Item=item, **condition)

    return _until_it_is_there(append) if is_conditional else append


def _until_it_is_there(write: Write) -> Write:
    """Again where somebody else was faster, after a pause by chance."""

    def again(name: str, until: float) -> Any:
        while True:
            try:
                return write(name, until)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                if time.monotonic() >= until:
                    raise TimeoutError from error
                time.sleep(random.random() * _LONGEST_PAUSE_SECONDS)  # noqa: S311  no secret

    return again


_WRITERS: Mapping[tuple[str, str], Callable[[Place], Write]] = {
    (PETS, OURS): _our_pets,
    (PETS, NO_CONDITION): partial(_their_pets, is_conditional=False),
    (PETS, CONDITION): partial(_their_pets, is_conditional=True),
    (SESSION, OURS): _our_messages,
    (SESSION, NO_CONDITION): partial(_their_messages, is_conditional=False),
    (SESSION, CONDITION): partial(_their_messages, is_conditional=True),
}


# --- their processes


def _main() -> None:
    asked = json.load(sys.stdin)
    place, size = Place(*asked["place"]), Size(*asked["size"])
    make = _WRITERS[asked["kind"], asked["way"]]
    make(place)  # once before they are forked: what it imports, and boto3's descriptions, they have then
    context = multiprocessing.get_context("fork")
    barrier, answers = context.Barrier(size.writers), context.Queue()
    for number in range(size.writers):
        context.Process(target=_work, args=(make, place, number, size.seconds, barrier, answers), daemon=True).start()
    told: list[Any] = []
    try:
        while len(told) < size.writers:
            told.append(answers.get(timeout=2 * _PATIENCE_SECONDS))
    except queue.Empty:
        told.append("no answer")
    json.dump(told, sys.stdout)


def _work(
    make: Callable[[Place], Write], place: Place, number: int, seconds: float, barrier: Any, answers: Any
) -> None:
    try:
        write = make(place)
        barrier.wait(_PATIENCE_SECONDS)
        answers.put(_written(write, number, seconds))
    except Exception as error:  # noqa: BLE001  whatever it is, who started it must hear of it
        barrier.abort()
        answers.put(repr(error))


def _written(write: Write, number: int, seconds: float) -> Written:
    acknowledged: list[tuple[str, Any]] = []
    refused, began = 0, time.monotonic()
    names = (f"{number:02}-{one:06}" for one in count())
    while time.monotonic() < began + seconds:
        name = next(names)
        try:
            acknowledged.append((name, write(name, began + seconds)))
        except TimeoutError:
            break
        except (CommandError, ClientError):
            refused += 1
    return Written(acknowledged, refused, began, time.monotonic())


if __name__ == "__main__":
    _main()
