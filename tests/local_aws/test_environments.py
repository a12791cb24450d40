"""Execution environments: when one is reused, replaced, multiplied or refused."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import re
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest
from botocore.exceptions import ClientError

from scripts.local_aws import control
from scripts.local_aws.environments import Environment, Fleet
from scripts.local_aws.functions import FunctionSnapshot
from tests.local_aws.conftest import Aws, Deploy, Function, start_aws, wait_for, zip_of

WHO = """
import os, time
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return os.getpid()
"""
GATE = """
import os, pathlib, time
def handler(event, context):
    pathlib.Path(event["here"]).write_text("")
    while not os.path.exists(event["gate"]): time.sleep(0.01)
    return os.getpid()
"""


class Gate:
    """Invocations that stay inside the function until `open`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = concurrent.futures.ThreadPoolExecutor(20)
        self._entered = 0

    def enter(self, function: Function) -> concurrent.futures.Future[Any]:
        here = self._folder / f"here-{self._entered}"
        self._entered += 1
        running = self._pool.submit(function.invoke, {"here": str(here), "gate": str(self._folder / "gate")})
        wait_for(lambda: here.exists() or running.done())
        return running

    def open(self) -> None:
        (self._folder / "gate").write_text("")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def environments_of(aws: Aws, function: Function) -> list[dict[str, Any]]:
    return [e for e in aws.local("/_local/environments")["environments"] if e["function"] == function.name]


def test_a_warm_environment_is_reused(deploy: Deploy) -> None:
    function = deploy(WHO)
    assert len({function.invoke().payload for _ in range(5)}) == 1


def test_concurrent_invocations_get_environments_of_their_own(aws: Aws, deploy: Deploy, gate: Gate) -> None:
    function = deploy(GATE)
    running = [gate.enter(function) for _ in range(3)]
    assert [e["state"] for e in environments_of(aws, function)] == ["busy"] * 3
    gate.open()
    assert len({r.result().payload for r in running}) == 3
    wait_for(lambda: [e["state"] for e in environments_of(aws, function)] == ["idle"] * 3)


def test_the_environment_used_last_is_used_next(deploy: Deploy, gate: Gate) -> None:
    function = deploy(GATE)
    first, second = gate.enter(function), gate.enter(function)
    gate.open()
    assert {first.result().payload, second.result().payload}
    pids = [gate.enter(function).result().payload for _ in range(4)]
    assert len(set(pids)) == 1


