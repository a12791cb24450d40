"""A small applied stack for the doctor: system `agent_registry` with its real code, made by boto3, and the state of it.

Healthy as it is made; each test breaks it in its own way.
"""

import datetime
import json
import re
import shutil
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts import aws, build_lambdas, doctor, environments, paths
from scripts.diagnosis.findings import Finding
from scripts.doctor import Report
from scripts.local_aws import control
from tests.local_aws.conftest import ACCOUNT, REGION, Aws

SYSTEM, ALIAS, INDEX = "agent_registry", "live", "CapabilityIndex"
KEY = "staging/terraform.tfstate"
HOUR = datetime.timedelta(hours=1)
# What mends most: alone, or after the environment's file says something else
APPLY = "make apply ENV=staging"
EDIT = re.compile(r'"\$\{EDITOR:-vi\}" \S+staging\.toml && make apply ENV=staging')
_TRUST = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}


class Diagnosed:
    """Names are its own, so that many live in one AWS. `state` is written by `apply`."""

    def __init__(self, embedded: Aws, folder: Path) -> None:
        self.aws, self.folder = embedded, folder
        mark = uuid.uuid4().hex[:8]
        self.bucket, self.name, self.table = f"states-{mark}", f"registry-{mark}", f"Agents-{mark}"
        self.markers = f"markers-{mark}"
        self.log_group = f"/aws/lambda/{self.name}"
        self.access_log = f"/aws/vendedlogs/http-api/{self.name}"
        self.environment_file = folder / "environments" / "staging.toml"
        # a prefix of its own, so that no other stack's alarms are taken for this one's
        self.prefix = f"p{mark}"
        self.configure()
        self.resources: dict[str, list[dict[str, Any]]] = {}
        self.persistence = "dynamodb"
        self._make()
        self.apply()

    def client(self, service: str) -> Any:
        return self.aws.client(service)

    def configure(self, region: str = REGION, **more: str) -> None:
        """Writes the environment's file."""
        lines = "".join(f'{key} = "{value}"\n' for key, value in more.items())
        self.environment_file.write_text(
            f'[aws]\nregion = "{region}"\n{lines}[state]\nbucket = "{self.bucket}"\n'
            f'[variables]\nname_prefix = "{self.prefix}"\n'
        )

    def arn(self, service: str, rest: str) -> str:
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"

    def _make(self) -> None:
        self._make_tables()
        self._make_function()
        self._make_api()
        self.topic = self.client("sns").create_topic(Name=self.name)["TopicArn"]
        self.client("sns").subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=self.arn("sqs", "alarms"), ReturnSubscriptionArn=True
        )
        self.alarm(f"{self.table}-read-throttles", "AWS/DynamoDB", "ReadThrottleEvents", TableName=self.table)
        self.alarm(f"{self.name}-errors", "AWS/Lambda", "Errors", FunctionName=self.name)
        self.client("s3").create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def _make_tables(self) -> None:
        self.make_table()
        self.client("dynamodb").create_table(
            TableName=self.markers,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        self.resources["aws_dynamodb_table"] = [
            {
                "name": self.table,
                "hash_key": "agentId",
                "range_key": "",
                "global_secondary_index": [{"name": INDEX, "hash_key": "capability", "range_key": "capabilityOf"}],
            },
            {"name": self.markers, "hash_key": "id", "range_key": "", "global_secondary_index": []},
        ]

    def make_table(self, hash_key: str = "agentId", *, index: bool = True, region: str = REGION) -> None:
        keys = [hash_key, *(["capability", "capabilityOf"] if index else [])]
        dynamodb = self.in_region("dynamodb", region)
        indexes = {
            "IndexName": INDEX,
            "KeySchema": [
                {"AttributeName": "capability", "KeyType": "HASH"},
                {"AttributeName": "capabilityOf", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
        dynamodb.create_table(
            TableName=self.table,
            KeySchema=[{"AttributeName": hash_key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            BillingMode="PAY_PER_REQUEST",
            **({"GlobalSecondaryIndexes": [indexes]} if index else {}),
        )

    def in_region(self, service: str, region: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.aws.running.endpoint_url,
            region_name=region,
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    @property
    def policy(self) -> dict[str, Any]:
        table, markers = self.arn("dynamodb", f"table/{self.table}"), self.arn("dynamodb", f"table/{self.markers}")
        names = ("BatchGetItem", "DeleteItem", "GetItem", "PutItem")
        return {
            "Version": "2012-10-17",
            "Statement": [
                _allow("Agents", [f"dynamodb:{name}" for name in names], table),
                _allow("AgentsByCapability", ["dynamodb:Query"], f"{table}/index/{INDEX}"),
                _allow("Idempotency", ["dynamodb:GetItem", "dynamodb:PutItem"], markers),
                _allow(
                    "WriteOwnLogs",
                    ["logs:CreateLogStream", "logs:PutLogEvents"],
                    self.arn("logs", f"log-group:{self.log_group}:*"),
                ),
            ],
        }

    def put_policy(self, document: dict[str, Any]) -> None:
        self.client("iam").put_role_policy(
            RoleName=self.name, PolicyName="function", PolicyDocument=json.dumps(document)
        )

    def without(self, *sids: str) -> dict[str, Any]:
        """The role's policy without these statements."""
        return {**self.policy, "Statement": [one for one in self.policy["Statement"] if one["Sid"] not in sids]}

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PERSISTENCE": "dynamodb",
            "LOG_LEVEL": "INFO",
            "AGENT_REGISTRY_TABLE_NAME": self.table,
            "CAPABILITY_INDEX_NAME": INDEX,
            "IDEMPOTENCY_TABLE_NAME": self.markers,
            "IDEMPOTENCY_TTL_SECONDS": "86400",
        }

    def _make_function(self) -> None:
        functions = self.client("lambda")
        for group in (self.log_group, self.access_log):
            self.client("logs").create_log_group(logGroupName=group)
        role = self.client("iam").create_role(
            RoleName=self.name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [_TRUST]})
        )["Role"]["Arn"]
        self.put_policy(self.policy)
        made = functions.create_function(
            FunctionName=self.name,
            Role=role,
            Runtime="python3.13",
            Handler="function.handler",
            Timeout=10,
            MemorySize=256,
            Code={"ZipFile": (paths.LAMBDA_BUILD / f"{SYSTEM}.zip").read_bytes()},
            Environment={"Variables": self.variables},
            Publish=True,
        )
        self.code = made["CodeSha256"]
        functions.create_alias(FunctionName=self.name, Name=ALIAS, FunctionVersion="1")
        self.resources |= {
            "aws_lambda_function": [
                {
                    "function_name": self.name,
                    "handler": "function.handler",
                    "runtime": "python3.13",
                    "memory_size": 256,
                    "timeout": 10,
                    "role": role,
                    "reserved_concurrent_executions": -1,
                    "environment": [{"variables": self.variables}],
                }
            ],
            "aws_lambda_alias": [{"function_name": self.name, "name": ALIAS, "function_version": "1"}],
            "aws_iam_role_policy": [
                {"role": self.name, "name": "function", "policy": json.dumps(self.policy)},
            ],
            "aws_cloudwatch_log_group": [{"name": self.log_group}, {"name": self.access_log}],
        }

    def _make_api(self) -> None:
        gateway = self.client("apigatewayv2")
        made = gateway.create_api(Name=self.name, ProtocolType="HTTP")
        self.api, self.url = made["ApiId"], made["ApiEndpoint"]
        integration = gateway.create_integration(
            ApiId=self.api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=self.arn("lambda", f"function:{self.name}:{ALIAS}"),
            PayloadFormatVersion="2.0",
        )["IntegrationId"]
        self.route = gateway.create_route(
            ApiId=self.api, RouteKey="GET /agents/{id}", Target=f"integrations/{integration}"
        )["RouteId"]
        self.client("lambda").add_permission(
            FunctionName=self.name,
            Qualifier=ALIAS,
            StatementId="api",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=self.arn("execute-api", f"{self.api}/*/*"),
        )
        self.resources |= {
            "aws_apigatewayv2_api": [{"id": self.api}],
            "aws_apigatewayv2_route": [{"api_id": self.api, "route_key": "GET /agents/{id}"}],
        }

    def alarm(self, name: str, namespace: str, metric: str, *, applied: bool = True, **dimensions: str) -> None:
        self.put_alarm(name, namespace, metric, dimensions)
        if applied:
            self.resources.setdefault("aws_cloudwatch_metric_alarm", []).append({"alarm_name": name})

    def put_alarm(self, name: str, namespace: str, metric: str, dimensions: dict[str, str], **more: Any) -> None:
        self.client("cloudwatch").put_metric_alarm(
            **{
                "AlarmName": name,
                "AlarmDescription": "Somebody should look.",
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
                "Threshold": 1.0,
                "AlarmActions": [self.topic],
                "TreatMissingData": "notBreaching",
                **more,
            }
        )

    def declared_table(self) -> dict[str, Any]:
        return {
            "name": self.table,
            "hash_key": "agentId",
            "range_key": None,
            "billing_mode": "PAY_PER_REQUEST",
            "read_capacity": None,
            "write_capacity": None,
            "point_in_time_recovery_days": 0,
            "ttl_attribute": None,
            "deletion_protection": False,
            "indexes": {
                INDEX: {
                    "hash_key": "capability",
                    "range_key": "capabilityOf",
                    "projection_type": "KEYS_ONLY",
                    "non_key_attributes": [],
                    "read_capacity": None,
                    "write_capacity": None,
                }
            },
        }

    def state(self) -> dict[str, Any]:
        markers = {"name": self.markers, "hash_key": "id", "range_key": None, "indexes": {}}
        made = {
            "function_name": self.name,
            "alias_name": ALIAS,
            "function_version": "1",
            "log_group_name": self.log_group,
            "persistence": self.persistence,
        }
        verification = {
            "region": REGION,
            "api": {"id": self.api, "url": self.url, "auth": "none"},
            # nothing here is a benchmark
            "budgets": {"query_milliseconds": 5000, "cold_start_milliseconds": 20000},
            "systems": {
                SYSTEM: {
                    **made,
                    "code_sha256": self.code,
                    "tables": {"agents": self.declared_table(), "idempotency": markers},
                }
            },
        }
        systems = {
            SYSTEM: {
                **made,
                "function_arn": self.arn("lambda", f"function:{self.name}"),
                "role_name": self.name,
                "routes": ["GET /agents/{id}"],
            }
        }
        return {
            "version": 4,
            "outputs": {"verification": {"value": verification}, "systems": {"value": systems}},
            "resources": [
                {"mode": "managed", "type": kind, "instances": [{"attributes": each} for each in instances]}
                for kind, instances in self.resources.items()
            ],
        }

    def apply(self, state: dict[str, Any] | None = None) -> None:
        """Writes the state as it is, or another one."""
        self.put(KEY, json.dumps(self.state() if state is None else state))

    def put(self, key: str, body: str) -> None:
        self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body.encode())

    def function_changed(self, **configuration: Any) -> str:
        """Somebody changes the function and publishes a version of it."""
        functions = self.client("lambda")
        functions.update_function_configuration(FunctionName=self.name, **configuration)
        return str(functions.publish_version(FunctionName=self.name)["Version"])

    def callers_get(self, version: str) -> None:
        self.client("lambda").update_alias(FunctionName=self.name, Name=ALIAS, FunctionVersion=version)

    def invoke(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The function's answer to a request."""
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": None if body is None else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self.client("lambda").invoke(
            FunctionName=self.name, Qualifier=ALIAS, Payload=json.dumps(event).encode()
        )
        parsed: dict[str, Any] = json.loads(answer["Payload"].read())
        return parsed

    def logged(self, *messages: str | dict[str, Any], group: str = "") -> None:
        """Lines in the function's log, a minute old."""
        logs, stream = self.client("logs"), uuid.uuid4().hex
        began = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000) - 60_000
        group = group or self.log_group
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        lines = [line if isinstance(line, str) else json.dumps(line) for line in messages]
        logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": began + number, "message": line} for number, line in enumerate(lines)],
        )

    def counted(self, namespace: str, metric: str, value: float, **dimensions: str) -> None:
        """A data point, five minutes old."""
        self.client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": metric,
                    "Dimensions": [{"Name": key, "Value": name} for key, name in dimensions.items()],
                    "Timestamp": datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5),
                    "Value": value,
                }
            ],
        )

    def examine(self, since: datetime.timedelta = HOUR, only: str = "") -> Report:
        return doctor.examine(environments.load("staging"), since, only)

    def found(self) -> dict[str, Finding]:
        """The findings by their code; each code at most once."""
        report = self.examine()
        codes = [one.code for one in report.findings]
        assert len(codes) == len(set(codes)), report.findings
        return {one.code: one for one in report.findings}

    def only(self, code: str) -> Finding:
        """The one finding there is."""
        found = self.found()
        assert list(found) == [code], found
        return found[code]


