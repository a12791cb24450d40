"""Starts, stops and looks at the embedded AWS in the background.

    start(state_dir: Path, *, port: int | None = None, api_port: int | None = None, timeout: float = 60.0,
          options: Sequence[str] = ()) -> Running
        Starts it and waits until it answers; the one that already runs from this folder is returned as it is
        (`already_running`). `options` are further arguments of `python -m scripts.local_aws`. Raises LocalAwsError.
    stop(state_dir: Path, *, grace: float = 10.0) -> bool
        Ends it, by force after `grace` seconds. False when nothing ran.
    status(state_dir: Path) -> Running | None
        What runs from this folder and answers.
    replace_environments(running: Running, function_name: str) -> int
        Retires all execution environments of a function: its next invocation is a cold start. Returns how many.
    environments(running: Running) -> list[dict[str, Any]]
        The execution environments: their `function`, `pid`, `invocations` and more.
    client_environment(running: Running | None = None, *, region: str = DEFAULT_REGION) -> dict[str, str]
        The environment variables that point an AWS client at it (at the default port without `running`).

All that belongs to it lives in `state_dir` (".build/local/aws"): state.json, server.log, code/.
moto is not imported here: this module is cheap.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import psutil

from scripts.local_aws.code_store import remove_tree
from scripts.local_aws.errors import LocalAwsError
from scripts.local_aws.settings import (
    CLIENT_ACCESS_KEY_ID,
    CLIENT_SECRET_ACCESS_KEY,
    DEFAULT_REGION,
    HOST,
    default_api_port,
    default_port,
)

__all__ = [
    "LocalAwsError",
    "Running",
    "client_environment",
    "environments",
    "replace_environments",
    "start",
    "status",
    "stop",
]

_REPOSITORY = Path(__file__).resolve().parents[2]
_POLL_SECONDS = 0.02


@dataclasses.dataclass(frozen=True)
class Running:
    """An embedded AWS that answers."""

    pid: int
    port: int
    api_port: int
    account_id: str
    started_at: str
    log_file: Path
    already_running: bool = False

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"


def client_environment(running: Running | None = None, *, region: str = DEFAULT_REGION) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": running.endpoint_url if running else f"http://{HOST}:{default_port()}",
        "AWS_ACCESS_KEY_ID": CLIENT_ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": CLIENT_SECRET_ACCESS_KEY,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A profile or a shared file of the caller must not win over the above.
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def _log_file(state_dir: Path) -> Path:
    return state_dir / "server.log"


def _state_file(state_dir: Path) -> Path:
    return state_dir / "state.json"


@contextlib.contextmanager
def _only_one(state_dir: Path) -> Iterator[None]:
    """Two `make up` at once start one embedded AWS."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _request(port: int, method: str, path: str, timeout: float = 2.0) -> dict[str, Any] | None:
    """The JSON answer of one of our endpoints; None when nobody answers, or somebody else."""
    connection = http.client.HTTPConnection(HOST, port, timeout=timeout)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        answer = json.loads(response.read())
        return cast("dict[str, Any]", answer) if response.status == 200 and isinstance(answer, dict) else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _recorded(state_dir: Path) -> tuple[psutil.Process, dict[str, Any]] | None:
    """The process that the state file names, if it lives; a stale file is removed."""
    file = _state_file(state_dir)
    try:
        state = json.loads(file.read_text())
        process = psutil.Process(state["pid"])
        # A pid comes back after a reboot: the time of birth tells.
        if abs(process.create_time() - state["create_time"]) < 2 and process.status() != psutil.STATUS_ZOMBIE:
            return process, state
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, psutil.Error):
        pass
    file.unlink(missing_ok=True)
    return None


def _running(state_dir: Path, health: dict[str, Any], *, already_running: bool = False) -> Running:
    return Running(
        pid=health["pid"],
        port=health["port"],
        api_port=health["api_port"],
        account_id=health["account_id"],
        started_at=health["started_at"],
        log_file=_log_file(state_dir),
        already_running=already_running,
    )


def status(state_dir: Path) -> Running | None:
    found = _recorded(state_dir)
    if found is None:
        return None
    process, state = found
    health = _request(state["port"], "GET", "/_local/health")
    if health is None or health.get("pid") != process.pid:
        return None
    return _running(state_dir, health, already_running=True)


