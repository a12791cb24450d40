"""Says when this run goes without a real engine: moto lets pass much that DynamoDB refuses."""

import os

import pytest

from tests.contract.engines import ELSEWHERE, missing


def test_the_contract_also_runs_on_a_real_engine() -> None:
    reasons = {name: missing(name) for name in ELSEWHERE}
    if os.environ.get("DYNAMODB_LOCAL_JAR"):
        assert reasons["dynamodb_local"] is None
    elif all(reasons.values()):
        pytest.skip("no real DynamoDB engine: " + ", or ".join(filter(None, reasons.values())))
