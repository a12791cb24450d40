"""The pet store as its callers see it, in both persistence modes; each answer is held against openapi.yaml."""

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from common import paging
from common.errors import ItemTooLarge, Throttled, Unavailable
from pet_store import seed, takeover, tools
from tests.contract.engines import Engine
from tests.contract.pet_store import CONTRACT, PetStore, new_pet_store, new_seeded_store, old_pet, our_pet
from tests.contract.replication_lag import lagging

# As the specification has it
FIRST_PETS = """1 Buddy dog 249.99, 2 Whiskers cat 124.99, 3 Nemo fish 0.99, 4 Tweety bird 49.99,
5 Fluffy hamster 29.99, 6 Thumper rabbit 89.99, 7 Max dog 299.99, 8 Luna cat 149.99, 9 Goldie fish 1.99,
10 Polly bird 79.99, 11 Shelly turtle 39.99, 12 Squeaky guinea pig 34.99, 13 Charlie dog 279.99, 14 Mittens cat 134.99,
15 Spike lizard 59.99"""
DOGS_BY_PRICE = [1, 13, 7]


@pytest.fixture
def empty(engine: Engine) -> Iterator[PetStore]:
    """Before its first use; nothing adds the first pets."""
    with new_pet_store(engine, SEED="false") as store:
        yield store


@pytest.fixture
def fresh(engine: Engine) -> Iterator[PetStore]:
    """Before its first use."""
    with new_pet_store(engine) as store:
        yield store


@pytest.fixture
def store(engine: Engine) -> Iterator[PetStore]:
    """With the first 15 pets, as after an apply."""
    with new_seeded_store(engine) as store:
        yield store


@pytest.fixture
def frequent_switches(engine: Engine) -> Iterator[None]:
    """Between threads, so that those of the memory mode meet, too."""
    before = sys.getswitchinterval()
    if engine.url is None:
        sys.setswitchinterval(0.00002)
    yield
    sys.setswitchinterval(before)


def environments(store: PetStore, count: int) -> list[PetStore]:
    """As many environments of the function; in memory mode threads of the one that there is."""
    return [store.another() if store.engine.url else store for _ in range(count)]


def names(store: PetStore) -> list[str]:
    """The requests since they were last cleared."""
    return [name for name, _ in store.calls]


def keys_read(store: PetStore) -> int:
    """By the batches since the calls were last cleared."""
    return sum(
        len(wanted["Keys"])
        for name, payload in store.calls
        if name == "BatchGetItem"
        for wanted in payload["RequestItems"].values()
    )


def forged(position: Any, *scope: str) -> str:
    return paging.token(position, *scope)


# --- the first pets


def test_the_first_pets_are_those_of_the_specification(store: PetStore) -> None:
    expected = []
    for line in FIRST_PETS.replace("\n", " ").split(", "):
        pet_id, name, *kind, price = line.split(" ")
        pet = {"id": int(pet_id), "name": name, "type": " ".join(kind), "price": Decimal(price), "version": 1}
        expected.append(pet)
    answer = store.call("GET", "/pets")
    assert answer.body == {"pets": expected}
    assert '"price":249.99,' in answer.text
    assert len(seed.PETS) == 15


def test_seeding_is_one_transaction(fresh: PetStore) -> None:
    assert fresh.act({"action": "seed"}) == {"last": 15, "added": 15}
    if fresh.engine.url:
        assert fresh.writes == ["TransactWriteItems"]
        _, payload = fresh.calls[-1]
        assert len(payload["TransactItems"]) == 16
    assert fresh.counter == {"id": 0, "last": 15, "seeded": True}


def test_seeding_happens_once_and_never_fights_later_edits(fresh: PetStore) -> None:
    fresh.act({"action": "seed"})
    fresh.store({"id": 3, "name": "Marlin", "type": "fish", "price": 7})
    fresh.database.write([fresh.pets.delete({"id": 5})])
    for one in (fresh, *environments(fresh, 1)):
        assert one.act({"action": "seed"}) == {"last": 15, "added": 0}
    assert fresh.item(3)["name"] == "Marlin"
    assert fresh.item(5) is None


def test_seeding_leaves_what_is_there(fresh: PetStore) -> None:
    fresh.store(old_pet(4), old_pet(15))
    assert fresh.act({"action": "seed"}) == {"last": 15, "added": 13}
    assert fresh.call("GET", "/pets/4").body["name"] == "Old 4"
    assert fresh.ids() == list(range(1, 16))
    assert fresh.add().body["id"] == 16


@pytest.mark.parametrize(
    ("path", "query"), [("/pets", {}), ("/pets/7", {}), ("/pets", {"type": "dog"}), ("/pets", {"limit": "1"})]
)
def test_a_store_that_was_never_seeded_is_at_its_first_use(fresh: PetStore, path: str, query: dict[str, str]) -> None:
    body = fresh.call("GET", path, query=query).body
    assert "Max" in str(body) or query == {"limit": "1"}
    assert fresh.counter == {"id": 0, "last": 15, "seeded": True}


