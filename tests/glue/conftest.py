"""An embedded AWS for the tests of the glue that move real versions and aliases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local_aws import control
from tests.glue.deployed import Deployed, opened
from tests.local_aws.conftest import Aws, start_aws


@pytest.fixture(scope="session")
def embedded_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    state_dir = tmp_path_factory.mktemp("aws")
    yield start_aws(state_dir)
    control.stop(state_dir)


@pytest.fixture
def deployed(embedded_aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    with opened(embedded_aws, tmp_path, monkeypatch) as made:
        yield made
