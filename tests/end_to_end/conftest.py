"""Checkouts that are stopped whatever happened: one a module, and one that all stories share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.checkout import Checkout, make_checkout


@contextmanager
def _stopped_at_the_end(folder: Path) -> Iterator[Checkout]:
    made = make_checkout(folder)
    try:
        yield made
    finally:
        made.make("down")
        for process in made.processes():
            process.kill()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The module's own: nothing runs yet."""
    with _stopped_at_the_end(tmp_path_factory.mktemp("checkout")) as made:
        yield made


@pytest.fixture(scope="session")
def _brought_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Checkout, str]]:
    with _stopped_at_the_end(tmp_path_factory.mktemp("running_stack")) as made:
        yield made, made.must("up")


@pytest.fixture(scope="session")
def running_stack(_brought_up: tuple[Checkout, str]) -> Checkout:
    """All systems, brought up once: what one test stores, the others see. Nobody may change or stop the stack."""
    return _brought_up[0]


@pytest.fixture(scope="session")
def up_output(_brought_up: tuple[Checkout, str]) -> str:
    """What the `make up` of the running stack printed."""
    return _brought_up[1]