def start(
    state_dir: Path,
    *,
    port: int | None = None,
    api_port: int | None = None,
    timeout: float = 60.0,
    options: Sequence[str] = (),
) -> Running:
    port = default_port() if port is None else port
    api_port = default_api_port() if api_port is None else api_port
    state_dir = state_dir.resolve()
    with _only_one(state_dir):
        found = status(state_dir)
        if found is not None:
            return found
        # Alive but mute (hung, or killed half-way): it would hold the port.
        _end(state_dir, grace=2.0)
        _refuse_another(port, state_dir)
        return _launch(state_dir, port, api_port, timeout, options)


def _refuse_another(port: int, state_dir: Path) -> None:
    health = _request(port, "GET", "/_local/health")
    if health is not None and health.get("data_dir") != str(state_dir):
        raise LocalAwsError(
            f"Port {port} is taken by another embedded AWS (process {health.get('pid')}, of {health.get('data_dir')}).",
            "Stop that one (`make down` in its folder), or choose other ports with LOCAL_AWS_PORT and "
            "LOCAL_AWS_API_PORT.",
        )


def _launch(state_dir: Path, port: int, api_port: int, timeout: float, options: Sequence[str]) -> Running:
    arguments = ["--port", str(port), "--api-port", str(api_port), "--data-dir", str(state_dir), *options]
    with _log_file(state_dir).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.local_aws", *arguments],
            cwd=_REPOSITORY,
            # The caller's profile, region and endpoint are for another AWS; a profile that is gone would end it.
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the caller's terminal is not meant for it
        )
    try:
        state = {"pid": process.pid, "port": port, "create_time": psutil.Process(process.pid).create_time()}
        _state_file(state_dir).write_text(json.dumps(state))
        return _await_health(process, state_dir, port, timeout)
    except BaseException:
        process.kill()
        process.wait()
        _state_file(state_dir).unlink(missing_ok=True)
        raise


def _await_health(process: subprocess.Popen[bytes], state_dir: Path, port: int, timeout: float) -> Running:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            lines = [line for line in _log_file(state_dir).read_text(errors="replace").splitlines() if line.strip()]
            raise LocalAwsError(
                lines[-1] if lines else f"The embedded AWS ended at once (exit code {process.returncode}).",
                "" if process.returncode == 2 else f"Its log: {_log_file(state_dir)}",
            )
        health = _request(port, "GET", "/_local/health", timeout=0.5)
        if health is not None and health.get("pid") == process.pid:
            return _running(state_dir, health)
        time.sleep(_POLL_SECONDS)
    raise LocalAwsError(
        f"The embedded AWS did not answer on port {port} within {timeout:.0f} seconds.",
        f"Its log says how far it came: {_log_file(state_dir)}",
    )


def stop(state_dir: Path, *, grace: float = 10.0) -> bool:
    state_dir = state_dir.resolve()
    if not state_dir.exists():
        return False
    with _only_one(state_dir):
        stopped = _end(state_dir, grace)
        remove_tree(state_dir / "code")  # left by one that was killed
        return stopped


def _end(state_dir: Path, grace: float) -> bool:
    found = _recorded(state_dir)
    if found is None:
        return False
    process, _ = found
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(grace)
    _state_file(state_dir).unlink(missing_ok=True)
    return True


def replace_environments(running: Running, function_name: str) -> int:
    answer = _request(running.port, "POST", f"/_local/functions/{function_name}/replace-environments", timeout=30.0)
    if answer is None:
        raise LocalAwsError(
            f"The embedded AWS on port {running.port} did not replace the environments of {function_name}.",
            f"Its log: {running.log_file}",
        )
    return int(answer["replaced"])


def environments(running: Running) -> list[dict[str, Any]]:
    answer = _request(running.port, "GET", "/_local/environments", timeout=30.0)
    if answer is None:
        raise LocalAwsError(
            f"The embedded AWS on port {running.port} did not tell its environments.",
            f"Its log: {running.log_file}",
        )
    return cast("list[dict[str, Any]]", answer["environments"])
