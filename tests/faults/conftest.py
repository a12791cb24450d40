"""The engines behind the proxy: everything on the one that is cheapest here, a sample on the others."""

import os
from collections.abc import Iterator

import pytest

from agent_sessions import erasure
from pet_store import takeover
from tests.contract.engines import Engine, missing, running
from tests.faults.dynamodb_proxy import Proxy, proxied

# Cheapest first. EVERY_FAULT=1 leaves nothing out on any of them.
AT_HAND = [name for name in ("dynoxide", "moto", "dynamodb_local") if not missing(name)]
EVERYWHERE = os.environ.get("EVERY_FAULT") == "1"
# For what has little to do with the engine
CHEAPEST = pytest.mark.parametrize("engine", AT_HAND if EVERYWHERE else AT_HAND[:1], indirect=True, scope="session")
# A storm's length: rounds of six requests for each client
STORM_ROUNDS = int(os.environ.get("STORM_ROUNDS", "4"))
SEED = int(os.environ.get("FAULT_SEED", "0")) or int.from_bytes(os.urandom(4), "big")


@pytest.fixture(scope="session", params=AT_HAND)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with running(request.param) as engine:
        yield engine


@pytest.fixture
def is_sampled(engine: Engine) -> bool:
    """Whether a part of the cases is enough here."""
    return not EVERYWHERE and engine.name != AT_HAND[0]


@pytest.fixture
def proxy(engine: Engine) -> Iterator[Proxy]:
    with proxied(str(engine.url)) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def _prompt_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """These engines' indexes never lag; waiting for them is proved elsewhere."""
    monkeypatch.setattr(erasure, "INDEX_LAG_SECONDS", 0)


@pytest.fixture(autouse=True)
def _few_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is taken over is looked through in two small reads, not in some thirty."""
    monkeypatch.setattr(takeover, "WINDOW", 20)
    monkeypatch.setattr(takeover, "DISTANCES", (20,))
    monkeypatch.setattr(takeover, "EMPTY_WINDOWS", 1)
