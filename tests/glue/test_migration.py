"""Profiles go from files into DynamoDB as if they had been stored through the API, and back into the same files."""

import io
import json
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_profiles import facts
from common.dynamodb_client import DynamoDBClient
from common.dynamodb_failures import ServiceError
from common.dynamodb_json import marshal_item
from common.errors import Throttled
from scripts import dynamodb_local, migrate
from scripts.console import CommandError
from scripts.item_digest import digest
from scripts.migration.tables import PROFILES
from tests.faults.conftest import SEED as FAULT_SEED
from tests.faults.dynamodb_proxy import FAULTS, WAITED_FOR, Call, Fault, proxied
from tests.glue.deployed import BUCKET, KEY, Deployed
from tests.glue.migrating import ENV, PUTS, Place, write

PLUMBER = {
    "id": "plumber-1",
    "name": "Ännie",
    "address": "Street 1",
    "job": "  Plumber ",
    "averagePrice": 249.99,
    "tags": ["Fast", "cheap"],
    "location": ["Berlin", "Germany"],
    "description": "",
    "timestamp": "2024-05-01T12:00:00Z",
    "extra": {"big": 12345678901234567890, "deep": [1, 2.50, None, True, {"x": "\u2603"}]},
}
NAMELESS = {"name": "Somebody", "averagePrice": 1e2, "location": "Paris, France"}
FAULT_SHARE = 0.2
OLD, NEW = "2020-01-01T00:00:00Z", "2023-01-01T00:00:00Z"


@pytest.fixture(scope="module", params=["embedded", "dynamodb_local"])
def dynamodb_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """Where tables are; None in the embedded AWS itself."""
    local = request.param == "dynamodb_local"
    if local and (reason := dynamodb_local.missing()):
        pytest.skip(reason)
    with dynamodb_local.running() if local else nullcontext() as url:
        yield url


@pytest.fixture
def place(deployed: Deployed, dynamodb_url: str | None, monkeypatch: pytest.MonkeyPatch) -> Place:
    if dynamodb_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url)
    return Place(deployed, monkeypatch)


def records(folder: Path) -> Counter[str]:
    """Every record in the files, with how often it is there."""
    found: Counter[str] = Counter()
    for file in folder.rglob("*.json*"):
        text = file.read_text()
        values = [exactly(line) for line in text.splitlines() if line] if file.suffix == ".jsonl" else exactly(text)
        for value in values if isinstance(values, list) else [values]:
            found[json.dumps(value, sort_keys=True, default=lambda number: f"{number.normalize()}")] += 1
    return found


