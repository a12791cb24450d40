"""An embedded AWS for the tests of the glue that work on real resources."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local_aws import control
from tests.glue import diagnosed
from tests.glue.deployed import Deployed, opened
from tests.glue.diagnosed import Diagnosed
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


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The functions' zips and their manifest."""
    return diagnosed.build(tmp_path_factory.mktemp("built"))


@pytest.fixture
def stack(embedded_aws: Aws, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnosed:
    """A healthy stack of one system, which the test breaks."""
    diagnosed.prepare(tmp_path, built, monkeypatch, embedded_aws)
    return Diagnosed(embedded_aws, tmp_path)