def test_only_the_first_report_has_an_init_duration(deploy: Deploy) -> None:
    function = deploy(WHO)
    pattern = (
        r"REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 256 MB\t"
        r"Max Memory Used: \d+ MB\t(Init Duration: [\d.]+ ms\t)?\n"
    )
    first, second = (re.search(pattern, function.invoke().log) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (bool(first[1]), bool(second[1])) == (True, False)


def test_new_code_is_served_by_new_environments(aws: Aws, deploy: Deploy) -> None:
    function = deploy(WHO)
    pid = function.invoke().payload
    aws.client("lambda").update_function_code(FunctionName=function.name, ZipFile=zip_of(WHO + "\n# changed"))
    assert not psutil.pid_exists(pid)
    answer = function.invoke()
    assert answer.payload != pid
    assert "Init Duration" in answer.log


def test_changed_configuration_is_served_by_new_environments(aws: Aws, deploy: Deploy) -> None:
    function = deploy("import os\ndef handler(event, context): return [os.getpid(), os.environ.get('A')]")
    pid, value = function.invoke().payload
    assert value is None
    aws.client("lambda").update_function_configuration(
        FunctionName=function.name, Environment={"Variables": {"A": "1"}}
    )
    after = function.invoke().payload
    assert (after[0] != pid, after[1]) == (True, "1")


def test_a_version_keeps_its_environments_when_latest_changes(aws: Aws, deploy: Deploy) -> None:
    function = deploy(WHO, Publish=True)
    pid = function.invoke(qualifier="1").payload
    aws.client("lambda").update_function_code(FunctionName=function.name, ZipFile=zip_of(WHO + "\n# changed"))
    assert function.invoke(qualifier="1").payload == pid
    assert function.invoke().payload != pid


def test_replacing_environments_forces_a_cold_start(aws: Aws, deploy: Deploy) -> None:
    function = deploy(WHO)
    pid = function.invoke().payload
    assert control.replace_environments(aws.running, function.name) == 1
    assert not psutil.pid_exists(pid)
    answer = function.invoke()
    assert answer.payload != pid
    assert "Init Duration" in answer.log


def test_a_busy_environment_finishes_before_it_is_replaced(aws: Aws, deploy: Deploy, gate: Gate) -> None:
    function = deploy(GATE)
    running = gate.enter(function)
    assert control.replace_environments(aws.running, function.name) == 1
    gate.open()
    pid = running.result().payload
    wait_for(lambda: not psutil.pid_exists(pid))
    assert gate.enter(function).result().payload != pid


def test_the_fleet_itself_never_reuses_an_environment_of_another_snapshot() -> None:
    def snapshot(**changes: Any) -> FunctionSnapshot:
        fields = {field.name: "" for field in dataclasses.fields(FunctionSnapshot)} | {"name": "f", "region": "r"}
        return FunctionSnapshot(**{**fields, **changes})

    def acquired(function: FunctionSnapshot) -> Any:
        made = mock.Mock(alive=True, usable=True, function=function, stream=mock.Mock(has_pending=False))
        return fleet.acquire(function, None, {}, lambda: made)

    fleet = Fleet(account_concurrency=10, idle_eviction=1e9)
    try:
        first = acquired(snapshot())
        fleet.release(first)
        assert acquired(snapshot()) is first
        fleet.release(first)
        second = acquired(snapshot(timeout=5))
        assert second is not first
        first.stop.assert_called_once()
    finally:
        fleet.close()


def test_output_is_taken_before_the_answer_is_given() -> None:
    """Without the reading thread: it usually wins the race that this settles."""
    stream = mock.Mock()
    environment = Environment(mock.Mock(), Path(), {}, stream, mock.Mock(), 1.0, lambda: None)
    read_end, write_end = os.pipe()
    environment._output = read_end
    os.write(write_end, b"first\nsecond")
    environment._drain()
    os.close(write_end)
    os.close(read_end)
    assert [call.args[0] for call in stream.add.call_args_list] == ["first", "second"]


def test_a_deleted_function_leaves_no_process(aws: Aws, deploy: Deploy) -> None:
    function = deploy(WHO)
    pid = function.invoke().payload
    aws.client("lambda").delete_function(FunctionName=function.name)
    assert not psutil.pid_exists(pid)


def test_reserved_concurrency_throttles(aws: Aws, deploy: Deploy, gate: Gate) -> None:
    function = deploy(GATE)
    aws.client("lambda").put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=2)
    running = [gate.enter(function) for _ in range(2)]
    with pytest.raises(ClientError) as error:
        function.invoke({})
    gate.open()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert error.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert all(r.result().error is None for r in running)
    aws.client("lambda").put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError, match="Rate Exceeded"):
        function.invoke({})


def test_the_accounts_concurrency_throttles(tmp_path: Path, gate: Gate) -> None:
    aws = start_aws(tmp_path / "aws", "--account-concurrency", "3")
    try:
        reserved, others = aws.deploy(GATE), aws.deploy(GATE)
        aws.client("lambda").put_function_concurrency(FunctionName=reserved.name, ReservedConcurrentExecutions=1)
        running = [gate.enter(others), gate.enter(others)]
        with pytest.raises(ClientError) as error:
            others.invoke({})
        assert error.value.response["Reason"] == "ConcurrentInvocationLimitExceeded"
        running.append(gate.enter(reserved))
        gate.open()
        assert all(r.result().error is None for r in running)
    finally:
        control.stop(tmp_path / "aws")


def test_an_idle_environment_is_evicted(tmp_path: Path) -> None:
    aws = start_aws(tmp_path, "--idle-eviction", "0.2")
    try:
        pid = aws.deploy(WHO).invoke().payload
        wait_for(lambda: not psutil.pid_exists(pid))
        assert aws.local("/_local/environments")["environments"] == []
    finally:
        control.stop(tmp_path)


def test_what_a_function_started_dies_with_its_environment(aws: Aws, deploy: Deploy) -> None:
    function = deploy(
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\ndef handler(event, context): return child.pid"
    )
    pid = function.invoke().payload
    assert psutil.pid_exists(pid)
    control.replace_environments(aws.running, function.name)
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
