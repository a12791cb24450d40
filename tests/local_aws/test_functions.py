"""What a deployed function sees, and what its caller gets."""

from __future__ import annotations

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

from tests.local_aws.conftest import ACCOUNT, REGION, Aws, Deploy, zip_of

ECHO = """
def handler(event, context):
    return event
"""
VERSION = """
import os
def handler(event, context):
    return [os.environ.get("STAGE"), {number}, context.function_version, context.invoked_function_arn]
"""


def test_the_deployed_code_runs_and_answers(deploy: Deploy) -> None:
    answer = deploy(ECHO).invoke({"price": 249.99, "text": "Grüße"})
    assert (answer.status, answer.error, answer.version) == (200, None, "$LATEST")
    assert answer.payload == {"price": 249.99, "text": "Grüße"}


def test_code_from_a_bucket_runs_too(aws: Aws, deploy: Deploy) -> None:
    aws.client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    aws.client("s3").put_object(Bucket="code", Key="app.zip", Body=zip_of(ECHO))
    function = deploy("def handler(event, context): return 'old'")
    aws.client("lambda").update_function_code(FunctionName=function.name, S3Bucket="code", S3Key="app.zip")
    assert function.invoke(["new"]).payload == ["new"]


def test_the_context_is_lambdas(deploy: Deploy) -> None:
    function = deploy(
        """
def handler(event, context):
    custom = context.client_context.custom if context.client_context else None
    return [context.function_name, context.memory_limit_in_mb, context.get_remaining_time_in_millis(),
            context.aws_request_id, context.log_group_name, context.log_stream_name, custom]
""",
        Timeout=7,
        MemorySize=200,
    )
    given = base64.b64encode(json.dumps({"custom": {"bedrockAgentCoreToolName": "t___list"}}).encode()).decode()
    answer = function.invoke({}, ClientContext=given)
    name, memory, remaining, request_id, group, stream, custom = answer.payload
    assert (name, memory, group) == (function.name, "200", f"/aws/lambda/{function.name}")
    assert 6000 < remaining <= 7000
    assert request_id == answer.raw["ResponseMetadata"]["RequestId"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    assert custom == {"bedrockAgentCoreToolName": "t___list"}


def test_the_environment_is_lambdas_and_nothing_leaks_in(deploy: Deploy, aws: Aws) -> None:
    function = deploy(
        "import os\ndef handler(event, context): return dict(os.environ)", Environment={"Variables": {"TABLE": "T"}}
    )
    variables = function.invoke().payload
    fixed = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws.running.endpoint_url,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_REGION": REGION,
        "LANG": "en_US.UTF-8",
        "TABLE": "T",
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    }
    assert {name: variables[name] for name in fixed} == fixed
    others = {
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "PATH", "PYTHONDONTWRITEBYTECODE",
        "AWS_EC2_METADATA_DISABLED", "_X_AMZN_TRACE_ID",
    }  # fmt: skip
    assert set(variables) - {"LC_CTYPE"} == set(fixed) | others
    assert variables["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_the_code_is_read_only_and_compiled_at_every_cold_start(deploy: Deploy) -> None:
    code = """
import os, pathlib, stat
import helper
def handler(event, context):
    root = pathlib.Path(os.environ["LAMBDA_TASK_ROOT"])
    return [sorted(p.name for p in root.rglob("*")), oct(stat.S_IMODE(root.stat().st_mode)), os.getcwd() == str(root),
            helper.__cached__ and os.path.exists(helper.__cached__)]
"""
    function = deploy({"app.py": code, "helper.py": ""})
    assert function.invoke().payload == [["app.py", "helper.py"], "0o555", True, False]


def test_the_functions_identity_is_its_role(deploy: Deploy) -> None:
    function = deploy(
        "import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['Arn']"
    )
    assert function.invoke().payload == f"arn:aws:sts::{ACCOUNT}:assumed-role/{function.role_name}/{function.name}"


def test_a_published_version_keeps_code_and_configuration(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(VERSION.format(number=1), Publish=True, Environment={"Variables": {"STAGE": "one"}})
    client.update_function_configuration(FunctionName=function.name, Environment={"Variables": {"STAGE": "two"}})
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=2)))
    assert client.publish_version(FunctionName=function.name)["Version"] == "2"
    before = client.get_function(FunctionName=function.name, Qualifier="2")
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=3)))
    after = client.get_function(FunctionName=function.name, Qualifier="2")
    assert (after["Code"], after["Configuration"]) == (before["Code"], before["Configuration"])
    assert function.invoke(qualifier="1").payload == ["one", 1, "1", f"{function.arn}:1"]
    assert function.invoke(qualifier="2").payload == ["two", 2, "2", f"{function.arn}:2"]
    assert function.invoke().payload == ["two", 3, "$LATEST", function.arn]
    assert function.invoke(qualifier="$LATEST").payload[3] == f"{function.arn}:$LATEST"


def test_publishing_unchanged_code_gives_the_same_version(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(ECHO)
    versions = [client.publish_version(FunctionName=function.name)["Version"] for _ in range(2)]
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(ECHO))
    versions.append(client.publish_version(FunctionName=function.name)["Version"])
    assert versions == ["1", "1", "1"]


