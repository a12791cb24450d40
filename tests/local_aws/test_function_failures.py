"""Every way in which a function fails, as Lambda reports it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scripts.local_aws import control
from tests.local_aws.conftest import Aws, Deploy, start_aws

REQUEST_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def test_an_exception_comes_back_with_its_stack(deploy: Deploy) -> None:
    function = deploy("def handler(event, context):\n    raise ValueError('no such pet')")
    answer = function.invoke()
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("ValueError", "no such pet")
    assert "raise ValueError('no such pet')" in answer.payload["stackTrace"][-1]
    assert "[ERROR] ValueError: no such pet" in answer.log


def test_an_exception_leaves_the_environment_in_use(deploy: Deploy) -> None:
    function = deploy(
        "import os\ndef handler(event, context):\n    if event: raise ValueError(os.getpid())\n    return os.getpid()"
    )
    assert int(function.invoke(["fail"]).payload["errorMessage"]) == function.invoke([]).payload


@pytest.mark.parametrize(
    ("code", "handler", "type_", "message"),
    [
        ("import nothing_like_it", "app.handler", "Runtime.ImportModuleError", "No module named 'nothing_like_it'"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ("raise KeyError('TABLE')", "app.handler", "KeyError", "'TABLE'"),
        ("import os; os._exit(7)", "app.handler", "Runtime.ExitError", "exit status 7"),
    ],
)
def test_a_failed_init_is_reported_and_tried_again(
    deploy: Deploy, code: str, handler: str, type_: str, message: str
) -> None:
    function = deploy(code, Handler=handler)
    for _ in range(2):
        answer = function.invoke()
        assert answer.error == "Unhandled"
        assert answer.payload["errorType"] == type_
        assert message in answer.payload["errorMessage"]
    phases = re.findall(r"INIT_REPORT Init Duration: [\d.]+ ms\tPhase: (\w+)\tStatus: error", answer.log)
    assert phases == ["init", "invoke"]


def test_an_init_that_works_the_second_time_is_no_error(deploy: Deploy, tmp_path: Any) -> None:
    marker = tmp_path / "tried"
    code = f"""
import os, sys
if not os.path.exists({str(marker)!r}):
    open({str(marker)!r}, "w").close()
    sys.exit(1)
def handler(event, context): return "recovered"
"""
    assert deploy(code).invoke().payload == "recovered"


def test_an_init_over_its_time_is_tried_within_the_functions_own(tmp_path: Path) -> None:
    code = "import time\ntime.sleep(2)\ndef handler(event, context): return 'late'"
    aws = start_aws(tmp_path, "--init-timeout", "1.5")
    try:
        assert aws.deploy(code).invoke().payload == "late"
        answer = aws.deploy(code, Timeout=1).invoke()
    finally:
        control.stop(tmp_path)
    assert answer.payload["errorType"] == "Sandbox.Timedout"


def test_a_timeout_ends_the_environment(deploy: Deploy, aws: Aws) -> None:
    function = deploy(
        "import os, time\ndef handler(event, context):\n    time.sleep(event)\n    return os.getpid()", Timeout=1
    )
    first = function.invoke(0).payload
    answer = function.invoke(5)
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.payload["errorType"] == "Sandbox.Timedout"
    assert re.fullmatch(
        rf"RequestId: {REQUEST_ID} Error: Task timed out after 1\.00 seconds", answer.payload["errorMessage"]
    )
    assert "Task timed out after 1.00 seconds" in answer.log
    assert "Status: timeout" in answer.log
    assert function.invoke(0).payload != first


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), 9)", "Runtime exited with error: signal: killed"),
        ("sys.exit(4)", "Runtime exited with error: exit status 4"),
    ],
)
def test_a_crash_is_an_exit_error(deploy: Deploy, code: str, reason: str) -> None:
    function = deploy(f"import os, sys\ndef handler(event, context):\n    print('last words')\n    {code}")
    answer = function.invoke()
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert re.fullmatch(rf"RequestId: {REQUEST_ID} Error: {re.escape(reason)}", answer.payload["errorMessage"])
    assert "last words" in answer.log
    assert f"Error: {reason}" in answer.log


def test_too_much_memory_kills_the_function(deploy: Deploy) -> None:
    code = "import time\ndef handler(event, context):\n    hog = bytearray(200 * 1024 * 1024)\n    time.sleep(9)"
    answer = deploy(code, MemorySize=128).invoke()
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert "Max Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory" in answer.log


def test_the_memory_of_its_children_counts(deploy: Deploy) -> None:
    hog = "import time; hog = bytearray(200 * 1024 * 1024); time.sleep(9)"
    code = f"import subprocess, sys\ndef handler(event, context): subprocess.run([sys.executable, '-c', {hog!r}])"
    answer = deploy(code, MemorySize=128).invoke()
    assert answer.payload["errorMessage"].endswith("Runtime exited with error: signal: killed")
    assert "Error Type: Runtime.OutOfMemory" in answer.log


def test_an_answer_over_six_megabytes_is_refused(deploy: Deploy) -> None:
    function = deploy("def handler(event, context): return 'x' * event")
    assert len(function.invoke(6_291_000).payload) == 6_291_000
    answer = function.invoke(6_291_560)
    assert answer.error == "Unhandled"
    assert answer.payload == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert function.invoke(1).payload == "x"


def test_an_answer_that_is_no_json_is_a_marshal_error(deploy: Deploy) -> None:
    answer = deploy("def handler(event, context): return object()").invoke()
    assert (answer.error, answer.payload["errorType"]) == ("Unhandled", "Runtime.MarshalError")


@pytest.mark.parametrize(("kind", "size"), [("RequestResponse", 6_291_557), ("Event", 1_048_577)])
def test_a_request_over_the_limit_is_a_413(deploy: Deploy, aws: Aws, kind: str, size: int) -> None:
    function = deploy("def handler(event, context): return len(event)")
    payload = json.dumps("x" * (size - 2))
    with pytest.raises(ClientError) as error:
        aws.client("lambda").invoke(FunctionName=function.name, Payload=payload, InvocationType=kind)
    assert error.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    within = json.dumps("x" * (size - 3))
    assert aws.client("lambda").invoke(FunctionName=function.name, Payload=within, InvocationType=kind)


@pytest.mark.parametrize(
    ("configuration", "code"),
    [({"Runtime": "nodejs22.x"}, "InvalidRuntimeException"), ({}, "InvalidZipFileException")],
)
def test_what_cannot_run_says_so(deploy: Deploy, aws: Aws, configuration: dict[str, Any], code: str) -> None:
    function = deploy("", **configuration)
    aws.client("lambda").update_function_code(FunctionName=function.name, ZipFile=b"no zip")
    with pytest.raises(ClientError) as error:
        function.invoke()
    assert error.value.response["Error"]["Code"] == code


def test_a_payload_that_is_no_json_is_a_400(deploy: Deploy, aws: Aws) -> None:
    with pytest.raises(ClientError) as error:
        aws.client("lambda").invoke(FunctionName=deploy("").name, Payload=b"{")
    assert error.value.response["Error"]["Code"] == "InvalidRequestContentException"
