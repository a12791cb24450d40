"""Which tests run together, and which first, where there are several workers; and the stack that many share."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from tests.end_to_end.checkout import SECRETS, Checkout, stopped_at_the_end
from tests.terraform.running import attached_provider

pytest_plugins = ["tests.recording_guarantees"]

TESTS = Path(__file__).parent
# What takes minutes begins first, so that no worker is left alone with it at the end.
FIRST = ("end_to_end", "terraform")
LONG = ("test_migration_killed", "test_drill", "test_migration")  # of the other folders
# Terraform and its provider end before their garbage counts; only what grows beyond this is collected.
os.environ.setdefault("GOGC", "off")
os.environ.setdefault("GOMEMLIMIT", "1200MiB")
# How long an example takes says nothing where other tests run at the same time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[int, int, bool]:
    folder, name = item.path.relative_to(TESTS).parts[0], item.path.stem
    # Stories are told on a stack that nothing made up was sent to.
    return (
        FIRST.index(folder) if folder in FIRST else len(FIRST),
        LONG.index(name) if name in LONG else len(LONG),
        not name.endswith("_story"),
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """A file's tests stay together, as their fixtures are the file's; all that share the running stack do, too.

    Tests of Terraform take so long that each is given out by itself, unless its file's fixtures are shared.

    Not by xdist's own groups: xdist 3.8 names them in an attribute that tests of pytest 9.2 no longer have.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFixture(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            text = _text(config.rootpath / file)
            if "running_stack" in text:
                return "running_stack"
            return nodeid if "/terraform/" in file and "scope=" not in text else file

    config.option.loadscopereorder = False
    return ByFixture(config, log)


@cache
def _text(file: Path) -> str:
    return file.read_text()


@pytest.fixture(autouse=True)
def _own_environment_variables() -> Iterator[None]:
    """Commands point their process at an environment's AWS: the next test must not start there."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def _brought_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Checkout, str]]:
    folder = tmp_path_factory.mktemp("running_stack")
    # Brought up as by everybody; what comes afterwards takes less time with the provider attached.
    with stopped_at_the_end(folder, provider_checked=True, attached=False) as made:
        output = made.must("up", **SECRETS)
        with attached_provider(folder / "terraform", made.environment | made.caller) as provider:
            yield made._replace(provider=provider), output
        # Whatever the tests did, a function that was denied something lacks it, or does what it should not.
        assert [row for row in made.decisions() if not row["allowed"] and "/agent-state-local-" in row["role"]] == []


@pytest.fixture(scope="session")
def running_stack(_brought_up: tuple[Checkout, str]) -> Checkout:
    """All systems, brought up once: what one test stores, the others see. Nobody may change or stop the stack."""
    return _brought_up[0]


@pytest.fixture(scope="session")
def up_output(_brought_up: tuple[Checkout, str]) -> str:
    """What the `make up` of the running stack printed."""
    return _brought_up[1]
