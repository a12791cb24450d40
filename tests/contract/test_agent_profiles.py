"""The agent profiles as their callers see them, in both persistence modes; each answer is held against openapi.yaml."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_profiles import bodies, changes, facts, matching, ranking
from common import clock, paging
from tests.contract.agent_profiles import CONTRACT, NAMES, Profiles, new_profiles
from tests.contract.application import Answer
from tests.contract.engines import Engine
from tests.unit.fake_service import CUT, FakeService, fails, served

FULL: dict[str, Any] = {
    "id": "plumber-1",
    "name": "Rohrfrei Berlin",
    "address": "Torstraße 1\n10119 Berlin",
    "job": " Plumber ",
    "averagePrice": 249.99,
    "tags": ["24 Hours", "emergency"],
    "location": ["Berlin", "Germany"],
    "description": "Leaks, heating",
    "timestamp": "2025-03-01T10:00:00",
    "languages": {"spoken": ["de", None, {"deep": True}], "#": "ü👋"},
}


@pytest.fixture
def profiles(engine: Engine) -> Iterator[Profiles]:
    with new_profiles(engine) as profiles:
        yield profiles


def exact(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=Decimal)


def actions(profiles: Profiles) -> list[str]:
    """The parts of the last transaction, such as "Put job#baker"."""
    _, payload = [call for call in profiles.calls if call[0] == "TransactWriteItems"][-1]
    found = []
    for action in payload["TransactItems"]:
        ((name, request),) = action.items()
        key = request.get("Item", request.get("Key"))
        found.append(f"{name} {key.get('entry', key.get('id'))['S']}")
    return found


# --- storing


def test_a_new_profile_comes_back_as_it_was_given(profiles: Profiles, kind: str) -> None:
    answer = profiles.call("POST", "/store", body=FULL, kind=kind)
    assert answer.status == 201
    assert answer.headers["location"] == "/retrieve/plumber-1"
    assert answer.headers["etag"] == '"1"'
    created = answer.body["createdAt"]
    assert answer.body == exact(FULL) | {"version": 1, "createdAt": created, "updatedAt": created}
    read = profiles.call("GET", "/retrieve/plumber-1", kind=kind)
    assert (read.status, read.body, read.headers["etag"]) == (200, answer.body, '"1"')
    assert '"averagePrice":249.99' in read.text
    listed = profiles.call("GET", "/list", kind=kind)
    assert listed.body == {"profiles": [answer.body]}


def test_the_item_read_straight_from_dynamodb_has_the_attributes_that_were_agreed(profiles: Profiles) -> None:
    if not profiles.engine.url:
        pytest.skip("memory can't be read from outside")
    profiles.call("POST", "/store", body=FULL)
    client = profiles.engine.boto3
    item = client.get_item(TableName=profiles.profiles.name, Key={"id": {"S": "plumber-1"}})["Item"]
    assert item["name"] == {"S": "Rohrfrei Berlin"}
    assert item["address"] == {"S": "Torstraße 1\n10119 Berlin"}
    assert item["job"] == {"S": "plumber"}
    assert item["averagePrice"] == {"N": "249.99"}
    assert item["tags"] == {"L": [{"S": "24 Hours"}, {"S": "emergency"}]}
    assert item["location"] == {"L": [{"S": "Berlin"}, {"S": "Germany"}]}
    assert item["location_city"] == {"S": "berlin"}
    assert item["description"] == {"S": "Leaks, heating"}
    assert item["timestamp"] == {"S": "2025-03-01T10:00:00"}
    kept = item["profile_data"]["M"]
    assert set(kept) == set(FULL)
    assert kept["job"] == {"S": " Plumber "}
    for index, attribute, value in (("job-index", "job", "plumber"), ("location-index", "location_city", "berlin")):
        found = client.query(
            TableName=profiles.profiles.name,
            IndexName=index,
            KeyConditionExpression="#a = :a",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":a": {"S": value}},
        )
        assert [one["id"] for one in found["Items"]] == [{"S": "plumber-1"}]


def test_a_profile_without_an_id_is_given_one(profiles: Profiles) -> None:
    first, second = profiles.store(None), profiles.store(None, fields={"id": None})
    assert [first.status, second.status] == [201, 201]
    assert first.body["id"] != second.body["id"]
    assert profiles.call("GET", first.headers["location"]).body["id"] == first.body["id"]
    stored = profiles.stored(first.body["id"])
    assert stored is not None
    assert stored["timestamp"] == stored["createdAt"], "when it was made is known all the same"
    assert stored["profile_data"] == {"name": "Name"}


def test_storing_again_replaces_the_whole_profile(profiles: Profiles, kind: str) -> None:
    first = profiles.call("POST", "/store", body=FULL).body
    answer = profiles.store("plumber-1", "Other", fields={"job": "Baker"}, kind=kind)
    assert (answer.status, answer.headers["etag"], "location" in answer.headers) == (200, '"2"', False)
    ours = {"version": 2, "createdAt": first["createdAt"], "updatedAt": answer.body["updatedAt"]}
    assert answer.body == {"id": "plumber-1", "name": "Other", "job": "Baker"} | ours
    assert answer.body["updatedAt"] > first["updatedAt"]
    stored = profiles.stored("plumber-1")
    assert stored is not None
    assert set(stored) - {"entryShards"} == {
        "id", "name", "job", "timestamp", "profile_data", "indexed", "version", "createdAt", "updatedAt"
    }  # fmt: skip


def test_what_was_read_can_be_sent_back(profiles: Profiles) -> None:
    profiles.call("POST", "/store", body=FULL)
    read = profiles.call("GET", "/retrieve/plumber-1")
    sent = json.loads(read.text) | {"name": "Changed"}
    answer = profiles.call("POST", "/store", body=sent, headers={"If-Match": read.headers["etag"]})
    assert answer.status == 200
    assert answer.body == read.body | {"name": "Changed", "version": 2, "updatedAt": answer.body["updatedAt"]}


@pytest.mark.parametrize("empty", [{"job": "", "location": ""}, {"job": None, "location": []}, {"location": ", ,"}, {}])
def test_an_empty_job_or_location_is_kept_and_left_out_of_the_indexes(profiles: Profiles, empty: Any) -> None:
    answer = profiles.store(fields=empty)
    assert answer.status == 201
    assert {name: answer.body[name] for name in empty} == empty
    stored = profiles.stored("p")
    assert stored is not None
    assert not {"job", "location", "location_city"} & set(stored)
    assert profiles.ways("p") == []


@pytest.mark.parametrize(
    ("location", "parts", "city"),
    [
        (["Berlin", "Germany"], ["Berlin", "Germany"], "berlin"),
        ("Berlin, Germany", ["Berlin", "Germany"], "berlin"),
        (" São  Paulo ,Brazil", ["São  Paulo", "Brazil"], "são paulo"),
        ("Köln", ["Köln"], "köln"),
        (", Paris", ["Paris"], "paris"),
    ],
)
def test_the_city_is_the_first_part_of_the_location(
    profiles: Profiles, location: Any, parts: list[str], city: str
) -> None:
    assert profiles.store(fields={"location": location}).body["location"] == location
    stored = profiles.stored("p")
    assert stored is not None
    assert (stored["location"], stored["location_city"]) == (parts, city)
    assert profiles.match(location=location) == profiles.match(location=city.upper()) == [("p", 35)]


ODD_IDS = ("1", "10", "a#b", "#", "Ünïcode 漢字", "a b", "100%", "job#x", "~", "a+b&c=d?e", "x" * 200, "👋" * 200)


def test_ids_of_any_kind_are_kept_apart(profiles: Profiles, kind: str) -> None:
    for number, profile_id in enumerate(ODD_IDS):
        answer = profiles.store(profile_id, f"Name {number}", fields={"job": "x", "averagePrice": 1}, kind=kind)
        assert answer.status == 201
    for number, profile_id in enumerate(ODD_IDS):
        read = profiles.call("GET", f"/retrieve/{profile_id}", kind=kind)
        assert (read.body["id"], read.body["name"]) == (profile_id, f"Name {number}")
    assert profiles.match(job="X", limit=5) == [(profile_id, 40) for profile_id in sorted(ODD_IDS)]
    listed = [one["id"] for page in profiles.pages("GET", "/list", "profiles", limit="5") for one in page]
    assert sorted(listed) == sorted(ODD_IDS)


@pytest.mark.parametrize("profile_id", ["nobody", "1", "x" * 3000, "a\x01b", ".."])
def test_an_unknown_profile(profiles: Profiles, profile_id: str) -> None:
    profiles.store("10")
    assert profiles.call("GET", f"/retrieve/{profile_id}").status == 404


BAD_BODIES: dict[str, tuple[Any, list[str]]] = {
    "nothing": ({}, ["#/name"]),
    "all at once": (
        {"id": 7, "name": " ", "address": 1, "job": [], "averagePrice": "9", "tags": "x", "location": 5,
         "description": {}, "timestamp": 1},
        [f"#/{name}" for name in ("id", "name", "address", "job", "averagePrice", "tags", "location", "description",
                                  "timestamp")],
    ),
}  # fmt: skip
for _field, _values in {
    "id": ("", " ", "a/b", ".", "..", "x" * 201, "a\x00", "a\n", "\x7f", True, ["a"], "\ud800"),
    "name": (None, "", " ", "x" * 257, "a\x01b", 7, "\udfff"),
    "job": (" ", "x" * 129, "a\nb", 1, True, "\ufdfa" * 40),
    "averagePrice": (-0.01, 1_000_000_000_001, "1", True, [1]),
    "location": (7, {"city": "x"}, " ", "x" * 513, True, "\ufdfa" * 40),
    "tags": ({"a": 1}, "a", 1, ["x"] * 41),
    "description": (" ", "x" * 100_001, 1),
    "address": ("x" * 1025, []),
    "timestamp": ("x" * 65, 17, "a\nb"),
}.items():
    for _value in _values:
        BAD_BODIES[f"{_field} {str(_value)[:20]!r}"] = ({"name": "n"} | {_field: _value}, [f"#/{_field}"])
for _list, _where in ((["x", ""], "/1"), ([1], "/0"), ([None], "/0"), (["a\tb"], "/0"), (["\ufdfa" * 40], "/0")):
    for _field in ("tags", "location"):
        BAD_BODIES[f"{_field} {str(_list)[:20]}"] = ({"name": "n", _field: _list}, [f"#/{_field}{_where}"])


@pytest.mark.parametrize("case", BAD_BODIES)
def test_every_wrong_field_is_named_and_nothing_is_written(case: str) -> None:
    body, pointers = BAD_BODIES[case]
    with new_profiles(Engine("memory", None)) as profiles:  # refused before any table is asked: one engine is enough
        answer = profiles.call("POST", "/store", body=body)
        assert answer.status == 400
        if "\\ud" not in json.dumps(body):  # noticed before any field is looked at
            assert [error["pointer"] for error in answer.body["errors"]] == pointers
        assert profiles.database.usage.calls == 0


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "free",
    [nested(31), [nested(31)], nested(900), {"": 1}, {"x" * 65_536: 1}, ["\ud800"], {"\ud800": 1}],
    ids=["32 levels", "33 levels", "900 levels", "empty name", "long name", "half a character", "half in a name"],
)
def test_what_dynamodb_can_not_hold_is_refused(profiles: Profiles, free: Any) -> None:
    assert profiles.store(fields={"free": free}, headers={"Idempotency-Key": "k"}).status == 400
    assert profiles.writes == []
    assert profiles.stored("p") is None


def test_what_dynamodb_just_can_hold_is_kept(profiles: Profiles) -> None:
    free = {
        "deep": nested(29),
        "nul": "a\x00b",
        "digits": 12345678901234567890123456789012345678,
        "empty": ["", {}, []],
    }
    assert profiles.store(fields={"free": free}).status == 201
    assert profiles.call("GET", "/retrieve/p").body["free"] == free


def test_a_number_that_would_lose_digits_is_refused(profiles: Profiles) -> None:
    for number in ("1" * 39, "0." + "1" * 39, "1e126", "NaN", "-Infinity"):
        text = '{"name": "n", "id": "p", "averagePrice": 1, "more": [NUMBER]}'.replace("NUMBER", number)
        assert profiles.call("POST", "/store", body=text).status == 400
    assert profiles.stored("p") is None


def test_a_profile_that_is_too_large_is_refused_whole(profiles: Profiles) -> None:
    for fields in (
        {"more": "x" * 1_000_000},
        {"more": "x" * 410_000},
        {"description": "ü" * 100_000, "more": "x" * 9999},
    ):
        answer = profiles.store(fields=fields | {"job": "x", "tags": ["y"]})
        assert answer.status == 413
    assert profiles.stored("p") is None
    assert profiles.ways("p") == []
    assert profiles.store(fields={"more": "x" * 390_000}).status == 201


# --- what is written


def test_new_entries_are_written_with_the_profile(profiles: Profiles) -> None:
    profiles.call("POST", "/store", body=FULL, headers={"idempotency-key": "k"})
    ways = ["city#berlin", "job#plumber", "job+city#plumber  berlin", "price", "tag#24 hours", "tag#emergency"]
    assert profiles.ways("plumber-1") == ways
    if profiles.engine.url:
        assert profiles.writes == ["TransactWriteItems"]
        *of_profile, _marker = actions(profiles)
        assert sorted(of_profile) == sorted(["Put plumber-1", *(f"Put {way}" for way in ways)])


def test_only_entries_that_differ_are_written(profiles: Profiles) -> None:
    profiles.store(fields={"tags": ["Kept", "Dropped"], "averagePrice": 5})
    profiles.calls.clear()
    profiles.store(fields={"tags": ["kept", "Added"], "averagePrice": 5})
    assert profiles.ways("p") == ["price", "tag#added", "tag#kept"]
    if profiles.engine.url:
        assert profiles.writes == ["TransactWriteItems"]
        # what stays holds the other tags, too
        assert sorted(actions(profiles)) == [
            "Delete tag#dropped", "Put p", "Put price", "Put tag#added", "Put tag#kept"
        ]  # fmt: skip


def test_what_profiles_are_not_matched_by_is_one_write(profiles: Profiles) -> None:
    profiles.call("POST", "/store", body=FULL)
    profiles.calls.clear()
    body = FULL | {"description": "Other", "job": "PLUMBER", "tags": ["EMERGENCY", "24 hours"], "location": "berlin"}
    assert profiles.call("POST", "/store", body=body).status == 200
    if profiles.engine.url:
        assert [name for name, _ in profiles.calls] == ["GetItem", "PutItem"]


def test_everything_can_be_exchanged_in_one_transaction_with_a_marker(profiles: Profiles) -> None:
    def body(side: str, price: int) -> dict[str, Any]:
        tags = [f"{side} {i}" for i in range(40)]
        return {"id": "p", "name": "n", "job": side, "location": side, "tags": tags, "averagePrice": price}

    profiles.call("POST", "/store", body=body("before", 1))
    profiles.calls.clear()
    answer = profiles.call("POST", "/store", body=body("after", 2), headers={"idempotency-key": "k"})
    assert answer.status == 200
    assert len(profiles.ways("p")) == 44
    assert not [way for way in profiles.ways("p") if "before" in way]
    if profiles.engine.url:
        assert profiles.writes == ["TransactWriteItems"]
        assert len(actions(profiles)) == 90


def test_entries_vanish_with_what_they_stand_for(profiles: Profiles) -> None:
    profiles.call("POST", "/store", body=FULL)
    profiles.store("plumber-1")
    assert profiles.ways("plumber-1") == []
    assert profiles.match(job="plumber", location="Berlin", tags=["emergency"]) == profiles.match(maxPrice=1000) == []


def test_tags_of_one_form_are_one(profiles: Profiles) -> None:
    tags = ["Straße", "STRASSE", " strasse", "\uff42"]
    assert profiles.store(fields={"tags": tags}).body["tags"] == tags
    assert profiles.ways("p") == ["tag#b", "tag#strasse"]
    assert profiles.match(tags=["B", "b "]) == [("p", 15)]


# --- conditions and retries


def test_if_match_guards_a_change(profiles: Profiles, kind: str) -> None:
    assert profiles.store(headers={"If-Match": "*"}, kind=kind).status == 412
    assert profiles.store(None, headers={"If-Match": '"1"'}, kind=kind).status == 412
    profiles.store()
    for stale in ('"2"', 'W/"1"', "1", ""):
        answer = profiles.store(headers={"If-Match": stale}, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (412, '"1"')
    assert profiles.store(headers={"If-Match": '"1"'}, kind=kind).body["version"] == 2
    assert profiles.store(headers={"If-None-Match": "*"}, kind=kind).status == 412
    assert profiles.store("other", headers={"If-None-Match": "*"}, kind=kind).status == 201


def test_a_reader_with_the_present_version_gets_304(profiles: Profiles, kind: str) -> None:
    profiles.store()
    for tags in ('"1"', 'W/"1"', '"0", "1"', "*"):
        answer = profiles.call("GET", "/retrieve/p", headers={"If-None-Match": tags}, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (304, '"1"')
    assert profiles.call("GET", "/retrieve/p", headers={"If-None-Match": '"2"'}, kind=kind).status == 200


def test_the_same_request_again_gets_the_first_answer_and_writes_nothing(profiles: Profiles, kind: str) -> None:
    headers = {"Idempotency-Key": "key 1"}
    for send in (
        lambda: profiles.store(None, headers=headers, kind=kind),
        lambda: profiles.say(headers=headers, kind=kind),
    ):
        first = send()
        profiles.calls.clear()
        again = send()
        assert (again.status, again.text) == (201, first.text)
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert profiles.writes == []
    assert profiles.said("/conversation/c") == ["hello"]
    assert len(profiles.call("GET", "/list").body["profiles"]) == 1


def test_another_request_under_the_same_key_is_a_conflict(profiles: Profiles) -> None:
    headers = {"Idempotency-Key": "k"}
    for send in (profiles.store, profiles.say):
        send("x", headers=headers)  # type: ignore[operator]
        answer = send("y", headers=headers)  # type: ignore[operator]
        assert (answer.status, answer.body["type"]) == (409, "urn:problem:idempotency-key-reused")
    assert profiles.stored("y") is None
    assert profiles.call("GET", "/conversation/y").status == 404


def test_of_the_same_request_sent_at_once_one_is_carried_out(profiles: Profiles) -> None:
    others = _environments(profiles, 6)

    def send(one: Profiles) -> list[Answer]:
        headers = {"Idempotency-Key": "k"}
        return [one.store(None, fields={"job": "x"}, headers=headers), one.say(headers=headers)]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, others))
    for sent in zip(*answers, strict=True):
        assert {answer.status for answer in sent} == {201}
        assert len({answer.text for answer in sent}) == 1
    assert len(profiles.match(job="x")) == 1
    assert profiles.said("/conversation/c") == ["hello"]


def test_concurrent_stores_each_get_a_version_and_leave_the_entries_of_the_last(profiles: Profiles) -> None:
    others = _environments(profiles, 4)

    def send(numbered: tuple[int, Profiles]) -> list[int]:
        i, one = numbered
        versions = []
        for k in range(4):
            fields = {"job": f"of {i} {k}", "tags": ["shared", f"{i} {k}"], "averagePrice": i}
            answer = one.store(fields=fields)
            while answer.status == 409:
                answer = one.store(fields=fields)
            versions.append(answer.body["version"])
        return versions

    with ThreadPoolExecutor(4) as pool:
        versions = [version for each in pool.map(send, enumerate(others)) for version in each]
    assert sorted(versions) == list(range(1, 17))
    last = profiles.call("GET", "/retrieve/p").body
    assert last["version"] == 16
    tags = [f"tag#{tag}" for tag in last["tags"]]
    assert profiles.ways("p") == sorted([f"job#{last['job']}", "price", *tags])


def test_a_profile_that_was_removed_and_stored_again_is_another(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version is 1 as before; a writer that read the first one must notice all the same."""
    profiles.store(fields={"job": "x"})
    stale = profiles.stored("p")
    profiles.database.write([profiles.profiles.delete({"id": "p"})])
    profiles.store(fields={"job": "y"})
    _read_first(profiles, monkeypatch, stale)
    assert profiles.store(fields={"job": "z"}).body["version"] == 2
    assert [way for way in profiles.ways("p") if way != "job#x"] == ["job#z"]