def test_a_store_that_was_never_seeded_is_before_the_first_pet_is_added(fresh: PetStore) -> None:
    assert fresh.add().body["id"] == 16


def test_seeding_can_be_switched_off(empty: PetStore) -> None:
    assert empty.act({"action": "seed"}) == {"last": 0, "added": 0}
    assert empty.pages() == [[]]
    assert empty.add().body["id"] == 1
    assert empty.add().body["id"] == 2
    assert empty.act({"action": "seed"}) == {"last": 2, "added": 0}


def test_seeding_can_be_switched_on_later(engine: Engine) -> None:
    with new_pet_store(engine, SEED="false") as store:
        assert store.add().body["id"] == 1
        store.environment["SEED"] = "true"
        later = store.another() if engine.url else store
        if engine.url:
            assert later.act({"action": "seed"}) == {"last": 15, "added": 14}
            assert later.call("GET", "/pets/1").body["name"] == "Sweety"
            assert store.add().body["id"] == 16


def test_no_http_request_is_an_action(fresh: PetStore, kind: str) -> None:
    answer = fresh.call("POST", "/pets", body={"action": "seed"}, kind=kind)
    assert answer.status == 400
    assert fresh.counter is None


# --- taking over a table without counter


@pytest.mark.parametrize("seeded", ["true", "false"])
def test_a_table_that_was_filled_before_is_taken_over(engine: Engine, seeded: str) -> None:
    with new_pet_store(engine, SEED=seeded) as store:
        store.fill(range(1, 16))
        assert store.add().body["id"] == 16
        assert store.ids() == list(range(1, 17))
        assert store.call("GET", "/pets/15").body == old_pet(15) | {"version": 0}


@pytest.mark.parametrize(
    "ids",
    [
        range(1, 10_001),
        [*range(1, 400), *range(700, 1234), *range(2000, 2001), *range(2999, 3003)],
        [one for start in range(1, 9000, 450) for one in range(start, start + 50)],
        [777],
        [1, 1000, 1999, 2998],
    ],
    ids=["10,000", "gaps", "more gaps than pets", "one behind a gap", "a pet now and then"],
)
def test_the_highest_id_is_found_past_gaps(engine: Engine, ids: list[int]) -> None:
    with new_pet_store(engine) as store:
        store.fill(ids)
        assert store.add(headers={"idempotency-key": "k"}).body["id"] == max(ids) + 1
        if engine.url:
            assert set(names(store)) <= {"GetItem", "BatchGetItem", "UpdateItem", "TransactWriteItems"}
            assert keys_read(store) <= 10_000
            assert names(store).count("BatchGetItem") <= 100
            store.calls.clear()
            assert store.add().body["id"] == max(ids) + 2
            assert names(store) == ["UpdateItem", "PutItem"]


def test_a_million_ids_take_few_more_batches() -> None:
    asked = []

    class Dense:
        def get_many(self, keys: Any) -> list[dict[str, int]]:
            asked.append(keys)
            return [key for key in keys if key["id"] <= 1_234_567]

    assert takeover.highest(Dense()) == 1_234_567  # type: ignore[arg-type]
    assert len(asked) < 100
    assert max(map(len, asked)) == 100


def test_writers_at_once_take_a_table_over(engine: Engine, frequent_switches: None) -> None:
    with new_pet_store(engine) as store:
        store.fill(range(1, 16))
        with ThreadPoolExecutor(engine.writers) as pool:
            answers = list(pool.map(PetStore.add, environments(store, engine.writers)))
        assert sorted(answer.body["id"] for answer in answers) == list(range(16, 16 + engine.writers))
        assert [store.item(one)["name"] for one in range(1, 16)] == [f"Old {one}" for one in range(1, 16)]


def test_writers_at_once_begin_a_store(fresh: PetStore, frequent_switches: None) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(PetStore.add, environments(fresh, 16)))
    assert sorted(answer.body["id"] for answer in answers) == list(range(16, 32))
    assert fresh.ids() == list(range(1, 32))


def test_a_pet_that_others_write_past_the_counter_is_moved_past(store: PetStore) -> None:
    others = [*range(16, 40), 300]
    store.fill(others)
    assert store.add().body["id"] == 301
    assert store.add().body["id"] == 302
    assert store.ids(limit=100) == [*range(1, 40), 300, 301, 302]
    assert store.item(16)["name"] == "Old 16"


def test_pets_past_the_counter_are_listed(store: PetStore) -> None:
    store.fill([16, 17])
    for limit in (1, 3, 15, 16, 17, 25):
        assert store.ids(limit=limit) == list(range(1, 18))


