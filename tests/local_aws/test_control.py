"""Starting, stopping, and what is left behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.local_aws import control
from tests.local_aws.conftest import Aws, start_aws, wait_for
from tests.ports import free_port
from tests.recording_guarantees import Guarantee

REPOSITORY = Path(control.__file__).parents[2]
SLEEPER = """
import os, subprocess, time
child = subprocess.Popen(["sleep", "600"])
def handler(event, context):
    time.sleep(event.get("sleep", 0))
    return [os.getpid(), child.pid]
"""


@pytest.fixture
def state_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "state"
    control.stop(tmp_path / "state")


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def descendants(aws: Aws) -> list[int]:
    """Everything that the embedded AWS has started: a busy and an idle environment, their children, the guardian."""
    function = aws.deploy(SLEEPER, Timeout=900)
    function.invoke({}, InvocationType="Event")
    wait_for(lambda: aws.local("/_local/health")["environments"] == {"idle": 1, "busy": 0})
    function.invoke({"sleep": 800}, InvocationType="Event")
    other = aws.deploy(SLEEPER)
    other.invoke()
    wait_for(lambda: aws.local("/_local/health")["environments"] == {"idle": 1, "busy": 1})
    pids = [child.pid for child in psutil.Process(aws.running.pid).children(recursive=True)]
    assert len(pids) >= 5
    return pids


def test_start_is_idempotent_and_stop_cleans_up(state_dir: Path) -> None:
    first = start_aws(state_dir).running
    assert not first.already_running
    again = control.start(state_dir, port=first.port, api_port=first.api_port)
    assert (again.pid, again.already_running) == (first.pid, True)
    assert control.status(state_dir) == again
    assert control.stop(state_dir)
    assert gone(first.pid)
    assert control.status(state_dir) is None
    assert not control.stop(state_dir)
    assert sorted(file.name for file in state_dir.iterdir()) == ["lock", "server.log"]


def test_the_callers_own_aws_is_no_concern_of_it(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobodys")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "nowhere-1")
    aws = start_aws(state_dir)
    assert aws.local("/_local/health")["pid"] == aws.running.pid


def test_starting_is_quick(state_dir: Path) -> None:
    # Its own time, not that of all that runs beside it.
    times = psutil.Process(start_aws(state_dir).running.pid).cpu_times()
    assert times.user + times.system < 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_process_is_left(state_dir: Path, number: signal.Signals, guarantee: Guarantee) -> None:
    aws = start_aws(state_dir)
    pids = descendants(aws)
    os.kill(aws.running.pid, number)
    wait_for(lambda: all(gone(pid) for pid in [aws.running.pid, *pids]))
    left = sum(not gone(pid) for pid in pids)
    guarantee("embedded-aws", ends=1, processes_before=len(pids), processes_left=left)


def test_after_a_kill_it_starts_again(state_dir: Path) -> None:
    first = start_aws(state_dir).running
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: gone(first.pid))
    assert control.status(state_dir) is None
    again = control.start(state_dir, port=first.port, api_port=first.api_port)
    assert again.pid != first.pid


def test_after_a_kill_stop_clears_the_rest_away(state_dir: Path) -> None:
    aws = start_aws(state_dir)
    aws.deploy(SLEEPER).invoke()
    os.kill(aws.running.pid, signal.SIGKILL)
    wait_for(lambda: gone(aws.running.pid))
    assert (state_dir / "code").exists()
    assert not control.stop(state_dir)
    assert not (state_dir / "code").exists()


def test_a_stopped_process_that_does_not_answer_is_replaced(state_dir: Path) -> None:
    first = start_aws(state_dir).running
    os.kill(first.pid, signal.SIGSTOP)
    again = control.start(state_dir, port=first.port, api_port=first.api_port)
    assert again.pid != first.pid
    assert gone(first.pid)


def test_a_stale_state_file_is_no_obstacle(state_dir: Path) -> None:
    state_dir.mkdir()
    strangers = {"pid": os.getpid(), "port": 1, "create_time": 0.0}
    (state_dir / "state.json").write_text(json.dumps(strangers))
    assert control.status(state_dir) is None
    assert not control.stop(state_dir)
    (state_dir / "state.json").write_text("{")
    assert start_aws(state_dir).running.pid != os.getpid()


@pytest.mark.parametrize("which", ["port", "api_port"])
def test_a_taken_port_is_one_clear_error(state_dir: Path, which: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        with pytest.raises(control.LocalAwsError) as error:
            control.start(state_dir, **{"port": free_port(), "api_port": free_port(), which: taken})
    assert f"Port {taken} is taken" in str(error.value)
    assert f"process {os.getpid()}" in str(error.value)
    assert ("LOCAL_AWS_PORT" if which == "port" else "LOCAL_AWS_API_PORT") in str(error.value)
    assert control.status(state_dir) is None


def test_another_embedded_aws_on_the_port_is_named(state_dir: Path, aws: Aws) -> None:
    with pytest.raises(control.LocalAwsError, match=str(aws.state_dir)) as error:
        control.start(state_dir, port=aws.running.port, api_port=free_port())
    assert "make down" in error.value.next_step


def test_in_the_foreground_a_taken_port_is_exit_code_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = str(holder.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "scripts.local_aws", "--port", taken, "--data-dir", str(tmp_path)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert f"Port {taken} is taken" in ended.stderr


def test_it_listens_on_loopback_only(aws: Aws) -> None:
    process = psutil.Process(aws.running.pid)
    listening = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {aws.running.port, aws.running.api_port} <= {c.laddr.port for c in listening}
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_it_survives_ctrl_c_of_its_caller(state_dir: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from scripts.local_aws import control\n"
        "print(control.start(Path(sys.argv[1]), port=int(sys.argv[2]), api_port=int(sys.argv[3])).pid, flush=True)\n"
        "time.sleep(600)"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", code, str(state_dir), str(free_port()), str(free_port())],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        # Where the tests run in the background, a shell has made them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert caller.stdout is not None
    pid = int(caller.stdout.readline())
    os.killpg(caller.pid, signal.SIGINT)
    assert caller.wait(60) != 0
    running = control.status(state_dir)
    assert running is not None
    assert running.pid == pid


def test_the_module_is_cheap_to_import() -> None:
    code = "import sys, scripts.local_aws.control; print([m for m in ('moto', 'boto3', 'flask') if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_clients_need_nothing_but_the_environment(aws: Aws) -> None:
    environment = control.client_environment(aws.running, region="eu-west-1")
    code = (
        "import boto3; print(boto3.client('sts').get_caller_identity()['Account'], boto3.Session().region_name);"
        "s = boto3.client('s3'); s.create_bucket(Bucket='plain', CreateBucketConfiguration={'LocationConstraint': "
        "'eu-west-1'}); s.put_object(Bucket='plain', Key='a/b c', Body=b'x' * 300000, IfNoneMatch='*');"
        "print(len(s.get_object(Bucket='plain', Key='a/b c')['Body'].read()))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert ended.stdout.split() == ["123456789012", "eu-west-1", "300000"]
