"""Cold starts, CPU and memory of the five functions, beside the same operation on boto3 and on Powertools.

Every function runs in the embedded AWS under AWS's own runtime client, as a role, on the tables that Terraform
declares. A cold start is init plus the first request, as the REPORT line has them. CPU and memory are those of the
environment's own process: DynamoDB is another one, a real engine where one is at hand. The peers' libraries are
compiled ahead, as they are on Lambda; our sources are not, as they are not there. Only ratios mean anything, and only
of functions that were measured one right after the other: a machine's speed changes within a run. So a ratio is the
median of the rounds' own.
"""

import base64
import json
import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import psutil

from scripts import cost_model, deterministic_zip, execution_logs, expected_use, paths
from scripts.applied_state import Instance
from scripts.benchmarks import first_requests, process_memory, stack_tables
from scripts.benchmarks.engines import Engine
from scripts.benchmarks.first_requests import Request
from scripts.benchmarks.parts import AT_MOST, Chart, Detail, Options, Part, Row
from scripts.benchmarks.stack_tables import StackTables
from scripts.console import EXIT_FAILED, CommandError, Progress, err, step
from scripts.local_aws import control
from scripts.local_aws.control import Running

ROUNDS = 30
# Of each request to an engine that was just started and runs in a virtual machine: it compiles itself meanwhile
ENGINE_WARM_UP_REQUESTS = 1_000
WARM_ROUNDS, WARM_UP_REQUESTS, WARM_REQUESTS = 5, 10, 50
OURS, NOTHING, RESOURCE = "ours", "nothing", "boto3_resource"
PEERS = {RESOURCE: "boto3.resource", "boto3_client": "boto3 client", "powertools": "Powertools + boto3"}
LABELS = {OURS: OURS, **PEERS}
GOAL_COLD_OF_RESOURCE, GOAL_COLD_OF_NOTHING, GOAL_CPU, GOAL_MEMORY = 0.22, 1.6, 0.35, 0.5
SEED = 1

# One a round, of each system's functions by who wrote them; the one that does nothing is measured beside each
Samples = dict[tuple[str, str], list[float]]


class Setup(NamedTuple):
    """The functions that are there: by system, the request that each of its functions answers."""

    running: Running
    functions: Any
    requests: Mapping[str, Request]

    @property
    def all(self) -> list[tuple[str, str]]:
        return [(system, author) for system in self.requests for author in (NOTHING, *LABELS)]

    def invoke(self, system: str, author: str) -> execution_logs.Report:
        """Calls a function; raises CommandError unless it answers with the records that are there."""
        request = self.requests[system]
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
        engine = _usable(options.engine_url) or Engine(running.endpoint_url)
        with stack_tables.made(engine, instances) as stack:
            with step("create functions"):
                setup = deployed(running, stack, instances)
            if engine.url == options.engine_url:
                _warm_up(stack, setup)
            return compared(setup, options.rounds or ROUNDS)


def _usable(url: str | None) -> Engine | None:
    """The engine, if functions find their tables there: each environment signs with keys of its own."""
    if url is None:
        return None
    if stack_tables.is_shared_by_keys(Engine(url)):
        return Engine(url)
    err.print(f"the engine at {url} keeps tables apart by access key: functions use the embedded AWS's.", markup=False)
    return None


def _warm_up(stack: StackTables, setup: Setup) -> None:
    with step("warm the engine up"):
        for system, request in setup.requests.items():
            send = stack.caller(system).send
            for _ in range(ENGINE_WARM_UP_REQUESTS):
                send("GET", f"{request.path}?{urlencode(request.query)}", headers=request.headers)


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