def test_a_counter_that_was_deleted_is_made_again(store: PetStore) -> None:
    for one in (store, *environments(store, 1)):
        expected = max(one.ids()) + 1
        store.database.write([store.pets.delete({"id": 0})])
        assert one.add().body["id"] == expected
    store.database.write([store.pets.delete({"id": 0})])
    assert max(store.ids()) == 17
    assert store.counter["last"] == 17


def test_ids_below_are_not_given_out_again_when_the_counter_was_deleted(empty: PetStore) -> None:
    empty.fill(range(7, 10))
    assert empty.add().body["id"] == 10
    empty.database.write([empty.pets.delete({"id": 0})])
    assert empty.add().body["id"] == 11
    assert empty.counter == {"id": 0, "last": 11, "seeded": False}


def test_a_counter_of_an_older_application_is_kept_up_with(empty: PetStore) -> None:
    empty.store({"id": 0, "last": 40, "note": "theirs"})
    empty.fill(range(1, 21))
    assert empty.add().body["id"] == 41
    assert empty.counter == {"id": 0, "last": 41, "note": "theirs", "seeded": False}


def test_a_pet_0_is_no_pet_and_stays(empty: PetStore) -> None:
    empty.store(old_pet(0), old_pet(1), old_pet(-1))
    assert empty.ids() == [1]
    assert empty.ids(type="tortoise") == [1]
    assert empty.call("GET", "/pets/0").status == 404
    assert empty.add().body["id"] == 2
    assert empty.counter == old_pet(0) | {"last": 2, "seeded": False}


# --- adding


def test_a_new_pet(store: PetStore, kind: str) -> None:
    answer = store.add("Sweety", "frog", 20, kind=kind)
    assert answer.status == 201
    assert answer.body == {"id": 16, "name": "Sweety", "type": "frog", "price": 20, "version": 1}
    assert answer.headers["location"] == "/pets/16"
    assert answer.headers["etag"] == '"1"'
    read = store.call("GET", "/pets/16", kind=kind)
    assert (read.status, read.body, read.headers["etag"]) == (200, answer.body, '"1"')
    assert store.item(16) == answer.body | {"idRange": 0}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("249.99", "249.99"),
        ("0", "0"),
        ("-0.0", "0"),
        ("20.00", "20"),
        ("1e3", "1000"),
        ("0.1234567890123456789012345678901234567", "0.1234567890123456789012345678901234567"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1E-130", "1E-130"),
        ("9.9e125", "9.9E+125"),
    ],
)
def test_prices_keep_their_exact_value(store: PetStore, sent: str, kept: str) -> None:
    added = store.call("POST", "/pets", body=f'{{"name": "n", "type": "t", "price": {sent}}}')
    assert added.status == 201
    for answer in (added, store.call("GET", "/pets/16"), store.call("GET", "/pets", query={"type": "t"})):
        assert f'"price":{kept},' in answer.text


@pytest.mark.parametrize(
    "price",
    [
        '"20"',
        "-0.01",
        "null",
        "true",
        "[1]",
        "NaN",
        "Infinity",
        "1" * 39,
        "0." + "1" * 39,
        "9.91e125",
        "1e126",
        "1e-131",
    ],
)
def test_prices_that_are_none(store: PetStore, price: str) -> None:
    answer = store.call("POST", "/pets", body=f'{{"name": "n", "type": "t", "price": {price}}}')
    assert answer.status == 400
    assert store.writes == []
    assert store.counter["last"] == 15


def test_all_that_is_wrong_is_told_at_once(store: PetStore) -> None:
    answer = store.call("POST", "/pets", body={"name": " ", "type": "x" * 65, "id": 7})
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == ["#/name", "#/type", "#/price", "#/id"]


def test_ids_are_unique_and_consecutive_under_64_writers(store: PetStore, frequent_switches: None) -> None:
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(PetStore.add, environments(store, 64)))
    assert sorted(answer.body["id"] for answer in answers) == list(range(16, 80))
    assert store.ids(limit=100) == list(range(1, 80))


def test_adding_again_with_the_same_key_gives_the_first_answer(store: PetStore, kind: str) -> None:
    headers = {"idempotency-key": "k"}
    first = store.add(headers=headers, kind=kind)
    again = store.add(headers=headers, kind=kind)
    assert (again.status, again.text, again.headers["idempotency-replayed"]) == (201, first.text, "true")
    assert again.headers["location"] == first.headers["location"] == "/pets/16"
    assert store.add(price=21, headers=headers, kind=kind).status == 409
    assert store.add(headers={"idempotency-key": "another"}, kind=kind).body["id"] == 17


def test_of_the_same_pet_sent_at_once_one_is_added(store: PetStore, frequent_switches: None) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: one.add(headers={"idempotency-key": "k"}), environments(store, 8)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(store.ids(limit=100)) == 16