def test_a_deleted_versions_number_does_not_come_back(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(ECHO, Publish=True)
    client.delete_function(FunctionName=function.name, Qualifier="1")
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=2)))
    assert client.publish_version(FunctionName=function.name)["Version"] == "2"


def test_a_version_that_callers_use_is_not_deleted_and_others_stay(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(VERSION.format(number=1), Publish=True)
    for number in (2, 3, 4):
        code = zip_of(VERSION.format(number=number))
        client.update_function_code(FunctionName=function.name, ZipFile=code, Publish=True)
    routing = {"AdditionalVersionWeights": {"3": 0.5}}
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1", RoutingConfig=routing)
    for used in ("1", "3"):
        with pytest.raises(ClientError, match=r"the following aliases reference it: \[live\]") as refused:
            client.delete_function(FunctionName=function.name, Qualifier=used)
        assert refused.value.response["Error"]["Code"] == "ResourceConflictException"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    with pytest.raises(ClientError, match="cannot be deleted without deleting the function"):
        client.delete_function(FunctionName=function.name, Qualifier="$LATEST")
    client.delete_function(FunctionName=function.name, Qualifier="2")
    with pytest.raises(ClientError, match="Function not found"):
        client.delete_function(FunctionName=function.name, Qualifier="2")
    versions = client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [version["Version"] for version in versions] == ["$LATEST", "1", "3", "4"]
    assert client.get_alias(FunctionName=function.name, Name="live")["FunctionVersion"] == "1"
    assert function.invoke(qualifier="4").payload[1] == 4


def test_an_alias_that_was_moved_meanwhile_is_not_moved(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(VERSION.format(number=1), Publish=True)
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=2)), Publish=True)
    alias = {"FunctionName": function.name, "Name": "live"}
    seen = client.create_alias(**alias, FunctionVersion="1")["RevisionId"]
    moved = client.update_alias(**alias, FunctionVersion="2", RevisionId=seen)["RevisionId"]
    assert client.get_alias(**alias)["RevisionId"] == moved != seen
    with pytest.raises(ClientError, match="does not match the latest RevisionId") as refused:
        client.update_alias(**alias, FunctionVersion="1", RevisionId=seen)
    assert refused.value.response["Error"]["Code"] == "PreconditionFailedException"
    assert client.get_alias(**alias)["FunctionVersion"] == "2"


def test_an_alias_follows_its_version(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(VERSION.format(number=1), Publish=True)
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    answer = function.invoke(qualifier="live")
    assert (answer.payload, answer.version) == ([None, 1, "1", f"{function.arn}:live"], "1")
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=2)), Publish=True)
    assert function.invoke(qualifier="live").version == "1"
    client.update_alias(FunctionName=function.name, Name="live", FunctionVersion="2")
    assert function.invoke(qualifier="live").payload[1:3] == [2, "2"]
    by_arn = client.invoke(FunctionName=f"{function.arn}:live")
    assert by_arn["ExecutedVersion"] == "2"


def test_a_weighted_alias_spreads_its_traffic(aws: Aws, deploy: Deploy) -> None:
    client = aws.client("lambda")
    function = deploy(VERSION.format(number=1), Publish=True)
    client.update_function_code(FunctionName=function.name, ZipFile=zip_of(VERSION.format(number=2)), Publish=True)
    routing = {"AdditionalVersionWeights": {"2": 0.5}}
    client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1", RoutingConfig=routing)
    assert {function.invoke(qualifier="live").version for _ in range(40)} == {"1", "2"}


@pytest.mark.parametrize("qualifier", ["nowhere", "7", None])
def test_what_does_not_exist_is_a_404(aws: Aws, deploy: Deploy, qualifier: str | None) -> None:
    name = deploy(ECHO).name if qualifier else "no-such-function"
    with pytest.raises(ClientError) as error:
        aws.client("lambda").invoke(FunctionName=name, **({"Qualifier": qualifier} if qualifier else {}))
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    suffix = f":{qualifier}" if qualifier else ""
    assert f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}{suffix}" in str(error.value)


def test_a_dry_run_runs_nothing(deploy: Deploy, aws: Aws) -> None:
    function = deploy(ECHO)
    assert function.invoke({}, InvocationType="DryRun").status == 204
    assert not [e for e in aws.local("/_local/environments")["environments"] if e["function"] == function.name]


def test_layers_come_before_the_functions_own_code(aws: Aws, deploy: Deploy) -> None:
    layer = aws.client("lambda").publish_layer_version(
        LayerName="shared", Content={"ZipFile": zip_of({"shared.py": "NAME = 'layer'", "own.py": "NAME = 'layer'"})}
    )
    code = "import shared, own\ndef handler(event, context): return [shared.NAME, own.NAME]"
    function = deploy({"app.py": code, "own.py": "NAME = 'own'"}, Layers=[layer["LayerVersionArn"]])
    assert function.invoke().payload == ["layer", "own"]
