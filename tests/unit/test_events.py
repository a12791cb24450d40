"""One request from every kind of event."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import events
from common.errors import Problem
from tests.unit.http_events import KINDS, event


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_kind_of_event_is_the_same_request(kind: str) -> None:
    request = events.read(
        event(
            kind,
            "POST",
            "/agents/a b:ü%2F",
            body={"x": 1},
            headers={"X-Some": " value ", "IF-MATCH": '"1"'},
            query=[("q", "a,b"), ("q", "c d"), ("p", "%&=+/ü"), ("empty", "")],
        )
    )
    assert request.method == "POST"
    assert request.segments == ["agents", "a b:ü%2F"]
    assert request.parameters in ({}, {"id": "a b:ü%2F"})
    assert request.query == {"q": ["a,b", "c d"], "p": ["%&=+/ü"], "empty": [""]}
    assert request.headers == {"x-some": "value", "if-match": '"1"', "content-type": "application/json"}
    assert request.body() == {"x": 1}


def test_an_encoded_slash_stays_within_its_segment() -> None:
    for kind in ("rest", "url"):
        assert events.read(event(kind, "GET", "/agents/x") | _path(kind, "/agents/a%2Fb")).segments == ["agents", "a/b"]


def _path(kind: str, path: str) -> dict[str, Any]:
    return {"path": path} if kind == "rest" else {"rawPath": path}


@pytest.mark.parametrize("stage", ["prod", "agents"])
def test_the_stage_is_no_part_of_the_path(kind: str, stage: str) -> None:
    assert events.read(event(kind, "GET", "/agents/a", stage=stage)).segments == ["agents", "a"]
    assert events.read(event(kind, "GET", "/", stage=stage)).segments == [""]


def test_what_is_absent_may_be_null_or_missing(kind: str) -> None:
    bare = event(kind, "GET", "/x")
    for name in ("body", "headers", "multiValueHeaders", "queryStringParameters", "pathParameters", "isBase64Encoded",
                 "multiValueQueryStringParameters", "routeKey", "resource"):  # fmt: skip
        for changed in ({k: v for k, v in bare.items() if k != name}, bare | {name: None}):
            if name == "routeKey" and "version" in changed and changed.get("routeKey", "") is None:
                continue
            request = events.read(changed)
            assert (request.raw_body, request.query) == (b"", {})


def test_single_valued_maps_do_where_the_others_lack() -> None:
    sent = event("rest", "GET", "/x", headers={"A": "b"}, query={"q": "1"})
    del sent["multiValueHeaders"], sent["multiValueQueryStringParameters"]
    request = events.read(sent)
    assert (request.headers["a"], request.query) == ("b", {"q": ["1"]})
    sent = event("http", "GET", "/x", query={"q": "1"})
    del sent["rawQueryString"]
    assert events.read(sent).query == {"q": ["1"]}


def test_a_parameter_given_twice_is_refused_where_one_is_meant(kind: str) -> None:
    request = events.read(event(kind, "GET", "/x", query=[("q", "1"), ("q", "2"), ("p", "1")]))
    assert (request.one("p"), request.one("r")) == ("1", None)
    with pytest.raises(Problem, match="more than once"):
        request.one("q")


@pytest.mark.parametrize("encoded", ["%FF", "%C3", "/agents/%ff"])
def test_bytes_that_are_no_text(encoded: str) -> None:
    for changed in (
        event("url", "GET", "/x") | {"rawPath": f"/{encoded}"},
        event("http", "GET", "/x") | {"rawQueryString": f"q={encoded}"},
        event("rest", "GET", "/x") | {"path": f"/{encoded}"},
    ):
        with pytest.raises(Problem) as refused:
            events.read(changed)
        assert refused.value.status == 400


GARBAGE: list[Any] = [
    None,
    [],
    "x",
    7,
    {},
    {"version": "2.0"},
    {"version": "2.0", "requestContext": {"http": {}}, "rawPath": "/"},
    {"version": "2.0", "requestContext": {"http": {"method": 7}}, "rawPath": "/"},
    {"version": "2.0", "requestContext": {"http": {"method": "GET"}}, "rawPath": None},
    {"version": "2.0", "requestContext": [], "rawPath": "/"},
    {"httpMethod": "GET"},
    {"httpMethod": "\ud800", "path": "/"},
    {"httpMethod": "GET", "path": "/", "headers": {"a": 1}},
    {"httpMethod": "GET", "path": "/", "multiValueHeaders": {"a": None}},
    {"httpMethod": "GET", "path": "/", "queryStringParameters": {"a": 1}},
    {"httpMethod": "GET", "path": "/", "multiValueQueryStringParameters": {"a": [1]}},
    {"httpMethod": "GET", "path": "/", "body": {"a": 1}},
    {"httpMethod": "GET", "path": "/", "body": "!!", "isBase64Encoded": True},
    {"httpMethod": "GET", "path": "/", "body": "\ud800"},
    {"httpMethod": "GET", "path": "/", "pathParameters": ["id"]},
    {"httpMethod": "GET", "path": "/", "pathParameters": {"id": 1}},
    {"httpMethod": "GET", "path": "/", "resource": 1},
    {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
    {"source": "aws.events", "detail": {}},
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda one: json.dumps(one)[:60])
def test_what_is_no_request_is_refused(garbage: Any) -> None:
    with pytest.raises(Problem) as refused:
        events.read(garbage)
    assert refused.value.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(KINDS), st.data())
def test_no_damaged_event_is_more_than_a_bad_request(kind: str, data: st.DataObject) -> None:
    sent = event(kind, "GET", "/agents/a", query={"a": "b"})
    name = data.draw(st.sampled_from([*sorted(sent), "requestContext.http", "requestContext.stage"]))
    if "." in name and "requestContext" in sent:
        sent["requestContext"][name.partition(".")[2]] = data.draw(JSON)
    else:
        sent[name] = data.draw(JSON)
    try:
        events.read(sent)
    except Problem as refused:
        assert refused.status == 400  # noqa: PT017 - both ways are right
