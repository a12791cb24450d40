from collections.abc import Iterator

import pytest

from tests.contract.engines import ALWAYS, ELSEWHERE, Engine, missing, running
from tests.contract.registry import Registry, new_registry


@pytest.fixture(scope="session", params=[*ALWAYS, *(name for name in ELSEWHERE if not missing(name))])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with running(request.param) as engine:
        yield engine


@pytest.fixture(params=["rest", "http", "http_1", "url"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of event that reaches the function."""
    return str(request.param)


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    with new_registry(engine) as registry:
        yield registry
