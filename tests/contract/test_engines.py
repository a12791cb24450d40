"""Says which engines this run goes without: moto lets pass much that DynamoDB refuses."""

import pytest

from tests.contract.engines import ELSEWHERE, missing


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_contract_also_runs_on(name: str) -> None:
    if reason := missing(name):
        pytest.skip(reason)
