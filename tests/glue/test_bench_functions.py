"""The benchmark of the functions: its peers give the answers that ours give, and its figures are what they say."""

import importlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
import pytest

from scripts import deterministic_zip, dynamodb_local, paths
from scripts.applied_state import Instance
from scripts.benchmarks import first_requests, functions, stack_tables
from scripts.benchmarks.engines import Engine
from scripts.benchmarks.functions import NOTHING, OURS, PEERS, RESOURCE
from scripts.benchmarks.parts import Part
from scripts.workloads import Answer
from tests.contract import engines
from tests.contract.systems import SYSTEMS
from tests.local_aws.conftest import Aws
from tests.unit.http_events import Context

CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=512, invoked_function_arn="arn", aws_request_id="r", client_context=None
)


def test_the_peers_find_the_same_records() -> None:
    with engines.running("moto") as engine:
        for system, prepare in first_requests.OF_SYSTEM.items():
            with SYSTEMS[system].new(engine) as application:

                def send(method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
                    answer = application.call(method, path, body=body, headers=dict(headers or {}))
                    return Answer(answer.status, answer.body)

                request = prepare(send)
                ours = request.records(application.app(request.event, Context()))
                assert len(ours) >= (first_requests.RECORDS if request.found else 1)
                for peer in PEERS:
                    theirs = request.records(handler(peer, application.environment)(request.event, CONTEXT))
                    assert sorted(theirs, key=identity) == sorted(ours, key=identity), (system, peer)


def handler(peer: str, environment: Mapping[str, str]) -> Any:
    """A peer's, as if it were in a new environment."""
    os.environ.update({**environment, "AWS_DEFAULT_REGION": environment["AWS_REGION"]})
    module = importlib.import_module(f"scripts.benchmarks.peers.{peer}")
    if made_once := getattr(module, "table_of", None):
        made_once.cache_clear()
    return module.handler


@pytest.fixture(autouse=True)
def _variables_are_given_back() -> Any:
    with mock.patch.dict(os.environ), mock.patch.object(boto3, "DEFAULT_SESSION", None):
        yield


def identity(record: Mapping[str, Any]) -> str:
    return str(record.get("id") or record["time"])


def test_requests_are_of_the_contracts() -> None:
    for system, prepare in first_requests.OF_SYSTEM.items():
        request = prepare(lambda *_: Answer(201, {"id": "x", "sessionId": "x"}))
        assert f"GET {request.route}" in SYSTEMS[system].contract.routes
        assert request.event["rawPath"] == request.route.format(**request.parameters)


def test_a_run_of_one_system(embedded_aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is a stand-in here, written as the peers are: what is packaged has tests of its own."""
    zip_file = tmp_path / "pets.zip"
    source = Path(functions.__file__).with_name("peers") / "boto3_client.py"
    zip_file.write_bytes(deterministic_zip.archive({"function.py": source.read_bytes()}))
    monkeypatch.setattr(paths, "TERRAFORM_ROOT", tmp_path)
    monkeypatch.setattr(first_requests, "OF_SYSTEM", {"pet_store": first_requests.pet_store})
    monkeypatch.setattr(functions, "WARM_REQUESTS", 2)
    key, index = {"name": "id", "type": "N"}, [{"name": "type", "type": "S"}, {"name": "price", "type": "N"}]
    table = {"name": "BenchPets", "hash_key": "id", "attribute": [key, *index]}
    table["global_secondary_index"] = [
        {"name": "by-type", "hash_key": "type", "range_key": "price", "projection_type": "ALL"}
    ]
    markers = {"name": "bench-markers", "hash_key": "id", "attribute": [{"name": "id", "type": "S"}]}
    names = {
        "PET_STORE_TABLE_NAME": "BenchPets",
        "TYPE_PRICE_INDEX_NAME": "by-type",
        "IDEMPOTENCY_TABLE_NAME": "bench-markers",
    }
    function = {"filename": "pets.zip", "handler": "function.handler", "runtime": "python3.13", "memory_size": 512}
    function |= {"timeout": 30, "environment": [{"variables": names}]}
    instances = [
        Instance("module.pet_store_table[0]", "aws_dynamodb_table", table),
        Instance("module.idempotency_table[0]", "aws_dynamodb_table", markers),
        Instance("module.pet_store_function[0]", "aws_lambda_function", function),
    ]
    engine = Engine(embedded_aws.running.endpoint_url)
    with stack_tables.made(engine, instances) as stack:
        assert stack_tables.is_shared_by_keys(engine)
        setup = functions.deployed(embedded_aws.running, stack, instances)
        part = functions.compared(setup, rounds=1)
    assert {row.goal for row in part.rows} == {0.22, 1.6, 0.35, 0.5}
    assert all("(pet_store)" in row.what and row.value > 0 for row in part.rows)
    for samples in part.data.values():
        assert set(samples) == {f"pet_store/{author}" for author in (NOTHING, OURS, *PEERS)}
        assert all(len(values) == 1 and values[0] > 0 for values in samples.values())


def made(ours: float, resource: float, nothing: float) -> functions.Samples:
    """Of two systems, of which the second is twice as dear, on a machine that is ten times as slow in one round."""
    found: functions.Samples = {}
    for number, system in enumerate(("first", "second"), start=1):
        costs = dict.fromkeys(PEERS, resource) | {OURS: ours * number, NOTHING: nothing}
        found |= {(system, author): [cost, cost * 10, cost] for author, cost in costs.items()}
    found["second", OURS][0] = 0.0
    return found


def test_the_worst_median_of_the_rounds_ratios_counts() -> None:
    part: Part = functions.report(["first", "second"], made(10, 100, 16), made(1, 4, 1), made(20, 60, 15))
    rows = [(row.what.rpartition("(")[2], row.against, row.value, row.is_met) for row in part.rows]
    assert rows == [
        ("second)", PEERS[RESOURCE], 0.2, True),
        ("second)", "a handler that does nothing", 1.25, True),
        ("second)", PEERS[RESOURCE], 0.5, False),
        ("second)", PEERS[RESOURCE], pytest.approx(0.667, abs=0.001), False),
    ]
    assert part.tables[0].rows[1] == ["second", "16", "20", "100", "100", "100", "0.20", "1.25"]


def test_figures_of_a_process_are_its_own() -> None:
    before = functions.cpu_seconds(os.getpid())
    began = time.process_time()
    while time.process_time() - began < 0.05:
        pass
    assert 0.04 < functions.cpu_seconds(os.getpid()) - before < 30
    assert 5 < functions.peak_megabytes(os.getpid()) < 100_000


def test_an_engine_that_keeps_tables_apart_by_key_is_not_for_functions() -> None:
    if missing := dynamodb_local.missing():
        pytest.skip(missing)
    with dynamodb_local.running() as url:
        assert not stack_tables.is_shared_by_keys(Engine(url))
