"""Checkouts of their own, with free ports: what a developer runs beside the tests is left alone."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import boto3
import psutil
import urllib3

from scripts import paths
from scripts.local_aws.roles import MAX_DECISIONS
from tests.ports import free_port
from tests.terraform.running import PROVIDER_PROXY, attached_provider, forget_checksums

# A hang is to be told from a machine that much else runs on: a `make up` there may take minutes.
COMMAND_SECONDS = 600
# What is waited for takes seconds, and each look at it takes time that it could use.
POLL_SECONDS = 0.25
# Of one HTTP call: more than the API's own 30. urllib3's default is 3.
CALL_SECONDS = 60
# Nothing here is a benchmark: other tests run on the same machine at the same time.
BUDGETS = "budgets = { cold_start_milliseconds = 10000, query_milliseconds = 5000 }"


# What whoever calls a command may have in the environment, and nothing may keep
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": "secret-canary-of-the-access-key",
    "AWS_SESSION_TOKEN": "secret-canary-of-the-session",
    "API_TOKEN": "secret-canary-of-a-token",
    "API_SERVER_KEY": "secret-canary-of-the-reply-service",
    "TF_TOKEN_app_terraform_io": "secret-canary-of-a-registry",
}


class Ended(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str


class Checkout(NamedTuple):
    """A copy of the working tree with its own `.build`, sharing only the virtual environments."""

    folder: Path
    port: int
    api_port: int
    # What makes Terraform use provider processes that run already.
    provider: Mapping[str, str] = MappingProxyType({})

    @property
    def environment(self) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            # Compiled code is kept: many commands run the same.
            if not name.startswith(("AWS_", "GITHUB_", "MAKE", "MFLAGS", "PYTHONDONTWRITEBYTECODE"))
        }
        ports = {"LOCAL_AWS_PORT": str(self.port), "LOCAL_AWS_API_PORT": str(self.api_port)}
        return inherited | ports | dict(self.provider)

    @property
    def caller(self) -> dict[str, str]:
        """What a caller of AWS has in the environment, pointed at this checkout's embedded AWS."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
        }

    def start(self, *command: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment | extra,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Where the tests run in the background, a shell has made them ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *command: str, **extra: str) -> Ended:
        process = self.start(*command, **extra)
        stdout, stderr = process.communicate(timeout=COMMAND_SECONDS)
        return Ended(process.returncode, stdout, stderr)

    def make(self, *arguments: str, **extra: str) -> Ended:
        return self.run("make", "--no-print-directory", *arguments, **extra)

    def must(self, *arguments: str, **extra: str) -> str:
        ended = self.make(*arguments, **extra)
        assert ended.exit_code == 0, f"make {' '.join(arguments)}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def client(self, service: str) -> Any:
        """A stock boto3 client: only the endpoint is ours."""
        return _client(service, self.port)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """Plain HTTP to the API's address: status, headers, parsed body."""
        answer = urllib3.request(
            method,
            f"http://127.0.0.1:{self.api_port}{path}",
            body=None if body is None else json.dumps(body),
            headers={"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
            retries=False,
            timeout=CALL_SECONDS,
        )
        return answer.status, dict(answer.headers.items()), json.loads(answer.data) if answer.data else None

    def function_name(self, system: str) -> str:
        suffix = system.replace("_", "-")
        names = [function["FunctionName"] for function in self.client("lambda").list_functions()["Functions"]]
        (found,) = [name for name in names if name.endswith(suffix)]
        return str(found)

    def replace_environments(self, system: str) -> None:
        """Ends the function's execution environments: the next call is a cold start."""
        url = f"http://127.0.0.1:{self.port}/_local/functions/{self.function_name(system)}/replace-environments"
        answer = urllib3.request("POST", url, retries=False, timeout=CALL_SECONDS)
        assert answer.status == 200, answer.data

    def log_messages(self, system: str) -> list[str]:
        """All lines of the function's log group, oldest first."""
        pages = self.client("logs").get_paginator("filter_log_events")
        group = f"/aws/lambda/{self.function_name(system)}"
        return [event["message"] for page in pages.paginate(logGroupName=group) for event in page["events"]]

    def run_only(self, *systems: str) -> None:
        """Leaves the other systems out of the environment `local`, for tests that are about none in particular."""
        file = self.folder / "terraform" / "environments" / "local.toml"
        file.write_text(f"{file.read_text()}systems = {json.dumps(systems)}\n")

    def decisions(self) -> list[dict[str, Any]]:
        """Every distinct decision on what a role may do, as the embedded AWS has taken them until now."""
        url = f"http://127.0.0.1:{self.port}/_local/iam"
        answer = urllib3.request("GET", url, retries=False, timeout=CALL_SECONDS)
        rows: list[dict[str, Any]] = json.loads(answer.data)["decisions"]
        assert len(rows) < MAX_DECISIONS, "the record is full: what came later is not on it"
        return rows

    def state_details(self) -> dict[str, Any]:
        health = urllib3.request(
            "GET", f"http://127.0.0.1:{self.port}/_local/health", retries=False, timeout=CALL_SECONDS
        )
        details: dict[str, Any] = json.loads(health.data)
        return details

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on behalf of this checkout."""
        found = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except (psutil.Error, OSError):
                continue
            if PROVIDER_PROXY in environment:
                continue
            ours = environment.get("LOCAL_AWS_PORT") == str(self.port)
            if (
                ours or environment.get("AWS_ENDPOINT_URL", "").endswith(f":{self.port}")
            ) and process.pid != os.getpid():
                found.append(process)
        return found


@cache
def _client(service: str, port: int) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        region_name="us-east-1",
    )


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        if met := condition():
            return met
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(POLL_SECONDS)


def make_checkout(folder: Path, *, provider_checked: bool = False) -> Checkout:
    """`provider_checked`: with the lock file as it is, so that every command reads the provider for its checksum."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = paths.ROOT / name
        if source.is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name)
    (folder / ".venv").symlink_to(paths.ROOT / ".venv")
    if not provider_checked:
        forget_checksums(folder / "terraform")
        forget_checksums(folder / "terraform" / "bootstrap")
    with (folder / "terraform" / "environments" / "local.toml").open("a") as local:
        local.write(f"{BUDGETS}\n")
    return Checkout(folder, free_port(), free_port())


@contextmanager
def stopped_at_the_end(folder: Path, *, provider_checked: bool = False, attached: bool = True) -> Iterator[Checkout]:
    """A checkout of its own; whatever happens, nothing of it runs afterwards.

    Unless `attached`, each of Terraform's commands starts the provider itself.
    """
    made = make_checkout(folder, provider_checked=provider_checked)
    environment = made.environment | made.caller
    with attached_provider(folder / "terraform", environment) if attached else nullcontext({}) as provider:
        made = made._replace(provider=provider)
        try:
            yield made
        finally:
            made.make("down")
            for process in made.processes():
                process.kill()
