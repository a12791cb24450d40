"""What a cold start has to load and compile: a cost that creeps in unseen, module by module."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import strip_source
from tests.unit.fake_service import FakeService, served
from tests.unit.http_events import event

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
# what a request needs no part of, each a millisecond or more: by far the most of a cold start with an SDK
UNWANTED = {"boto3", "botocore", "calendar", "dataclasses", "datetime", "email", "encodings.idna", "http.client",
            "inspect", "pathlib", "random", "ssl", "typing", "urllib.parse", "uuid"}  # fmt: skip
MAXIMUM_OWN_MODULES = 20
# as shipped, without what only readers need
MAXIMUM_OWN_BYTES = 50_000
PROGRAM = """
import sys, json
import awslambdaric.bootstrap
before = set(sys.modules)
from agent_registry.handler import handler
answer = handler(json.loads(sys.argv[1]), None)
print(json.dumps({"status": answer["statusCode"], "loaded": sorted(set(sys.modules) - before)}))
"""


@pytest.fixture
def table() -> Iterator[FakeService]:
    def serve(operation: str, request: dict[str, object]) -> tuple[int, object]:
        if operation == "Query":
            entry = {"agentId": {"S": "capability#x#a"}, "capability": {"S": "x"}, "capabilityOf": {"S": "a"}}
            return 200, {"Items": [entry]}
        agent = {"agentId": {"S": "a"}, "capabilities": {"L": [{"S": "x"}]}, "version": {"N": "1"}}
        return 200, {"Responses": {"AgentRegistry": [agent]}}

    with served(FakeService(serve)) as service:
        yield service


def test_a_first_discovery_loads_little(table: FakeService) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(LAMBDA_SRC),
        "AWS_REGION": "eu-north-1",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_ENDPOINT_URL": table.url,
        "AGENT_REGISTRY_TABLE_NAME": "AgentRegistry",
        "CAPABILITY_INDEX_NAME": "CapabilityIndex",
        "IDEMPOTENCY_TABLE_NAME": "idempotency",
    }
    sent = json.dumps(event("http", "GET", "/agents", query={"capability": "x"}))
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, sent], env=environment, capture_output=True, text=True, check=True
    )
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["status"] == 200
    assert not UNWANTED & set(result["loaded"])
    own = [name for name in result["loaded"] if name.partition(".")[0] in ("common", "agent_registry")]
    assert len(own) <= MAXIMUM_OWN_MODULES, own
    files = [LAMBDA_SRC.joinpath(*name.split(".")).with_suffix(".py") for name in own]
    assert sum(len(strip_source.strip(file.read_text())) for file in files if file.exists()) <= MAXIMUM_OWN_BYTES
    assert table.connections == 1
