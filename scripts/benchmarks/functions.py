"""Cold starts, CPU and memory of the five functions, beside the same operation on boto3 and on Powertools.

Every function runs in the embedded AWS under AWS's own runtime client, as a role, on the tables that Terraform
declares. A cold start is init plus the first request, as the REPORT line has them. CPU and memory are those of the
environment's own process: DynamoDB is another one. The peers' libraries are compiled ahead, as they are on Lambda; our
sources are not, as they are not there. Only ratios of one run mean anything.
"""

import base64
import json
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from scripts import cost_model, deterministic_zip, execution_logs, expected_use, paths
from scripts.applied_state import Instance
from scripts.benchmarks import first_requests, process_memory, stack_tables
from scripts.benchmarks.first_requests import Request
from scripts.benchmarks.parts import AT_MOST, Chart, Detail, Options, Part, Row
from scripts.console import EXIT_FAILED, CommandError, Progress, step
from scripts.function_caller import Caller
from scripts.local_aws import control
from scripts.local_aws.control import Running
from scripts.local_aws.settings import DEFAULT_REGION

ROUNDS = 30
WARM_ROUNDS, WARM_UP_REQUESTS, WARM_REQUESTS = 3, 10, 50
OURS, NOTHING, RESOURCE = "ours", "nothing", "boto3_resource"
PEERS = {RESOURCE: "boto3.resource", "boto3_client": "boto3 client", "powertools": "Powertools + boto3"}
LABELS = {OURS: OURS, **PEERS}
GOAL_COLD_OF_RESOURCE, GOAL_COLD_OF_NOTHING, GOAL_CPU, GOAL_MEMORY = 0.22, 1.6, 0.35, 0.5
SEED = 1

# Of each system's functions by who wrote them, and of the one that does nothing
Samples = dict[tuple[str, str], list[float]]


class Setup(NamedTuple):
    """The functions that are there: by system, the request that each of its functions answers."""

    running: Running
    functions: Any
    requests: Mapping[str, Request]

    @property
    def all(self) -> list[tuple[str, str]]:
        return [(NOTHING, NOTHING), *((system, author) for system in self.requests for author in LABELS)]

    def invoke(self, system: str, author: str) -> execution_logs.Report:
        """Calls a function; raises CommandError unless it answers with the records that are there."""
        request = self.requests.get(system) or next(iter(self.requests.values()))
        given = self.functions.invoke(
            FunctionName=_name(system, author), Payload=json.dumps(request.event), LogType="Tail"
        )
        answer = json.loads(given["Payload"].read())
        if "FunctionError" in given or not (author == NOTHING or request.records(answer)):
            raise CommandError(f"{_name(system, author)} answered {str(answer)[:300]}", exit_code=EXIT_FAILED)
        lines = base64.b64decode(given["LogResult"]).decode().splitlines()
        return next(iter(execution_logs.reports([{"message": line} for line in lines]).values()))


def measure(options: Options) -> Part:
    instances = stack_tables.declared()
    with expected_use.embedded_aws() as running:
        with step("create tables and functions"):
            setup = deployed(running, DEFAULT_REGION, instances)
        return compared(setup, options.rounds or ROUNDS)


def compared(setup: Setup, rounds: int) -> Part:
    cold: Samples = {one: [] for one in setup.all}
    with step(f"cold starts: {rounds} rounds") as progress:
        for system, author in _shuffled(setup, rounds, progress):
            control.replace_environments(setup.running, _name(system, author))
            cold[system, author].append(_cold_start(setup, system, author))
    rounds = min(rounds, WARM_ROUNDS)
    with step(f"warm requests: {rounds} rounds of {WARM_REQUESTS}") as progress:
        cpu, memory = _warm(setup, rounds, progress)
    return report(list(setup.requests), cold, cpu, memory)


