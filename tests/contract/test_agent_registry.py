"""The agent registry as its callers see it, in both persistence modes; each answer is held against openapi.yaml."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agent_registry import changes
from common import clock
from common.errors import ConditionFailed
from tests.contract.engines import Engine
from tests.contract.registry import OPENAPI, Registry, new_registry, registration
from tests.contract.replication_lag import lagging
from tests.unit.http_events import TEMPLATES, Context, event

SECOND = 1_000_000
DAY = 24 * 3600


class Clock:
    """Time as the function sees it, moved by hand; it ticks with every look, as real time does."""

    def __init__(self) -> None:
        self.microseconds = clock.now()

    def now(self) -> int:
        self.microseconds += 1
        return self.microseconds

    def advance(self, seconds: float) -> None:
        self.microseconds += int(seconds * SECOND)


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


def registration_of(registry: Registry, stored: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """What registering over a stored record would write."""
    profile = registration(stored["agentId"], "x")["profile"]
    return changes.registration(registry.agents, profile, None, stored, stored)


def writes(registry: Registry) -> list[str]:
    """What was written, an entry a request; memory counts no requests."""
    return [name for name, _ in registry.calls if name in ("PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems")]


def actions(registry: Registry) -> list[str]:
    """The parts of the last transaction, such as "Put capability#a#agent-1"."""
    _, payload = [call for call in registry.calls if call[0] == "TransactWriteItems"][-1]
    found = []
    for action in payload["TransactItems"]:
        ((name, request),) = action.items()
        key = request.get("Item", request.get("Key"))
        found.append(f"{name} {key.get('agentId', key.get('id'))['S']}")
    return found


# --- registering


def test_a_new_agent(registry: Registry, kind: str) -> None:
    answer = registry.register("agent:1", "Translate", "sum up", kind=kind)
    assert answer.status == 201
    assert answer.headers["location"] == "/agents/agent:1"
    assert answer.headers["etag"] == '"1"'
    created = answer.body.pop("createdAt")
    assert answer.body == {
        "id": "agent:1",
        "name": "Name of agent:1",
        "endpoint": "https://agent-1.example.com/a2a",
        "capabilities": ["Translate", "sum up"],
        "version": 1,
        "updatedAt": created,
    }
    read = registry.call("GET", "/agents/agent:1", kind=kind)
    assert read.status == 200
    assert read.body == answer.body | {"createdAt": created}
    assert read.headers["etag"] == '"1"'


def test_the_item_read_straight_from_dynamodb_is_the_agent(registry: Registry) -> None:
    if not registry.engine.url:
        pytest.skip("memory can't be read from outside")
    registry.register("agent-1", "Translate", lease=60)
    item = registry.engine.boto3.get_item(TableName=registry.agents.name, Key={"agentId": {"S": "agent-1"}})["Item"]
    assert item["name"] == {"S": "Name of agent-1"}
    assert item["endpoint"] == {"S": "https://agent-1.example.com/a2a"}
    assert item["capabilities"] == {"L": [{"S": "Translate"}]}
    assert item["createdAt"] == item["updatedAt"]
    assert item["createdAt"]["S"].endswith("Z")
    assert len(item["createdAt"]["S"]) == len("2026-11-21T03:47:12.000000Z")
    assert item["version"] == {"N": "1"}
    assert abs(int(item["ttl"]["N"]) - clock.now() / SECOND - 60) < 10


def test_registering_again_replaces_the_agent(registry: Registry, kind: str) -> None:
    first = registry.register("a", "x").body
    body = registration("a", "x", "y")
    body["profile"]["name"] = "Other"
    answer = registry.call("POST", "/agents/register", body=body, kind=kind)
    assert answer.status == 200
    assert "location" not in answer.headers
    assert answer.headers["etag"] == '"2"'
    assert answer.body["version"] == 2
    assert answer.body["name"] == "Other"
    assert answer.body["createdAt"] == first["createdAt"]
    assert answer.body["updatedAt"] > first["updatedAt"]


def test_capabilities_that_differ_in_form_only_are_one(registry: Registry) -> None:
    answer = registry.register("a", "Straße", "b", " STRASSE ", "\uff42", "two  words", "Two Words")
    assert answer.body["capabilities"] == ["Straße", "b", "two  words"]
    for asked in (
        "strasse",
        "STRASSE",
        "straße",
        "".join(chr(ord(letter) + 0xFEE0) for letter in "STRASSE"),
        "  strasse ",
    ):
        assert registry.found(asked) == ["a"]
    assert registry.found("two words") == registry.found("TWO\u00a0 words") == ["a"]


def test_an_agent_without_capabilities_is_one_write(registry: Registry) -> None:
    assert registry.register("a").status == 201
    assert registry.call("GET", "/agents/a").body["capabilities"] == []
    if registry.calls:
        assert writes(registry) == ["PutItem"]


def test_48_capabilities_can_all_be_exchanged_in_one_transaction_with_a_marker(registry: Registry) -> None:
    before, after = ([f"{side} {i}" for i in range(48)] for side in ("before", "after"))
    assert registry.register("a", *before).status == 201
    registry.calls.clear()
    assert registry.register("a", *after, headers={"idempotency-key": "k"}).status == 200
    if registry.engine.url:
        assert writes(registry) == ["TransactWriteItems"]
        assert len(actions(registry)) == 98
    assert registry.found("before 7") == []
    assert registry.found("after 47") == ["a"]


def test_renewing_is_exactly_one_write(registry: Registry) -> None:
    registry.register("a", "x", "y", lease=60)
    registry.calls.clear()
    answer = registry.register("a", "Y", "x", lease=60)
    assert answer.body["version"] == 2
    if registry.engine.url:
        assert [name for name, _ in registry.calls] == ["GetItem", "PutItem"]


def test_other_capabilities_change_exactly_the_difference_in_one_transaction(registry: Registry) -> None:
    registry.register("a", "kept", "dropped")
    registry.calls.clear()
    registry.register("a", "kept", "added")
    if registry.engine.url:
        assert writes(registry) == ["TransactWriteItems"]
        assert sorted(actions(registry)) == ["Delete capability#dropped#a", "Put a", "Put capability#added#a"]
    assert registry.found("dropped") == []
    assert registry.index_item("dropped", "a") is None
    assert registry.found("kept") == registry.found("added") == ["a"]


BAD_BODIES: dict[str, tuple[Any, list[str]]] = {
    "no profile": ({}, ["#/profile"]),
    "profile is a list": ({"profile": []}, ["#/profile"]),
    "nothing in it": ({"profile": {}}, [f"#/profile/{name}" for name in ("id", "name", "endpoint", "capabilities")]),
    "unknown fields": (
        registration("a") | {"more/~": 1},
        ["#/more~1~0"],
    ),
    "unknown field of the profile": ({"profile": registration()["profile"] | {"x": 1}}, ["#/profile/x"]),
}
for _id in ("", "-a", "a b", "a#b", "a/b", "ü", "a%", "x" * 129, 7, None, True, "capability#x#y", "a\n"):
    BAD_BODIES[f"id {_id!r}"] = ({"profile": registration()["profile"] | {"id": _id}}, ["#/profile/id"])
for _name in ("", " ", "x" * 257, "a\x00b", "a\x85", 1, ["a"], "\ud800"):
    BAD_BODIES[f"name {_name!r}"] = ({"profile": registration()["profile"] | {"name": _name}}, ["#/profile/name"])
for _endpoint in (
    "https://a..b",
    "https://a.example:65536",
    "http://a.example",
    "https://",
    "https:///x",
    "https://user@a.example/",
    "https://user:secret@a.example/",
    "https://a.example/#x",
    "https://a.example/ x",
    "https://a.example:0/",
    "https://a.example:65536/",
    "https://a.example:x/",
    "https://ä.example/",
    "https://-a.example/",
    "https://a.example\\x",
    "https://a.example/\nx",
    "ftp://a.example",
    "https://a.example/" + "x" * 2048,
    "a.example",
):
    BAD_BODIES[f"endpoint {_endpoint[:40]!r}"] = (
        {"profile": registration()["profile"] | {"endpoint": _endpoint}},
        ["#/profile/endpoint"],
    )
for _capabilities, _where in (
    ("x", ""),
    ({"a": 1}, ""),
    (["x"] * 49, ""),
    (["x", ""], "/1"),
    (["x", " "], "/1"),
    (["x" * 129], "/0"),
    ([1], "/0"),
    ([None], "/0"),
    (["a\tb"], "/0"),
    (["\ufdfa" * 40], "/0"),
):
    BAD_BODIES[f"capabilities {str(_capabilities)[:30]}"] = (
        {"profile": registration()["profile"] | {"capabilities": _capabilities}},
        [f"#/profile/capabilities{_where}"],
    )
for _lease in (0, -1, 31_536_001, 1.5, "60", True, None, [60]):
    BAD_BODIES[f"lease {_lease!r}"] = (registration() | {"leaseSeconds": _lease}, ["#/leaseSeconds"])


@pytest.mark.parametrize("case", BAD_BODIES)
def test_every_wrong_field_is_named_and_nothing_is_written(case: str) -> None:
    body, pointers = BAD_BODIES[case]
    with new_registry(Engine("memory", None)) as registry:  # refused before any table is asked: one engine is enough
        answer = registry.call("POST", "/agents/register", body=body)
    assert answer.status == 400
    assert [error["pointer"] for error in answer.body["errors"]] == pointers
    assert all(error["detail"] for error in answer.body["errors"])
    assert registry.database.usage.calls == 0


@pytest.mark.parametrize(
    "endpoint",
    ["https://a", "HTTPS://A.example:8443/x?y=z#"[:-1], "https://[2001:db8::1]:443/", "https://a.b-c.example/@x:y", "https://a?q=1"],
)  # fmt: skip
def test_endpoints_that_are_taken(registry: Registry, endpoint: str) -> None:
    body = {"profile": registration()["profile"] | {"endpoint": endpoint}}
    answer = registry.call("POST", "/agents/register", body=body)
    assert answer.status == 201
    assert answer.body["endpoint"] == endpoint


@pytest.mark.parametrize(
    ("text", "status"),
    [("", 400), ("{", 400), ("[]", 400), ('"x"', 400), ("null", 400), ("[" * 100_000, 400), ('{"a": NaN}', 400),
     ('{"a": 1e999}', 400), ('{"a": ' + "9" * 5000 + "}", 400), ("{" + '"a":' * 2, 400), ('{"profile": {}} x', 400)],
)  # fmt: skip
def test_a_body_that_is_no_json_object(registry: Registry, kind: str, text: str, status: int) -> None:
    headers = {"content-type": "application/json"}
    for encode_body in (False, True):
        answer = registry.call(
            "POST", "/agents/register", body=text, kind=kind, headers=headers, encode_body=encode_body
        )
        assert answer.status == status


@pytest.mark.parametrize("content_type", ["text/plain", "text/json", "", "application/json; charset=latin-1"])
def test_a_body_that_says_it_is_something_else(registry: Registry, kind: str, content_type: str) -> None:
    answer = registry.call(
        "POST", "/agents/register", body=registration(), kind=kind, headers={"Content-Type": content_type}
    )
    assert answer.status == 415


@pytest.mark.parametrize("content_type", ["Application/JSON", "application/json;charset=UTF-8", "application/a2a+json"])
def test_all_that_is_json_is_taken(registry: Registry, content_type: str) -> None:
    assert registry.register("a", headers={"Content-Type": content_type}).status == 201


def test_a_base64_body_is_a_body(registry: Registry, kind: str) -> None:
    assert registry.register("a", "x", kind=kind, encode_body=True).status == 201


# --- conditions


def test_if_match_guards_a_change(registry: Registry, kind: str) -> None:
    assert registry.register("a", headers={"If-Match": '"1"'}, kind=kind).status == 412
    assert registry.register("a", headers={"If-Match": "*"}, kind=kind).status == 412
    registry.register("a")
    for stale in ('"2"', 'W/"1"', "1", ""):
        answer = registry.register("a", headers={"If-Match": stale}, kind=kind)
        assert answer.status == 412
        assert answer.headers["etag"] == '"1"'
    assert registry.stored("a")["version"] == 1  # type: ignore[index]
    assert registry.register("a", headers={"If-Match": '"7", "1"'}, kind=kind).body["version"] == 2
    assert registry.register("a", headers={"If-Match": "*"}, kind=kind).body["version"] == 3


def test_if_none_match_registers_only_what_is_new(registry: Registry) -> None:
    assert registry.register("a", headers={"If-None-Match": "*"}).status == 201
    for tags in ("*", '"1"', 'W/"1"', '"0", "1"'):
        assert registry.register("a", headers={"If-None-Match": tags}).status == 412
    assert registry.register("a", headers={"If-None-Match": '"7"'}).body["version"] == 2


def test_a_reader_with_the_present_version_gets_304(registry: Registry, kind: str) -> None:
    registry.register("a")
    for tags in ('"1"', 'W/"1"', '"0", "1"', "*"):
        answer = registry.call("GET", "/agents/a", headers={"If-None-Match": tags}, kind=kind)
        assert (answer.status, answer.headers["etag"]) == (304, '"1"')
    assert registry.call("GET", "/agents/a", headers={"If-None-Match": '"0"'}, kind=kind).status == 200


# --- idempotency


def test_the_same_request_again_gets_the_first_answer_and_writes_nothing(registry: Registry, kind: str) -> None:
    headers = {"Idempotency-Key": "key 1"}
    first = registry.register("a", "x", headers=headers, kind=kind)
    assert "idempotency-replayed" not in first.headers
    registry.register("a", "y")
    registry.calls.clear()
    again = registry.register("a", "x", headers=headers, kind=kind)
    assert (again.status, again.text) == (201, first.text)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    assert writes(registry) == []
    assert registry.stored("a")["version"] == 2  # type: ignore[index]


def test_another_request_under_the_same_key_is_a_conflict(registry: Registry) -> None:
    headers = {"Idempotency-Key": "k"}
    registry.register("a", "x", headers=headers)
    answer = registry.register("a", "y", headers=headers)
    assert answer.status == 409
    assert answer.body["type"] == "urn:problem:idempotency-key-reused"
    assert registry.found("y") == []


def test_the_order_of_fields_makes_no_other_request(registry: Registry) -> None:
    headers = {"Idempotency-Key": "k"}
    body = registration("a", "x")
    registry.call("POST", "/agents/register", body=body, headers=headers)
    turned = {"profile": dict(reversed(body["profile"].items()))}
    assert registry.call("POST", "/agents/register", body=turned, headers=headers).status == 201


def test_a_key_is_the_caller_s_own(registry: Registry) -> None:
    def send(caller: str) -> dict[str, Any]:
        sent = event("http", "POST", "/agents/register", body=registration("a"), headers={"Idempotency-Key": "k"})
        sent["requestContext"]["authorizer"] = {"iam": {"callerId": caller}}
        return registry.app(sent, Context())

    assert send("AROAONE:session-1")["statusCode"] == 201
    assert send("AROATWO:session-1")["statusCode"] == 200
    assert send("AROAONE:session-2")["headers"]["idempotency-replayed"] == "true"


def test_a_failed_request_leaves_no_marker(registry: Registry) -> None:
    headers = {"Idempotency-Key": "k"}
    assert registry.register("a", headers={**headers, "If-Match": "*"}).status == 412
    assert registry.register("a", headers=headers).status == 201


def test_a_key_may_be_used_again_when_its_marker_is_expired(registry: Registry, time_of_day: Clock) -> None:
    headers = {"Idempotency-Key": "k"}
    registry.register("a", headers=headers)
    time_of_day.advance(DAY - 10)
    assert registry.register("a", headers=headers).status == 201
    time_of_day.advance(20)
    answer = registry.register("a", headers=headers)
    assert (answer.status, answer.body["version"]) == (200, 2)


@pytest.mark.parametrize("key", ["", "x" * 256, "ü", "a\x7f"])
def test_a_key_that_is_none(registry: Registry, key: str) -> None:
    answer = registry.register("a", headers={"Idempotency-Key": key})
    assert answer.status == 400
    assert answer.body["errors"][0]["header"] == "idempotency-key"


def test_of_the_same_request_sent_at_once_one_is_carried_out(registry: Registry) -> None:
    others = _environments(registry, 6)

    def send(one: Registry) -> Any:
        return one.register("a", "x", headers={"Idempotency-Key": "k"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, others))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert registry.stored("a")["version"] == 1  # type: ignore[index]


# --- concurrency


def test_concurrent_registrations_each_get_a_version_and_none_is_lost(registry: Registry) -> None:
    others = _environments(registry, 4)

    def send(numbered: tuple[int, Registry]) -> list[int]:
        i, one = numbered
        versions = []
        for k in range(4):
            answer = one.register("a", f"of {i} {k}", "shared")
            while answer.status == 409:
                answer = one.register("a", f"of {i} {k}", "shared")
            versions.append(answer.body["version"])
        return versions

    with ThreadPoolExecutor(4) as pool:
        versions = [version for each in pool.map(send, enumerate(others)) for version in each]
    assert sorted(versions) == list(range(1, 17))
    last = registry.call("GET", "/agents/a").body
    assert last["version"] == 16
    # the index holds what the last registration said, and nothing else
    present = [(i, k) for i in range(4) for k in range(4) if registry.index_item(f"of {i} {k}", "a")]
    assert [f"of {i} {k}" for i, k in present] == [name for name in last["capabilities"] if name != "shared"]


def test_a_lost_race_is_run_again_on_what_is_there_now(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.register("a", "x")
    table = registry.app.routes["POST /agents/register"].__self__.store._table  # type: ignore[attr-defined]
    real, races = table.get, iter([True])

    def get(key: Any) -> Any:
        found = real(key)
        if next(races, False):
            Registry.register(registry, "a", "y")  # somebody else, between read and write
        return found

    monkeypatch.setattr(table, "get", get)
    answer = registry.register("a", "z")
    assert (answer.status, answer.body["version"]) == (200, 3)
    assert [registry.index_item(capability, "a") is not None for capability in "xyz"] == [False, False, True]


def test_an_agent_that_was_removed_and_registered_again_is_another(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version is 1 as before; a writer that read the first one must notice all the same."""
    registry.register("a", "x")
    stale = registry.stored("a")
    registry.call("DELETE", "/agents/a")
    registry.register("a", "y")
    table = registry.app.routes["POST /agents/register"].__self__.store._table  # type: ignore[attr-defined]
    real, reads = table.get, iter([stale])
    monkeypatch.setattr(table, "get", lambda key: next(reads, None) or real(key))
    assert registry.register("a", "z").body["version"] == 2
    assert [registry.index_item(capability, "a") is not None for capability in "xyz"] == [False, False, True]


