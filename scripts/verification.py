"""The checks of `make verify`: what was applied is as declared, works, and keeps its state through a cold start.

A check returns its detail, or raises CommandError (or AWS's own error) with the
reason. Checks of one system depend on each other in their order: after a failed write nothing can be read.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime
from importlib import import_module
from threading import Barrier
from types import MappingProxyType
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from scripts import api_tokens, aws, declared_tables, execution_logs
from scripts.api_client import Answer, ApiClient
from scripts.api_tokens import Token
from scripts.console import EXIT_FAILED, CommandError, Progress
from scripts.probes import Record
from scripts.rollback_marks import Rollback

# Enough for a median and a 95th percentile: two more are slower than that. Of so few the 99th is the slowest.
WARM_QUERIES = 50
# A burst of other work on a shared machine is not the function's: only a budget missed in every round is missed.
ROUNDS = 3
# Simultaneous reads, growing until Lambda starts an execution environment that was not there before.
# Small steps, so that few start at once and each is measured by itself.
COLD_START_WAVES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
LOG_DEADLINE_SECONDS = 90  # CloudWatch Logs shows lines after some seconds
INDEX_DEADLINE_SECONDS = 30  # an index follows its table after a moment
POLL_SECONDS, SLOWEST_POLL_SECONDS = 0.05, 5.0

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Check(NamedTuple):
    """One check's outcome. `figures` are numbers for machines, in milliseconds where the name says so.

    `samples` are what the figures were made from, whether the check passed or not.
    """

    system: str
    name: str
    status: str
    detail: str
    seconds: float
    figures: dict[str, float]
    samples: dict[str, list[float]]


class Outcome(NamedTuple):
    detail: str
    figures: Mapping[str, float] = MappingProxyType({})


class _Skip(Exception):  # noqa: N818  an outcome, not an error
    """The check does not apply; the text says why."""


def verify_systems(
    systems: Mapping[str, dict[str, Any]],
    verification: dict[str, Any],
    manifest: dict[str, Any],
    rolled_back: Mapping[str, Rollback],
    progress: Progress,
    beside: Callable[[], Check],
) -> list[Check]:
    """All checks of the systems, in their order, and that of `beside`; `systems` are parts of the output
    `verification`.

    `rolled_back`: systems whose callers shall get an older version than Terraform's.

    What takes no figures runs for all at once. Figures are taken of one system at a time, while nothing else runs.
    """
    if not systems:
        return [beside()]
    with api_tokens.signed_in(verification) as token:
        runs = [
            _System(name, declared, verification, manifest, rolled_back.get(name), token, progress)
            for name, declared in systems.items()
        ]
        last = _run_all(runs, beside)
    return [*(check for run in runs for check in run.checks), last]


def _run_all(runs: list["_System"], beside: Callable[[], Check]) -> Check:
    with ThreadPoolExecutor(len(runs)) as pool:
        prepared = [pool.submit(run.prepare) for run in runs]
        try:
            found = beside()
            for done in prepared:
                done.result()
            for run in runs:
                run.measure()
        finally:
            wait(prepared)  # also when interrupted: what was written is removed
            list(pool.map(_System.finish, runs))
    return found


def no_changes(plan: Callable[[], bool], summary: Callable[[], dict[str, int]]) -> Check:
    def action() -> Outcome:
        if plan():
            counts = ", ".join(f"{count} to {verb}" for verb, count in summary().items() if count)
            raise CommandError(f"the plan shows changes: {counts or 'outputs only'}")
        return Outcome("no changes")

    return _run("stack", "next plan", action)


def _run(system: str, name: str, action: Callable[[], Outcome]) -> Check:
    started = time.monotonic()
    try:
        outcome, status = action(), PASSED
    except _Skip as skip:
        outcome, status = Outcome(str(skip)), SKIPPED
    except CommandError as error:
        outcome, status = Outcome(f"{error.message} {error.next_step}".strip()), FAILED
    except (BotoCoreError, ClientError) as error:
        outcome, status = Outcome(str(error)), FAILED
    except (LookupError, TypeError, AttributeError) as error:  # a probe took an answer for what it is not
        outcome, status = Outcome(f"an answer has another shape than expected: {error!r}"), FAILED
    return Check(system, name, status, outcome.detail, time.monotonic() - started, dict(outcome.figures), {})


def _failed(message: str) -> CommandError:
    return CommandError(message, exit_code=EXIT_FAILED)


class _System:
    """One system under verification: what was written there, and what its checks found."""

    def __init__(
        self,
        name: str,
        declared: dict[str, Any],
        verification: dict[str, Any],
        manifest: dict[str, Any],
        rollback: Rollback | None,
        token: Token | None,
        progress: Progress,
    ) -> None:
        self.checks: list[Check] = []
        self._name, self._declared, self._progress = name, declared, progress
        self._budgets: dict[str, float] = verification["budgets"]
        self._built: str = manifest["functions"][name]["source_code_hash"]
        self._rollback = rollback
        self._api = ApiClient(
            verification["api"]["url"], verification["api"]["auth"], verification["region"], token=token
        )
        self._tables = {logical: table["name"] for logical, table in declared["tables"].items()}
        self._log_group: str = declared["log_group_name"]
        self._in_memory = declared["persistence"] == "memory"
        self._records: list[Record] = []
        self._written = False
        self._began = 0
        self._environment: dict[str, str] = {}
        self._no_reports = ""
        self._concurrency: int | None = None
        self._samples: dict[str, list[float]] = {}  # of the check under way

    def prepare(self) -> None:
        """Everything before the figures: settings, a write, and what it left in DynamoDB and the index."""
        for table in self._declared["tables"].values():
            self._check(f"table {table['name']}", lambda table=table: _table_as_declared(table))  # type: ignore[misc]
        self._check("deployed code", self._deployed_code)
        self._written = self._check("write through the API", self._write)
        if self._written:
            self._check("item in DynamoDB", self._in_dynamodb)
            self._check("index", self._listed)

    def measure(self) -> None:
        if self._written:
            self._check("warm queries", self._warm_queries)
            self._check("survives a cold start", self._cold_start)

    def finish(self) -> None:
        if self._records:
            self._check("clean-up", self._remove)
        if self._began:
            self._check("logs without errors", self._logs_without_errors)

    def _check(self, name: str, action: Callable[[], Outcome]) -> bool:
        self._progress.update(f"{self._name}: {name}")
        self._samples = {}
        self.checks.append(_run(self._name, name, action)._replace(samples=self._samples))
        return self.checks[-1].status != FAILED

    def _deployed_code(self) -> Outcome:
        functions, name = aws.client("lambda"), self._declared["function_name"]
        deployed = functions.get_function_configuration(FunctionName=name, Qualifier=self._declared["alias_name"])
        self._environment = deployed.get("Environment", {}).get("Variables", {})
        logging = deployed.get("LoggingConfig", {})
        if logging.get("LogFormat") == "JSON" and logging.get("SystemLogLevel") == "WARN":
            self._no_reports = "Lambda's system log level is WARN, at which it reports no durations"
        self._concurrency = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
        # What the logs are searched for begins now, by AWS's clock: that of this machine may be wrong.
        now = parsedate_to_datetime(deployed["ResponseMetadata"]["HTTPHeaders"]["date"])
        self._began = int(now.timestamp() * 1000)
        if self._rollback:
            return _rolled_back(name, deployed, self._rollback)
        if deployed["CodeSha256"] != self._built:
            raise _failed(
                f"{name} runs code {deployed['CodeSha256'][:12]}…, the manifest says {self._built[:12]}…: "
                "apply again, or build the commit that is deployed"
            )
        return Outcome(f"version {deployed['Version']} runs the code of the manifest ({deployed['CodeSha256'][:12]}…)")

    def _write(self) -> Outcome:
        probe = import_module(f"scripts.probes.{self._name}")
        for record in probe.write(self._api, self._tables, self._environment):
            self._records.append(record)
        others = f" and {len(self._records) - 1} more" if len(self._records) > 1 else ""
        return Outcome(f"wrote {_key_text(self._records[0].key)}{others}")

    def _in_dynamodb(self) -> Outcome:
        if self._in_memory:
            raise _Skip("persistence is memory: nothing is stored")
        for record in self._records:
            item = self._stored(record)
            what = f"{_key_text(record.key)} in {self._tables[record.table]}"
            if item is None:
                raise _failed(f"there is no {what}, although the API took it")
            wrong = [name for name, value in record.attributes.items() if item.get(name) != value]
            if wrong:
                raise _failed(f"{what} differs from what was written in {', '.join(wrong)}")
        return Outcome(f"read straight from {', '.join(sorted({self._tables[one.table] for one in self._records}))}")

    def _stored(self, record: Record) -> dict[str, Any] | None:
        answer = aws.client("dynamodb").get_item(
            TableName=self._tables[record.table], Key=record.key, ConsistentRead=True
        )
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def _listed(self) -> Outcome:
        deadline = time.monotonic() + INDEX_DEADLINE_SECONDS
        for record in self._records:
            while not record.lists_it(self._get(record.query_path, record).expect(200).body):
                if time.monotonic() > deadline:
                    raise _failed(f"{record.query_path} does not list the record after {INDEX_DEADLINE_SECONDS} s")
                time.sleep(POLL_SECONDS)
        return Outcome("found by query")

    def _get(self, path: str, record: Record) -> Answer:
        return self._api.send("GET", path, headers=record.headers)

    def _warm_queries(self) -> Outcome:
        budget = self._budgets["query_milliseconds"]
        for _ in range(ROUNDS):
            records = [self._records[number % len(self._records)] for number in range(WARM_QUERIES)]
            answers = [self._get(record.query_path, record).expect(200) for record in records]
            far = [answer.milliseconds for answer in answers]
            self._samples = {"round_trip_milliseconds": _rounded(far)}
            figures = {f"round_trip_p{q}_milliseconds": percentile(far, q) for q in (50, 95, 99)}
            what = f"p50/p95/slowest of {WARM_QUERIES}"
            from_here = f"{_spread(far)} ms from here"
            if self._no_reports:
                raise _Skip(f"{self._no_reports}; {what} {from_here}")
            found = self._reports_of(answers)
            warm = [report.milliseconds for report in found.values() if report.init_milliseconds is None]
            self._samples["query_milliseconds"] = _rounded(warm)
            figures |= {f"query_p{q}_milliseconds": percentile(warm, q) for q in (50, 95, 99)}
            detail = f"{what} {_spread(warm)} ms in the function, {from_here}; budget p95 {budget} ms"
            if figures["query_p95_milliseconds"] <= budget:
                return Outcome(detail, figures)
        raise _failed(f"over budget in {ROUNDS} rounds: {detail}")

    def _cold_start(self) -> Outcome:
        """Reads in growing waves until execution environments that were started for it have answered each record.

        More simultaneous calls than there are environments make Lambda start new ones, without a change to the
        account.
        """
        if self._in_memory:
            raise _Skip("persistence is memory: a cold start loses what was written")
        # Those that may hold in memory what was written
        before = set(self._api.environment_ids)
        unproven = list(self._records)
        met: Outcome | None = None
        missed: list[str] = []
        waves = self._waves()
        for calls in waves:
            known = set(self._api.environment_ids)
            answers = self._at_once([self._records[number % len(self._records)] for number in range(calls)])
            for record, answer in answers:
                if answer.environment_id not in before:
                    if not record.shows_it(answer.expect(200).body):
                        raise _failed(f"{record.read_path} answers without the record after a cold start")
                    unproven = [left for left in unproven if left is not record]
            fresh = [answer for _, answer in answers if answer.environment_id not in known]
            if met is None and fresh and not self._no_reports:
                met, miss = self._first_answer(fresh)
                missed += miss
            if not unproven and (met or self._no_reports):
                break
            if len(missed) == ROUNDS:
                raise _failed(f"over budget in {ROUNDS} rounds: {missed[-1]}")
        if not unproven and self._no_reports:
            raise _Skip(f"read back by an execution environment not seen before; {self._no_reports}")
        if not unproven and met:
            return met
        if missed:
            raise _failed(f"over budget in {len(missed)} rounds: {missed[-1]}")
        raise _failed(
            f"no new execution environment came up under {waves[-1]} simultaneous calls: raise the function's "
            "reserved concurrency, or wait until others leave it some"
        )

    def _waves(self) -> tuple[int, ...]:
        """More calls at once than the function's reserved concurrency would only be throttled."""
        most = self._concurrency or COLD_START_WAVES[-1]
        return (*(calls for calls in COLD_START_WAVES if calls < most), min(most, COLD_START_WAVES[-1]))

    def _first_answer(self, fresh: list[Answer]) -> tuple[Outcome | None, list[str]]:
        """The fastest of the answers that began with an Init phase: within the budget, or what to say of the miss."""
        reports = self._reports_of(fresh).values()
        cold = [
            (init + report.milliseconds, init) for report in reports if (init := report.init_milliseconds) is not None
        ]
        if not cold:  # environments that somebody else's calls had started
            return None, []
        self._samples.setdefault("cold_start_milliseconds", []).extend(_rounded([total for total, _ in cold]))
        self._samples.setdefault("init_milliseconds", []).extend(_rounded([init for _, init in cold]))
        total, init = min(cold)
        budget = self._budgets["cold_start_milliseconds"]
        detail = (
            f"read back by a new execution environment: init {init:.0f} ms + first answer {total - init:.0f} ms; "
            f"budget {budget} ms"
        )
        if total > budget:
            return None, [detail]
        return Outcome(detail, {"cold_start_milliseconds": total, "init_milliseconds": init}), []

    def _at_once(self, records: list[Record]) -> list[tuple[Record, Answer]]:
        together = Barrier(len(records))

        def call(record: Record) -> Answer:
            together.wait()
            return self._get(record.read_path, record)

        with ThreadPoolExecutor(len(records)) as pool:
            answers = list(pool.map(call, records))
        # What no execution environment answered was throttled and never run; it says nothing about the state.
        return [pair for pair in zip(records, answers, strict=True) if pair[1].environment_id]

    def _reports_of(self, answers: list[Answer]) -> dict[str, execution_logs.Report]:
        """The reports of these answers, waiting until CloudWatch Logs shows them all."""
        wanted = {answer.request_id for answer in answers}
        deadline = time.monotonic() + LOG_DEADLINE_SECONDS
        pause = POLL_SECONDS
        while True:
            lines = execution_logs.events(self._log_group, self._began, execution_logs.REPORTS_ONLY)
            found = execution_logs.reports(lines)
            if wanted <= found.keys():
                return {request_id: found[request_id] for request_id in wanted}
            if time.monotonic() > deadline:
                missing = len(wanted - found.keys())
                raise _failed(f"{self._log_group} shows no report of {missing} of {len(wanted)} calls")
            time.sleep(pause)
            pause = min(pause * 2, SLOWEST_POLL_SECONDS)

    def _remove(self) -> Outcome:
        failures = []
        for record in reversed(self._records):
            try:
                record.remove()
            except (CommandError, BotoCoreError, ClientError) as error:
                failures.append(f"{_key_text(record.key)}: {error}")
        if failures:
            raise _failed(f"not removed: {'; '.join(failures)}")
        left = [] if self._in_memory else [record for record in self._records if self._stored(record)]
        if left:
            raise _failed(f"still in DynamoDB: {', '.join(_key_text(record.key) for record in left)}")
        return Outcome("what was written is removed")

    def _logs_without_errors(self) -> Outcome:
        messages = [event["message"] for event in execution_logs.events(self._log_group, self._began)]
        errors = [error for message in messages if (error := execution_logs.error_message(message))]
        if errors:
            raise _failed(f"{len(errors)} errors in {self._log_group}, the first: {errors[0]}")
        return Outcome(f"{len(messages)} lines in {self._log_group}, no error")


