"""Says when this run goes without a real engine: moto lets pass much that DynamoDB refuses."""

import pytest

from tests.contract.engines import ELSEWHERE, missing


def test_the_contract_also_runs_on_a_real_engine() -> None:
    reasons = [missing(name) for name in ELSEWHERE]
    if all(reasons):
        pytest.skip("no real DynamoDB engine: " + ", or ".join(filter(None, reasons)))