def test_races_without_end_are_a_conflict(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.register("a", "x")
    table = registry.app.routes["POST /agents/register"].__self__.store._table  # type: ignore[attr-defined]
    stale = registry.stored("a")
    registry.register("a", "y")
    monkeypatch.setattr(table, "get", lambda _: stale)
    assert registry.register("a", "z").status == 409
    assert registry.call("DELETE", "/agents/a").status == 409


# --- leases


def test_a_leased_agent_is_gone_everywhere_when_its_time_is_over(registry: Registry, time_of_day: Clock) -> None:
    registry.register("a", "x", lease=60)
    registry.register("b", "x")
    time_of_day.advance(59)
    assert registry.found("x") == ["a", "b"]
    time_of_day.advance(2)
    assert registry.found("x") == ["b"]
    assert registry.call("GET", "/agents/a").status == 404
    assert registry.call("DELETE", "/agents/a").status == 404
    assert registry.stored("a") is not None, "DynamoDB deletes it up to days later"
    assert registry.register("a", headers={"If-Match": "*"}).status == 412
    answer = registry.register("a", "y")
    assert (answer.status, answer.body["version"]) == (201, 1)
    assert answer.body["createdAt"] == answer.body["updatedAt"]
    assert "leaseExpiresAt" not in answer.body
    assert registry.index_item("x", "a") is None
    assert registry.found("y") == ["a"]


def test_a_renewed_lease_lasts_and_one_that_is_left_out_ends(registry: Registry, time_of_day: Clock) -> None:
    first = registry.register("a", "x", lease=60)
    time_of_day.advance(50)
    renewed = registry.register("a", "x", lease=60)
    assert renewed.body["leaseExpiresAt"] > first.body["leaseExpiresAt"]
    time_of_day.advance(50)
    assert registry.found("x") == ["a"]
    assert "leaseExpiresAt" not in registry.register("a", "x").body
    time_of_day.advance(365 * DAY)
    assert registry.found("x") == ["a"]
    assert "ttl" not in (registry.stored("a") or {})
    assert "ttl" not in (registry.index_item("x", "a") or {})


@pytest.mark.parametrize("lease", [1, 60, 10 * DAY, 40 * DAY, 365 * DAY])
def test_an_index_item_outlives_every_lease_that_is_renewed_in_time(
    registry: Registry, time_of_day: Clock, lease: int
) -> None:
    registry.register("a", "x", lease=lease)
    rewritten = 0
    for _ in range(8):
        time_of_day.advance(lease * 0.9)
        ttl = registry.index_item("x", "a")["ttl"]  # type: ignore[index]
        registry.register("a", "x", lease=lease)
        agent, entry = registry.stored("a"), registry.index_item("x", "a")
        assert agent is not None
        assert entry is not None
        assert agent["ttl"] <= entry["ttl"]
        rewritten += entry["ttl"] != ttl
    assert rewritten <= 2, "most renewals write the agent's item only"


@pytest.mark.parametrize("lease", [1, 60, DAY])
def test_index_items_of_an_agent_that_went_do_not_stay_long(registry: Registry, time_of_day: Clock, lease: int) -> None:
    """Discovery reads past them until they are gone."""
    registry.register("a", "x", lease=lease)
    left = registry.index_item("x", "a")["ttl"] - time_of_day.microseconds / SECOND  # type: ignore[index]
    assert left <= lease + max(3600, 4 * lease) + 1


def test_of_two_that_take_over_an_older_record_one_is_told(registry: Registry) -> None:
    """Its own `version` may be the one that it gets with us."""
    registry.store({"agentId": "old", "name": "Old", "endpoint": "https://old.example", "version": 1})
    first, second = registry, registry.another() if registry.engine.url else registry
    live = registry.stored("old")
    assert live is not None
    _, early = registration_of(first, live)
    _, late = registration_of(second, live)
    first.database.write(early)
    with pytest.raises(ConditionFailed):
        second.database.write(late)


# --- finding


def test_a_capability_has_to_be_named(registry: Registry, kind: str) -> None:
    queries: tuple[list[tuple[str, str]], ...] = (
        [], [("capability", "")], [("capability", " ")], [("capability", "a"), ("capability", "b")],
        [("capability", "x" * 513)], [("capability", "\ufdfa" * 40)],
    )  # fmt: skip
    for query in queries:
        answer = registry.call("GET", "/agents", query=query, kind=kind)
        assert answer.status == 400
        assert answer.body["errors"][0]["parameter"] == "capability"


def test_a_capability_with_commas_and_signs_is_found(registry: Registry, kind: str) -> None:
    name = "a,b & c=d+e%20/ü"
    registry.register("a", name)
    answer = registry.call("GET", "/agents", query={"capability": name}, kind=kind)
    assert [agent["id"] for agent in answer.body["agents"]] == ["a"]


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "1.0", "٣", "1e1", "0005"])
def test_a_limit_out_of_bounds(registry: Registry, limit: str) -> None:
    answer = registry.call("GET", "/agents", query={"capability": "x", "limit": limit})
    assert answer.status == 400
    assert answer.body["errors"][0]["parameter"] == "limit"