def test_a_write_that_failed_leaves_a_gap_that_lists_skip(store: PetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(store.database, "write", fails(Unavailable("down")))
        assert store.add().status == 503
    assert store.add().body["id"] == 17
    for limit in (1, 15, 16, 17):
        assert store.ids(limit=limit) == [*range(1, 16), 17]
    assert store.call("GET", "/pets/16").status == 404


def test_giving_up_on_others_that_always_come_before(store: PetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    real = type(store.pets).add

    def overtaken(table: Any, key: Any, attribute: str, amount: int) -> int:
        taken = real(table, key, attribute, amount)
        store.store(old_pet(taken))
        return taken

    monkeypatch.setattr(type(store.pets), "add", overtaken)
    answer = store.add()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


def fails(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


# --- one pet


def test_a_reader_that_has_the_pet_is_told_so(store: PetStore) -> None:
    for tag, status in (('"1"', 304), ('W/"1"', 304), ('"0"', 200), ("*", 304)):
        assert store.call("GET", "/pets/1", headers={"if-none-match": tag}).status == status


def test_pets_of_older_applications(empty: PetStore) -> None:
    empty.store(old_pet(1), {"id": 2}, {"id": 3, "name": 7, "colour": "red", "version": "new"})
    answer = empty.call("GET", "/pets/1", headers={"if-none-match": '"0"'})
    assert (answer.status, answer.headers["etag"], answer.body) == (200, '"0"', old_pet(1) | {"version": 0})
    for pet_id in (2, 3):
        nothing = {"id": pet_id, "name": "", "type": "", "price": None, "version": 0}
        assert empty.call("GET", f"/pets/{pet_id}").body == nothing
    empty.store({"id": 4, "name": "Free", "type": "tortoise", "price": Decimal("-1.5")})
    assert empty.ids() == [1, 2, 3, 4]
    assert empty.ids(type="tortoise", maxPrice=3) == [4]
    assert empty.ids(type="tortoise") == [4, 1]


@pytest.mark.parametrize(
    ("pet_id", "status"),
    [("0", 404), ("16", 404), ("9" * 36, 404), ("9" * 400, 404), ("-1", 400), ("1.0", 400), ("01", 400), ("٣", 400),
     ("1e0", 400), ("x", 400), ("+1", 400), ("1 ", 400)],
)  # fmt: skip
def test_ids_that_no_pet_has(store: PetStore, pet_id: str, status: int, kind: str) -> None:
    answer = store.call("GET", f"/pets/{pet_id}", kind=kind)
    assert answer.status == status
    assert answer.status == 404 or answer.body["errors"][0]["parameter"] == "id"


# --- all pets


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 15, 16, 25, 100])
def test_pages_hold_every_pet_once_in_the_order_of_ids(store: PetStore, limit: int) -> None:
    pages = store.pages(limit=limit)
    assert [pet["id"] for page in pages for pet in page] == list(range(1, 16))
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1], "no empty page at the end"


@pytest.mark.parametrize("limit", [1, 25, 98, 99, 100])
def test_gaps_are_skipped_and_pages_stay_full(empty: PetStore, limit: int) -> None:
    ids = [*range(1, 90), *range(390, 420), *range(700, 701), *range(999, 1150)]
    empty.fill(ids)
    if limit > 1:
        pages = empty.pages(limit=limit)
        assert [pet["id"] for page in pages for pet in page] == ids
        assert all(len(page) == limit for page in pages[:-1])
    else:
        token = forged(89, "pets")
        answer = empty.call("GET", "/pets", query={"limit": "1", "next_token": token})
        assert [pet["id"] for pet in answer.body["pets"]] == [390]


