"""What verification leaves of the pet that it adds: nothing, and the next pet has the number that it would have had."""

from collections.abc import Iterator
from typing import Any

import pytest

from scripts import aws
from scripts.api_client import Answer
from scripts.probes import Record, pet_store
from tests.contract.engines import Engine
from tests.contract.pet_store import PetStore, new_seeded_store


class Api:
    """Stands in for the ApiClient: the function is called without HTTP."""

    def __init__(self, store: PetStore) -> None:
        self._store = store

    def send(self, method: str, path: str, body: Any = None) -> Answer:
        path, _, query = path.partition("?")
        parameters = dict(part.split("=") for part in query.split("&") if part)
        answer = self._store.call(method, path, body=body, query=parameters)
        return Answer(f"{method} {path}", answer.status, {}, answer.body, 1.0)


@pytest.fixture
def store(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[PetStore]:
    if engine.url is None:
        pytest.skip("memory has nothing to remove")
    monkeypatch.setattr(aws, "client", lambda _service: engine.boto3)
    with new_seeded_store(engine) as store:
        yield store


def write(store: PetStore) -> Record:
    (record,) = pet_store.write(Api(store), {"pets": store.pets.name}, {})  # type: ignore[arg-type]
    return record


def test_the_pet_is_found_by_every_way(store: PetStore) -> None:
    record = write(store)
    read = [(name, payload.get("IndexName")) for name, payload in store.calls[-2:]]
    assert read == [("Query", "id-range-index"), ("BatchGetItem", None)]
    item = store.engine.boto3.get_item(TableName=store.pets.name, Key=record.key)["Item"]
    assert {name: item[name] for name in record.attributes} == record.attributes
    assert record.attributes["price"] == {"N": "19.99"}
    for path, holds in ((record.read_path, record.shows_it), (record.query_path, record.lists_it)):
        assert holds(Api(store).send("GET", path).expect(200).body)
    assert not record.lists_it({"pets": []})


def test_the_next_pet_has_the_number_that_it_would_have_had(store: PetStore) -> None:
    counter = store.counter
    record = write(store)
    assert store.counter["last"] == 16
    record.remove()
    assert (store.item(16), store.counter) == (None, counter)
    record.remove()
    assert store.add().body["id"] == 16
    record.remove()
    assert store.item(16)["name"] == "Sweety"
    assert store.counter["last"] == 16


def test_others_that_add_pets_meanwhile_keep_theirs(store: PetStore) -> None:
    record = write(store)
    assert store.add().body["id"] == 17
    record.remove()
    assert store.item(16) is None
    assert store.counter["last"] == 17
    assert store.add().body["id"] == 18


def test_a_pet_that_somebody_else_put_there_stays(store: PetStore) -> None:
    record = write(store)
    theirs = {"id": 16, "name": "Theirs", "type": "frog", "price": 1}
    store.store(theirs)
    record.remove()
    assert store.item(16) == theirs
    assert store.counter["last"] == 16