def test_pages_join_without_gap_or_repeat_and_the_last_has_no_token(registry: Registry, kind: str) -> None:
    ids = sorted(f"agent-{i}" for i in range(7))
    for agent_id in ids:
        registry.register(agent_id, "x")
    for limit, sizes in ((3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)):
        pages = _pages(registry, kind, capability="x", limit=str(limit))
        assert [len(page) for page in pages] == sizes
        assert [agent_id for page in pages for agent_id in page] == ids


def test_the_default_page_has_25(registry: Registry) -> None:
    for i in range(26):
        registry.register(f"agent-{i:02}", "x")
    assert [len(page) for page in _pages(registry, capability="x")] == [25, 1]


def test_what_is_not_shown_neither_shortens_a_page_nor_ends_the_list(registry: Registry, time_of_day: Clock) -> None:
    for i in range(40):
        registry.register(f"agent-{i:02}", "x", **({} if i in (0, 21, 38) else {"lease": 10}))
    # index items whose agent is gone, or no longer has the capability, as a lagging index shows them
    registry.store(
        {"agentId": "capability#x#agent-39a", "capability": "x", "capabilityOf": "agent-39a"},
        {"agentId": "capability#x#agent-39b", "capability": "x", "capabilityOf": "agent-39b"},
        {"agentId": "agent-39b", "name": "b", "endpoint": "https://b", "capabilities": ["y"], "version": 1},
    )
    registry.register("agent-40", "x")
    time_of_day.advance(20)
    live = ["agent-00", "agent-21", "agent-38", "agent-40"]
    assert registry.found("x", limit="4") == live
    assert _pages(registry, capability="x", limit="2") == [live[:2], live[2:]]
    assert _pages(registry, capability="x", limit="3") == [live[:3], live[3:]]


