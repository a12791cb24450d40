"""Cold start to first answer of the agent registry's discovery, beside what people would write otherwise.

Every function runs in the embedded AWS under AWS's own runtime client, as its role, against the same table. A round
replaces the execution environments and calls each function once, in a shuffled order; the figure is init plus first
duration from the REPORT line. Only ratios of one run mean anything.
"""

import base64
import importlib.metadata
import json
import platform
import random
import socket
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import boto3
import typer
from rich.table import Table

from scripts import build_lambdas, deterministic_zip, execution_logs, paths
from scripts.console import EXIT_FAILED, CommandError, out, run, step
from scripts.local_aws import control

RUNTIME = "python3.13"
MEMORY_MEGABYTES = 512
CAPABILITY, AGENTS = "forecast", 5
OURS, NOTHING, BOTO3_RESOURCE = "agent_registry", "nothing", "boto3_resource"
PEERS = (NOTHING, BOTO3_RESOURCE, "boto3_client", "powertools")
GOAL_OF_BOTO3_RESOURCE, GOAL_OF_NOTHING = 0.25, 2.0
SEED = 1


class Setup(NamedTuple):
    endpoint_url: str
    session: boto3.Session

    def client(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint_url)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each function's cold starts, by function."""
    with tempfile.TemporaryDirectory() as directory:
        state_dir = Path(directory)
        with step("start an embedded AWS of its own"):
            running = control.start(state_dir, port=_free_port(), api_port=_free_port())
        try:
            settings = control.client_environment(running)
            session = boto3.Session(
                settings["AWS_ACCESS_KEY_ID"], settings["AWS_SECRET_ACCESS_KEY"], region_name=settings["AWS_REGION"]
            )
            setup = Setup(running.endpoint_url, session)
            with step("create tables and functions"):
                _create_tables(setup)
                _create_functions(setup)
                _register_agents(setup)
            return _rounds(setup, running, rounds)
        finally:
            control.stop(state_dir)


def _rounds(setup: Setup, running: control.Running, rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in (OURS, *PEERS)}
    order = random.Random(SEED)  # noqa: S311  the order of measurements, no secret
    functions = setup.client("lambda")
    with step(f"measure {rounds} rounds") as progress:
        for number in range(rounds):
            for name in order.sample(list(samples), len(samples)):
                progress.update(f"{number + 1}/{rounds} {name}")
                control.replace_environments(running, name)
                samples[name].append(_cold_start(functions, name))
    return samples


def _cold_start(functions: Any, name: str) -> float:
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(_event()), LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    agents = json.loads(payload["body"])["agents"] if "body" in payload else []
    if "FunctionError" in answer or (name != NOTHING and len(agents) != AGENTS):
        raise CommandError(f"{name} answered {str(payload)[:300]}", exit_code=EXIT_FAILED)
    log = base64.b64decode(answer["LogResult"]).decode()
    report = next(iter(execution_logs.reports([{"message": line} for line in log.splitlines()]).values()))
    if report.init_milliseconds is None:
        raise CommandError(f"{name} was not cold", exit_code=EXIT_FAILED)
    return report.init_milliseconds + report.milliseconds


