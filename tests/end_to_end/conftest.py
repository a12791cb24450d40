"""A checkout for each module that brings something else up than the stack that all share."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.checkout import Checkout, stopped_at_the_end


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The module's own: nothing runs yet."""
    with stopped_at_the_end(tmp_path_factory.mktemp("checkout")) as made:
        yield made