def test_a_full_page_costs_one_query_and_one_batch_read(registry: Registry) -> None:
    if not registry.engine.url:
        pytest.skip("memory makes no requests")
    for i in range(12):
        registry.register(f"agent-{i:02}", "x")
    registry.calls.clear()
    registry.found("x", limit="10")
    assert [name for name, _ in registry.calls] == ["Query", "BatchGetItem"]
    assert registry.calls[0][1]["Limit"] == 11
    ((_, request),) = registry.calls[1][1]["RequestItems"].items()
    assert len(request["Keys"]) == 10
    assert request["ConsistentRead"] is False
    registry.calls.clear()
    registry.found("nobody has it")
    assert [name for name, _ in registry.calls] == ["Query"]


def test_replicas_that_lag_hide_no_agent_that_kept_its_lease(registry: Registry, time_of_day: Clock) -> None:
    for agent_id in ("renewed", "ended", "gone"):
        registry.register(agent_id, "x", lease=60)
    registry.register("without", "y")
    with lagging(registry):
        time_of_day.advance(50)
        registry.register("renewed", "x", lease=60)
        registry.register("without", "x")
        registry.call("DELETE", "/agents/gone")
        # what was deleted may be found for a moment, up to the end of its lease
        registry.store({"agentId": "capability#x#gone", "capability": "x", "capabilityOf": "gone"})
        assert registry.found("x") == ["ended", "gone", "renewed"]
        time_of_day.advance(15)
        assert registry.found("x") == ["renewed"]
        assert registry.call("GET", "/agents/gone").status == 404
    assert registry.found("x") == ["renewed", "without"]


