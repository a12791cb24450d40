"""An index gets another projection while the API is in use; the command is killed on the way, and goes on."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
import urllib3

from tests.end_to_end.checkout import COMMAND_SECONDS, POLL_SECONDS, Checkout, wait_for

OLD, NEW = "type-price-index", "type-price-2"
OTHERS = {"id-range-index": "ACTIVE", "by-name": "ACTIVE"}
MIGRATE = ("migrate-index", "ENV=local", "YES=1")
# What Terraform has to look at is kept small: these tests are about two indexes.
SETTINGS = """
systems = ["pet_store"]
alarms = { enabled = false }
enable_dashboard = false
functions = { pet_store = { timeout_seconds = 20 } }
tables = { "pet_store.pets" = { indexes = { by-name = { hash_key = { name = "name", type = "S" } } } } }
"""


class Reader:
    """Asks for the dogs by the API, over and over: what was answered other than the first time."""

    def __init__(self, checkout: Checkout) -> None:
        self._checkout, self._ended = checkout, threading.Event()
        self.first = self._ask()
        self.answers = 0
        self.others: list[Any] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _ask(self) -> Any:
        status, _, body = self._checkout.call("GET", "/pets?type=dog")
        return status, body

    def _read(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            answer = self._ask()
            self.answers += 1
            if answer != self.first:
                self.others.append(answer)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture(scope="module", autouse=True)
def reader(checkout: Checkout) -> Iterator[Reader]:
    file = checkout.folder / "terraform" / "environments" / "local.toml"
    file.write_text(file.read_text() + SETTINGS)
    start = "from scripts import aws; aws.start_embedded()"
    started = checkout.run(".venv/bin/python", "-c", start, LOCAL_AWS_INDEX_BACKFILL_SECONDS="3")
    assert started.exit_code == 0, started.stderr
    checkout.must("bootstrap", "ENV=local")
    checkout.must("apply", "ENV=local", "YES=1")
    reader = Reader(checkout)
    assert reader.first[0] == 200
    assert reader.first[1]
    yield reader
    reader.stop()


def _killed_when(checkout: Checkout, reached: Callable[[], bool], *arguments: str) -> None:
    """Runs the command, and kills it and its Terraform without warning once `reached`."""
    # Its Terraform starts the provider itself, as that is killed with it.
    process = checkout.start("make", "--no-print-directory", *MIGRATE, *arguments, TF_REATTACH_PROVIDERS="")
    wait_for(lambda: reached() or process.poll() is not None, "that stage", COMMAND_SECONDS)
    assert process.poll() is None, process.communicate()
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.suspend()
    for member in family:
        member.kill()
    process.communicate()


def _indexes(checkout: Checkout) -> dict[str, str]:
    table = checkout.client("dynamodb").describe_table(TableName="PetStore")["Table"]
    return {index["IndexName"]: index["IndexStatus"] for index in table["GlobalSecondaryIndexes"]}


def _read_by_latest(checkout: Checkout) -> str:
    configuration = checkout.client("lambda").get_function_configuration(
        FunctionName=checkout.function_name("pet_store")
    )
    return str(configuration["Environment"]["Variables"]["TYPE_PRICE_INDEX_NAME"])


def _changes(checkout: Checkout) -> list[tuple[str, str]]:
    answer = urllib3.request("GET", f"http://127.0.0.1:{checkout.port}/_local/index-changes", retries=False)
    return [(change["index"], change["change"]) for change in json.loads(answer.data)["changes"]]


def test_killed_on_the_way_it_goes_on_and_nobody_notices(checkout: Checkout, reader: Reader) -> None:
    # While DynamoDB fills the new index: Terraform has begun it, and knows nothing of it.
    declaration = ("INDEX=pet_store.pets/type-price-index", f"TO={NEW}", "PROJECTION=INCLUDE:name,version")
    _killed_when(checkout, lambda: _indexes(checkout).get(NEW) == "CREATING", *declaration)
    assert _indexes(checkout)[OLD] == "ACTIVE"

    # The function is told, its alias not yet.
    _killed_when(checkout, lambda: _read_by_latest(checkout) == NEW)
    assert _indexes(checkout) == {OLD: "ACTIVE", NEW: "ACTIVE", **OTHERS}

    # The old index is gone; Ctrl-C lets Terraform say so in its state.
    process = checkout.start(".venv/bin/python", "-m", "scripts.migrate_index", "--env", "local", "--yes")
    wait_for(lambda: OLD not in _indexes(checkout) or process.poll() is not None, "that stage", COMMAND_SECONDS)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert "Traceback" not in stderr

    report = json.loads(checkout.must(*MIGRATE, "JSON=1"))
    assert report["index_migrations"] == {
        "pet_store.pets/type-price-index": {
            "name": NEW,
            "projection_type": "INCLUDE",
            "non_key_attributes": ["name", "version"],
        }
    }
    assert _indexes(checkout) == {NEW: "ACTIVE", **OTHERS}
    assert _read_by_latest(checkout) == NEW
    # Each index was touched once, and no other one at all.
    assert _changes(checkout) == [(NEW, "create"), (OLD, "delete")]
    assert reader.answers > 20
    assert reader.others == []
    assert "nothing to do" in checkout.must(*MIGRATE)
