"""What is promised, which tests try to break it, and what they found when they last ran.

Promises stand in `tests/guarantees.toml`: a table each, by its id. A test tries to break one where it says so by the
fixture `guarantee` (tests/recording_guarantees.py): `guarantee("isolation", probes=412, lost=0)`. Each test leaves a
record of its own in `.build/guarantees/`, which its next run replaces.
"""

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts import paths, rendering

ROOT = paths.ROOT
DECLARATION = ROOT / "tests" / "guarantees.toml"
RECORDS = paths.BUILD / "guarantees"
FIXTURE = "guarantee"
# A table of the declaration that is no promise
NOT_GUARANTEED = "not_guaranteed"

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# Under way, or its process was killed
NOT_ENDED = "did not end"


@dataclass
class Record:
    """One run of one test with one set of parameters (`case`, "" where it has none).

    `figures` are counters by promise. `commit` is "" outside git; `changed` says that the tree differs from it.
    """

    test: str
    case: str
    began: str
    commit: str
    changed: bool
    outcome: str = NOT_ENDED
    reason: str = ""
    figures: dict[str, dict[str, int]] = field(default_factory=dict)

    def save(self) -> None:
        RECORDS.mkdir(parents=True, exist_ok=True)
        rendering.write(_file(self.test + self.case), rendering.json_text(asdict(self)))


def declaration() -> dict[str, Any]:
    return tomllib.loads(DECLARATION.read_text())


def promises(declared: Mapping[str, Any]) -> dict[str, str]:
    """The sentence of each promise, by its id."""
    return {name: told["promise"] for name, told in declared.items() if name != NOT_GUARANTEED}


def tests_by_promise() -> dict[str, list[str]]:
    """Which tests name a promise, by its id: each as pytest names it, without parameters.

    It is read from the code, so that a test that did not run is known as well.
    """
    found: dict[str, list[str]] = {}
    for file in sorted(ROOT.glob("tests/**/test_*.py")):
        text = file.read_text()
        if FIXTURE in text:
            for function, named in _tests(text):
                for promise in sorted(named):
                    found.setdefault(promise, []).append(f"{file.relative_to(ROOT).as_posix()}::{function}")
    return found


def records() -> list[Record]:
    found = []
    for file in sorted(RECORDS.glob("*.json")):
        with suppress(FileNotFoundError):  # another process forgets what is stale
            found.append(Record(**json.loads(file.read_text())))
    return found


def forget(stale: Iterable[Record]) -> None:
    for record in stale:
        _file(record.test + record.case).unlink(missing_ok=True)


def _file(node: str) -> Path:
    return RECORDS / f"{hashlib.sha256(node.encode()).hexdigest()[:32]}.json"


def _tests(code: str) -> Iterator[tuple[str, set[str]]]:
    """Tests that have the fixture, and the promises that they name: by themselves, or else by what their file has."""
    module = ast.parse(code)
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef) or not function.name.startswith("test_"):
            continue
        if FIXTURE in {argument.arg for argument in [*function.args.args, *function.args.kwonlyargs]}:
            yield function.name, set(_named(function)) or set(_named(module))


def _named(code: ast.AST) -> Iterator[str]:
    for call in ast.walk(code):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == FIXTURE and call.args:
            (promise, *_) = call.args
            if isinstance(promise, ast.Constant) and isinstance(promise.value, str):
                yield promise.value