def test_agents_whose_lease_ended_long_ago_are_not_looked_at_twice(registry: Registry, time_of_day: Clock) -> None:
    if not registry.engine.url:
        pytest.skip("memory makes no requests")
    registry.register("a", "x", lease=60)
    for seconds, batches in ((61, 2), (30, 1)):
        time_of_day.advance(seconds)
        registry.calls.clear()
        assert registry.found("x") == []
        assert [name for name, _ in registry.calls] == ["Query", *["BatchGetItem"] * batches]


def test_a_token_of_another_list_or_changed_on_its_way_is_refused(registry: Registry, kind: str) -> None:
    for agent_id in "abc":
        registry.register(agent_id, "x", "y")
    token = registry.call("GET", "/agents", query={"capability": "x", "limit": "1"}).body["next_token"]
    used = registry.call("GET", "/agents", query={"capability": " X ", "limit": "2", "next_token": token}, kind=kind)
    assert [agent["id"] for agent in used.body["agents"]] == ["b", "c"]
    bad = [token[:-1], token + "A", token + "=", "A" + token[1:], token.swapcase(), "", "!", "ü", token[4:]]
    for capability, wrong in [("y", token), *(("x", one) for one in bad)]:
        answer = registry.call("GET", "/agents", query={"capability": capability, "next_token": wrong}, kind=kind)
        assert answer.status == 400
        assert answer.body["errors"][0]["parameter"] == "next_token"