def test_a_page_ends_in_time_within_a_very_long_gap(empty: PetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    empty.fill([1, 5000])
    empty.store({"id": 0, "last": 5000, "seeded": False})
    monkeypatch.setattr(paging, "_FILL_SECONDS", 1e9)
    token, found, asked = None, [], 0
    while token or not asked:
        answer = empty.call("GET", "/pets", query={"limit": "100"} | ({"next_token": token} if token else {}))
        found += [pet["id"] for pet in answer.body["pets"]]
        token, asked = answer.body.get("next_token"), asked + 1
    assert found == [1, 5000]
    assert asked > 10


@pytest.mark.parametrize("limit", [7, 25, 99, 100])
def test_pets_that_the_index_does_not_have_are_listed_in_their_places(store: PetStore, limit: int) -> None:
    """Older applications and functions give none of theirs an `idRange`, and some numbers are nobody's."""
    ids = [one for one in range(16, 230) if one % 50]
    store.engine.load(store.database, store.pets.name, [(our_pet, old_pet)[one % 2](one) for one in ids])
    store.store({"id": 0, "last": 229, "seeded": True})
    expected = [*range(1, 16), *ids]
    assert store.ids(limit=limit) == expected
    # and those past the counter
    store.fill([230, 231])
    assert store.ids(limit=limit) == [*expected, 230, 231]


@pytest.mark.parametrize("limit", [5, 25, 100])
def test_an_index_that_lags_hides_no_pet(store: PetStore, limit: int) -> None:
    store.engine.load(store.database, store.pets.name, [our_pet(one) for one in range(16, 103)])
    store.store({"id": 0, "last": 102, "seeded": True})
    with lagging(store):
        added = [store.add().body["id"] for _ in range(5)]
        assert store.ids(limit=limit) == [*range(1, 103), *added]
        assert store.ids(type="frog") == []


def test_a_page_within_the_ids_is_one_query_and_the_last_reads_what_might_be_there(store: PetStore) -> None:
    if store.engine.url is None:
        pytest.skip("memory has no requests")
    for limit, expected in (("14", ["Query"]), ("15", ["Query", "BatchGetItem"]), ("25", ["Query", "BatchGetItem"])):
        store.calls.clear()
        store.call("GET", "/pets", query={"limit": limit})
        assert names(store) == expected
    # 16 to 26, and the counter
    assert keys_read(store) == 12


def test_without_the_index_pets_are_read_by_their_keys(engine: Engine) -> None:
    with new_seeded_store(engine, ID_RANGE_INDEX_NAME="") as store:
        assert store.ids(limit=7) == list(range(1, 16))
        if engine.url:
            assert set(names(store)) == {"BatchGetItem"}


@pytest.mark.parametrize("position", [0, -1, 1.5, True, "1", [1], {"id": 1}, 10**37, 10**4000, None])
def test_forged_positions(store: PetStore, position: Any) -> None:
    answer = store.call("GET", "/pets", query={"next_token": forged(position, "pets")})
    assert answer.status in (200, 400)
    assert answer.status == 400 or position is None


def test_a_position_past_the_end_is_an_empty_page(store: PetStore) -> None:
    answer = store.call("GET", "/pets", query={"next_token": forged(10**36, "pets")})
    assert answer.body == {"pets": []}


def test_tokens_belong_to_their_list(store: PetStore) -> None:
    token = store.call("GET", "/pets", query={"limit": "2"}).body["next_token"]
    dogs = store.call("GET", "/pets", query={"type": "dog", "limit": "1"}).body["next_token"]
    for query in (
        {"type": "dog", "next_token": token},
        {"type": "cat", "next_token": dogs},
        {"next_token": dogs},
        {"type": "dog", "minPrice": "1", "next_token": dogs},
        {"next_token": token[:-1]},
    ):
        answer = store.call("GET", "/pets", query=query)
        assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "next_token")


# --- by type and price


def test_pets_of_a_type_come_by_price(store: PetStore, kind: str) -> None:
    answer = store.call("GET", "/pets", query={"type": "dog"}, kind=kind)
    assert [pet["id"] for pet in answer.body["pets"]] == DOGS_BY_PRICE
    assert store.ids(type="guinea pig") == [12]
    for nothing in ("Dog", "do", "dog ", "unicorn", "ü#"):
        assert store.call("GET", "/pets", query={"type": nothing}, kind=kind).body == {"pets": []}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, [1, 13, 7]),
        ("249.99", "299.99", [1, 13, 7]),
        ("249.9900000000000000000000000000000001", None, [13, 7]),
        (None, "299.9899999999999999999999999999999999", [1, 13]),
        ("279.99", "279.99", [13]),
        ("2.7999E2", "279.990", [13]),
        ("0", "1", []),
        ("300", None, []),
        ("9.9e125", None, []),
    ],
)
def test_bounds_are_exact_decimals(store: PetStore, low: str | None, high: str | None, expected: list[int]) -> None:
    bounds = {name: value for name, value in (("minPrice", low), ("maxPrice", high)) if value is not None}
    for limit in (1, 100):
        assert store.ids(type="dog", limit=limit, **bounds) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pets_of_a_type_are_paged(store: PetStore, limit: int) -> None:
    for price in ("5.5", "5.5", "0", "1e20", "5.4999999999999999999999999999999999999", "5.5"):
        store.call("POST", "/pets", body=f'{{"name": "n", "type": "newt", "price": {price}}}')
    pages = store.pages(type="newt", limit=limit, minPrice=0)
    found = [pet for page in pages for pet in page]
    assert sorted(pet["id"] for pet in found) == [16, 17, 18, 19, 20, 21]
    assert [pet["price"] for pet in found] == sorted(pet["price"] for pet in found)
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1]
    if limit == 100:
        assert [pet["id"] for pet in found] == [18, 20, 16, 17, 21, 19]


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        ({"minPrice": "1"}, "minPrice", "type"),
        ({"maxPrice": "1"}, "maxPrice", "type"),
        ({"type": "dog", "minPrice": "2", "maxPrice": "1.99"}, "maxPrice", "minPrice"),
        ({"type": "dog", "minPrice": "-1"}, "minPrice", "from 0"),
        ({"type": "dog", "minPrice": "NaN"}, "minPrice", "number"),
        ({"type": "dog", "maxPrice": "1" * 39}, "maxPrice", "38"),
        ({"type": "dog", "maxPrice": "1e999"}, "maxPrice", "number"),
        ({"type": "dog", "maxPrice": "1_0"}, "maxPrice", "number"),
        ({"type": "dog", "maxPrice": "٣"}, "maxPrice", "number"),
        ({"type": "dog", "maxPrice": ""}, "maxPrice", "number"),
        ({"type": "dog", "maxPrice": "1" * 5000}, "maxPrice", "number"),
        ({"type": ""}, "type", "bytes"),
        ({"type": "x" * 2049}, "type", "bytes"),
    ],
)
def test_filters_that_are_wrong(store: PetStore, query: dict[str, str], parameter: str, said: str) -> None:
    answer = store.call("GET", "/pets", query=query)
    assert answer.status == 400
    ((error),) = answer.body["errors"]
    assert error["parameter"] == parameter
    assert said in error["detail"]


