"""Execution environments: a process each, running the deployed code under AWS's own runtime client.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from scripts.local_aws.functions import FunctionSnapshot
from scripts.local_aws.guardian import Guardian
from scripts.local_aws.logs import LogStream
from scripts.local_aws.runtime_api import RuntimeApi

_SESSION_HOURS = 11  # the credentials of an environment last twelve
# On Lambda each environment has a processor of its own. Here they share this machine's: of a hundred that start at
# once all would be late, while a few at a time are all in time.
_STARTING = threading.Semaphore(2 * (os.cpu_count() or 1))


@dataclasses.dataclass(frozen=True)
class Invocation:
    request_id: str
    payload: bytes
    arn: str
    trace_id: str
    client_context: str | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an invocation gave. `error` is the error's type, None on success; `init_ms` is set on a cold start."""

    payload: bytes
    error: str | None
    log_tail: bytes
    init_ms: float | None
    duration_ms: float


@dataclasses.dataclass
class _Event:
    kind: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True)
class Failure:
    """An error that Lambda itself reports."""

    type: str
    payload: bytes
    status: str = "error"


class Environment:
    """One execution environment: made with `start`, then `invoke`d by one caller at a time, until `stop`."""

    def __init__(
        self,
        function: FunctionSnapshot,
        code: Path,
        variables: Mapping[str, str],
        stream: LogStream,
        guardian: Guardian,
        init_timeout: float,
        ended: Callable[[], None],
    ) -> None:
        self.id = uuid.uuid4().hex
        self.function = function
        self.stream = stream
        self.created = time.time()
        self.last_used = self.created
        self.invocations = 0
        self.max_memory_mb = 0
        self.alive = True
        self._code = code
        self._variables = variables
        self._guardian = guardian
        self._init_timeout = init_timeout
        self._ended = ended
        self._changed = threading.Condition()
        self._events: list[_Event] = []
        self._out_of_memory = False
        self._init_ms: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._psutil: psutil.Process | None = None
        self._looked_at = 0  # the invocation that memory was last looked at in, counted from 1
        self._api: RuntimeApi | None = None
        self._output_lock = threading.Lock()
        self._output = -1
        self._partial = b""

    # -- process ------------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def usable(self) -> bool:
        """Whether it may serve another invocation. Its process may have been killed while it was idle."""
        return self.alive and self._process is not None and self._process.returncode is None and not self.too_old

    @property
    def too_old(self) -> bool:
        return time.time() - self.created > _SESSION_HOURS * 3600

    def _spawn(self) -> None:
        self._events.clear()
        self._api = RuntimeApi(self._report)
        read_end, write_end = os.pipe()
        env = {**self._variables, "AWS_LAMBDA_RUNTIME_API": self._api.address}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", self.function.handler],
                cwd=self._code,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        finally:
            os.close(write_end)
        self._guardian.watch(self._process.pid)
        self._output, self._partial = read_end, b""
        threading.Thread(target=self._read_output, args=(self._process, read_end), daemon=True).start()
        threading.Thread(target=self._wait, args=(self._process,), daemon=True).start()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        self._kill_group(process.pid)
        with self._changed:
            if process is self._process:
                self._events.append(_Event("exit", {"code": str(code)}, b""))
                self._changed.notify_all()

    def _kill_group(self, group: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        self._guardian.forget(group)

    def _end_process(self) -> None:
        process, self._process, self._psutil = self._process, None, None
        if process:
            self._kill_group(process.pid)
            process.wait()
            self._drain()
        if self._api:
            self._api.close()
            self._api = None

    def stop(self) -> None:
        """Ends the environment for good."""
        self.alive = False
        self._end_process()
        self.stream.flush()
        self._ended()

    # -- output -------------------------------------------------------------------------------------------------

    def _read_output(self, process: subprocess.Popen[bytes], fd: int) -> None:
        try:
            while True:
                select.select([fd], [], [])
                with self._output_lock:
                    if select.select([fd], [], [], 0)[0] and not self._take_output(fd):
                        break
        finally:
            with self._output_lock:
                if self._output == fd:
                    self._output = -1
                os.close(fd)
        process.wait()

    def _take_output(self, fd: int) -> bool:
        data = os.read(fd, 1 << 16)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if not data and self._partial:
            lines, self._partial = [*lines, self._partial], b""
        for line in lines:
            self.stream.add(line.decode(errors="replace"))
        return bool(data)

    def _drain(self) -> None:
        """Takes what the process has written so far: a reader of the logs finds it once the caller has its answer."""
        with self._output_lock:
            while self._output >= 0 and select.select([self._output], [], [], 0)[0]:
                if not self._take_output(self._output):
                    break
            if self._partial:
                self.stream.add(self._partial.decode(errors="replace"))
                self._partial = b""

    # -- memory -------------------------------------------------------------------------------------------------

    def _watched(self) -> psutil.Process | None:
        process = self._process
        if process is not None and (self._psutil is None or self._psutil.pid != process.pid):
            self._psutil = psutil.Process(process.pid)
        return self._psutil if process is not None else None

    def check_memory(self) -> None:
        """Notes the memory in use; ends the process when it is over the function's limit.

        With that of its children where an invocation goes on since the last look: to find them takes a look at every
        process of the machine, which would slow down what is short.
        """
        goes_on, self._looked_at = self._looked_at == self.invocations, self.invocations
        try:
            watched = self._watched()
            if watched is None:
                return
            used = watched.memory_info().rss
            for child in watched.children(recursive=True) if goes_on else ():
                used += child.memory_info().rss
        except psutil.Error:
            return
        self.max_memory_mb = max(self.max_memory_mb, math.ceil(used / (1 << 20)))
        if self.max_memory_mb > self.function.memory_mb:
            self._out_of_memory = True
            self.max_memory_mb = self.function.memory_mb
            self._kill_group(watched.pid)

    def _note_memory(self) -> None:
        with contextlib.suppress(psutil.Error):
            watched = self._watched()
            if watched is not None:
                used = math.ceil(watched.memory_info().rss / (1 << 20))
                self.max_memory_mb = min(max(self.max_memory_mb, used), self.function.memory_mb)

    # -- runtime ------------------------------------------------------------------------------------------------

    def _report(self, kind: str, headers: Mapping[str, str], body: bytes) -> None:
        with self._changed:
            self._events.append(_Event(kind, headers, body))
            self._changed.notify_all()

    def _next_event(self, deadline: float) -> _Event | None:
        with self._changed:
            while not self._events:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return None
                self._changed.wait(remaining)
            return self._events.pop(0)

    def _init(self, limit: float, request_id: str) -> Failure | None:
        """Starts the runtime and waits until it asks for work."""
        # Not for ever: some may take all the time that there is.
        has_turn = _STARTING.acquire(timeout=limit)
        try:
            started = time.monotonic()
            self._spawn()
            event = self._next_event(started + limit)
            self._init_ms = (time.monotonic() - started) * 1000
        finally:
            if has_turn:
                _STARTING.release()
        if event is None:
            return self._timed_out(request_id, limit)
        if event.kind == "next":
            return None
        if event.kind == "init-error":
            self._next_event(time.monotonic() + 1)  # it exits on its own: let its last words arrive
            error = event.headers.get("lambda-runtime-function-error-type", "Runtime.Unknown")
            return Failure(error, event.body)
        return self._exited(request_id, event)

    def start(self, request_id: str) -> Failure | None:
        """The init phase, and if that fails the second one, which Lambda runs within the invocation's own time."""
        self.stream.add(
            f"INIT_START Runtime Version: {self.function.runtime.replace('python', 'python:')}.local\t"
            f"Runtime Version ARN: arn:{self.function.partition}:lambda:{self.function.region}::runtime:"
            f"{self.function.code_sha256[:8].lower()}",
            in_tail=False,
        )
        failure = self._init(self._init_timeout, request_id)
        if failure is None:
            return None
        self._report_init("init", failure)
        self._end_process()
        failure = self._init(self.function.timeout, request_id)
        if failure is not None:
            self._report_init("invoke", failure)
        return failure

    def _report_init(self, phase: str, failure: Failure) -> None:
        self._drain()
        error = "" if failure.status == "timeout" else f"\tError Type: {failure.type}"
        self.stream.add(
            f"INIT_REPORT Init Duration: {self._init_ms:.2f} ms\tPhase: {phase}\tStatus: {failure.status}{error}"
        )

    def invoke(self, invocation: Invocation) -> Outcome:
        """Runs one invocation to its end. Afterwards `alive` says whether the environment may serve another."""
        cold = self.invocations == 0
        self.invocations += 1
        failure = self.start(invocation.request_id) if cold else None
        self.stream.add(f"START RequestId: {invocation.request_id} Version: {self.function.version}")
        started = time.monotonic()
        payload, error, status = b"", None, ""
        if failure is None:
            payload, failure, error = self._run(invocation, started)
        duration = (time.monotonic() - started) * 1000
        if failure is not None:
            payload, error = failure.payload, failure.type
            status = f"Status: {failure.status}\t" + (
                f"Error Type: {'Runtime.OutOfMemory' if self._out_of_memory else failure.type}\t"
                if failure.status == "error"
                else ""
            )
            if failure.status == "timeout":
                duration = self.function.timeout * 1000
        self._note_memory()
        self._finish(invocation, failure, duration, status, cold)
        self.last_used = time.time()
        init_ms = self._init_ms if cold else None
        return Outcome(payload, error, self.stream.take_tail(), init_ms, duration)

    def _run(self, invocation: Invocation, started: float) -> tuple[bytes, Failure | None, str | None]:
        deadline = started + self.function.timeout
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.function.timeout) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_id,
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        try:
            assert self._api is not None  # noqa: S101 - a started environment has one
            self._api.send(headers, invocation.payload)
        except OSError:
            event = self._next_event(time.monotonic() + 1)
            return b"", self._exited(invocation.request_id, event), None
        event = self._next_event(deadline)
        if event is None:
            return b"", self._timed_out(invocation.request_id, self.function.timeout), None
        if event.kind == "exit":
            return b"", self._exited(invocation.request_id, event), None
        if event.kind == "too-large":
            body = (
                b'{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).",'
                b'"errorType":"Function.ResponseSizeTooLarge"}'
            )
            return b"", Failure("Function.ResponseSizeTooLarge", body), None
        error = None
        if event.kind == "error":
            error = event.headers.get("lambda-runtime-function-error-type", "Unhandled")
        # The environment is free once its runtime asks for more.
        following = self._next_event(deadline)
        if following is None:
            return b"", self._timed_out(invocation.request_id, self.function.timeout), None
        if following.kind != "next":
            self.alive = False
        return event.body, None, error

    def _finish(
        self, invocation: Invocation, failure: Failure | None, duration: float, status: str, cold: bool
    ) -> None:
        if failure is not None:
            self.alive = False
            self._end_process()
        self._drain()
        stream, request_id = self.stream, invocation.request_id
        if failure is not None and failure.status == "timeout":
            now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() * 1000) % 1000:03d}Z"
            stream.add(f"{now} {request_id} Task timed out after {self.function.timeout:.2f} seconds\n")
        elif failure is not None and failure.type == "Runtime.ExitError":
            stream.add(f"RequestId: {request_id} Error: {self._exit_reason}\nRuntime.ExitError")
        init = self._init_ms if cold and failure is None else None
        billed = math.ceil(duration + (init or 0))
        report = (
            f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
            f"Memory Size: {self.function.memory_mb} MB\tMax Memory Used: {self.max_memory_mb} MB\t"
        )
        if init is not None:
            report += f"Init Duration: {init:.2f} ms\t"
        stream.add(f"END RequestId: {request_id}")
        stream.add(report + status)
        stream.flush()

    _exit_reason = ""

    def _exited(self, request_id: str, event: _Event | None) -> Failure:
        code = int(event.headers.get("code", "0")) if event else 0
        if self._out_of_memory:
            code = -signal.SIGKILL
        if code == 0:
            self._exit_reason = "Runtime exited without providing a reason"
        elif code < 0:
            name = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}
            self._exit_reason = (
                f"Runtime exited with error: signal: {name.get(signal.Signals(-code), signal.Signals(-code).name)}"
            )
        else:
            self._exit_reason = f"Runtime exited with error: exit status {code}"
        body = (
            f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {request_id} Error: {self._exit_reason}"}}'
        )
        return Failure("Runtime.ExitError", body.encode())

    @staticmethod
    def _timed_out(request_id: str, seconds: float) -> Failure:
        body = (
            f'{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {request_id} '
            f'Error: Task timed out after {seconds:.2f} seconds"}}'
        )
        return Failure("Sandbox.Timedout", body.encode(), "timeout")

    def describe(self, *, busy: bool) -> dict[str, object]:
        return {
            "id": self.id,
            "function": self.function.name,
            "version": self.function.version,
            "region": self.function.region,
            "state": "busy" if busy else "idle",
            "pid": self.pid,
            "created_at": self.created,
            "last_used_at": self.last_used,
            "invocations": self.invocations,
            "max_memory_mb": self.max_memory_mb,
            "log_group": self.stream.group,
            "log_stream": self.stream.name,
        }


