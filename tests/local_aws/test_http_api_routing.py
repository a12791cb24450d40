"""API Gateway's choice of a route."""

from __future__ import annotations

import pytest

from scripts.local_aws.http_api_routing import Match, match

# The developer guide's own example, and more.
ROUTES = [
    "$default",
    "ANY /{proxy+}",
    "GET /pets/{proxy+}",
    "GET /pets/dog/{id}",
    "GET /pets/dog/1",
    "ANY /pets/dog/1",
    "GET /{kind}/cat",
    "GET /pets/{id}",
    "POST /pets",
]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/pets/dog/1", Match("GET /pets/dog/1", {})),
        ("POST", "/pets/dog/1", Match("ANY /pets/dog/1", {})),
        ("GET", "/pets/dog/2", Match("GET /pets/dog/{id}", {"id": "2"})),
        ("GET", "/pets/cat/1", Match("GET /pets/{proxy+}", {"proxy": "cat/1"})),
        ("GET", "/pets/cat", Match("GET /pets/{id}", {"id": "cat"})),
        ("GET", "/birds/cat", Match("GET /{kind}/cat", {"kind": "birds"})),
        ("POST", "/test/5", Match("ANY /{proxy+}", {"proxy": "test/5"})),
        ("GET", "/pets", Match("ANY /{proxy+}", {"proxy": "pets"})),
        ("GET", "/pets/", Match("ANY /{proxy+}", {"proxy": "pets/"})),
        ("GET", "/", Match("$default", {})),
        ("GET", "/pets/a%20b%2Fc", Match("GET /pets/{id}", {"id": "a b/c"})),
        ("GET", "/pets/d%6Fg/1", Match("GET /pets/dog/1", {})),
    ],
)
def test_the_most_specific_route_wins(method: str, path: str, expected: Match) -> None:
    assert match(ROUTES, method, path) == expected
    assert match(reversed(ROUTES), method, path) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/agents/x", Match("GET /agents/{id}", {"id": "x"})),
        ("POST", "/agents/register", Match("POST /agents/register", {})),
        # The path decides before the method does.
        ("GET", "/agents/register", Match("ANY /agents/register", {})),
        *(
            (method, "/agents/x", Match("ANY /agents/{id}", {"id": "x"}))
            for method in ("PUT", "POST", "PATCH", "HEAD", "OPTIONS", "TRACE")
        ),
        ("PUT", "/agents/a%2Fb", Match("ANY /agents/{id}", {"id": "a/b"})),
        ("PUT", "/agents/x/y", None),
        ("TRACE", "/", None),
    ],
)
def test_any_takes_the_methods_that_have_no_route_of_their_own(method: str, path: str, expected: Match | None) -> None:
    routes = ["POST /agents/register", "ANY /agents/register", "GET /agents/{id}", "DELETE /agents/{id}"]
    routes.append("ANY /agents/{id}")
    assert match(routes, method, path) == expected
    assert match(reversed(routes), method, path) == expected


def test_nothing_matches_without_a_default() -> None:
    assert match(["GET /agents/{id}"], "DELETE", "/agents/1") is None
    assert match(["GET /agents/{id}"], "GET", "/agents/") is None
    assert match(["GET /agents/{id}"], "GET", "/agents/1/2") is None
    assert match([], "GET", "/") is None
