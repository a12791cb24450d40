"""A thousand invocations while environments are killed and functions deployed anew: each is answered once."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from scripts.local_aws import control
from tests.local_aws.conftest import Aws, Deploy, Function, start_aws, wait_for, zip_of
from tests.recording_guarantees import Guarantee

INVOCATIONS, CALLERS, FUNCTIONS = 1_000, 20, 4
# Of so many invocations one is killed in the middle, one idle environment, too, and a function is deployed anew.
KILL_EVERY, DEPLOY_EVERY = 20, 60
LEAST_KILLED = 5  # of either state
ALIAS = "live"
# Far more than it takes on a machine that is busy
ANSWER_SECONDS = 300.0
# One line a run, in one write: what is appended by several processes at once is not mixed up.
CODE = """
import os, time
RELEASE = {release}
def handler(event, context):
    with open(event["journal"], "ab", buffering=0) as journal:
        journal.write(f"{{event['token']}} {{os.getpid()}}\\n".encode())
    time.sleep(event["seconds"])
    return [event["token"], RELEASE]
"""


class Answered(NamedTuple):
    token: int
    payload: Any
    error: str | None


class Endurance:
    """Callers that invoke one after the other, and now and then kill or deploy."""

    def __init__(self, aws: Aws, journal: Path) -> None:
        self.aws, self.journal = aws, journal
        self.functions = [self._deploy() for _ in range(FUNCTIONS)]
        self.tokens = iter(range(INVOCATIONS))
        self.answers: list[Answered] = []
        self.killed: dict[int, str] = {}  # state by pid
        self.releases = 0
        self.pool = ThreadPoolExecutor(2 * CALLERS)
        self.killers: list[Future[None]] = []
        self.lock, self.deploying = threading.Lock(), threading.Lock()
        self.chance = random.Random()

    def _deploy(self) -> Function:
        function = self.aws.deploy(CODE.format(release=0), Publish=True)
        self.aws.client("lambda").create_alias(FunctionName=function.name, Name=ALIAS, FunctionVersion="1")
        return function

    def call_until_all_is_done(self) -> None:
        while (token := self._next()) is not None:
            function = self.chance.choice(self.functions)
            is_to_die = token % KILL_EVERY == 0
            event = {
                "token": token,
                "journal": str(self.journal),
                "seconds": 50 if is_to_die else self.chance.choice((0, 0.01, 0.05)),
            }
            if is_to_die:
                self.killers.append(self.pool.submit(self._kill_in_the_middle, token))
            answer = function.invoke(event, qualifier=self.chance.choice((None, ALIAS)))
            with self.lock:
                self.answers.append(Answered(token, answer.payload, answer.error))
            if token % KILL_EVERY == KILL_EVERY // 2:
                self._kill_an_idle_one()
            if token % DEPLOY_EVERY == 0:
                self._deploy_anew(self.functions[token // DEPLOY_EVERY % FUNCTIONS])

    def _next(self) -> int | None:
        with self.lock:
            return next(self.tokens, None)

    def _kill_in_the_middle(self, token: int) -> None:
        (pid,) = wait_for(lambda: self.runs().get(token), ANSWER_SECONDS)
        with self.lock:
            self.killed[pid] = "busy"
        os.kill(pid, signal.SIGKILL)

    def _kill_an_idle_one(self) -> None:
        environments = self.aws.local("/_local/environments")["environments"]
        with self.lock:
            pids = [one["pid"] for one in environments if one["state"] == "idle" and one["pid"] not in self.killed]
            if pids:
                self.killed[pid := self.chance.choice(pids)] = "idle"
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _deploy_anew(self, function: Function) -> None:
        """New code, another setting, a version of both, and the alias on it."""
        client = self.aws.client("lambda")
        with self.deploying:
            self.releases += 1
            client.update_function_code(FunctionName=function.name, ZipFile=zip_of(CODE.format(release=self.releases)))
            client.update_function_configuration(
                FunctionName=function.name, Environment={"Variables": {"RELEASE": str(self.releases)}}
            )
            version = client.publish_version(FunctionName=function.name)["Version"]
            client.update_alias(FunctionName=function.name, Name=ALIAS, FunctionVersion=version)

    def runs(self) -> dict[int, list[int]]:
        """The processes that ran the handler, by token."""
        found: dict[int, list[int]] = {}
        for line in self.journal.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                token, pid = map(int, line.split())
                found.setdefault(token, []).append(pid)
        return found


@pytest.fixture
def own_aws(tmp_path: Path) -> Iterator[Aws]:
    started = start_aws(tmp_path / "aws")
    yield started
    log = started.running.log_file.read_text()
    control.stop(tmp_path / "aws")
    assert "Traceback" not in log, log


def test_each_of_a_thousand_invocations_is_answered_once(own_aws: Aws, tmp_path: Path, guarantee: Guarantee) -> None:
    endurance = Endurance(own_aws, tmp_path / "journal")
    endurance.journal.touch()
    with endurance.pool as pool:
        callers = [pool.submit(endurance.call_until_all_is_done) for _ in range(CALLERS)]
        for done in (*callers, *endurance.killers):
            done.result(ANSWER_SECONDS)
    answers, runs = endurance.answers, endurance.runs()
    stuck = INVOCATIONS - len(answers)
    twice = [token for token, pids in runs.items() if len(pids) > 1]
    errors = [answer for answer in answers if answer.error]
    states = Counter(endurance.killed.values())
    guarantee("embedded-aws", invocations=len(answers), stuck=stuck, run_twice=len(twice))
    guarantee("embedded-aws", killed_in_the_middle=states["busy"], killed_idle=states["idle"])
    guarantee("embedded-aws", answered_with_an_error=len(errors), deployments=endurance.releases)
    guarantee("embedded-aws", environments=len({pid for pids in runs.values() for pid in pids}))

    assert Counter(answer.token for answer in answers) == Counter(range(INVOCATIONS))
    assert twice == []
    # Lambda's own answer when a process ends in mid-invocation
    assert {(answer.error, answer.payload["errorType"]) for answer in errors} <= {("Unhandled", "Runtime.ExitError")}
    assert states["busy"] <= len(errors) <= len(endurance.killed)
    assert {pid for answer in errors for pid in runs.get(answer.token, ())} <= set(endurance.killed)
    for answer in answers:
        if not answer.error:
            assert len(runs[answer.token]) == 1
            token, release = answer.payload
            assert token == answer.token
            assert 0 <= release <= endurance.releases
    assert min(states["busy"], states["idle"]) >= LEAST_KILLED
    assert len({pid for pids in runs.values() for pid in pids}) >= CALLERS

    wait_for(lambda: own_aws.local("/_local/health")["environments"]["busy"] == 0)
    last = own_aws.client("lambda").get_alias(FunctionName=endurance.functions[0].name, Name=ALIAS)
    assert last["FunctionVersion"] != "1"
    server = psutil.Process(own_aws.running.pid)
    living = [child.pid for child in server.children(recursive=True)]
    known = {one["pid"] for one in own_aws.local("/_local/environments")["environments"]}
    assert len(living) == len(known) + 1, "the environments and the guardian"
    assert known < set(living)
    assert control.stop(own_aws.state_dir)
    wait_for(lambda: not any(map(psutil.pid_exists, living)))
    guarantee("embedded-aws", processes_left=sum(map(psutil.pid_exists, living)))


def test_an_environment_that_was_killed_while_it_was_idle_costs_nobody_an_answer(aws: Aws, deploy: Deploy) -> None:
    function = deploy("import os\ndef handler(event, context): return os.getpid()")
    killed = function.invoke().payload
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(killed))
    answer = function.invoke()
    assert answer.error is None
    assert answer.payload != killed
    assert "Init Duration" in answer.log


def test_environments_that_died_are_forgotten(aws: Aws, deploy: Deploy) -> None:
    function = deploy("import os\ndef handler(event, context): return os.getpid()")
    os.kill(function.invoke().payload, signal.SIGKILL)
    environments = "/_local/environments"
    wait_for(lambda: all(one["function"] != function.name for one in aws.local(environments)["environments"]))
