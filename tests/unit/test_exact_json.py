import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidValue
from common.exact_json import dumps
from common.json_input import loads
from tests.unit.test_dynamodb_json import NUMBERS, TEXTS

JSON = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=20,
)


@given(JSON)
def test_json_comes_back_exactly(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert loads(dumps(value).encode()) == value


@given(JSON)
def test_any_parser_reads_what_we_write(value: Any) -> None:
    assert json.loads(dumps(value), parse_float=Decimal) == value


def test_prices_stay_what_they_are() -> None:
    assert dumps(loads('{"price": 249.99, "large": 12345678901234567890, "round": 20.0}')) == (
        '{"price":249.99,"large":12345678901234567890,"round":20}'
    )


@pytest.mark.parametrize(
    "text", ["NaN", "[Infinity]", "-Infinity", "1e400", "{", "", "'a'", b"\xff", "[" * 200_000, "1" * 40]
)
def test_what_is_no_json_says_why(text: str | bytes) -> None:
    with pytest.raises(InvalidValue) as refused:
        loads(text)
    assert len(str(refused.value)) > 10


def test_a_type_without_a_form_is_an_error_of_ours() -> None:
    with pytest.raises(TypeError):
        dumps({1, 2})
