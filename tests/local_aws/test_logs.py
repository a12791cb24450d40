"""What functions write is in CloudWatch Logs once their caller has the answer."""

from __future__ import annotations

import re

from tests.local_aws.conftest import LOGS_POLICY, Aws, Deploy

SPEAK = """
import logging, os, sys
print("at init")
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    logging.info("to the logger")
    os.write(1, b"raw, without an end of line")
"""


def test_an_invocations_lines_are_readable_when_it_answers(deploy: Deploy) -> None:
    function = deploy(SPEAK)
    request_id = function.invoke().raw["ResponseMetadata"]["RequestId"]
    messages = function.log_messages()
    assert re.fullmatch(r"INIT_START Runtime Version: python:3\.13\.\S+\tRuntime Version ARN: \S+", messages[0])
    assert messages[1] == "at init"
    assert messages[2] == f"START RequestId: {request_id} Version: $LATEST"
    assert messages[3:5] == ["to stdout", "to stderr"]
    assert re.fullmatch(
        rf"\[INFO\]\t\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{request_id}\tto the logger", messages[5]
    )
    assert messages[6:8] == ["raw, without an end of line", f"END RequestId: {request_id}"]
    assert messages[8].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert len(messages) == 9


def test_no_line_is_late_or_lost(deploy: Deploy) -> None:
    # All in one write at the very end: whoever reads it needs longer than the answer takes.
    function = deploy("import os\ndef handler(event, context): os.write(1, b'line\\n' * event)")
    for round_ in range(1, 4):
        function.invoke(12_000)
        assert function.log_messages().count("line") == 12_000 * round_


def test_an_environment_has_one_stream_of_its_own(aws: Aws, deploy: Deploy) -> None:
    function = deploy(SPEAK, Publish=True)
    function.invoke()
    function.invoke()
    function.invoke(qualifier="1")
    streams = aws.client("logs").describe_log_streams(logGroupName=f"/aws/lambda/{function.name}")["logStreams"]
    names = sorted(re.sub(r"[0-9a-f]{32}$", "", stream["logStreamName"])[11:] for stream in streams)
    assert names == ["[$LATEST]", "[1]"]


def test_a_log_group_that_is_made_anew_is_written_to(aws: Aws, deploy: Deploy) -> None:
    """As Lambda does: an environment that runs has its stream in the new group, too."""
    function = deploy(SPEAK)
    function.invoke()
    group = f"/aws/lambda/{function.name}"
    aws.client("logs").delete_log_group(logGroupName=group)
    aws.client("logs").create_log_group(logGroupName=group)
    function.invoke()
    assert function.log_messages().count("to stdout") == 1


def test_the_tail_is_four_kilobytes(deploy: Deploy) -> None:
    answer = deploy("def handler(event, context):\n    for n in range(500): print('line', n)").invoke()
    assert len(answer.log) == 4096
    assert "line 499\nEND RequestId" in answer.log


def test_lines_of_a_long_invocation_appear_while_it_runs(aws: Aws, deploy: Deploy) -> None:
    code = """
import boto3, time
def handler(event, context):
    print("early bird")
    logs = boto3.client("logs")
    for _ in range(500):
        events = logs.filter_log_events(logGroupName=context.log_group_name)["events"]
        if any(e["message"] == "early bird" for e in events): return True
        time.sleep(0.02)
"""
    reading = {"Effect": "Allow", "Action": "logs:FilterLogEvents", "Resource": "*"}
    assert deploy(code, statements=[LOGS_POLICY, reading]).invoke().payload is True


def test_without_permission_there_are_no_logs(aws: Aws, deploy: Deploy) -> None:
    function = deploy(SPEAK, statements=[{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}])
    assert "to stdout" in function.invoke().log
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{function.name}")["logGroups"]
    assert groups == []


def test_the_log_group_of_the_configuration_is_used(aws: Aws, deploy: Deploy) -> None:
    function = deploy(SPEAK, LoggingConfig={"LogGroup": "/elsewhere"})
    function.invoke()
    messages = [e["message"] for e in aws.client("logs").filter_log_events(logGroupName="/elsewhere")["events"]]
    assert "to stdout" in messages


def test_json_logging_reaches_the_runtime(deploy: Deploy) -> None:
    code = "import logging\ndef handler(event, context): logging.getLogger().warning('careful')"
    function = deploy(code, LoggingConfig={"LogFormat": "JSON"})
    function.invoke()
    assert any('"level": "WARNING", "message": "careful"' in message for message in function.log_messages())