@pytest.mark.parametrize("position", [{"pk": "x"}, 7, "a#b", "", ["a"], "x" * 2000])
def test_a_forged_position_is_refused(registry: Registry, position: object) -> None:
    from common import paging

    token = paging.token(position, "agents", "x")
    answer = registry.call("GET", "/agents", query={"capability": "x", "next_token": token})
    assert answer.status == 400


def test_agent_10001_is_found_among_10000_without_reading_them(engine: Engine) -> None:
    with new_registry(engine) as registry:
        _load(registry, 10_000)
        registry.register("agent-10001", "common", "rare")
        for agent_id in ("agent-00000", "agent-10001"):
            assert registry.call("GET", f"/agents/{agent_id}").status == 200
        registry.calls.clear()
        assert registry.found("rare") == ["agent-10001"]
        from common import paging

        after = paging.token("agent-09997", "agents", "common")
        assert registry.found("common", next_token=after) == ["agent-09998", "agent-09999", "agent-10001"]
        assert {name for name, _ in registry.calls} <= {"Query", "BatchGetItem"}
        if engine.url:
            assert len(registry.calls) == 4


# --- removing


def test_removing_takes_the_agent_and_its_index_items(registry: Registry, kind: str) -> None:
    registry.register("a:b", "x", "y")
    registry.calls.clear()
    answer = registry.call("DELETE", "/agents/a:b", kind=kind)
    assert (answer.status, answer.text) == (204, "")
    if registry.engine.url:
        assert sorted(actions(registry)) == ["Delete a:b", "Delete capability#x#a:b", "Delete capability#y#a:b"]
    assert registry.stored("a:b") is None
    assert registry.index_item("x", "a:b") is registry.index_item("y", "a:b") is None
    assert registry.call("DELETE", "/agents/a:b", kind=kind).status == 404
    assert registry.call("GET", "/agents/a:b", kind=kind).status == 404
    assert registry.register("a:b", "x").status == 201