def _allow(sid: str, actions: list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": [resource]}


def build(folder: Path) -> Path:
    """The functions' zips, built once."""
    build_lambdas.build(target=folder)
    return folder


def prepare(folder: Path, built: Path, monkeypatch: pytest.MonkeyPatch, embedded: Aws) -> None:
    """Points the glue at the folder, and at the AWS."""
    (folder / "environments").mkdir()
    shutil.copytree(built, folder / "lambdas")
    monkeypatch.setattr(paths, "ENVIRONMENTS", folder / "environments")
    monkeypatch.setattr(paths, "BUILD", folder)
    monkeypatch.setattr(paths, "LAMBDA_BUILD", folder / "lambdas")
    monkeypatch.setattr("scripts.aws.LOCAL_AWS_DIR", folder / "local_aws")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    settings = control.client_environment(embedded.running, region=REGION)
    for name, value in {**settings, "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)


class Answering:
    """An AWS that answers everything alike."""

    def __init__(self, status: int, body: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(status)
                self.send_header("content-type", "text/xml")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_arguments: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def become(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch, actions: list[str]) -> None:
    """Looks as a role that may do only this."""
    name, iam = f"operator-{stack.name}", stack.client("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}
    if name not in [role["RoleName"] for role in iam.list_roles()["Roles"]]:
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    iam.put_role_policy(
        RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    for attached in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        if attached != "p":
            iam.delete_role_policy(RoleName=name, PolicyName=attached)
    arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
    given = stack.client("sts").assume_role(RoleArn=arn, RoleSessionName="ann")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    fresh(monkeypatch)


def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process of its own: what boto3 learned of credentials and profiles is forgotten."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


def described(
    stack: Diagnosed, monkeypatch: pytest.MonkeyPatch, index: dict[str, Any] | None = None, **table: Any
) -> None:
    """DynamoDB tells something else of the table: a status that the embedded AWS can't be brought to."""

    def change(parsed: dict[str, Any], **_more: Any) -> None:
        if parsed.get("Table", {}).get("TableName") == stack.table:
            parsed["Table"] |= table
            for one in parsed["Table"].get("GlobalSecondaryIndexes", []):
                one |= index or {}

    answers(monkeypatch, "after-call.dynamodb.DescribeTable", change)


def configured(stack: Diagnosed, monkeypatch: pytest.MonkeyPatch, **configuration: Any) -> None:
    def change(parsed: dict[str, Any], **_more: Any) -> None:
        if parsed.get("FunctionName") == stack.name:
            parsed |= configuration

    answers(monkeypatch, "after-call.lambda.GetFunctionConfiguration", change)


def answers(monkeypatch: pytest.MonkeyPatch, event: str, change: Any) -> None:
    new_client = aws._new_client

    def changed(service: str, **settings: Any) -> Any:
        made = new_client(service, **settings)
        made.meta.events.register(event, change)
        return made

    monkeypatch.setattr(aws, "_new_client", changed)


def request(number: int, milliseconds: float, **more: Any) -> dict[str, Any]:
    line = {"level": "INFO", "request_id": f"r{number}", "method": "GET", "route": "/agents/{id}", "status": 200}
    return {**line, "duration_ms": milliseconds, "calls": 1, "retries": 0, **more}


def report_line(number: int, milliseconds: float, init: float | None = None, used: int = 60) -> str:
    cold = f"Init Duration: {init:.2f} ms\t" if init else ""
    return (
        f"REPORT RequestId: r{number}\tDuration: {milliseconds:.2f} ms\tBilled Duration: 9 ms\t"
        f"Memory Size: 256 MB\tMax Memory Used: {used} MB\t{cold}\n"
    )