def deployed(running: Running, stack: StackTables, instances: Sequence[Instance]) -> Setup:
    """Ours as packaged, and the peers, on the stack's tables, with the records there that are asked for."""
    region = stack.engine.connection["AWS_REGION"]
    functions = expected_use.client("lambda", running, region)
    role = _role(expected_use.client("iam", running, region))
    declared = {cost_model.system_of(one): one for one in instances if one.type == "aws_lambda_function"}
    peers = {name: _zipped(name) for name in (NOTHING, *PEERS)}
    requests = {}
    for system in [one for one in first_requests.OF_SYSTEM if one in declared]:
        settings = declared[system].attributes
        own = {"PERSISTENCE": "dynamodb", "AWS_ENDPOINT_URL_DYNAMODB": stack.engine.url}
        variables = {**stack.environments[system], **own}
        requests[system] = first_requests.OF_SYSTEM[system](stack.caller(system).send)
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
    """Every function once a round, those of a system together, each round in another order."""
    order = random.Random(SEED)  # noqa: S311 - the order of measurements, no secret
    for number in range(rounds):
        progress.update(f"{number + 1}/{rounds}")
        for system in order.sample(list(setup.requests), len(setup.requests)):
            authors = [author for one, author in setup.all if one == system]
            yield from ((system, author) for author in order.sample(authors, len(authors)))


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
    slowest = f"cold start, init and first request, the worst of {len(systems)}"
    rows = [
        _row(slowest, systems, cold, RESOURCE, GOAL_COLD_OF_RESOURCE),
        _row(slowest, systems, cold, NOTHING, GOAL_COLD_OF_NOTHING),
        _row(f"warm CPU a request, the worst of {len(systems)}", systems, cpu, RESOURCE, GOAL_CPU),
        _row(f"peak memory of an environment, the worst of {len(systems)}", systems, memory, RESOURCE, GOAL_MEMORY),
    ]
    tables = [
        _table("Cold start: init and first request, ms", systems, cold, "{:.0f}"),
        _table("Warm CPU a request without DynamoDB's, ms", systems, cpu, "{:.2f}"),
        _table("Peak memory of an environment, MB", systems, memory, "{:.0f}"),
    ]
    charts = (
        _chart("Cold start", "ms", systems, cold),
        _chart("Warm CPU a request", "ms", systems, cpu),
        _chart("Peak memory", "MB", systems, memory),
    )
    data = {
        name: {"/".join(one): values for one, values in samples.items()}
        for name, samples in (
            ("cold_start_milliseconds", cold),
            ("warm_cpu_milliseconds", cpu),
            ("peak_memory_megabytes", memory),
        )
    }
    return Part(rows, tables, data, charts)


def _row(what: str, systems: Sequence[str], samples: Samples, base: str, goal: float) -> Row:
    """The worst of the systems' ratios."""
    ratio, system = max((_ratio(samples, system, base), system) for system in systems)
    against = "a handler that does nothing" if base == NOTHING else PEERS[base]
    return Row(f"{what} ({system})", against, ratio, "x", AT_MOST, goal)


def _ratio(samples: Samples, system: str, base: str) -> float:
    """The median of the rounds'."""
    pairs = zip(samples[system, OURS], samples[system, base], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def _table(title: str, systems: Sequence[str], samples: Samples, form: str) -> Detail:
    rows = [
        [
            system,
            *(form.format(statistics.median(samples[system, author])) for author in (NOTHING, *LABELS)),
            f"{_ratio(samples, system, RESOURCE):.2f}",
            f"{_ratio(samples, system, NOTHING):.2f}",
        ]
        for system in systems
    ]
    return Detail(title, ["function", NOTHING, *LABELS.values(), f"of {PEERS[RESOURCE]}", f"of {NOTHING}"], rows)


def _chart(title: str, unit: str, systems: Sequence[str], samples: Samples) -> Chart:
    bars = {
        system: {label: round(statistics.median(samples[system, author]), 3) for author, label in LABELS.items()}
        for system in systems
    }
    nothing = statistics.median(one for system in systems for one in samples[system, NOTHING])
    return Chart(title, unit, {NOTHING: {NOTHING: round(nothing, 3)}} | bars)