def test_removing_honours_if_match(registry: Registry, kind: str) -> None:
    registry.register("a")
    registry.register("a")
    answer = registry.call("DELETE", "/agents/a", headers={"If-Match": '"1"'}, kind=kind)
    assert (answer.status, answer.headers["etag"]) == (412, '"2"')
    assert registry.call("DELETE", "/agents/a", headers={"If-Match": 'W/"2"'}, kind=kind).status == 412
    assert registry.call("DELETE", "/agents/a", headers={"If-Match": '"2"'}, kind=kind).status == 204
    assert registry.call("DELETE", "/agents/a", headers={"If-Match": "*"}, kind=kind).status == 412


# --- what an older application wrote

LEGACY: dict[str, dict[str, Any]] = {
    "list": {"agentId": "old", "name": "Old", "endpoint": "https://old.example", "capabilities": ["x", "Y"],
             "createdAt": "2024-01-01T00:00:00", "updatedAt": "2024-01-02T00:00:00"},
    "set": {"agentId": "old", "name": "Old", "endpoint": "http://old.example", "capabilities": {"x", "Y"},
            "extra": {"a": 1}},
    "bare": {"agentId": "old"},
    "odd": {"agentId": "old", "name": 7, "endpoint": None, "capabilities": "x", "createdAt": 17, "ttl": "soon",
            "version": "1.0"},
    # a version of its own does not make an item ours
    "versioned": {"agentId": "old", "capabilities": ["x"], "createdAt": "2024-01-01T00:00:00", "version": 2},
    "flagged": {"agentId": "old", "version": True, "indexTtl": "later", "indexed": "yes"},
    "many": {"agentId": "old", "capabilities": [f"c{i}" for i in range(200)] + [1]},
}  # fmt: skip


@pytest.mark.parametrize("form", LEGACY)
def test_an_older_application_s_agent_is_read_and_upgraded(registry: Registry, form: str, kind: str) -> None:
    registry.store(LEGACY[form])
    read = registry.call("GET", "/agents/old", kind=kind)
    assert read.status == 200
    assert read.headers["etag"] == '"0"'
    if form in ("list", "set"):
        assert sorted(read.body["capabilities"]) == ["Y", "x"]
    assert registry.found("x") == [], "found by capability from its next registration on"
    answer = registry.register("old", "x", lease=60, headers={"If-Match": '"0"'})
    assert (answer.status, answer.body["version"]) == (200, 1)
    assert registry.found("x") == ["old"]
    stored = registry.stored("old")
    assert stored is not None
    assert stored.get("extra") == LEGACY[form].get("extra"), "what only the old application knows stays"
    if form == "list":
        assert answer.body["createdAt"] == LEGACY[form]["createdAt"]


def test_an_older_application_s_agent_can_be_removed_whatever_its_id(registry: Registry, kind: str) -> None:
    for agent_id in ("old", "with space", "ümlaut", "a+b", "50%"):
        registry.store({"agentId": agent_id, "name": agent_id})
        assert registry.call("GET", f"/agents/{agent_id}", kind=kind).body["name"] == agent_id
        assert registry.call("DELETE", f"/agents/{agent_id}", kind=kind).status == 204


def test_index_items_are_no_agents(registry: Registry, kind: str) -> None:
    registry.register("a", "x")
    assert registry.index_item("x", "a")
    for method in ("GET", "DELETE"):
        assert registry.call(method, "/agents/capability#x#a", kind=kind).status == 404
        assert registry.call(method, "/agents/" + "x" * 3000, kind=kind).status == 404
    assert registry.index_item("x", "a")


# --- everything else


def test_an_environment_that_knows_nothing_finds_what_others_registered(registry: Registry) -> None:
    if not registry.engine.url:
        pytest.skip("memory forgets: that is what the tables are for")
    first = registry.register("a", "x")
    fresh = registry.another()
    answer = fresh.call("GET", "/agents", query={"capability": "x"})
    assert answer.body["agents"] == [first.body]
    assert answer.headers["x-execution-environment"] != first.headers["x-execution-environment"]