@pytest.mark.parametrize(
    "position",
    [
        7,
        "x",
        [],
        ["5", 1, 2],
        [5, 1],
        ["5", "1"],
        ["x", 1],
        ["5", 0],
        ["5", True],
        ["5", 10**40],
        ["249.99", 1],
        ["301", 1],
        ["1e999", 1],
    ],
)
def test_forged_positions_among_prices(store: PetStore, position: Any) -> None:
    """DynamoDB refuses one that lies outside the bounds."""
    scope = ("pets", "dog", "250", "300")
    query = {"type": "dog", "minPrice": "250", "maxPrice": "300", "next_token": forged(position, *scope)}
    answer = store.call("GET", "/pets", query=query)
    assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "next_token")
    query["next_token"] = forged(["2.5E2", 1], *scope)
    assert [pet["id"] for pet in store.call("GET", "/pets", query=query).body["pets"]] == [13, 7]


# --- cost


@pytest.mark.parametrize("count", [100, 10_000])
def test_a_page_costs_the_same_however_many_pets_there_are(engine: Engine, count: int) -> None:
    if engine.url is None:
        pytest.skip("memory has no requests")
    with new_seeded_store(engine) as store:
        store.engine.load(store.database, store.pets.name, [our_pet(one) for one in range(16, count + 2)])
        store.store({"id": 0, "last": count + 1, "seeded": True})
        measured = {}
        middle = forged(count // 2, "pets")
        for query, queries in (
            ({}, 1),
            ({"limit": "1"}, 1),
            ({"limit": "98"}, 1),
            ({"limit": "99"}, 2),  # the hundredth, which tells that there is more, is of the next range
            ({"limit": "100"}, 2),
            ({"limit": "5", "next_token": middle}, 1),
        ):
            store.calls.clear()
            answer = store.call("GET", "/pets", query=query)
            expected = int(query.get("limit", 25))
            assert len(answer.body["pets"]) == expected
            assert names(store) == ["Query"] * queries
            measured[str(query)] = store.usage.read_units
        if engine.name == "dynamodb_local":
            # as much as 4 KB of small items are half a unit
            assert measured["{}"] == 0.5
            assert measured["{'limit': '100'}"] <= 2
        store.calls.clear()
        answer = store.call("GET", "/pets", query={"type": "tortoise", "limit": "5", "minPrice": "5"})
        assert len(answer.body["pets"]) == 5
        assert names(store) == ["Query"]
        assert store.calls[0][1]["Limit"] == 6
        if engine.name == "dynamodb_local":
            assert store.usage.read_units <= 1


def test_adding_and_reading_cost_few_requests(store: PetStore) -> None:
    if store.engine.url is None:
        pytest.skip("memory has no requests")
    one = store.another()
    steps = (
        (lambda: one.call("GET", "/pets/3"), ["GetItem"]),
        (one.add, ["GetItem", "UpdateItem", "PutItem"]),
        (one.add, ["UpdateItem", "PutItem"]),
        (lambda: one.add(headers={"idempotency-key": "k"}), ["GetItem", "UpdateItem", "TransactWriteItems"]),
        (lambda: one.call("GET", "/pets/300"), ["GetItem"]),
        (lambda: one.call("GET", "/pets", query={"type": "unicorn"}), ["Query"]),
    )
    for step, expected in steps:
        one.calls.clear()
        step()
        assert names(one) == expected


# --- the tools of an AgentCore Gateway


def test_a_chatbot_adds_a_frog_and_lists_16_pets(store: PetStore) -> None:
    added = store.tool("pets___add_pet", {"name": "Sweety", "type": "frog", "price": 20.0})
    frog = {"id": 16, "name": "Sweety", "type": "frog", "price": 20, "version": 1}
    assert added == {"ok": True, "data": frog}
    for one in environments(store, 1):
        listed = one.tool("pets___list_pets", {})
        assert listed["ok"]
        assert [pet["id"] for pet in listed["data"]["pets"]] == list(range(1, 17))
        assert listed["data"]["pets"][15] == frog
        assert "next_token" not in listed["data"]
        assert one.tool("pets___get_pet", {"id": 16}) == {"ok": True, "data": frog}


@pytest.mark.parametrize("name", ["get_pet", "pets___get_pet", "___get_pet", "a-b__c___get_pet"])
def test_names_of_tools(store: PetStore, name: str) -> None:
    assert store.tool(name, {"id": 1})["data"]["name"] == "Buddy"


@pytest.mark.parametrize(
    "name", ["", "pets___", "drop_pets", "pets___get_pet___x", "get_pet___list", 7, ["get_pet"], {}]
)
def test_names_of_no_tool(store: PetStore, name: Any) -> None:
    answer = store.tool(name, {"id": 1})
    assert answer["ok"] is False
    assert answer["error"]["code"] == "unknown_tool"
    assert answer["error"]["retryable"] is False
    assert "list_pets, get_pet, add_pet" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("19.99", "19.99"),
        ("20.0", "20"),
        ("249.99", "249.99"),
        ("0.1", "0.1"),
        ("1e2", "100"),
        ("123456789012.345", "123456789012.345"),
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("1e-7", "1E-7"),
    ],
)
def test_prices_of_tools_are_as_they_were_written(store: PetStore, written: str, kept: str) -> None:
    added = store.tool("add_pet", f'{{"name": "n", "type": "t", "price": {written}}}')
    assert added["data"]["price"] == Decimal(kept)
    assert f'"price":{kept},' in store.call("GET", "/pets/16").text.replace("0.0000001", "1E-7")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, ["name is missing", "type is missing", "price is missing"]),
        ({"name": "n", "type": "t", "price": -1}, ["price must be a number from 0"]),
        ({"name": "n", "type": "t", "price": "20"}, ["price must be a number from 0"]),
        ({"name": "n", "type": "t", "price": True}, ["price must be a number from 0"]),
        ({"name": "n", "type": "t", "price": None}, ["price is missing"]),
        ({"name": 7, "type": "\n", "price": 1}, ["name must be a text", "type must not"]),
        ({"name": "n", "type": "t", "price": 1, "colour": "green"}, ["colour is no argument of add_pet"]),
        ({"name": ["n"], "type": "t", "price": 1}, ["name must be"]),
        ({"name": "n", "type": "t", "price": 1, "idempotencyKey": "ü"}, ["idempotencyKey must be"]),
        ({"name": "n", "type": "t", "price": 1, "idempotencyKey": True}, ["idempotencyKey must be"]),
        ({"name": "n", "type": "t", "price": 1, "idempotencyKey": 5}, ["idempotencyKey must be a text"]),
        ('{"name": "n", "type": "t", "price": 1e999}', ["inf"]),
        ('{"name": "n", "type": "t", "price": ' + "1" * 39 + "}", ["38"]),
        ('{"name": "\\ud83d", "type": "t", "price": 1}', ["name must not hold"]),
        ('{"a\\ud83d": 1}', ["a? is no argument"]),
        ('{"\\ud83d": [1]}', ["? is no argument"]),
        (json.dumps({"x" * 1_000_000: 1}), ["x" * 64 + " is no argument"]),
        (json.dumps({"name": [[]]}), ["name must be a text"]),
        ("[]", ["object"]),
        ("7", ["object"]),
        ("null", ["object"]),
    ],
)
def test_arguments_that_are_wrong(store: PetStore, arguments: Any, said: list[str]) -> None:
    answer = store.tool("t___add_pet", arguments)
    assert answer["ok"] is False
    error = answer["error"]
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)
    assert set(error) == {"code", "message", "retryable"}
    for part in said:
        assert part in error["message"]
    assert store.counter["last"] == 15


