"""Puts an environment under load, and proves that nothing was lost: `python -m scripts.load --env NAME`.

Clients work at the same time, each sending its next request when it has the answer to the last. What was acknowledged
is read back at the end, through the API and from the tables, and removed.
"""

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape
from rich.table import Table

from scripts import aws, execution_logs, stack
from scripts.api_client import ApiClient
from scripts.console import EXIT_FAILED, CommandError, Progress, ask, err, one_line, out, run, step
from scripts.environment_memory import Growth, MemorySamples
from scripts.load_models import WORKERS, Calls, Findings, Model, UnansweredError, at_once
from scripts.local_aws import control
from scripts.stack import Stack
from scripts.verification import percentile

DEFAULT_CLIENTS, DEFAULT_SECONDS = 64, 60
SAMPLE_SECONDS = 1.0
SHOWN = 10  # of the things that went wrong
IN_MEMORY = "memory"


@dataclass
class Run:
    """One system under load; `problems` are answers that are not as the contract says."""

    system: str
    calls: Calls
    model: Model
    clients: int
    findings: Findings = field(default_factory=Findings)
    problems: list[str] = field(default_factory=list)
    left: str = ""  # why what was written could not be removed

    @property
    def bad(self) -> list[str]:
        return [*self.findings.bad, *self.problems, *self.calls.refused, *([self.left] if self.left else [])]

    def figures(self) -> dict[str, Any]:
        found, taken = self.findings, self.calls.milliseconds or [0.0]
        return {
            "clients": self.clients,
            "requests": sum(self.calls.statuses.values()),
            "statuses": {str(status): count for status, count in sorted(self.calls.statuses.items())},
            "failed": self.calls.failed,
            "throttled": self.calls.statuses[429],
            **{f"p{percent}_milliseconds": round(percentile(taken, percent), 1) for percent in (50, 95, 99)},
            "checked": found.checked,
            "lost": len(found.lost),
            "duplicates": len(found.duplicates),
            "lost_updates": len(found.lost_updates),
            "wrong": len(found.wrong) + len(self.problems),
            "problems": self.bad[:SHOWN],
        }