def _table_as_declared(declared: dict[str, Any]) -> Outcome:
    actual = declared_tables.actual_table(declared["name"])
    if wrong := declared_tables.differences(declared, actual):
        raise _failed("; ".join(wrong))
    window = declared["point_in_time_recovery_days"]
    indexes = f", {len(declared['indexes'])} index{'' if len(declared['indexes']) == 1 else 'es'}"
    return Outcome(
        f"ACTIVE as declared: {declared['billing_mode']}{indexes}, PITR {f'{window} d' if window else 'off'}"
    )


def _rolled_back(name: str, deployed: Mapping[str, Any], mark: Rollback) -> Outcome:
    if (deployed["Version"], deployed["CodeSha256"]) != (mark.to_version, mark.to_code_sha256):
        raise _failed(
            f"{name} is to be rolled back to version {mark.to_version}, but version {deployed['Version']} runs: "
            "roll back or apply again"
        )
    return Outcome(f"rolled back to version {mark.to_version} ({mark.to_code_sha256[:12]}…) since {mark.since}")


def percentile(values: list[float], percent: int) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _spread(milliseconds: list[float]) -> str:
    return "/".join(f"{percentile(milliseconds, q):.1f}" for q in (50, 95, 100))


def _rounded(milliseconds: list[float]) -> list[float]:
    """As exact as Lambda's own reports."""
    return [round(value, 2) for value in milliseconds]


def _key_text(key: dict[str, Any]) -> str:
    return " ".join(str(next(iter(value.values()))) for value in key.values())
