"""Requests made up from every openapi.yaml, good and bad, sent by schemathesis to the running stack: all is well."""

import pytest

from scripts import build_lambdas, paths
from tests.end_to_end.checkout import Checkout
from tests.fuzzing import OVER_HTTP_EXAMPLES, SEED


@pytest.mark.parametrize("system", build_lambdas.systems())
def test_schemathesis_finds_nothing(running_stack: Checkout, system: str) -> None:
    ended = running_stack.run(
        *(".venv/bin/st", "--no-color", "run", str(paths.LAMBDA_SOURCE / system / "openapi.yaml")),
        *("--url", f"http://127.0.0.1:{running_stack.api_port}"),
        *("--max-examples", str(OVER_HTTP_EXAMPLES), "--seed", str(SEED)),
        *("--warnings", "off"),
    )
    assert ended.exit_code == 0, ended.stdout + ended.stderr