@dataclasses.dataclass(frozen=True)
class ThrottledError(Exception):
    reason: str


class Fleet:
    """All environments: who is idle, who is busy, how many there may be."""

    def __init__(
        self,
        *,
        account_concurrency: int,
        idle_eviction: float,
    ) -> None:
        self._account_concurrency = account_concurrency
        self._idle_eviction = idle_eviction
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str, str], list[Environment]] = {}
        self._busy: set[Environment] = set()
        self._running: dict[tuple[str, str], int] = {}
        self._retired: set[Environment] = set()
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="environments", daemon=True).start()

    def acquire(
        self,
        function: FunctionSnapshot,
        reserved: int | None,
        all_reserved: Mapping[tuple[str, str], int],
        make: Callable[[], Environment],
    ) -> Environment:
        """An environment for one invocation, the most recently used one first, or a new one that `make` gives.

        Raises ThrottledError.
        """
        stale: list[Environment] = []
        with self._lock:
            self._check_limits((function.region, function.name), reserved, all_reserved)
            idle = self._idle.get(function.key, [])
            environment = None
            while idle and environment is None:
                candidate = idle.pop()
                if candidate.usable and candidate.function == function:
                    environment = candidate
                else:
                    stale.append(candidate)
            # The count goes up before the environment exists: it takes its place while it starts.
            name = (function.region, function.name)
            self._running[name] = self._running.get(name, 0) + 1
            if environment is not None:
                self._busy.add(environment)
        self._stop(stale)
        if environment is None:
            try:
                environment = make()
            except BaseException:
                with self._lock:
                    self._running[name] -= 1
                raise
            with self._lock:
                self._busy.add(environment)
        return environment

    def _check_limits(
        self, name: tuple[str, str], reserved: int | None, all_reserved: Mapping[tuple[str, str], int]
    ) -> None:
        if reserved is not None:
            if self._running.get(name, 0) >= reserved:
                raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
            return
        limit = self._account_concurrency - sum(n for (region, _), n in all_reserved.items() if region == name[0])
        running = sum(n for key, n in self._running.items() if key[0] == name[0] and key not in all_reserved)
        if running >= limit:
            raise ThrottledError("ConcurrentInvocationLimitExceeded")

    def running(self, function: FunctionSnapshot) -> int:
        """How many invocations of a function are under way, whatever its version."""
        with self._lock:
            return self._running.get((function.region, function.name), 0)

    def release(self, environment: Environment) -> None:
        function = environment.function
        with self._lock:
            self._busy.discard(environment)
            self._running[(function.region, function.name)] -= 1
            keep = environment.alive and environment not in self._retired and not self._closed.is_set()
            self._retired.discard(environment)
            if keep:
                self._idle.setdefault(function.key, []).append(environment)
        if not keep:
            environment.stop()

    def retire(self, name: str, region: str | None = None, version: str | None = None) -> int:
        """Ends the environments of a function: idle ones now, busy ones after what they do. Returns how many."""

        def concerned(environment: Environment) -> bool:
            function = environment.function
            return function.name == name and region in (None, function.region) and version in (None, function.version)

        with self._lock:
            gone = [e for environments in self._idle.values() for e in environments if concerned(e)]
            for key, environments in self._idle.items():
                self._idle[key] = [e for e in environments if not concerned(e)]
            busy = {e for e in self._busy if concerned(e)}
            self._retired |= busy
        self._stop(gone)
        return len(gone) + len(busy)

    def describe(self) -> list[dict[str, object]]:
        with self._lock:
            idle = [e for environments in self._idle.values() for e in environments]
            busy = list(self._busy)
        return [e.describe(busy=False) for e in idle] + [e.describe(busy=True) for e in busy]

    def counts(self) -> dict[str, int]:
        with self._lock:
            return {"idle": sum(len(e) for e in self._idle.values()), "busy": len(self._busy)}

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            everything = [e for environments in self._idle.values() for e in environments] + list(self._busy)
            self._idle.clear()
        self._stop(everything)

    @staticmethod
    def _stop(environments: list[Environment]) -> None:
        for environment in environments:
            environment.stop()

    def _watch(self) -> None:
        """Memory limits, log lines of long invocations, idle environments past their time, and those that died."""
        while not self._closed.wait(0.05):
            with self._lock:
                busy = list(self._busy)
                limit = time.time() - self._idle_eviction
                idle = [e for environments in self._idle.values() for e in environments]
                old = [e for e in idle if e.last_used < limit or not e.usable]
                if old:
                    for key, environments in self._idle.items():
                        self._idle[key] = [e for e in environments if e not in old]
            for environment in busy:
                environment.check_memory()
                if environment.stream.has_pending:
                    environment.stream.flush()
            self._stop(old)
