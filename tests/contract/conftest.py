from collections.abc import Iterator

import pytest

from tests.contract.engines import ALWAYS, ELSEWHERE, Engine, missing, running
from tests.contract.registry import Registry, new_registry


@pytest.fixture(scope="session", params=[*ALWAYS, *(name for name in ELSEWHERE if not missing(name))])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with running(request.param) as engine:
        yield engine


# The contracts that must hold with shards, too: whoever lists must merge them. What else docs/scale.md offers gives up
# some of its system's contract, and has tests of its own in test_scale_options.
SCALED = {"test_agent_registry", "test_agent_profiles", "test_agent_sessions"}
# Not those of costs and sizes, which take seconds: what shards cost, tests/unit/test_sharding.py holds.
AT_A_SIZE = {
    "test_among_10000_the_best_are_found_at_the_cost_of_100",
    "test_agent_10001_is_found_among_10000_without_reading_them",
    "test_what_a_page_costs_does_not_depend_on_how_much_there_is",
    "test_a_user_with_10_000_messages_is_erased_in_one_call",
}

# How an event is read has nothing to do with the engine behind: all kinds are sent to one, one kind to all.
EVERY_KIND_ON, EVERYWHERE = "memory", "http"
# moto stands in for a real engine where there is none: it is the slowest, and lets pass what DynamoDB refuses. Beside
# one it is held to what all systems ask of their tables; the systems themselves run on it in the embedded AWS.
REAL_ENGINE = any(not missing(name) for name in ELSEWHERE)
ALSO_ON_MOTO = ("test_table", "test_table_updates")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if not _is_left_out(item)]


def _is_left_out(item: pytest.Item) -> bool:
    given = item.callspec.params if hasattr(item, "callspec") else {}
    engine = given.get("engine", EVERY_KIND_ON)
    if engine == "scaled" and (item.path.stem not in SCALED or getattr(item, "originalname", "") in AT_A_SIZE):
        return True
    if engine == "moto" and REAL_ENGINE and item.path.stem not in ALSO_ON_MOTO:
        return True
    return engine != EVERY_KIND_ON and given.get("kind", EVERYWHERE) != EVERYWHERE


@pytest.fixture(params=["rest", "http", "http_1", "url"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of event that reaches the function."""
    return str(request.param)


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    with new_registry(engine) as registry:
        yield registry