def deployed(running: Running, region: str, instances: Sequence[Instance]) -> Setup:
    """The declared tables with the records that are asked for, ours as packaged, and the peers."""
    dynamodb, functions = (expected_use.client(service, running, region) for service in ("dynamodb", "lambda"))
    for one in instances:
        if one.type == "aws_dynamodb_table":
            dynamodb.create_table(**expected_use.table_definition(one.attributes))
    role = _role(expected_use.client("iam", running, region))
    declared = {cost_model.system_of(one): one for one in instances if one.type == "aws_lambda_function"}
    connection = {
        "AWS_REGION": region,
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
    }
    peers = {name: _zipped(name) for name in (NOTHING, *PEERS)}
    requests = {}
    for system in [one for one in first_requests.OF_SYSTEM if one in declared]:
        settings = declared[system].attributes
        variables = expected_use.environment_of(declared[system]) | {"PERSISTENCE": "dynamodb"}
        requests[system] = first_requests.OF_SYSTEM[system](Caller(system, variables, connection).send)
        ours = (paths.TERRAFORM_ROOT / settings["filename"]).read_bytes()
        for author, code in ((OURS, ours), *((peer, peers[peer]) for peer in PEERS)):
            handler = settings["handler"] if author == OURS else f"{author}.handler"
            _create(functions, _name(system, author), role, settings, handler, code, variables)
    if not requests:
        raise CommandError(
            f"{stack_tables.ENVIRONMENT_FILE} switches every system off: no function is there to be measured.",
            "Leave `systems` out of its [variables].",
        )
    _create(functions, NOTHING, role, settings, f"{NOTHING}.handler", peers[NOTHING], {})
    return Setup(running, functions, requests)


def _create(
    functions: Any,
    name: str,
    role: str,
    settings: Mapping[str, Any],
    handler: str,
    code: bytes,
    variables: Mapping[str, str],
) -> None:
    functions.create_function(
        FunctionName=name,
        Runtime=settings["runtime"],
        Role=role,
        Handler=handler,
        Code={"ZipFile": code},
        MemorySize=settings["memory_size"],
        Timeout=settings["timeout"],
        Environment={"Variables": dict(variables)},
    )


def _role(iam: Any) -> str:
    principal = {"Service": "lambda.amazonaws.com"}
    trust = [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}]
    access = [{"Effect": "Allow", "Action": ["dynamodb:*", "logs:*"], "Resource": "*"}]
    trusted, allowed = (json.dumps({"Version": "2012-10-17", "Statement": one}) for one in (trust, access))
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=trusted)["Role"]["Arn"]
    iam.put_role_policy(RoleName="bench", PolicyName="bench", PolicyDocument=allowed)
    return str(role)


def _zipped(peer: str) -> bytes:
    file = Path(__file__).with_name("peers") / f"{peer}.py"
    return deterministic_zip.archive({file.name: file.read_bytes()})


def _name(system: str, author: str) -> str:
    return NOTHING if author == NOTHING else f"{system}-{author}"


def _shuffled(setup: Setup, rounds: int, progress: Progress) -> Iterator[tuple[str, str]]:
    """Every function once a round, each round in another order."""
    order = random.Random(SEED)  # noqa: S311 - the order of measurements, no secret
    for number in range(rounds):
        progress.update(f"{number + 1}/{rounds}")
        yield from order.sample(setup.all, len(setup.all))


def _cold_start(setup: Setup, system: str, author: str) -> float:
    report = setup.invoke(system, author)
    if report.init_milliseconds is None:
        raise CommandError(f"{_name(system, author)} was not cold", exit_code=EXIT_FAILED)
    return report.init_milliseconds + report.milliseconds


def _warm(setup: Setup, rounds: int, progress: Progress) -> tuple[Samples, Samples]:
    """Milliseconds of CPU a request, and the most megabytes that the environments have held at a time."""
    cpu: Samples = {one: [] for one in setup.all}
    memory: Samples = {one: [] for one in setup.all}
    for system, author in _shuffled(setup, rounds, progress):
        with _own_environment(setup, system, author) as pid:
            before = cpu_seconds(pid)
            for _ in range(WARM_REQUESTS):
                setup.invoke(system, author)
            cpu[system, author].append((cpu_seconds(pid) - before) * 1000 / WARM_REQUESTS)
            memory[system, author].append(peak_megabytes(pid))
    return cpu, memory


