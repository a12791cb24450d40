"""One embedded AWS for the session, and `deploy`, which makes a real function of a few lines of code."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from scripts.local_aws import control
from tests.ports import free_port

REGION = "eu-north-1"
ACCOUNT = "123456789012"
LOGS_POLICY = {
    "Effect": "Allow",
    "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    "Resource": "*",
}


def wait_for(condition: Callable[[], Any], timeout: float = 60.0) -> Any:
    """The first true value of `condition`; fails the test when there is none in time."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
    return value


def client_for(running: control.Running, service: str, *, parameter_validation: bool = True, **kwargs: Any) -> Any:
    environment = control.client_environment(running, region=REGION)
    return boto3.client(
        service,
        endpoint_url=running.endpoint_url,
        region_name=REGION,
        aws_access_key_id=kwargs.pop("access_key", environment["AWS_ACCESS_KEY_ID"]),
        aws_secret_access_key=kwargs.pop("secret_key", environment["AWS_SECRET_ACCESS_KEY"]),
        config=Config(
            retries={"total_max_attempts": 1}, max_pool_connections=30, parameter_validation=parameter_validation
        ),
        **kwargs,
    )


def zip_of(code: str | dict[str, str]) -> bytes:
    files = {"app.py": code} if isinstance(code, str) else code
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@dataclasses.dataclass
class Answer:
    status: int
    payload: Any
    error: str | None
    version: str | None
    log: str
    raw: dict[str, Any]


@dataclasses.dataclass
class Function:
    name: str
    arn: str
    role_name: str
    clients: Callable[[str], Any]

    def invoke(self, event: Any = None, qualifier: str | None = None, **kwargs: Any) -> Answer:
        arguments = {"FunctionName": self.name, "Payload": json.dumps(event if event is not None else {}), **kwargs}
        if qualifier:
            arguments["Qualifier"] = qualifier
        if "InvocationType" not in arguments:
            arguments["LogType"] = "Tail"
        response = self.clients("lambda").invoke(**arguments)
        body = response["Payload"].read()
        return Answer(
            status=response["StatusCode"],
            payload=json.loads(body) if body else None,
            error=response.get("FunctionError"),
            version=response.get("ExecutedVersion"),
            log=base64.b64decode(response.get("LogResult", "")).decode(),
            raw=response,
        )

    def log_messages(self) -> list[str]:
        pages = (
            self.clients("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{self.name}")
        )
        return [event["message"] for page in pages for event in page["events"]]


Deploy = Callable[..., Function]


def make_deploy(clients: Callable[[str], Any]) -> Deploy:
    def deploy(
        code: str | dict[str, str], *, statements: list[dict[str, Any]] | None = None, **configuration: Any
    ) -> Function:
        name = f"fn-{uuid.uuid4().hex[:12]}"
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
        role = clients("iam").create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]
        clients("iam").put_role_policy(
            RoleName=name,
            PolicyName="inline",
            PolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [LOGS_POLICY] if statements is None else statements}
            ),
        )
        arguments = {"Runtime": "python3.13", "Handler": "app.handler", "Timeout": 60, "MemorySize": 256}
        made = clients("lambda").create_function(
            FunctionName=name, Role=role["Arn"], Code={"ZipFile": zip_of(code)}, **{**arguments, **configuration}
        )
        return Function(name, made["FunctionArn"].removesuffix(":1"), name, clients)

    return deploy


@dataclasses.dataclass
class Aws:
    """A running embedded AWS with its clients."""

    running: control.Running
    state_dir: Path

    def __post_init__(self) -> None:
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = client_for(self.running, service)
        return self._clients[service]

    @property
    def deploy(self) -> Deploy:
        return make_deploy(self.client)

    def local(self, path: str, method: str = "GET") -> dict[str, Any]:
        answer = control._request(self.running.port, method, path)
        assert answer is not None
        return answer


def start_aws(state_dir: Path, *options: str) -> Aws:
    running = control.start(state_dir, port=free_port(), api_port=free_port(), options=options)
    return Aws(running, state_dir)


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    state_dir = tmp_path_factory.mktemp("aws")
    started = start_aws(state_dir, "--async-retry-delays", "0.05,0.1")
    yield started
    log = started.running.log_file.read_text()
    assert control.stop(state_dir)
    assert "Traceback" not in log, log


@pytest.fixture(scope="session")
def deploy(aws: Aws) -> Deploy:
    return aws.deploy
