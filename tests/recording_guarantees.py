"""The fixture `guarantee`: what a test found when it tried to break a promise, kept for docs/guarantees.md."""

import datetime
import re
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest

from scripts import guarantee_records, plan_bundle
from scripts.guarantee_records import FAILED, FIXTURE, PASSED, SKIPPED, Record

Guarantee = Callable[..., None]
RECORDER = "guarantee-recorder"


class Recorder:
    """Keeps the record of the test that runs."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.lock = threading.Lock()
        self.known = set(guarantee_records.promises(guarantee_records.declaration()))

    def add(self, promise: str, /, **counters: int) -> None:
        """Adds counters to a promise, for the test that runs; several calls sum up."""
        if promise not in self.known:
            raise ValueError(f"{promise!r} is no promise of {guarantee_records.DECLARATION.name}")
        if odd := [name for name, value in counters.items() if type(value) is not int]:
            raise TypeError(f"{', '.join(odd)}: counters are ints")
        with self.lock:
            assert self.record, "no test runs"
            figures = self.record.figures.setdefault(promise, {})
            for name, value in counters.items():
                figures[name] = figures.get(name, 0) + value

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        for item in items:
            if _uses(item):
                item.add_marker(FIXTURE)
        if config.option.collectonly or config.getoption("lf", default=False):
            return
        if any("::" in argument for argument in config.args):
            return  # files are not read whole
        files, nodes = {item.nodeid.partition("::")[0] for item in items}, {item.nodeid for item in items}
        guarantee_records.forget(
            record
            for record in guarantee_records.records()
            if record.test.partition("::")[0] in files and record.test + record.case not in nodes
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        if not _uses(item):
            return (yield)
        self.record = record = _begun(item)
        record.save()
        try:
            return (yield)
        finally:
            record.save()
            self.record = None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report: Any = yield
        if self.record and (report.when == "call" or not report.passed):
            # What fails when it is taken down has failed.
            self.record.outcome = {"passed": PASSED, "skipped": SKIPPED}.get(report.outcome, FAILED)
            self.record.reason = _reason(report)
        return report


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{FIXTURE}: tries to break a promise; set for all that use the fixture")
    config.pluginmanager.register(Recorder(), RECORDER)


@pytest.fixture(scope="session")
def guarantee(request: pytest.FixtureRequest) -> Guarantee:
    """`guarantee("isolation", probes=412, lost=0)`: adds to the figures of a promise, for the test that runs.

    Of the session, so that it goes with property-based tests and fixtures of any scope.
    """
    recorder: Recorder = request.config.pluginmanager.get_plugin(RECORDER)
    return recorder.add


def _uses(item: pytest.Item) -> bool:
    return FIXTURE in getattr(item, "fixturenames", ())


def _begun(item: pytest.Item) -> Record:
    test, bracket, parameters = item.nodeid.partition("[")
    commit, changed = _commit()
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Record(test, bracket + parameters, began, commit, changed)


@cache
def _commit() -> tuple[str, bool]:
    facts = plan_bundle.commit_facts()
    return facts["commit"] or "", facts["dirty"]


def _reason(report: Any) -> str:
    """Why it was skipped; "" for all else."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return ""
    return re.sub("^Skipped: ", "", report.longrepr[2])