@contextmanager
def _own_environment(setup: Setup, system: str, author: str) -> Iterator[int]:
    """The process id of a new environment that has answered some requests; it ends with the block."""
    name = _name(system, author)
    control.replace_environments(setup.running, name)
    for _ in range(WARM_UP_REQUESTS):
        setup.invoke(system, author)
    (pid,) = (one["pid"] for one in control.environments(setup.running) if one["function"] == name)
    try:
        yield int(pid)
    finally:
        control.replace_environments(setup.running, name)


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads; where the kernel counts no finer, in hundredths of a second."""
    threads = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    if threads:
        return sum(int(nanoseconds) for nanoseconds, *_ in threads) / 1e9
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def peak_megabytes(pid: int) -> float:
    """Of resident memory; what is held now, where the system keeps no peak."""
    peak = process_memory.peak_megabytes(pid)
    return float(psutil.Process(pid).memory_info().rss / (1 << 20)) if peak is None else peak


def report(systems: Sequence[str], cold: Samples, cpu: Samples, memory: Samples) -> Part:
    medians = [{one: statistics.median(values) for one, values in samples.items()} for samples in (cold, cpu, memory)]
    cold_medians, cpu_medians, memory_medians = medians

    def worst(of: Mapping[tuple[str, str], float], base: str) -> tuple[str, float]:
        ratios = {one: of[one, OURS] / of[(NOTHING, NOTHING) if base == NOTHING else (one, base)] for one in systems}
        system = max(ratios, key=lambda one: ratios[one])
        return system, ratios[system]

    def row(what: str, of: Mapping[tuple[str, str], float], base: str, goal: float) -> Row:
        system, ratio = worst(of, base)
        against = "a handler that does nothing" if base == NOTHING else PEERS[base]
        return Row(f"{what} ({system})", against, ratio, "x", AT_MOST, goal)

    slowest = f"cold start, init and first request, the worst of {len(systems)}"
    rows = [
        row(slowest, cold_medians, RESOURCE, GOAL_COLD_OF_RESOURCE),
        row(slowest, cold_medians, NOTHING, GOAL_COLD_OF_NOTHING),
        row(f"warm CPU a request, the worst of {len(systems)}", cpu_medians, RESOURCE, GOAL_CPU),
        row(f"peak memory of an environment, the worst of {len(systems)}", memory_medians, RESOURCE, GOAL_MEMORY),
    ]
    tables = [
        _table("Cold start: init and first request, ms", systems, cold_medians, "{:.0f}"),
        _table("Warm CPU a request without DynamoDB's, ms", systems, cpu_medians, "{:.2f}"),
        _table("Peak memory of an environment, MB", systems, memory_medians, "{:.0f}"),
    ]
    charts = (
        _chart("Cold start", "ms", systems, cold_medians),
        _chart("Warm CPU a request", "ms", systems, cpu_medians),
        _chart("Peak memory", "MB", systems, memory_medians),
    )
    data = {
        name: {"/".join(dict.fromkeys(one)): values for one, values in samples.items()}
        for name, samples in (
            ("cold_start_milliseconds", cold),
            ("warm_cpu_milliseconds", cpu),
            ("peak_memory_megabytes", memory),
        )
    }
    return Part(rows, tables, data, charts)


def _table(title: str, systems: Sequence[str], medians: Mapping[tuple[str, str], float], form: str) -> Detail:
    nothing = medians[NOTHING, NOTHING]
    columns = ["function", *LABELS.values(), f"of {PEERS[RESOURCE]}", "of nothing"]
    rows = [
        [
            system,
            *(form.format(medians[system, author]) for author in LABELS),
            f"{medians[system, OURS] / medians[system, RESOURCE]:.2f}",
            f"{medians[system, OURS] / nothing:.2f}",
        ]
        for system in systems
    ]
    return Detail(f"{title}; a handler that does nothing: {form.format(nothing)}", columns, rows)


def _chart(title: str, unit: str, systems: Sequence[str], medians: Mapping[tuple[str, str], float]) -> Chart:
    bars = {
        system: {label: round(medians[system, author], 3) for author, label in LABELS.items()} for system in systems
    }
    return Chart(title, unit, {"nothing": {NOTHING: round(medians[NOTHING, NOTHING], 3)}} | bars)
