"""A function in a process of its own, that can be killed, and whose wall clock can be wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.contract.application import Application

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"
# Reads {"event", "clock_ahead"} a line, and writes the answers; what the function logs goes elsewhere.
_PROGRAM = """
import importlib, json, sys, time
ahead, time_ns, seconds = 0, time.time_ns, time.time
time.time_ns = lambda: time_ns() + int(ahead * 1_000_000_000)
time.time = lambda: seconds() + ahead
answers, sys.stdout = sys.stdout, sys.stderr
handler = importlib.import_module(sys.argv[1] + ".handler").handler

class Context:
    aws_request_id = "request"
    def get_remaining_time_in_millis(self):
        return 20_000

for line in sys.stdin:
    told = json.loads(line)
    ahead = told["clock_ahead"]
    print(json.dumps(handler(told["event"], Context())), file=answers, flush=True)
"""


class ExecutionEnvironment:
    """`app`'s function and tables; `url` is where it finds DynamoDB."""

    def __init__(self, app: Application, url: str) -> None:
        system = app.handler.__name__.partition(".")[0]
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LAMBDA_SRC)}
        self.clock_ahead = 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, system],
            env={**app.environment, **variables, "AWS_ENDPOINT_URL": url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def begin(self, event: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"event": event, "clock_ahead": self.clock_ahead}) + "\n")
        self._process.stdin.flush()

    def answer(self, event: Any) -> Any:
        assert self._process.stdout
        self.begin(event)
        return json.loads(self._process.stdout.readline())

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.communicate()