def _event() -> dict[str, Any]:
    http = {"method": "GET", "path": "/agents", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"}
    return {
        "version": "2.0",
        "routeKey": "GET /agents",
        "rawPath": "/agents",
        "rawQueryString": f"capability={CAPABILITY}",
        "headers": {"accept": "application/json"},
        "queryStringParameters": {"capability": CAPABILITY},
        "requestContext": {
            "http": http,
            "requestId": "bench",
            "routeKey": "GET /agents",
            "stage": "$default",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }


_TABLE, _INDEX, _MARKERS = "AgentRegistry", "CapabilityIndex", "agent-state-idempotency"


def _create_tables(setup: Setup) -> None:
    dynamodb = setup.client("dynamodb")
    dynamodb.create_table(
        TableName=_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("agentId", "capability", "capabilityOf")
        ],
        KeySchema=[{"AttributeName": "agentId", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": _INDEX,
                "KeySchema": [
                    {"AttributeName": "capability", "KeyType": "HASH"},
                    {"AttributeName": "capabilityOf", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )
    dynamodb.create_table(
        TableName=_MARKERS,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )


def _create_functions(setup: Setup) -> None:
    iam, functions = setup.client("iam"), setup.client("lambda")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    access = {"Effect": "Allow", "Action": ["dynamodb:*", "logs:*"], "Resource": "*"}
    iam.put_role_policy(
        RoleName="bench", PolicyName="bench", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": access})
    )
    with tempfile.TemporaryDirectory() as directory:
        entry = build_lambdas.build(target=Path(directory))["functions"][OURS]
        zips = {OURS: ((Path(directory) / entry["zip"]).read_bytes(), entry["handler"])}
    for name in PEERS:
        source = (paths.ROOT / "scripts" / "bench_peers" / f"{name}.py").read_bytes()
        zips[name] = (deterministic_zip.archive({f"{name}.py": source}), f"{name}.handler")
    variables = {
        "AGENT_REGISTRY_TABLE_NAME": _TABLE,
        "CAPABILITY_INDEX_NAME": _INDEX,
        "IDEMPOTENCY_TABLE_NAME": _MARKERS,
    }
    for name, (content, handler) in zips.items():
        functions.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=role,
            Handler=handler,
            Code={"ZipFile": content},
            MemorySize=MEMORY_MEGABYTES,
            Timeout=30,
            Environment={"Variables": variables},
        )


def _register_agents(setup: Setup) -> None:
    functions = setup.client("lambda")
    for number in range(AGENTS):
        profile = {
            "id": f"bench-{number}",
            "name": "Bench",
            "endpoint": "https://bench.example.com",
            "capabilities": [CAPABILITY],
        }
        event = _event() | {
            "rawPath": "/agents/register",
            "routeKey": "POST /agents/register",
            "rawQueryString": "",
            "headers": {"content-type": "application/json"},
            "body": json.dumps({"profile": profile}),
        }
        event["requestContext"]["http"] |= {"method": "POST", "path": "/agents/register"}
        answer = json.loads(functions.invoke(FunctionName=OURS, Payload=json.dumps(event))["Payload"].read())
        if answer.get("statusCode") != 201:
            raise CommandError(f"{OURS} answered {str(answer)[:300]}", exit_code=EXIT_FAILED)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def report(samples: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: statistics.median(values) for name, values in samples.items()}
    of_resource = medians[OURS] / medians[BOTO3_RESOURCE]
    of_nothing = medians[OURS] / medians[NOTHING]
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "versions": {
            name: importlib.metadata.version(name) for name in ("awslambdaric", "boto3", "aws-lambda-powertools")
        },
        "rounds": len(samples[OURS]),
        "median_milliseconds": medians,
        "samples_milliseconds": samples,
        "goals": [
            {"ratio": of_resource, "to": BOTO3_RESOURCE, "at_most": GOAL_OF_BOTO3_RESOURCE},
            {"ratio": of_nothing, "to": NOTHING, "at_most": GOAL_OF_NOTHING},
        ],
    }


def _show(measured: dict[str, Any]) -> None:
    medians = measured["median_milliseconds"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cold start to first answer")
    for column in ("median ms", "of boto3.resource", "of nothing"):
        table.add_column(column, justify="right")
    for name, milliseconds in sorted(medians.items(), key=lambda item: item[1]):
        ratios = [f"{milliseconds / medians[base]:.2f}" for base in (BOTO3_RESOURCE, NOTHING)]
        table.add_row(f"{name} (ours)" if name == OURS else name, f"{milliseconds:.0f}", *ratios)
    out.print(table)
    for goal in measured["goals"]:
        met = "met" if goal["ratio"] <= goal["at_most"] else "NOT met"
        out.print(f"goal: at most {goal['at_most']} of {goal['to']}: {goal['ratio']:.2f}, {met}")


def main(
    rounds: Annotated[int, typer.Option(min=3, help="Cold starts of each function.")] = 30,
    json_output: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure cold starts beside a handler that does nothing, boto3 and Powertools; exit 1 if a goal is missed."""
    measured = report(measure(rounds))
    target = paths.BUILD / "bench_cold.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(measured, indent=2) + "\n")
    if json_output:
        out.print_json(data=measured)
    else:
        _show(measured)
    if any(goal["ratio"] > goal["at_most"] for goal in measured["goals"]):
        raise CommandError("a cold start goal is missed.", exit_code=EXIT_FAILED)


if __name__ == "__main__":
    run(main)
