"""One checkout a module, stopped whatever happened."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.checkout import Checkout, make_checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    made = make_checkout(tmp_path_factory.mktemp("checkout"))
    try:
        yield made
    finally:
        made.make("down")
        for process in made.processes():
            process.kill()
