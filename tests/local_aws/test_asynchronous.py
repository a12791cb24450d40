"""Event invocations: at once accepted, retried, and delivered somewhere when they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.local_aws.conftest import REGION, Aws, Deploy, wait_for

FAIL = """
import pathlib
def handler(event, context):
    with open(event["file"], "a") as file: file.write(context.aws_request_id + "\\n")
    if event.get("fail", True): raise ValueError("never")
    return "done"
"""


def attempts(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


@pytest.fixture
def queue(aws: Aws, request: pytest.FixtureRequest) -> tuple[str, str]:
    name = f"q-{abs(hash(request.node.name))}"
    url = aws.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:123456789012:{name}"


def receive(aws: Aws, url: str) -> dict[str, Any]:
    def messages() -> Any:
        return aws.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"]).get("Messages")

    message: dict[str, Any] = wait_for(messages)[0]
    return message


def test_an_event_is_accepted_at_once_and_run(deploy: Deploy, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    answer = deploy(FAIL).invoke({"file": str(file), "fail": False}, InvocationType="Event")
    assert (answer.status, answer.payload) == (202, None)
    assert wait_for(lambda: attempts(file)) == [answer.raw["ResponseMetadata"]["RequestId"]]


def test_a_failed_event_is_retried_twice_with_the_same_request_id(
    aws: Aws, deploy: Deploy, tmp_path: Path, queue: tuple[str, str]
) -> None:
    url, arn = queue
    file = tmp_path / "runs"
    function = deploy(FAIL)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    answer = function.invoke({"file": str(file)}, InvocationType="Event")
    body = json.loads(receive(aws, url)["Body"])
    assert attempts(file) == [answer.raw["ResponseMetadata"]["RequestId"]] * 3
    assert body["requestContext"]["condition"] == "RetriesExhausted"
    assert body["requestContext"]["approximateInvokeCount"] == 3
    assert body["requestContext"]["functionArn"] == f"{function.arn}:$LATEST"
    assert body["requestPayload"] == {"file": str(file)}
    assert body["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}
    assert body["responsePayload"]["errorMessage"] == "never"


def test_the_configured_number_of_retries_is_kept_by_alias(
    aws: Aws, deploy: Deploy, tmp_path: Path, queue: tuple[str, str]
) -> None:
    url, arn = queue
    file = tmp_path / "runs"
    function = deploy(FAIL, Publish=True)
    client = aws.client("lambda")
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    for retries in (1, 0):
        client.put_function_event_invoke_config(
            FunctionName=function.name,
            Qualifier="live",
            MaximumRetryAttempts=retries,
            DestinationConfig={"OnFailure": {"Destination": arn}},
        )
    stored = client.get_function_event_invoke_config(FunctionName=function.name, Qualifier="live")
    assert (stored["MaximumRetryAttempts"], stored["FunctionArn"]) == (0, f"{function.arn}:live")
    function.invoke({"file": str(file)}, qualifier="live", InvocationType="Event")
    assert json.loads(receive(aws, url)["Body"])["requestContext"]["approximateInvokeCount"] == 1
    assert len(attempts(file)) == 1


def test_a_success_goes_to_its_destination(aws: Aws, deploy: Deploy, tmp_path: Path, queue: tuple[str, str]) -> None:
    url, arn = queue
    function = deploy(FAIL)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    function.invoke({"file": str(tmp_path / "runs"), "fail": False}, InvocationType="Event")
    body = json.loads(receive(aws, url)["Body"])
    assert (body["requestContext"]["condition"], body["responsePayload"]) == ("Success", "done")


def test_a_failed_event_lands_in_the_dead_letter_queue(
    aws: Aws, deploy: Deploy, tmp_path: Path, queue: tuple[str, str]
) -> None:
    url, arn = queue
    function = deploy(FAIL, DeadLetterConfig={"TargetArn": arn})
    assert aws.client("lambda").get_function_configuration(FunctionName=function.name)["DeadLetterConfig"] == {
        "TargetArn": arn
    }
    event = {"file": str(tmp_path / "runs")}
    answer = function.invoke(event, InvocationType="Event")
    message = receive(aws, url)
    assert json.loads(message["Body"]) == event
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes == {
        "RequestID": answer.raw["ResponseMetadata"]["RequestId"],
        "ErrorCode": "200",
        "ErrorMessage": "never",
    }


def test_a_throttled_event_waits_for_its_turn(aws: Aws, deploy: Deploy, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    function = deploy(FAIL)
    client = aws.client("lambda")
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    function.invoke({"file": str(file), "fail": False}, InvocationType="Event")
    client.delete_function_concurrency(FunctionName=function.name)
    assert len(wait_for(lambda: attempts(file))) == 1