def exactly(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def before(patch: pytest.MonkeyPatch, operation: str, act: Any) -> None:
    """Does `act` once, before the first such call, given the client and the real call."""
    real, left = DynamoDBClient.call, [act]

    def call(client: DynamoDBClient, called: str, payload: Any) -> Any:
        if called == operation and left:
            left.pop()(client, real)
        return real(client, called, payload)

    patch.setattr(DynamoDBClient, "call", call)


def kill(_client: DynamoDBClient, _real: Any) -> None:
    raise KeyboardInterrupt


def entries_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [marshal_item(entry) for entry in facts.entries(item["id"], item["indexed"])]


def test_a_migrated_profile_is_what_the_api_stores(place: Place, tmp_path: Path) -> None:
    source = write(tmp_path / "json_storage", plumber=PLUMBER, others=[NAMELESS, {"id": "bare", "name": "Bare"}])
    manifest = place.migrate(source)
    assert manifest["counts"] | {"records": 3, "written": 3, "bad": 0, "left": 0} == manifest["counts"]
    assert manifest["proof"]["equal"]
    assert manifest["proof"]["source"] == manifest["proof"]["table"]
    assert manifest["proof"]["table"]["records"] == 3

    migrated = place.item("plumber-1")
    entries = [item for item in place.items(place.match) if item["id"]["S"] == "plumber-1"]
    twin = migrated["profile_data"] | {"id": "twin"}
    place.api_stores(twin)
    stored = place.item("twin")
    for name in ("createdAt", "updatedAt"):
        assert migrated.pop(name) <= stored.pop(name)
    assert migrated == stored | {"id": "plumber-1", "profile_data": migrated["profile_data"]}
    twins = [item for item in place.items(place.match) if item["id"]["S"] == "twin"]
    as_mine = json.loads(json.dumps(twins).replace("twin", "plumber-1"))
    assert sorted(entries, key=str) == sorted(as_mine, key=str)


def test_a_migrated_profile_is_found_by_what_it_is(place: Place, tmp_path: Path) -> None:
    place.migrate(write(tmp_path / "json_storage", plumber=PLUMBER, other=NAMELESS))
    nameless = next(item["id"]["S"] for item in place.items(place.profiles) if item["id"]["S"] != "plumber-1")
    assert place.matches(job="plumber") == ["plumber-1"]
    assert place.matches(city="paris") == [nameless]
    assert place.matches(tags=["fast"]) == ["plumber-1"]
    assert place.matches(price=100) == [nameless]
    assert set(place.matches(price=250)) == {"plumber-1", nameless}


def test_an_export_is_the_folder_that_was_migrated(place: Place, tmp_path: Path) -> None:
    source = write(
        tmp_path / "json_storage",
        plumber=PLUMBER,
        array=[NAMELESS, {"id": "a", "name": "A"}, {"id": None, "name": "B"}, NAMELESS],
        folder__one=[{"id": "c d é", "name": "C"}],
        **{"lines.jsonl": '{"id": "e", "name": "E"}\n\n{"id": "f", "name": "F", "n": 1E+2}\n'},
    )
    assert place.migrate(source)["counts"]["same"] == 1
    manifest = place.export(tmp_path / "out")
    assert records(tmp_path / "out") == records(source)
    assert {f.relative_to(tmp_path / "out") for f in (tmp_path / "out").rglob("*.json*")} == {
        f.relative_to(source) for f in source.rglob("*.json*")
    }
    assert manifest["records"] == 7

    place.calls.clear()
    again = place.migrate(tmp_path / "out")
    assert again["counts"]["present"] == 7
    assert again["proof"]["table"]["checksum"] == manifest["checksum"]
    assert place.writes == 0


def test_an_export_without_a_migration_has_a_file_a_profile(place: Place, tmp_path: Path) -> None:
    place.api_stores({"id": "a b", "name": "Spaces"}, {"id": ".hidden", "name": "Dot"}, {"name": "Given an id"})
    place.dynamodb.put_item(  # of an older application
        TableName=place.profiles,
        Item={"id": {"S": "old"}, "name": {"S": "Old"}, "tags": {"SS": ["b", "a"]}, "averagePrice": {"N": "1.50"}},
    )
    place.export(tmp_path / "out")
    exported = {file.name: json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")}
    given = next(name for name in exported if len(name) == 37)
    assert exported == {
        "a%20b.json": {"id": "a b", "name": "Spaces"},
        "%2Ehidden.json": {"id": ".hidden", "name": "Dot"},
        "old.json": {"id": "old", "name": "Old", "tags": ["a", "b"], "averagePrice": 1.5},
        given: {"id": given.removesuffix(".json"), "name": "Given an id"},
    }
    place.calls.clear()
    assert place.migrate(tmp_path / "out")["counts"]["present"] == 4
    assert place.writes == 0
    place.api_stores({"id": "more", "name": "More"})
    assert place.export(tmp_path / "out")["records"] == 5
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(CommandError, match="what was added would be lost"):
        place.export(tmp_path / "out")


def test_a_second_run_writes_nothing_and_proves_again(place: Place, tmp_path: Path) -> None:
    source = write(tmp_path / "json_storage", all=[{"id": str(number), "name": "N"} for number in range(250)])
    first = place.migrate(source)
    place.calls.clear()
    second = place.migrate(source)
    assert place.writes == 0
    assert second["proof"]["table"] == first["proof"]["table"]
    assert second["written_by_this_run"] == 0
    place.calls.clear()
    third = place.migrate(source, restart=True)  # as where the manifest was lost
    assert third["counts"]["present"] == 250
    assert place.writes == 0


def test_nothing_newer_is_overwritten_and_older_records_are_replaced(place: Place, tmp_path: Path) -> None:
    place.api_stores({"id": "changed", "name": "By the API", "timestamp": OLD})
    old = {"id": {"S": "older"}, "name": {"S": "Older"}, "timestamp": {"S": OLD}}
    newer = {"id": {"S": "newer"}, "name": {"S": "Newer"}, "timestamp": {"S": NEW}}
    for item in (old, newer):
        place.dynamodb.put_item(TableName=place.profiles, Item=item)
    source = write(
        tmp_path / "json_storage",
        all=[
            {"id": "changed", "name": "From the file", "timestamp": NEW},
            {"id": "older", "name": "From the file", "job": "smith", "timestamp": NEW},
            {"id": "newer", "name": "From the file", "timestamp": OLD},
            {"id": "new", "name": "From the file"},
        ],
    )
    manifest = place.migrate(source)
    assert manifest["counts"] | {"written": 1, "replaced": 1, "kept": 2} == manifest["counts"]
    names = {item["id"]["S"]: item["name"]["S"] for item in place.items(place.profiles)}
    assert names == {"changed": "By the API", "newer": "Newer", "older": "From the file", "new": "From the file"}
    assert place.matches(job="smith") == ["older"]
    kept = migrate.folder_of(place.folder / "staging", "agent_profiles.profiles", source) / migrate.KEPT_FILE
    assert {json.loads(line)["key"] for line in kept.read_text().splitlines()} == {"changed", "newer"}


def test_what_others_store_meanwhile_stays(place: Place, tmp_path: Path) -> None:
    count = 600
    source = write(
        tmp_path / "json_storage",
        all=[{"id": str(number), "name": "File", "job": "smith", "averagePrice": 1} for number in range(count)],
    )
    stop, stored = threading.Event(), set()

    def others() -> None:
        for number in range(count - 1, -1, -7):
            place.api_stores({"id": str(number), "name": "API", "job": "baker", "averagePrice": 2})
            stored.add(str(number))
            if stop.is_set():
                return

    writer = threading.Thread(target=others)
    writer.start()
    manifest = place.migrate(source)
    stop.set()
    writer.join()
    assert stored
    assert manifest["proof"]["equal"]
    names = {item["id"]["S"]: item["name"]["S"] for item in place.items(place.profiles)}
    assert len(names) == count
    assert {profile_id for profile_id, name in names.items() if name == "API"} == stored
    # and of the entries that profiles are found by, none is of what was there before
    jobs = {(item["id"]["S"], item["job"]["S"]) for item in place.items(place.match)}
    assert jobs == {(one, "baker" if one in stored else "smith") for one in names}


def test_a_migration_gets_through_faults_of_every_kind(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarantee: Any
) -> None:
    count, choice = 300, random.Random(FAULT_SEED)
    source = write(
        tmp_path / "json_storage",
        all=[{"id": str(number), "name": "File", "job": "smith", "averagePrice": number} for number in range(count)],
    )

    def plan(call: Call) -> Fault | None:
        kinds = [fault for fault in FAULTS if fault.fits(call.operation) and fault.name not in WAITED_FOR]
        return choice.choice(kinds) if choice.random() < FAULT_SHARE else None

    with proxied(os.environ.get("AWS_ENDPOINT_URL_DYNAMODB") or os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", proxy.url)
        proxy.plan = plan
        proof = place.migrate(source)["proof"]
    assert proof["equal"], f"seed {FAULT_SEED}"
    assert len(place.items(place.profiles)) == count
    assert len(place.items(place.match)) == 2 * count  # by job, and by price
    assert proxy.injected
    guarantee("migration", faults_injected=len(proxy.injected), lost=count - proof["table"]["records"])


def test_killed_between_entries_and_profiles_nothing_is_shown_that_is_not_there(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "json_storage", all=[PLUMBER])
    with monkeypatch.context() as patch:
        before(patch, "PutItem", kill)
        with pytest.raises(KeyboardInterrupt):
            place.migrate(source)
    assert place.items(place.match)
    assert not place.items(place.profiles)
    assert place.matches(job="plumber") == []
    assert place.migrate(source)["counts"]["written"] == 1
    assert place.matches(job="plumber") == ["plumber-1"]


@pytest.mark.parametrize("killed", [False, True])
def test_a_profile_that_comes_in_between_keeps_its_own_entries(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, killed: bool
) -> None:
    """Also where the run is killed before it can put them right."""
    theirs = {"id": "plumber-1", "name": "API", "job": "plumber", "averagePrice": Decimal("249.99"), "tags": ["slow"]}
    source = write(tmp_path / "json_storage", all=[PLUMBER])

    def store(client: DynamoDBClient, real: Any) -> None:
        entries = place.items(place.match)
        with monkeypatch.context() as patch:
            patch.setattr(DynamoDBClient, "call", real)
            place.api_stores(theirs)
            # What was on its way gets there late.
            for entry in entries:
                place.dynamodb.put_item(TableName=place.match, Item=entry)
        if killed:
            kill(client, real)

    with monkeypatch.context() as patch:
        before(patch, "PutItem", store)
        with pytest.raises(KeyboardInterrupt) if killed else nullcontext():
            place.migrate(source)
    manifest = place.migrate(source)
    assert manifest["counts"]["kept"] == 1
    assert sorted(place.items(place.match), key=str) == sorted(entries_of(place.item("plumber-1")), key=str)
    place.calls.clear()
    place.migrate(source, restart=True)
    assert place.writes == 0


def test_entries_that_are_left_unprocessed_are_sent_again(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = DynamoDBClient.call

    def call(client: DynamoDBClient, operation: str, payload: Any) -> Any:
        if operation != "BatchWriteItem":
            return real(client, operation, payload)
        ((table, requests),) = payload["RequestItems"].items()
        answer = real(client, operation, {**payload, "RequestItems": {table: requests[:2]}})
        return {**answer, "UnprocessedItems": {table: requests[2:]} if requests[2:] else {}}

    monkeypatch.setattr(DynamoDBClient, "call", call)
    place.migrate(write(tmp_path / "json_storage", all=[PLUMBER]))
    assert sorted(place.items(place.match), key=str) == sorted(entries_of(place.item("plumber-1")), key=str)


def test_what_dynamodb_refuses_leaves_no_entries(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = DynamoDBClient.call

    def call(client: DynamoDBClient, operation: str, payload: Any) -> Any:
        if "Refused" in str(payload) and operation in ("PutItem", "TransactWriteItems"):
            raise ServiceError("ValidationException", "the item is odd", {}, unsure=False)
        return real(client, operation, payload)

    monkeypatch.setattr(DynamoDBClient, "call", call)
    others = [{"id": str(number), "name": "N", "job": "smith"} for number in range(9)]
    source = write(tmp_path / "json_storage", all=[*others, {**PLUMBER, "name": "Refused"}])
    manifest, error = place.refused(source)
    assert manifest["counts"]["written"] == len(others)
    assert "1 of 10 records are bad" in error.message
    assert {entry["id"]["S"] for entry in place.items(place.match)} == {each["id"] for each in others}


def test_a_table_that_throttles_is_asked_for_less(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Big transactions get nowhere, as under a small provisioned capacity."""
    real, sizes = DynamoDBClient.call, []

    def call(client: DynamoDBClient, operation: str, payload: Any) -> Any:
        size = len(payload.get("TransactItems", ()))
        sizes.append(size)
        if size > 30:
            raise Throttled("ProvisionedThroughputExceededException")
        return real(client, operation, payload)

    monkeypatch.setattr(DynamoDBClient, "call", call)
    monkeypatch.setattr("scripts.migration.calling.LONGEST_PAUSE_SECONDS", 0.01)
    source = write(tmp_path / "json_storage", all=[{"id": str(number), "name": "N"} for number in range(300)])
    assert place.migrate(source)["proof"]["equal"]
    assert max(sizes) == 100
    assert len(place.items(place.profiles)) == 300


def test_what_is_missing_later_fails_the_proof(place: Place, tmp_path: Path) -> None:
    source = write(tmp_path / "json_storage", all=[{"id": str(number), "name": "N"} for number in range(5)])
    place.migrate(source)
    place.dynamodb.delete_item(TableName=place.profiles, Key={"id": {"S": "3"}})
    place.api_stores({"id": "4", "name": "Changed since"})
    manifest, error = place.refused(source)
    proof = manifest["proof"]
    assert (proof["missing"], proof["changed_since"], proof["examples"]) == (1, 1, ["3"])
    assert error.exit_code == 1
    place.dynamodb.update_item(
        TableName=place.profiles,
        Key={"id": {"S": "1"}},
        UpdateExpression="SET profile_data.#n = :other",
        ExpressionAttributeNames={"#n": "name"},
        ExpressionAttributeValues={":other": {"S": "Tampered with"}},
    )
    assert place.refused(source)[0]["proof"]["different"] == 1


def test_a_file_need_not_be_named_by_a_text(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As console.run does for each command
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace"))
    source = tmp_path / "json_storage"
    source.mkdir()
    (source / os.fsdecode(b"caf\xe9.json")).write_text('[{"id": "1", "name": "N"}, {"id": "1", "name": "Other"}]')
    for options in ({"dry_run": True}, {"json_output": True}):
        manifest, _ = place.refused(source, **options)
    assert manifest["counts"] | {"written": 1, "bad": 1} == manifest["counts"]
    quarantine = migrate.folder_of(place.folder / ENV, PROFILES, source) / migrate.QUARANTINE
    assert os.fsencode(json.loads(quarantine.read_text())["file"]) == b"caf\xe9.json"
    place.export(tmp_path / "out")
    assert b"caf\xe9.json" in {os.fsencode(file.name) for file in (tmp_path / "out").iterdir()}


def test_it_is_told_that_a_system_in_memory_does_not_show_its_table(
    place: Place, deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = json.loads(deployed.s3.get_object(Bucket=BUCKET, Key=KEY)["Body"].read())
    state["outputs"]["verification"]["value"]["systems"]["agent_profiles"]["persistence"] = "memory"
    deployed.s3.put_object(Bucket=BUCKET, Key=KEY, Body=json.dumps(state).encode())
    place.migrate(write(tmp_path / "json_storage", one={"id": "1", "name": "N"}))
    assert "make back-to-dynamodb ENV=staging SYSTEM=agent_profiles" in capsys.readouterr().err


def test_an_empty_table_goes_both_ways(place: Place, tmp_path: Path) -> None:
    for table in (PROFILES, place.match):
        assert place.export(tmp_path / table, table=table)["records"] == 0
        assert place.migrate(tmp_path / table, table=table)["proof"]["equal"]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CommandError, match="holds no"):
        place.migrate(tmp_path / "nothing")


def test_a_quarantine_within_the_source_is_refused(place: Place, tmp_path: Path) -> None:
    source = write(tmp_path / "json_storage", one={"id": "1", "name": "N"})
    for quarantine in (source / "bad.jsonl", source):
        with pytest.raises(CommandError, match="would be read as records"):
            place.migrate(source, quarantine=quarantine)


def test_changed_files_are_noticed_and_read_anew(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "json_storage", one={"id": "one", "name": "One"})
    place.migrate(source)
    write(source, two={"id": "two", "name": "Two"})
    assert place.migrate(source)["counts"] | {"present": 1, "written": 1} == place.manifest(source)["counts"]
    assert "has changed since the last run" in capsys.readouterr().err


def test_another_account_is_refused_and_a_new_table_filled_anew(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "json_storage", one={"id": "one", "name": "One"})
    place.migrate(source)
    real = migrate.target_of
    monkeypatch.setattr(migrate, "target_of", lambda *given: real(*given)._replace(account_id="999999999999"))
    _, error = place.refused(source)
    assert "999999999999" in error.message
    assert error.exit_code == 2
    monkeypatch.setattr(migrate, "target_of", lambda *given: real(*given)._replace(made_at="later"))
    place.dynamodb.delete_item(TableName=place.profiles, Key={"id": {"S": "one"}})
    assert place.migrate(source)["written_by_this_run"] == 1


def test_items_of_any_table_go_to_another_as_they_are(place: Place, tmp_path: Path) -> None:
    here = place.make(f"here-{place.profiles}", {"owner": "B", "at": "N"})
    there = place.make(f"there-{place.profiles}", {"owner": "B", "at": "N"})
    for number in range(30):
        place.dynamodb.put_item(
            TableName=here,
            Item={
                "owner": {"B": bytes([number % 3, 255])},
                "at": {"N": f"{number}.5"},
                "set": {"NS": ["1", "2.50", "1E+30"]},
                "names": {"SS": ["b", "a"]},
                "parts": {"BS": [b"\0", b"\xff"]},
                "deep": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}, {"S": ""}, {"B": b""}]}}},
                "long": {"N": "12345678901234567890123456789012345678"},
            },
        )
    exported = place.export(tmp_path / "items", table=here)
    assert (exported["form"], exported["records"]) == ("items", 30)
    occupied = {"owner": {"B": b"\0\xff"}, "at": {"N": "0.5"}, "is": {"S": "other"}}
    place.dynamodb.put_item(TableName=there, Item=occupied)
    manifest = place.migrate(tmp_path / "items", table=there)
    assert manifest["counts"] | {"written": 29, "kept": 1} == manifest["counts"]
    moved = {str(item["owner"]) + str(item["at"]): item for item in place.items(there)}
    for item in place.items(here):
        key = str(item["owner"]) + str(item["at"])
        expected = occupied if item["at"] == {"N": "0.5"} else item
        assert digest(moved[key]) == digest(expected)
    place.calls.clear()
    place.migrate(tmp_path / "items", table=there)
    assert not PUTS & set(place.calls)


def test_plain_json_becomes_items_too_and_keys_are_checked(place: Place, tmp_path: Path) -> None:
    table = place.make(f"plain-{place.profiles}", {"id": "N"}, {"by-type": "type"})
    source = write(
        tmp_path / "pets",
        pets=[{"id": 1, "price": 249.99}, {"id": "2"}, {"price": 1}, {"id": 3, "type": ""}, {"Item": {"id": {"S": 1}}}],
    )
    manifest, error = place.refused(source, table=table)
    assert [place.items(table)] == [[{"id": {"N": "1"}, "price": {"N": "249.99"}}]]
    assert manifest["counts"]["bad"] == 4
    assert error.exit_code == 1


def test_a_profile_that_moves_as_an_item_is_found_there(place: Place, tmp_path: Path) -> None:
    place.api_stores(PLUMBER | {"averagePrice": 5, "extra": {}})
    place.export(tmp_path / "items", form="items")
    before = place.items(place.match)
    for table, key in ((place.profiles, ["id"]), (place.match, ["entry", "position"])):
        for item in place.items(table):
            place.dynamodb.delete_item(TableName=table, Key={name: item[name] for name in key})
    place.migrate(tmp_path / "items")
    assert sorted(place.items(place.match), key=str) == sorted(before, key=str)
    assert place.matches(job="plumber") == ["plumber-1"]
