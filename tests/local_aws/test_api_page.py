"""/docs of the front door over plain HTTP: what it serves, and what it leaves to the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from scripts import paths
from scripts.local_aws.settings import API_PAGE_PATH
from tests.local_aws.conftest import Aws, Deploy
from tests.local_aws.test_http_api import ECHO, Api, Function, MakeApi, make_api

__all__ = ["make_api"]

CONTRACT: dict[str, Any] = yaml.safe_load((paths.LAMBDA_SOURCE / "pet_store" / "openapi.yaml").read_text())


@pytest.fixture(scope="module")
def function(deploy: Deploy) -> Function:
    return deploy(ECHO, Publish=True)


@pytest.fixture
def pets(make_api: MakeApi) -> Api:
    """An API with two of the pet store's three routes."""
    api = make_api()
    api.route("GET /pets")
    api.route("GET /pets/{id}")
    api.route("ANY /pets")
    api.stage()
    return api


def test_the_contract_is_shown_as_far_as_the_api_has_it(pets: Api) -> None:
    page = pets.request("GET", API_PAGE_PATH)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Pet store" in page.body.decode()
    assert "Agent registry" not in page.body.decode()
    shown = pets.request("GET", f"{API_PAGE_PATH}/pet_store.json").json
    assert {path: set(item) for path, item in shown["paths"].items()} == {"/pets": {"get"}, "/pets/{id}": {"get"}}
    assert shown["paths"]["/pets"]["get"]["responses"] == CONTRACT["paths"]["/pets"]["get"]["responses"]
    assert shown["servers"] == [{"url": "/"}]
    assert "security" not in json.dumps(shown)
    assert pets.request("GET", f"{API_PAGE_PATH}/agent_registry.json").status == 404


def test_a_form_begins_with_what_must_be_given_only(pets: Api) -> None:
    shown = pets.request("GET", f"{API_PAGE_PATH}/pet_store.json").json
    assert [one["name"] for one in shown["paths"]["/pets/{id}"]["get"]["parameters"] if "example" in one] == ["id"]
    kind = next(one for one in shown["paths"]["/pets"]["get"]["parameters"] if one["name"] == "type")
    assert kind["description"].endswith("For example `dog`")


def test_everything_comes_from_here_and_is_sent_once(pets: Api) -> None:
    for name in ("", "/swagger-ui-bundle.js", "/swagger-ui.css", "/api_page.js", "/api_page.css", "/pet_store.json"):
        first = pets.request("GET", API_PAGE_PATH + name)
        assert first.status == 200, name
        assert first.body
        assert "default-src 'self'" in first.headers["content-security-policy"]
        again = pets.request("GET", API_PAGE_PATH + name, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status, again.body) == (304, b"")
        head = pets.request("HEAD", API_PAGE_PATH + name)
        assert (head.status, head.body, head.headers["etag"]) == (200, b"", first.headers["etag"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/docs"),
        ("GET", "/docs/nothing"),
        ("GET", "/docs/../../pyproject.toml"),
        ("GET", "/docs/%2e%2e/up.py"),
        ("GET", "/docs2"),
        ("GET", "/a/docs"),
    ],
)
def test_anything_else_is_the_apis_own_answer(pets: Api, method: str, path: str) -> None:
    answer = pets.request(method, path)
    assert (answer.status, answer.json) == (404, {"message": "Not Found"})


@pytest.mark.parametrize("route", ["GET /docs", "ANY /{proxy+}", "$default"])
def test_a_route_of_the_api_goes_before_it(make_api: MakeApi, route: str) -> None:
    api = make_api()
    api.route(route)
    api.stage()
    assert api.request("GET", API_PAGE_PATH).json["routeKey"] == route


def test_a_named_stage_has_the_page_below_it(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /pets")
    api.stage("dev")
    assert api.request("GET", "/dev/docs").status == 200
    assert api.request("GET", "/dev/docs/pet_store.json").json["servers"] == [{"url": "/dev"}]
    moved = api.request("GET", "/dev/docs/")
    assert (moved.status, moved.headers["location"]) == (307, "/dev/docs")


def test_how_callers_prove_who_they_are_is_said(make_api: MakeApi) -> None:
    signed = make_api()
    signed.route("GET /pets", AuthorizationType="AWS_IAM")
    signed.stage()
    assert "signed requests only" in signed.request("GET", API_PAGE_PATH).body.decode()
    token = make_api()
    token.route("GET /pets", AuthorizationType="JWT")
    token.stage()
    assert "asks for a token" in token.request("GET", API_PAGE_PATH).body.decode()
    shown = token.request("GET", f"{API_PAGE_PATH}/pet_store.json").json
    assert shown["security"] == [{"token": []}]
    assert shown["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_of_several_apis_one_is_chosen(aws: Aws, pets: Api, make_api: MakeApi) -> None:
    make_api().stage()
    page = pets.request("GET", API_PAGE_PATH, headers={"Host": f"localhost:{aws.running.api_port}"})
    assert page.status == 200
    assert f"http://{pets.id}.execute-api.localhost:{aws.running.api_port}/docs" in page.body.decode()
    assert pets.request("GET", API_PAGE_PATH, headers={"Host": f"{pets.id}.execute-api.localhost"}).status == 200


def test_names_are_text_and_no_markup(make_api: MakeApi) -> None:
    api = make_api()
    api.route("GET /<script>alert(1)</script>")
    api.stage()
    page = api.request("GET", API_PAGE_PATH)
    assert page.status == 200
    assert "<script>alert" not in page.body.decode()
    assert "&lt;script&gt;alert(1)" in page.body.decode()