@pytest.mark.parametrize(
    ("tool", "arguments", "code", "said"),
    [
        ("get_pet", {"id": 99}, "not_found", "no pet"),
        ("get_pet", {"id": 0}, "not_found", "no pet"),
        ("get_pet", {"id": 1.5}, "invalid_argument", "id must be a whole number"),
        ("get_pet", {"id": "Buddy"}, "invalid_argument", "id must be a number"),
        ("get_pet", {"id": "3"}, "invalid_argument", "id must be a number"),
        ("get_pet", {"id": -1}, "invalid_argument", "id must be a whole number"),
        ("get_pet", {"id": False}, "invalid_argument", "id must be"),
        ("get_pet", {"id": {"a": 1}}, "invalid_argument", "id must be"),
        ("get_pet", {}, "invalid_argument", "id is missing"),
        ("get_pet", {"pet": 1}, "invalid_argument", "pet is no argument of get_pet; there are id"),
        ("list_pets", {"limit": 0}, "invalid_argument", "limit must be a whole number from 1 to 100"),
        ("list_pets", {"limit": "5"}, "invalid_argument", "limit must be a number"),
        ("list_pets", {"type": 5}, "invalid_argument", "type must be a text"),
        ("list_pets", {"type": "dog", "minPrice": "5"}, "invalid_argument", "minPrice must be a number"),
        ("list_pets", {"limit": 1.5}, "invalid_argument", "limit must be a whole number from 1 to 100"),
        ("list_pets", {"maxPrice": 5}, "invalid_argument", "maxPrice needs a type"),
        ("list_pets", {"type": "dog", "maxPrice": -5}, "invalid_argument", "maxPrice must be a number"),
        ("list_pets", {"next_token": "x"}, "invalid_argument", "next_token is not"),
        ("list_pets", {"type": "\ud83d"}, "invalid_argument", "surrogate"),
    ],
)
def test_calls_that_are_wrong(store: PetStore, tool: str, arguments: Any, code: str, said: str) -> None:
    error = store.tool(tool, arguments)["error"]
    assert (error["code"], error["retryable"]) == (code, False)
    assert said in error["message"]