def test_of_two_that_take_over_an_older_record_the_second_notices(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the older application numbered its versions itself."""
    profiles.put(profiles.profiles, {"id": "p", "name": "old", "version": 1})
    stale = profiles.stored("p")
    assert profiles.store(fields={"job": "y"}).body["version"] == 1
    _read_first(profiles, monkeypatch, stale)
    assert profiles.store(fields={"job": "z"}).body["version"] == 2
    assert profiles.ways("p") == ["job#z"]


def test_races_without_end_are_a_conflict(profiles: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.store()
    stale = profiles.stored("p")
    profiles.store()
    monkeypatch.setattr(_table_of(profiles), "get", lambda _: stale)
    assert profiles.store().status == 409


# --- matching


def test_words_match_whatever_their_form(profiles: Profiles, kind: str) -> None:
    profiles.store(fields={"job": "  Web  Designer", "location": "MÜNCHEN"})
    wide = "".join(chr(ord(letter) + 0xFEE0) if letter != " " else letter for letter in "web designer")
    for job in ("web designer", "WEB DESIGNER ", "Web\u00a0Designer", wide):
        for location in ("münchen", " München ", ["MU\u0308NCHEN", "x"]):
            answer = profiles.call("POST", "/match", body={"job": job, "location": location}, kind=kind)
            assert [one["score"] for one in answer.body["matches"]] == [75]
    assert profiles.match(job="web") == profiles.match(job="web designers") == []


def test_the_best_come_first_and_each_says_why(profiles: Profiles, kind: str) -> None:
    def offer(profile_id: str, **fields: Any) -> None:
        profiles.store(profile_id, fields=fields)

    offer("all", job="Plumber", location="Berlin", tags=["Emergency", "24h", "more"], averagePrice=80)
    offer("both", job="plumber", location="berlin")
    offer("job+", job="PLUMBER", location="Paris", tags=["24h", "emergency"], averagePrice=99.5)
    offer("job", job="plumber")
    offer("city", job="baker", location="Berlin")
    offer("tag", tags=["24h"], averagePrice=0)
    offer("dear", job="plumber", location="Berlin", tags=["24h", "emergency"], averagePrice=100.01)
    offer("other", job="baker", location="Paris", tags=["x"], averagePrice=1)
    wanted = {"job": " plumber", "location": "Berlin, Germany", "tags": ["24H", "Emergency"], "maxPrice": 100}
    answer = profiles.call("POST", "/match", body=wanted, kind=kind)
    found = [(one["profile"]["id"], one["score"]) for one in answer.body["matches"]]
    assert found == [("all", 100), ("both", 75), ("job+", 65), ("job", 40), ("city", 35), ("tag", 17)]
    assert (answer.body["maximumScore"], answer.body["truncated"]) == (100, False)
    assert "truncatedBecause" not in answer.body
    reasons = {one["profile"]["id"]: one["reasons"] for one in answer.body["matches"]}
    assert reasons["all"] == [
        {"criterion": "job", "points": 40, "found": "Plumber", "detail": "the job is Plumber"},
        {"criterion": "location", "points": 35, "found": "Berlin", "detail": "it is in Berlin"},
        {"criterion": "tags", "points": 15, "found": ["24h", "Emergency"], "detail": "2 of 2 tags: 24h, Emergency"},
        {"criterion": "maxPrice", "points": 10, "found": 80, "detail": "the price 80 is at most 100"},
    ]
    assert [reason["criterion"] for reason in reasons["both"]] == ["job", "location"]
    assert reasons["job+"][-1]["detail"] == "the price 99.5 is at most 100"
    assert all(sum(one["points"] for one in reasons[name]) == score for name, score in found)
    assert answer.body["matches"][1]["profile"]["job"] == "plumber"


def test_of_the_same_score_the_cheapest_comes_first_then_the_smaller_id(profiles: Profiles) -> None:
    for profile_id, price in (
        ("10", 5),
        ("1", 5),
        ("2", 0),
        ("b", None),
        ("a", None),
        ("c", 100),
        ("d", 99.99),
        ("e", 0.5),
    ):
        profiles.store(profile_id, fields={"job": "x", "averagePrice": price})
    order = ["2", "e", "1", "10", "d", "c", "a", "b"]
    assert profiles.match(job="x") == [(one, 40) for one in order]
    for limit in (1, 3, 8):
        assert profiles.match(limit, job="x") == [(one, 40) for one in order]
    assert [one for one, _ in profiles.match(maxPrice=99.99)] == ["2", "e", "1", "10", "d"]
    assert profiles.match(job="x", maxPrice=5) == [("2", 50), ("e", 50), ("1", 50), ("10", 50), ("a", 40), ("b", 40)]


@pytest.mark.parametrize(
    ("price", "most", "fits"),
    [("249.99", "249.99", True), ("249.99", "249.98999", False), ("0", "0", True), ("0.01", "0", False),
     ("1000000000000", "1000000000000", True), ("99.99999999999999999999999999999999999", "100", True),
     ("100.0000000000000000000000000000000001", "100", False), ("5", "50", True), ("50", "5", False),
     ("1e-100", "1e-99", True), ("1e-99", "1e-100", False)],
)  # fmt: skip
def test_a_price_is_compared_exactly(profiles: Profiles, price: str, most: str, fits: bool) -> None:
    text = '{"id": "p", "name": "n", "job": "x", "averagePrice": NUMBER}'.replace("NUMBER", price)
    assert profiles.call("POST", "/store", body=text).status == 201
    for wanted in ('{"maxPrice": NUMBER}', '{"job": "X", "maxPrice": NUMBER}'):
        answer = profiles.call("POST", "/match", body=wanted.replace("NUMBER", most))
        assert [one["profile"]["id"] for one in answer.body["matches"]] == (["p"] if fits else [])


PRICES = st.decimals(0, 10**12, allow_nan=False, allow_infinity=False) | st.integers(0, 10**12)


@given(PRICES, PRICES)
@example(100, Decimal("1E+2"))
@example(Decimal("1E+2"), 100)
def test_the_order_of_price_texts_is_the_order_of_prices(one: Any, other: Any) -> None:
    positions = [f"{facts.price_text(price)}#{price_id}" for price, price_id in ((one, "~"), (other, "!"))]
    if one != other:
        assert (positions[0] < positions[1]) == (one < other)
    ((low, high),) = facts.price_ranges(other, facts.ANY_PRICE)
    assert (low <= positions[0] <= high) == (one <= other)
    assert positions[0] < f"{facts.price_text(None)}#"


def test_a_question_without_a_criterion_is_refused(profiles: Profiles, kind: str) -> None:
    for body in ({}, {"job": None}, {"tags": []}, {"location": []}, {"tags": None, "maxPrice": None}):
        answer = profiles.call("POST", "/match", body=body, kind=kind)
        assert answer.status == 400
        assert answer.body["errors"] == [{"pointer": "#", "detail": answer.body["detail"]}]
    assert profiles.calls == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({"job": ""}, "#/job"), ({"job": 1}, "#/job"), ({"location": " "}, "#/location"), ({"location": 1}, "#/location"),
     ({"location": [""]}, "#/location/0"), ({"tags": "x"}, "#/tags"), ({"tags": ["x"] * 11}, "#/tags"),
     ({"tags": [1]}, "#/tags/0"), ({"maxPrice": "5"}, "#/maxPrice"), ({"maxPrice": -1}, "#/maxPrice"),
     ({"maxPrice": True}, "#/maxPrice"), ({"maxPrice": 10**13}, "#/maxPrice"), ({"job": "x", "limit": 5}, "#/limit"),
     ({"job": "x" * 1_000_000}, "#/job"), ({"job": "x", "a/b": 1}, "#/a~1b")],
)  # fmt: skip
def test_a_wrong_criterion_is_named(profiles: Profiles, body: Any, pointer: str) -> None:
    answer = profiles.call("POST", "/match", body=body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]
    assert profiles.calls == []


def test_a_hundred_candidates_are_all_and_one_more_is_said(profiles: Profiles) -> None:
    _load(profiles, 100)
    answer = profiles.call("POST", "/match", body={"job": "common"}, query={"limit": "100"})
    assert (len(answer.body["matches"]), answer.body["truncated"]) == (100, False)
    assert "next_token" not in answer.body
    profiles.store("one-more", fields={"job": "Common", "averagePrice": 7})
    found = profiles.match(job="common")
    assert len(found) == 100
    assert found[6:8] == [("one-more", 40), ("profile-00006", 40)], "of the same price the smaller id comes first"
    assert ("profile-00099", 40) not in found, "the dearest is left out"
    answer = profiles.call("POST", "/match", body={"job": "common"})
    assert answer.body["truncated"] is True
    assert answer.body["truncatedBecause"] == [
        {
            "criterion": "job",
            "detail": "there are more than 100 candidates for job common; the cheapest were looked at",
        }
    ]


def test_among_10000_the_best_are_found_at_the_cost_of_100(engine: Engine) -> None:
    """And every page of every list costs what it holds."""
    figures = []
    for count in (240, 10_000):
        with new_profiles(engine) as profiles:
            # dearer than all others with the job or the city: only what they have besides brings them up
            profiles.store("both", fields={"job": "Common", "location": "Everywhere", "averagePrice": 999_999})
            profiles.store("rare", fields={"job": "Common", "tags": ["rare"], "averagePrice": 999_999})
            _load(profiles, count // 2, "worker", location=None)
            _load(profiles, count // 2, "townsman", job=None)
            _load_messages(profiles, count)
            wanted = {"job": "common", "location": "everywhere", "tags": ["rare"], "maxPrice": 1_000_000}
            profiles.calls.clear()
            answer = profiles.call("POST", "/match", body=wanted)
            found = [(one["profile"]["id"], one["score"]) for one in answer.body["matches"]]
            assert found[:4] == [("both", 85), ("rare", 65), ("worker-00000", 50), ("worker-00001", 50)]
            assert [one["criterion"] for one in answer.body["truncatedBecause"]] == ["job", "location"]
            figures.append([_cost(profiles)])
            for path in ("/list", "/conversation/common", "/agent/common/conversations", "/retrieve/worker-00042"):
                profiles.calls.clear()
                assert profiles.call("GET", path, query={} if "retrieve" in path else {"limit": "10"}).status == 200
                figures[-1].append(_cost(profiles))
    assert figures[0] == figures[1]
    if engine.url:
        # job and city, job, city, tag, each up to the price first, then without one unless there were enough; the page
        queries = [("Query", limit) for limit in (101, 100, 101, 101, 101, 100)]
        assert [calls for calls, _ in figures[0]] == [
            [*queries, ("BatchGetItem", 25)], [("Scan", 11)], [("Query", 11)], [("Query", 11)], [("GetItem", 1)]
        ]  # fmt: skip


def _cost(profiles: Profiles) -> Any:
    """The calls, with the most that each may read, and the read units of all."""
    return [(name, _limit(payload)) for name, payload in profiles.calls], profiles.usage.read_units


def _limit(payload: Any) -> int:
    if "RequestItems" in payload:
        ((_, request),) = payload["RequestItems"].items()
        return len(request["Keys"])
    return int(payload.get("Limit", 1))


def test_what_entries_say_wrongly_is_not_shown_and_does_not_shorten_the_page(profiles: Profiles) -> None:
    for number in range(60):
        profiles.store(f"p{number:02}", fields={"job": "x"})
    for number in range(50):
        if number % 3:
            profiles.database.write([profiles.profiles.delete({"id": f"p{number:02}"})])
        else:  # changed by somebody who knows nothing of entries
            profiles.put(profiles.profiles, {"id": f"p{number:02}", "name": "n", "job": "other", "averagePrice": 1})
    expected = [f"p{number}" for number in range(50, 60)]
    assert [one for one, _ in profiles.match(10, job="x")] == expected
    answer = profiles.call("POST", "/match", body={"job": "x"}, query={"limit": "10"})
    assert [one["profile"]["id"] for one in answer.body["matches"]] == expected
    assert "next_token" not in answer.body
    pages = profiles.pages("POST", "/match", "matches", body={"job": "x"}, limit="3")
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [one for one, _ in profiles.match(job="x", maxPrice=5)] == expected, "to be cheap is not enough"


def test_a_token_of_another_question_or_changed_on_its_way_is_refused(profiles: Profiles, kind: str) -> None:
    for number in range(4):
        profiles.store(str(number), fields={"job": "x", "tags": ["y"]})
    body = {"job": "x", "maxPrice": 5}
    token = profiles.call("POST", "/match", body=body, query={"limit": "1"}, kind=kind).body["next_token"]
    again = profiles.call("POST", "/match", body={"maxPrice": 5.0, "job": " X"}, query={"next_token": token}, kind=kind)
    assert [one["profile"]["id"] for one in again.body["matches"]] == ["1", "2", "3"]
    for other in ({"job": "x"}, {"tags": ["y"]}, {"job": "x", "maxPrice": 6}):
        assert profiles.call("POST", "/match", body=other, query={"next_token": token}, kind=kind).status == 400
    for wrong in (token[:-1], token + "A", "A" + token[1:], token.swapcase()):
        assert profiles.call("POST", "/match", body=body, query={"next_token": wrong}, kind=kind).status == 400
    assert profiles.call("GET", "/list", query={"next_token": token}, kind=kind).status == 400


@pytest.mark.parametrize("position", [{"a": 1}, 7, "x", [], [1, "a"], [True, "a", "b"], [1, 2, 3], [1, "a", "b", "c"]])
def test_a_forged_place_in_a_ranking_is_refused(profiles: Profiles, position: object) -> None:
    token = paging.token(position, "match", '{"job":"x"}')
    answer = profiles.call("POST", "/match", body={"job": "x"}, query={"next_token": token})
    assert answer.status == 400


# --- the list of all


def test_pages_of_the_list_join_without_gap_or_repeat(profiles: Profiles, kind: str) -> None:
    ids = [f"p{number}" for number in range(7)]
    for profile_id in ids:
        profiles.store(profile_id)
    for limit, sizes in ((3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)):
        pages = profiles.pages("GET", "/list", "profiles", limit=str(limit))
        assert [len(page) for page in pages] == sizes
        assert sorted(one["id"] for page in pages for one in page) == ids
    assert profiles.call("GET", "/list", kind=kind).status == 200


def test_a_page_of_the_list_is_filled_past_a_megabyte(profiles: Profiles) -> None:
    ids = [f"p{number}" for number in range(8)]
    profiles.put(profiles.profiles, *({"id": one, "name": one, "text": "x" * 300_000} for one in ids))
    pages = profiles.pages("GET", "/list", "profiles", limit="7")
    assert [len(page) for page in pages] == [7, 1]
    assert sorted(one["id"] for page in pages for one in page) == ids


@pytest.mark.parametrize("position", [{"id": "x"}, 7, "", ["a"], "x" * 3000])
def test_a_forged_position_in_the_list_is_refused(profiles: Profiles, position: object) -> None:
    answer = profiles.call("GET", "/list", query={"next_token": paging.token(position, "profiles")})
    assert answer.status == 400


# --- conversations


def test_a_message(profiles: Profiles, kind: str) -> None:
    body = {"conversation_id": "c#1", "agent_id": "agent 1", "message": "Hi\n\x00ü👋 ", "sender": "client"}
    answer = profiles.call("POST", "/conversation", body=body, kind=kind)
    assert answer.status == 201
    assert answer.headers["location"] == "/conversation/c%231"
    message_id, time = answer.body["message_id"], answer.body["timestamp"]
    assert answer.body == body | {"message_id": message_id, "timestamp": time}
    assert message_id.startswith(time + "#")
    assert len(time) == len("2026-11-21T03:47:12.000000Z")
    read = profiles.call("GET", "/conversation/c#1", kind=kind)
    assert read.body == {"messages": [answer.body]}
    assert profiles.call("GET", "/agent/agent 1/conversations", kind=kind).body == read.body
    stored = profiles.messages.get({"conversation_id": "c#1", "timestamp": message_id})
    assert stored == body | {"timestamp": message_id}


def test_messages_of_the_same_instant_are_all_kept_in_order(
    profiles: Profiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    sent = [f"message {number}" for number in range(25)]
    for message in sent:
        assert profiles.say(message=message).status == 201
    for one in _environments(profiles, 3):
        assert one.say(message="also").status == 201
    assert profiles.said("/conversation/c")[:25] == sent
    assert profiles.said("/conversation/c", limit="4") == profiles.said("/conversation/c", limit="100")
    assert len(profiles.said("/conversation/c")) == 28
    assert profiles.said("/conversation/c", order="newest", limit="9") == profiles.said("/conversation/c")[::-1]
    assert len(profiles.said("/agent/a/conversations", limit="5")) == 28
    times = {one["timestamp"] for one in profiles.call("GET", "/conversation/c").body["messages"]}
    assert times == {clock.text(now)}


def test_a_message_under_a_key_that_is_taken_gets_another(profiles: Profiles, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = iter(["t#1", "t#1", "t#2", "t#1", "t#1", "t#1"])
    monkeypatch.setattr(clock, "unique_text", lambda _: next(keys))
    profiles.say(message="first")
    assert profiles.say(message="second", headers={"Idempotency-Key": "k"}).body["message_id"] == "t#2"
    assert profiles.say(message="third").status == 409
    assert profiles.said("/conversation/c") == ["first", "second"]


def test_conversations_are_kept_apart(profiles: Profiles) -> None:
    for conversation in ("1", "10", "1#", "100", "1#2026"):
        for agent in ("1", "10"):
            profiles.say(conversation, f"in {conversation} with {agent}", agent)
    assert profiles.said("/conversation/1") == ["in 1 with 1", "in 1 with 10"]
    assert profiles.said("/conversation/10", order="newest") == ["in 10 with 10", "in 10 with 1"]
    found = profiles.said("/agent/1/conversations", limit="2")
    assert found == [f"in {one} with 1" for one in ("1#2026", "100", "1#", "10", "1")]


def test_unknown_conversations_and_agents(profiles: Profiles, kind: str) -> None:
    profiles.say("c1")
    for odd in ("c", "c11", "#", "x" * 3000):
        assert profiles.call("GET", f"/conversation/{odd}", kind=kind).status == 404
        assert profiles.call("GET", f"/agent/{odd}/conversations", kind=kind).body == {"messages": []}


def test_messages_added_while_paging_are_neither_missed_nor_repeated(profiles: Profiles) -> None:
    for number in range(4):
        profiles.say(message=str(number))
    first = profiles.call("GET", "/conversation/c", query={"limit": "2"})
    profiles.say(message="4")
    query = {"next_token": first.body["next_token"]}
    assert [one["message"] for one in profiles.call("GET", "/conversation/c", query=query).body["messages"]] == list(
        "234"
    )


def test_a_token_belongs_to_one_list_and_order(profiles: Profiles, kind: str) -> None:
    for conversation in ("c", "d"):
        for agent in ("a", "b"):
            for number in range(3):
                profiles.say(conversation, str(number), agent)
    for path, order in (("/conversation/c", "oldest"), ("/conversation/c", "newest"), ("/agent/a/conversations", None)):
        query = {"limit": "2"} | ({"order": order} if order else {})
        token = profiles.call("GET", path, query=query, kind=kind).body["next_token"]
        for other, other_order in (
            ("/conversation/c", "oldest"), ("/conversation/c", "newest"), ("/conversation/d", order),
            ("/agent/a/conversations", None), ("/agent/b/conversations", None), ("/list", None),
        ):  # fmt: skip
            sent = {"next_token": token} | ({"order": other_order} if other_order else {})
            fits = (other, other_order) == (path, order)
            assert profiles.call("GET", other, query=sent, kind=kind).status == (200 if fits else 400)


@pytest.mark.parametrize("order", ["", "Newest", "desc", "oldest "])
def test_an_order_that_is_none(profiles: Profiles, order: str) -> None:
    profiles.say()
    answer = profiles.call("GET", "/conversation/c", query={"order": order})
    assert (answer.status, answer.body["errors"][0]["parameter"]) == (400, "order")


@pytest.mark.parametrize(
    "position", [7, "", {"a": 1}, ["x"], "x" * 2000, ["a", 1], ["", "t"], ["a", "x" * 2000], [["a"], "t"]]
)
def test_a_forged_position_among_messages_is_refused(profiles: Profiles, position: Any) -> None:
    profiles.say()
    lists = [("/agent/a/conversations", ("agent", "a"))]
    if not isinstance(position, str) or len(position) != 1:
        lists.append(("/conversation/c", ("conversation", "c", "oldest")))
    for path, scope in lists:
        answer = profiles.call("GET", path, query={"next_token": paging.token(position, *scope)})
        assert answer.status == 400


def test_a_forged_position_stays_within_the_list(profiles: Profiles) -> None:
    profiles.say("c", "mine", "a")
    profiles.say("d", "theirs", "b")
    token = paging.token(["d", "9999"], "agent", "a")
    answer = profiles.call("GET", "/agent/a/conversations", query={"next_token": token})
    assert [one["message"] for one in answer.body["messages"]] == ["mine"]
    token = paging.token("0", "conversation", "c", "oldest")
    answer = profiles.call("GET", "/conversation/c", query={"next_token": token})
    assert [one["message"] for one in answer.body["messages"]] == ["mine"]


@pytest.mark.parametrize(
    ("change", "status"),
    [({"message": None}, 400), ({"message": " \n"}, 400), ({"message": 5}, 400), ({"message": "x" * 100_001}, 400),
     ({"message": "\ud800"}, 400), ({"sender": ""}, 400), ({"sender": "a\nb"}, 400), ({"sender": "x" * 257}, 400),
     ({"agent_id": ".."}, 400), ({"agent_id": "a/b"}, 400), ({"agent_id": ["a"]}, 400), ({"agent_id": ""}, 400),
     ({"conversation_id": "x" * 201}, 400), ({"conversation_id": "a\x00"}, 400), ({"conversation_id": 1}, 400),
     ({"timestamp": "2020-01-01"}, 400), ({"message": "👋" * 100_000}, 201)],
)  # fmt: skip
def test_messages_that_are_refused(profiles: Profiles, change: Any, status: int) -> None:
    body = {"conversation_id": "c", "agent_id": "a", "message": "m", "sender": "s"} | change
    answer = profiles.call("POST", "/conversation", body=body)
    assert answer.status == status
    if status == 400:
        assert [error["pointer"] for error in answer.body["errors"]] == [f"#/{name}" for name in change]
        assert profiles.calls == []


def test_a_page_of_messages_is_filled_past_a_megabyte(profiles: Profiles) -> None:
    text = "x" * 99_000
    for number in range(14):
        profiles.say(message=f"{number:02}{text}")
    for path in ("/conversation/c", "/agent/a/conversations"):
        pages = profiles.pages("GET", path, "messages", limit="13")
        assert [len(page) for page in pages] == [13, 1]
    assert [message[:2] for message in profiles.said("/conversation/c", limit="13")] == [f"{n:02}" for n in range(14)]


# --- what an older application wrote

OLDER: dict[str, dict[str, Any]] = {
    "as agreed": {
        "id": "old", "name": "Old", "job": "Web Designer", "location": ["Berlin", "Germany"], "averagePrice": 50,
        "location_city": "Berlin", "tags": ["x"], "timestamp": "2024-01-01T00:00:00",
        "profile_data": {"id": "old", "name": "Old", "job": "Web Designer", "location": ["Berlin", "Germany"],
                         "averagePrice": 50, "tags": ["x"]},
    },
    "without profile_data": {"id": "old", "name": "Old", "job": "web designer", "location_city": "berlin",
                             "tags": {"x", "y"}, "averagePrice": Decimal("9.99"), "version": 1},
    "capitals": {"id": "old", "job": "Web Designer", "location_city": "Berlin", "version": "1.0", "createdAt": 17},
    "odd types": {"id": "old", "name": 7, "job": "web designer", "location": {"city": "Berlin"}, "tags": "x",
                  "averagePrice": "50", "location_city": "Berlin", "profile_data": "text", "updatedAt": None,
                  "bytes": b"\x00\xff", "sets": [{1, 2}, {b"a"}, {"s": {"t"}}], "version": True},
}  # fmt: skip


@pytest.mark.parametrize("form", OLDER)
def test_an_older_application_s_profile_is_read_matched_and_taken_over(
    profiles: Profiles, form: str, kind: str
) -> None:
    profiles.put(profiles.profiles, OLDER[form])
    read = profiles.call("GET", "/retrieve/old", kind=kind)
    assert (read.status, read.headers["etag"], read.body["version"]) == (200, '"0"', 0)
    assert profiles.call("GET", "/retrieve/old", headers={"If-None-Match": '"0"'}).status == 200
    assert profiles.call("GET", "/list", kind=kind).body == {"profiles": [read.body]}
    for job in ("web designer", "Web Designer"):
        assert profiles.match(job=job, location="Berlin", tags=["nope"]) == [("old", 75)]
    assert profiles.match(location=" Berlin") == [("old", 35)]
    answer = profiles.store("old", fields={"job": "Baker"}, headers={"If-Match": '"0"'})
    assert (answer.status, answer.body["version"]) == (200, 1)
    assert profiles.match(job="baker") == [("old", 40)]
    assert profiles.match(job="web designer") == profiles.match(location="Berlin") == []


def test_an_older_application_s_profile_is_shown_with_all_that_is_stored_of_it(profiles: Profiles) -> None:
    profiles.put(profiles.profiles, OLDER["as agreed"] | {"rating": 5})
    shown = profiles.call("GET", "/retrieve/old").body
    assert shown == OLDER["as agreed"]["profile_data"] | {"version": 0, "timestamp": "2024-01-01T00:00:00", "rating": 5}
    profiles.put(profiles.profiles, OLDER["odd types"])
    shown = profiles.call("GET", "/retrieve/old").body
    assert (shown["bytes"], shown["sets"]) == ("AP8=", [[1, 2], ["YQ=="], {"s": ["t"]}])
    profiles.put(profiles.profiles, OLDER["without profile_data"] | {"rating": 5})
    profiles.store("old", "New")
    stored = profiles.stored("old")
    assert stored is not None
    assert stored["rating"] == 5, "what only the older application knows stays"
    assert "averagePrice" not in stored


def test_older_and_own_profiles_are_ranked_together(profiles: Profiles) -> None:
    profiles.put(profiles.profiles, OLDER["as agreed"], OLDER["without profile_data"] | {"id": "older"})
    profiles.store("own", fields={"job": "web designer", "location": "Berlin", "averagePrice": 20})
    assert [one for one, _ in profiles.match(1, job="Web Designer", location="Berlin")] == ["older", "own", "old"]
    assert [one for one, _ in profiles.match(job="web designer", maxPrice=20)] == ["older", "own"]


def test_too_many_older_candidates_are_said(profiles: Profiles) -> None:
    items = [{"id": f"old-{number:03}", "job": "Baker"} for number in range(101)]
    profiles.engine.load(profiles.database, profiles.profiles.name, items)
    answer = profiles.call("POST", "/match", body={"job": "baker"}, query={"limit": "100"})
    assert (len(answer.body["matches"]), answer.body["truncated"]) == (100, True)
    assert "older application" in answer.body["truncatedBecause"][0]["detail"]


def test_an_older_application_s_messages_are_read(profiles: Profiles) -> None:
    profiles.put(
        profiles.messages,
        {
            "conversation_id": "c",
            "timestamp": "2024-01-01T00:00:00",
            "agent_id": "a",
            "message": "first",
            "sender": "s",
        },
        {"conversation_id": "c", "timestamp": "2024-01-01T00:00:00.5", "agent_id": "a", "message": {"text": b"x"}},
        {"conversation_id": "c", "timestamp": "yesterday", "read_by": {"x"}},
    )
    profiles.say(message="new")
    messages = profiles.call("GET", "/conversation/c").body["messages"]
    assert [one.get("message") for one in messages] == ["first", {"text": "eA=="}, "new", None]
    assert messages[0]["timestamp"] == messages[0]["message_id"] == "2024-01-01T00:00:00"
    assert messages[3]["read_by"] == ["x"]
    found = profiles.said("/agent/a/conversations", limit="1")
    assert found == ["new", {"text": "eA=="}, "first"]


# --- everything else


def test_an_environment_that_knows_nothing_finds_what_others_stored(profiles: Profiles) -> None:
    if not profiles.engine.url:
        pytest.skip("memory forgets: that is what the tables are for")
    first = profiles.call("POST", "/store", body=FULL)
    profiles.say()
    fresh = profiles.another()
    answer = fresh.call("GET", "/retrieve/plumber-1")
    assert answer.body == first.body
    assert answer.headers["x-execution-environment"] != first.headers["x-execution-environment"]
    assert fresh.match(job="plumber", tags=["emergency"]) == [("plumber-1", 55)]
    assert fresh.said("/conversation/c") == ["hello"]


def test_nothing_but_the_list_scans_and_all_reads_are_consistent_but_those_of_indexes(profiles: Profiles) -> None:
    profiles.call("POST", "/store", body=FULL, headers={"Idempotency-Key": "k"})
    profiles.call("POST", "/store", body=FULL | {"job": "Baker"})
    profiles.match(job="baker", location="Berlin", tags=["emergency", "x"], maxPrice=5000)
    profiles.match(maxPrice=1)
    profiles.say(headers={"Idempotency-Key": "k"})
    profiles.said("/conversation/c")
    profiles.said("/agent/a/conversations")
    profiles.call("GET", "/retrieve/plumber-1")
    assert {name for name, _ in profiles.calls} <= {"GetItem", "BatchGetItem", "PutItem", "Query", "TransactWriteItems"}
    profiles.call("GET", "/list")
    # what the function's role may do, see terraform/agent_profiles.tf
    allowed = {
        profiles.profiles.name: {"GetItem", "BatchGetItem", "PutItem", "Scan"},
        profiles.entries.name: {"Query", "PutItem", "DeleteItem"},
        profiles.messages.name: {"PutItem", "Query"},
        profiles.environment["IDEMPOTENCY_TABLE_NAME"]: {"GetItem", "PutItem"},
    }
    for name, payload in profiles.calls:
        if name == "TransactWriteItems":
            for action in payload["TransactItems"]:
                ((verb, request),) = action.items()
                assert f"{verb}Item" in allowed[request["TableName"]]
        elif name == "BatchGetItem":
            assert set(payload["RequestItems"]) == {profiles.profiles.name}
        elif "IndexName" in payload:
            assert name == "Query"
        else:
            assert name in allowed[payload["TableName"]]
            assert payload.get("ConsistentRead", True) is True


@pytest.mark.parametrize(
    ("trouble", "status"), [(fails("ThrottlingException"), 429), (CUT, 503)], ids=["throttled", "cut"]
)
def test_every_route_says_that_the_data_store_is_not_there(trouble: Any, status: int) -> None:
    with served(FakeService()) as service:
        engine = Engine("fake", service.url)
        profiles = Profiles(engine, {**engine.environment, **NAMES})
        profiles.database._client._sleep = lambda _: None  # type: ignore[union-attr]
        service.plan = [trouble] * 200
        for path, method, declared in CONTRACT.operations():
            body = None
            if "requestBody" in declared:
                body = next(iter(declared["requestBody"]["content"]["application/json"]["examples"].values()))["value"]
            answer = profiles.call(method, path.replace("{id}", "a"), body=body)
            assert answer.status == status
            assert int(answer.headers["retry-after"]) >= 1
            assert "agent-profiles" not in answer.text


def test_the_contract_names_the_routes_that_there_are(profiles: Profiles) -> None:
    assert CONTRACT.routes == set(profiles.app.routes)


def test_the_contract_says_what_the_code_enforces() -> None:
    schemas = CONTRACT.document["components"]["schemas"]
    profile = schemas["NewProfile"]["properties"]
    most = {
        "id": bodies.MAXIMUM_ID, "name": bodies.MAXIMUM_NAME, "address": bodies.MAXIMUM_ADDRESS,
        "job": bodies.MAXIMUM_WORDS, "description": bodies.MAXIMUM_CONTENT, "timestamp": bodies.MAXIMUM_TIMESTAMP,
    }  # fmt: skip
    assert {name: profile[name]["maxLength"] for name in most} == most
    assert schemas["Price"]["anyOf"][2]["maximum"] == bodies.MAXIMUM_PRICE
    assert profile["tags"]["maxItems"] == facts.MAXIMUM_TAGS
    assert profile["location"]["oneOf"][1]["maxLength"] == bodies.MAXIMUM_LOCATION
    assert schemas["LocationParts"]["maxItems"] == bodies.MAXIMUM_LOCATION_PARTS
    assert schemas["LocationParts"]["items"]["maxLength"] == bodies.MAXIMUM_WORDS
    assert schemas["Tag"]["maxLength"] == bodies.MAXIMUM_TAG
    wanted = schemas["Wanted"]["properties"]
    assert wanted["tags"]["maxItems"] == bodies.MAXIMUM_TAGS_ASKED
    message = schemas["NewMessage"]["properties"]
    assert message["message"]["maxLength"] == bodies.MAXIMUM_CONTENT
    assert message["conversation_id"]["maxLength"] == message["agent_id"]["maxLength"] == bodies.MAXIMUM_ID
    told = " ".join(CONTRACT.document["paths"]["/match"]["post"]["description"].split())
    job, location, tags, price = ranking.POINTS.values()
    assert f"{job} points for the job, {location} for the city, up to {tags} for the share of the tags" in told
    assert f"{price} for a price within" in told
    assert f"the {matching.MAXIMUM_CANDIDATES} cheapest" in told
    # both outweigh either with all the rest, and the least share of tags counts
    assert job + location > max(job, location) + tags + price
    assert tags >= bodies.MAXIMUM_TAGS_ASKED
    # all entries exchanged, the profile and a marker
    assert 2 * (facts.MAXIMUM_TAGS + 4) + 2 <= 100


def _environments(profiles: Profiles, count: int) -> list[Profiles]:
    """Several execution environments over the same tables; memory is one environment's own."""
    return [profiles.another() if profiles.engine.url else profiles for _ in range(count)]


def _table_of(profiles: Profiles) -> Any:
    return profiles.app.routes["POST /store"].__self__.profile_table  # type: ignore[attr-defined]


def _read_first(profiles: Profiles, monkeypatch: pytest.MonkeyPatch, stale: Any) -> None:
    """What the function reads first is what was there before."""
    table = _table_of(profiles)
    real, reads = table.get, iter([stale])
    monkeypatch.setattr(table, "get", lambda key: next(reads, None) or real(key))


def _load(profiles: Profiles, count: int, prefix: str = "profile", **fields: Any) -> None:
    """Profiles with job and city in common and rising prices, as the function writes them, but past it."""
    items, entries = [], []
    for number in range(count):
        profile_id = f"{prefix}-{number:05}"
        body = {"id": profile_id, "name": "n", "job": "common", "location": "everywhere", "averagePrice": number + 1}
        body |= fields
        item, _ = changes.storing(profiles.profiles, profiles.entries, profile_id, body, None)
        items.append(item)
        entries += [one for one in facts.entries(profile_id, item["indexed"]) if one["entry"] != facts.ANY_PRICE]
    profiles.engine.load(profiles.database, profiles.profiles.name, items)
    profiles.engine.load(profiles.database, profiles.entries.name, entries)


def _load_messages(profiles: Profiles, count: int) -> None:
    times = (clock.unique_text(clock.now()) for _ in range(count))
    message = {"conversation_id": "common", "agent_id": "common", "message": "m", "sender": "s"}
    profiles.engine.load(profiles.database, profiles.messages.name, [message | {"timestamp": time} for time in times])