def main(
    env: Annotated[str, typer.Option(help="The environment to put under load.")],
    clients: Annotated[int, typer.Option(min=1, max=1000, help="How many work at the same time.")] = DEFAULT_CLIENTS,
    seconds: Annotated[int, typer.Option(min=1, help="For how long.")] = DEFAULT_SECONDS,
    system: Annotated[str, typer.Option(help="Only this system.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, on AWS.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Put an environment under load, read back all that was acknowledged, and remove it."""
    with stack.exclusive(env), aws.kept_clients():
        opened = stack.open_stack(env)
        declared = stack.applied_verification(opened)
        _require_many_callers(env, declared["api"]["auth"])
        systems = _chosen(opened, declared["systems"], system)
        mark = f"load-{uuid.uuid4().hex[:12]}"
        if not opened.environment.embedded:
            _agree(opened, systems, clients, seconds, mark, yes=yes)
        runs = _runs(declared, systems, mark, clients)
        samples = _under_load(opened, runs, seconds)
    memory = samples.growth({name: told["function_name"] for name, told in systems.items()}) if samples else {}
    too_much = [name for name, growth in memory.items() if growth.is_growing]
    bad = [f"{one.system}: {problem}" for one in runs for problem in one.bad]
    if json_output:
        out.print_json(
            data={
                "environment": env,
                "mark": mark,
                "clients": clients,
                "seconds": seconds,
                "systems": {one.system: one.figures() for one in runs},
                "memory": {name: growth._asdict() | {"growing": growth.is_growing} for name, growth in memory.items()},
            }
        )
    else:
        _show(runs, memory)
        for problem in bad[:SHOWN]:
            err.print(f"[red]{escape(one_line(problem)[:500])}[/red]")
    if bad or too_much:
        growing = f"; memory grows in {', '.join(too_much)}" if too_much else ""
        raise CommandError(f"under load {len(bad)} things went wrong{growing}.", exit_code=EXIT_FAILED)


def _require_many_callers(env: str, auth: str) -> None:
    """Raises CommandError where each caller is one person: the clients speak for many users of their own tenant."""
    if auth == "jwt":
        raise CommandError(
            f"the API of environment {env!r} takes tenant and user from tokens, and the clients have none.",
            'Use an environment with api_auth = "iam".',
        )


def _chosen(opened: Stack, applied: Mapping[str, Any], system: str) -> dict[str, Any]:
    """The systems to put under load: without those in memory, where each execution environment has its own state."""
    if system:
        stack.require_system(opened, applied, system)
    chosen = {name: told for name, told in applied.items() if system in ("", name)}
    kept = {name: told for name, told in chosen.items() if told["persistence"] != IN_MEMORY}
    if left_out := [name for name in chosen if name not in kept]:
        err.print(f"left out: {', '.join(left_out)}, whose state is in memory", markup=False)
    if not kept:
        raise CommandError("there is nothing to put under load.", "Choose a system that keeps its state in tables.")
    return kept


def _agree(opened: Stack, systems: Mapping[str, Any], clients: int, seconds: int, mark: str, *, yes: bool) -> None:
    tables = sorted({table["name"] for told in systems.values() for table in told["tables"].values()})
    err.print(f"{opened.place}: {clients} clients for {seconds} s on {', '.join(systems)}.", markup=False)
    err.print(
        f"They write to {', '.join(tables)} what bears the mark {mark}, and remove it; idempotency markers expire "
        "within a day. Requests, capacity and logs are paid for, and alarms may go off.",
        markup=False,
    )
    if not yes and ask("Go on? [y/N]").lower() not in ("y", "yes"):
        raise CommandError("nothing was done.", "Answer y, or say YES=1.")


def _runs(declared: Mapping[str, Any], systems: Mapping[str, Any], mark: str, clients: int) -> list[Run]:
    """Clients are spread evenly; with fewer than systems, the last systems get none."""
    if without := list(systems)[clients:]:
        err.print(f"left out: {', '.join(without)}, for which there are no clients", markup=False)
    api = declared["api"]
    found = []
    for place, (name, told) in enumerate(systems.items()):
        if count := len(range(place, clients, len(systems))):
            client = ApiClient(api["url"], api["auth"], declared["region"], count + WORKERS)
            retries = partial(_retries, told["log_group_name"], int(time.time() * 1000))
            calls = Calls(client, _environment(told), retries)
            tables = {logical: table["name"] for logical, table in told["tables"].items()}
            model = import_module(f"scripts.load_models.{name}").Model(calls, tables, mark, count)
            found.append(Run(name, calls, model, count))
    return found


def _environment(told: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the function that callers get."""
    deployed = aws.client("lambda").get_function_configuration(
        FunctionName=told["function_name"], Qualifier=told["alias_name"]
    )
    found: dict[str, str] = deployed.get("Environment", {}).get("Variables", {})
    return found


def _retries(log_group: str, since_milliseconds: int) -> int:
    """How often a function has sent something to DynamoDB again, as its own log lines tell."""
    found = 0
    for event in execution_logs.events(log_group, since_milliseconds):
        with suppress(ValueError, AttributeError):  # a line of Lambda's own, or somebody's text
            found += int(json.loads(event["message"]).get("retries", 0))
    return found


def _under_load(opened: Stack, runs: Sequence[Run], seconds: int) -> MemorySamples | None:
    """All of it; what was written is removed whatever happens."""
    running = control.status(aws.LOCAL_AWS_DIR) if opened.environment.embedded else None
    samples = MemorySamples()
    try:
        with step(f"{sum(one.clients for one in runs)} clients for {seconds} s") as progress:
            at_once(lambda one: one.model.prepare(), runs)
            _work(runs, seconds, lambda: samples.take(running) if running else None, progress)
        with step("read everything back"):
            at_once(_check, runs)
    finally:
        with step("remove what was written"):
            at_once(_remove, runs)
    return samples if running else None


def _work(runs: Sequence[Run], seconds: int, sample: Callable[[], None], progress: Progress) -> None:
    stop = threading.Event()
    threads = [
        threading.Thread(target=_client, args=(one, number, stop), daemon=True)
        for one in runs
        for number in range(one.clients)
    ]
    ends = time.monotonic() + seconds
    try:
        for thread in threads:
            thread.start()
        while (left := ends - time.monotonic()) > 0:
            sample()
            sent = sum(sum(one.calls.statuses.copy().values()) for one in runs)
            failed = sum(one.calls.failed for one in runs)
            progress.update(f"{left:.0f} s left, {sent} requests, {failed} failed")
            stop.wait(min(left, SAMPLE_SECONDS))
        sample()
    finally:
        stop.set()
        for thread in threads:
            if thread.ident:
                thread.join()


def _client(one: Run, number: int, stop: threading.Event) -> None:
    chance = random.Random(number)  # noqa: S311 - chooses what to do next
    while not stop.is_set():
        _noted(one, lambda: one.model.act(number, chance))


def _check(one: Run) -> None:
    _noted(one, lambda: one.model.check(one.findings))


def _noted(one: Run, action: Callable[[], None]) -> None:
    """Runs it; what is not as the contract says is a problem of the system, and the others go on."""
    try:
        action()
    except UnansweredError:
        pass  # among what was refused
    except CommandError as error:
        one.problems.append(f"{error.message} {error.next_step}".strip())
    except (BotoCoreError, ClientError) as error:
        one.problems.append(str(error))
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # an answer that is not what it should be
        one.problems.append(f"an answer has another shape than expected: {error!r}")


def _remove(one: Run) -> None:
    try:
        one.model.remove()
    except (CommandError, BotoCoreError, ClientError) as error:
        one.left = f"not all that was written could be removed: {error}"


def _show(runs: Sequence[Run], memory: Mapping[str, Growth]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("clients", "requests", "throttled", "failed", "checked", "lost", "duplicates", "lost_updates", "wrong")
    table.add_column("system")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    table.add_column("p50/p95/p99 ms", justify="right")
    table.add_column("memory", justify="right")
    for one in runs:
        figures = one.figures()
        times = "/".join(f"{figures[f'p{percent}_milliseconds']:.0f}" for percent in (50, 95, 99))
        growth = memory.get(one.system)
        table.add_row(one.system, *(f"{figures[name]:,}" for name in names), times, growth.text() if growth else "-")
    out.print(table)


if __name__ == "__main__":
    run(main)