def test_a_chatbot_filters_and_pages(store: PetStore) -> None:
    dogs = store.tool("list_pets", {"type": "dog", "minPrice": 249.99, "maxPrice": 279.99, "limit": None})
    assert [pet["id"] for pet in dogs["data"]["pets"]] == [1, 13]
    found: list[int] = []
    token = None
    while token or not found:
        page = store.tool("list_pets", {"limit": 6.0, "next_token": token})["data"]
        found += [pet["id"] for pet in page["pets"]]
        token = page.get("next_token")
    assert found == list(range(1, 16))
    assert store.tool("get_pet", {"id": 3.0})["data"]["price"] == Decimal("0.99")


def test_a_tool_call_that_is_repeated_with_its_key_adds_nothing(store: PetStore) -> None:
    arguments = {"name": "Sweety", "type": "frog", "price": 20, "idempotencyKey": "call-1"}
    first = store.tool("add_pet", arguments)
    assert store.tool("add_pet", arguments) == first
    error = store.tool("add_pet", arguments | {"price": 21})["error"]
    assert (error["code"], error["retryable"]) == ("conflict", False)
    assert store.counter["last"] == 16


@pytest.mark.parametrize(
    ("error", "code", "retryable"),
    [
        (Throttled("slow"), "throttled", True),
        (Unavailable("down"), "unavailable", True),
        (ItemTooLarge("large"), "too_large", False),
        (RuntimeError("arn:aws:secret"), "internal", False),
    ],
)
def test_failures_are_said_in_the_answer_of_a_tool(
    store: PetStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    code: str,
    retryable: bool,
) -> None:
    monkeypatch.setattr(store.database, "write", fails(error))
    capsys.readouterr()
    said = store.tool("pets___add_pet", {"name": "n", "type": "t", "price": 1})["error"]
    assert (said["code"], said["retryable"]) == (code, retryable)
    assert "arn" not in said["message"]
    line = json.loads(capsys.readouterr().out)
    assert line["tool"] == "add_pet"
    assert code == "too_large" or type(error).__name__ in line["error"]
    assert (str(error) in line.get("error", "")) is (code in ("throttled", "unavailable"))


def test_each_tool_call_is_a_line_in_the_log(store: PetStore, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    store.tool("pets___list_pets", {})
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["tool"], line["status"], line["request_id"]) == ("INFO", "list_pets", 200, "request-1")
    assert line["calls"] == 2


def test_an_invocation_without_a_tool_s_name_is_no_tool_call(store: PetStore) -> None:
    result = store.act({"name": "n", "type": "t", "price": 1})
    assert result["statusCode"] == 400


# --- the contract


def test_the_contract_has_the_routes_of_the_handler(store: PetStore) -> None:
    assert set(store.app.routes) == CONTRACT.routes


def test_the_tools_are_those_that_the_contract_marks() -> None:
    marked = {
        operation["x-agentcore-tool"]: f"{method.upper()} {path}"
        for path, method, operation in CONTRACT.operations()
        if "x-agentcore-tool" in operation
    }
    assert {tool: route for tool, (route, _) in tools.TOOLS.items()} == marked
