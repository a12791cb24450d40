"""A method that a path does not have is answered by the path's function, through the API: 405, and which there are."""

import re
from collections.abc import Iterator

import pytest
import yaml

from scripts import build_lambdas, paths
from tests.end_to_end.checkout import Checkout

METHODS = {"DELETE", "GET", "PATCH", "POST", "PUT", "TRACE"}


def _paths() -> Iterator[tuple[str, set[str]]]:
    for system in build_lambdas.systems():
        contract = yaml.safe_load((paths.LAMBDA_SOURCE / system / "openapi.yaml").read_text())
        for path, operations in contract["paths"].items():
            yield path, METHODS & {method.upper() for method in operations}


PATHS = list(_paths())


@pytest.mark.parametrize(("path", "methods"), PATHS, ids=[path for path, _ in PATHS])
def test_a_wrong_method_is_told_the_right_ones(running_stack: Checkout, path: str, methods: set[str]) -> None:
    example = re.sub(r"\{\w+\}", "x", path)
    for method in ("PATCH", "TRACE"):
        status, headers, problem = running_stack.call(method, example)
        assert (status, problem["status"], headers["content-type"]) == (405, 405, "application/problem+json"), method
        assert set(headers["allow"].split(", ")) >= methods | {"OPTIONS"}
    status, headers, body = running_stack.call("OPTIONS", example)
    assert (status, body) == (204, None)
    assert set(headers["allow"].split(", ")) >= methods | {"OPTIONS"}


def test_an_agent_may_be_called_like_another_path(running_stack: Checkout) -> None:
    """API Gateway takes GET /agents/register for a wrong method of that path; the function knows an agent's path."""
    status, headers, problem = running_stack.call("GET", "/agents/register")
    assert (status, headers["content-type"]) == (404, "application/problem+json")
    assert "agent" in problem["detail"]


def test_paths_that_no_contract_names_stay_the_apis_own(running_stack: Checkout) -> None:
    status, _, body = running_stack.call("PUT", "/nothing/here")
    assert (status, body) == (404, {"message": "Not Found"})
