"""Items that DynamoDB takes for equal have one form; others have another."""

import base64
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from scripts.item_digest import canonical_bytes, digest, key_of, key_text

_PAYLOAD = bytes(range(256))
_numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20)
_values = st.recursive(
    st.none() | st.booleans() | st.text() | _numbers | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_items = st.dictionaries(st.text(min_size=1), _values, max_size=5)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1"}, {"N": "1.0"}),
        ({"N": "100"}, {"N": "1E+2"}),
        ({"N": "0"}, {"N": "-0.00"}),
        ({"N": "12345678901234567890123456789012345678"}, {"N": "12345678901234567890123456789012345678.0"}),
        ({"NS": ["3", "1.50"]}, {"NS": ["1.5", "3.0"]}),
        ({"SS": ["b", "a"]}, {"SS": ["a", "b"]}),
        ({"BS": [b"b", b"a"]}, {"BS": [b"a", b"b"]}),
        ({"B": _PAYLOAD}, {"B": base64.b64encode(_PAYLOAD).decode()}),
        ({"M": {"a": {"N": "1"}, "b": {"S": ""}}}, {"M": {"b": {"S": ""}, "a": {"N": "1.0"}}}),
    ],
)
def test_what_dynamodb_takes_for_equal_has_one_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest({"value": one}) == digest({"value": other})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1"}, {"S": "1"}),
        ({"N": "12345678901234567890123456789012345678"}, {"N": "12345678901234567890123456789012345679"}),
        ({"N": "249.99"}, {"N": "249.98999"}),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}),
        ({"SS": ["a"]}, {"L": [{"S": "a"}]}),
        ({"S": ""}, {"NULL": True}),
        ({"BOOL": True}, {"BOOL": False}),
        ({"S": "é"}, {"S": "e\u0301"}),
        ({"M": {}}, {"L": []}),
    ],
)
def test_what_differs_has_another_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert digest({"value": one}) != digest({"value": other})


def test_an_attribute_more_or_less_changes_the_digest() -> None:
    assert digest({"id": {"S": "1"}}) != digest({"id": {"S": "1"}, "name": {"S": ""}})


@given(_items)
def test_an_item_of_boto3_has_the_same_digest_whatever_the_order_of_its_attributes(item: dict[str, Any]) -> None:
    stored = {name: TypeSerializer().serialize(value) for name, value in item.items()}
    assert digest(stored) == digest(dict(reversed(stored.items())))


@given(_numbers)
def test_a_number_keeps_its_value(number: Decimal) -> None:
    assert canonical_bytes({"n": {"N": f"{number:f}"}}) == canonical_bytes({"n": {"N": f"{number:E}"}})


def test_a_key_is_named_as_a_person_reads_it() -> None:
    item = {"SK": {"S": "METADATA"}, "PK": {"S": "SESSION#ä"}, "total": {"N": "3"}}
    assert key_text(key_of(item, ["PK", "SK"])) == "PK=SESSION#ä, SK=METADATA"
    assert key_text(key_of({"id": {"N": "16.0"}}, ["id"])) == "id=16"
    assert key_text(key_of({"id": {"N": "1E+3"}}, ["id"])) == "id=1000"


@pytest.mark.parametrize("wrong", [{}, {"S": "a", "N": "1"}, {"X": "a"}, {"N": "one"}])
def test_what_is_no_attribute_value_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"attribute|number"):
        canonical_bytes({"value": wrong})