def test_no_route_ever_scans(registry: Registry) -> None:
    registry.register("a", "x", headers={"Idempotency-Key": "k"})
    registry.register("a", "y", lease=10)
    registry.found("y")
    registry.call("GET", "/agents/a")
    registry.call("DELETE", "/agents/a")
    allowed = {"GetItem", "BatchGetItem", "PutItem", "DeleteItem", "Query", "TransactWriteItems"}
    assert {name for name, _ in registry.calls} <= allowed
    for name, payload in registry.calls:
        if name == "TransactWriteItems":
            assert {kind for action in payload["TransactItems"] for kind in action} <= {"Put", "Delete"}
        if name == "GetItem":
            assert payload["ConsistentRead"] is True
        if name == "Query":
            assert payload["IndexName"] == "CapabilityIndex"


def test_unknown_paths_and_methods(registry: Registry, kind: str) -> None:
    for path in ("/", "/agent", "/agents/a/b", "/agents/", "/AGENTS"):
        assert registry.call("GET", path, kind=kind).status in (404, 400 if path == "/agents/" else 404)
    for method, path, allowed in (
        ("PUT", "/agents/a", "DELETE, GET, HEAD, OPTIONS"),
        ("POST", "/agents/a", "DELETE, GET, HEAD, OPTIONS"),
        ("DELETE", "/agents", "GET, HEAD, OPTIONS"),
        ("PATCH", "/agents/register", "OPTIONS, POST"),
    ):
        answer = registry.call(method, path, kind=kind)
        assert (answer.status, answer.headers["allow"]) == (405, allowed)
        assert registry.call("OPTIONS", path, kind=kind).headers["allow"] == allowed


def test_an_agent_may_be_called_register(registry: Registry, kind: str) -> None:
    registry.register("register", "x")
    assert registry.call("GET", "/agents/register", kind=kind).body["id"] == "register"
    assert registry.call("DELETE", "/agents/register", kind=kind).status == 204


def test_head_is_get_without_a_body(registry: Registry, kind: str) -> None:
    registry.register("a")
    result = registry.app(event(kind, "HEAD", "/agents/a"), Context())
    assert (result["statusCode"], result["body"], result["headers"]["etag"]) == (200, "", '"1"')


def test_a_stage_in_the_path_is_no_part_of_it(registry: Registry, kind: str) -> None:
    registry.register("a")
    assert registry.call("GET", "/agents/a", kind=kind, stage="prod").status == 200


def test_the_contract_names_the_routes_that_there_are(registry: Registry) -> None:
    declared = {
        f"{method.upper()} {path}"
        for path, operations in OPENAPI["paths"].items()
        for method in operations
        if method in ("get", "put", "post", "delete", "patch")
    }
    assert declared == set(registry.app.routes)
    assert {route.partition(" ")[2] for route in declared} == set(TEMPLATES)


def test_the_contract_says_what_the_code_enforces() -> None:
    from agent_registry import profile as bounds
    from agent_registry import store

    profile = OPENAPI["components"]["schemas"]["Registration"]["properties"]["profile"]["properties"]
    assert profile["id"]["pattern"] == f"^{store.ID_PATTERN}$"
    assert profile["name"]["maxLength"] == bounds.MAXIMUM_NAME
    assert profile["endpoint"]["maxLength"] == bounds.MAXIMUM_ENDPOINT
    assert profile["endpoint"]["pattern"] == f"^{bounds.ENDPOINT_PATTERN}$"
    assert profile["capabilities"]["maxItems"] == store.MAXIMUM_CAPABILITIES
    assert profile["capabilities"]["items"]["maxLength"] == bounds.MAXIMUM_CAPABILITY
    lease = OPENAPI["components"]["schemas"]["Registration"]["properties"]["leaseSeconds"]
    assert lease["maximum"] == bounds.MAXIMUM_LEASE_SECONDS


def _environments(registry: Registry, count: int) -> list[Registry]:
    """Several execution environments over the same tables; memory is one environment's own."""
    return [registry.another() if registry.engine.url else registry for _ in range(count)]


def _pages(registry: Registry, kind: str = "http", **query: str) -> list[list[str]]:
    pages: list[list[str]] = []
    token: str | None = None
    while token or not pages:
        answer = registry.call("GET", "/agents", query=query | ({"next_token": token} if token else {}), kind=kind)
        pages.append([agent["id"] for agent in answer.body["agents"]])
        token = answer.body.get("next_token")
    return pages


def _load(registry: Registry, count: int) -> None:
    """Agents with a capability each and one in common, written past the function."""
    time = clock.text(clock.now())
    items = []
    for i in range(count):
        agent_id = f"agent-{i:05}"
        agent = {"agentId": agent_id, "name": "n", "endpoint": "https://e", "capabilities": ["common"], "version": 1}
        items.append(agent | {"createdAt": time, "updatedAt": time})
        items.append({"agentId": f"capability#common#{agent_id}", "capability": "common", "capabilityOf": agent_id})
    registry.engine.load(registry.database, registry.agents.name, items)
