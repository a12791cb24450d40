"""Values to DynamoDB JSON and back, against boto3's own serializer."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import DYNAMODB_CONTEXT, Binary, TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from common.dynamodb_json import MAXIMUM_DEPTH, marshal, number, number_text, unmarshal
from common.errors import InvalidValue
from tests.fuzzing import VALUES as VALUES_TRIED
from tests.fuzzing import budget

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1)
DECIMALS = st.builds(lambda digits, exponent: Decimal(f"{digits}E{exponent}"), DIGITS, st.integers(-90, 80))
# As small, as large and as long as DynamoDB has them: 38 digits, 1E-130 to 9.99…E+125
SIGNIFICANT = st.integers(1, 38).flatmap(lambda digits: st.integers(10 ** (digits - 1), 10**digits - 1))
MAGNITUDES = st.one_of(st.integers(-130, 125), st.sampled_from([-130, -129, -128, -127, 36, 37, 38, 124, 125]))


def _decimal(sign: int, digits: int, magnitude: int) -> Decimal:
    text = str(digits)
    return Decimal((sign, tuple(map(int, text)), magnitude - len(text) + 1))


LIMITS = st.builds(_decimal, st.sampled_from([0, 1]), SIGNIFICANT, MAGNITUDES)
NUMBERS = st.one_of(DIGITS, DECIMALS, LIMITS, st.just(Decimal("-0")))
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.binary())
SETS = st.one_of(st.sets(TEXTS, min_size=1), st.sets(DIGITS, min_size=1), st.sets(st.binary(), min_size=1))
VALUES = st.recursive(
    st.one_of(SCALARS, SETS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=15,
)


@budget(VALUES_TRIED)
@given(VALUES)
def test_every_value_comes_back(guarantee: Any, value: Any) -> None:
    guarantee("wire-forms", values=1)
    assert unmarshal(marshal(value)) == value


@budget(VALUES_TRIED)
@given(VALUES)
def test_boto3_reads_what_we_write(guarantee: Any, value: Any) -> None:
    guarantee("wire-forms", values=1)
    ours = marshal(value)
    with _all_that_dynamodb_has():
        assert _plain(TypeDeserializer().deserialize(_as_wire(ours))) == value


@budget(VALUES_TRIED)
@given(VALUES)
def test_we_read_what_boto3_writes(guarantee: Any, value: Any) -> None:
    guarantee("wire-forms", values=1)
    with _all_that_dynamodb_has():
        assert unmarshal(_as_json(TypeSerializer().serialize(value))) == value


@contextmanager
def _all_that_dynamodb_has() -> Iterator[None]:
    """boto3 stops at 1E-128, where DynamoDB goes on to 1E-130: the one point in which they do not agree."""
    least, DYNAMODB_CONTEXT.Emin = DYNAMODB_CONTEXT.Emin, -130
    try:
        yield
    finally:
        DYNAMODB_CONTEXT.Emin = least


@pytest.mark.parametrize(
    "value",
    [
        "", "x", b"", b"\x00\xff", 0, -1, Decimal("-0"), True, False, None, [], {}, [[]], {"a": {}},
        {""}, {b""}, {"a", "b"}, {b"a", b"b"}, {1, Decimal("1.5"), -(10**37)}, [None, "", b"", 0, True, [], {}],
        10**38 - 1, -(10**38) + 1, Decimal("1E-130"), Decimal("-1E-130"), Decimal("9." + "9" * 37 + "E+125"),
        Decimal("-9." + "9" * 37 + "E+125"),
    ],
    # A set's order is another one in each worker, which must all name the tests alike.
    ids=lambda value: f"{type(value).__name__}-{sorted(map(repr, value)) if isinstance(value, set) else value!r}",
)  # fmt: skip
def test_every_type_comes_back_at_its_limits(value: Any) -> None:
    ours = marshal(value)
    assert unmarshal(ours) == value
    with _all_that_dynamodb_has():
        theirs = _as_json(TypeSerializer().serialize(value))
        assert unmarshal(theirs) == value
        assert ours.keys() == theirs.keys()
        assert _plain(TypeDeserializer().deserialize(_as_wire(ours))) == value


@budget(VALUES_TRIED)
@given(st.sampled_from([0, 1]), st.integers(1, 10**38 - 1), st.one_of(st.integers(126, 400), st.integers(-400, -131)))
def test_numbers_beyond_the_limits_are_refused(sign: int, digits: int, magnitude: int) -> None:
    with pytest.raises(InvalidValue):
        marshal(_decimal(sign, digits, magnitude))


@pytest.mark.parametrize("wrapped", [lambda inner: [inner], lambda inner: {"a": inner}], ids=["list", "map"])
def test_values_nest_as_deep_as_dynamodb_takes_them(wrapped: Any) -> None:
    value: Any = "x"
    for _ in range(MAXIMUM_DEPTH):
        value = wrapped(value)
    assert unmarshal(marshal(value)) == value
    with pytest.raises(InvalidValue):
        marshal(wrapped(value))


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("249.99", Decimal("249.99"), "249.99"),
        ("20.0", 20, "20"),
        ("12.340", Decimal("12.34"), "12.34"),
        ("007.5", Decimal("7.5"), "7.5"),
        (".5", Decimal("0.5"), "0.5"),
        ("-2.5", Decimal("-2.5"), "-2.5"),
        ("0." + "1" * 36, Decimal("0." + "1" * 36), None),
        ("1." + "0" * 36, 1, "1"),
        ("1E+2", 100, "100"),
        ("-0", 0, "0"),
        ("0e-999", 0, "0"),
        ("1e37", 10**37, "1" + "0" * 37),
        ("1e38", Decimal("1E+38"), "1E+38"),
        ("0.00000001", Decimal("1E-8"), "0.00000001"),
        ("1e-130", Decimal("1E-130"), "1E-130"),
        ("9.9999999999999999999999999999999999999e125", Decimal("9.9999999999999999999999999999999999999E+125"), None),
        ("1.50000000000000000000000000000000000000000000000", Decimal("1.5"), "1.5"),
    ],
)
def test_one_number_has_one_form(text: str, value: object, shown: str | None) -> None:
    assert number(text) == value
    assert type(number(text)) is type(value)
    assert number_text(number(text)) == (shown or str(value))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "1.2.3",
        "1,5",
        "NaN",
        "Infinity",
        "-Infinity",
        "sNaN",
        "1e126",
        "1e-131",
        "9" * 39,
        "0." + "1" * 39,
        "1e99999999999999999999",
    ],
)
def test_numbers_that_would_not_come_back_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        number(text)


@pytest.mark.parametrize(
    "value",
    [set(), {1, "a"}, {True}, {None}, {("a",)}, "\ud800", {"\udfff": 1}, ["\ud800"], {"": 1}, {"x" * 65_536: 1}],
)
def test_values_that_dynamodb_has_no_form_for(value: object) -> None:
    with pytest.raises(InvalidValue):
        marshal(value)


@pytest.mark.parametrize(
    ("attribute", "error"),
    [({}, ValueError), ({"S": "x", "N": "1"}, ValueError), ({"X": 1}, TypeError), ({"L": [{"X": 1}]}, TypeError)],
)
def test_what_is_no_attribute_value_is_not_read_as_one(attribute: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        unmarshal(attribute)


def test_a_float_never_slips_in() -> None:
    with pytest.raises(TypeError, match="float"):
        marshal(1.5)


def _as_wire(value: Any) -> Any:
    """Base64 texts as bytes, as botocore hands them to the deserializer."""
    import base64

    ((kind, inner),) = value.items()
    if kind == "B":
        return {"B": base64.b64decode(inner)}
    if kind == "BS":
        return {"BS": [base64.b64decode(one) for one in inner]}
    if kind == "L":
        return {"L": [_as_wire(one) for one in inner]}
    if kind == "M":
        return {"M": {name: _as_wire(one) for name, one in inner.items()}}
    return value


def _as_json(value: Any) -> Any:
    import base64

    ((kind, inner),) = value.items()
    if kind == "B":
        return {"B": base64.b64encode(inner).decode()}
    if kind == "BS":
        return {"BS": [base64.b64encode(one).decode() for one in inner]}
    if kind == "L":
        return {"L": [_as_json(one) for one in inner]}
    if kind == "M":
        return {"M": {name: _as_json(one) for name, one in inner.items()}}
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Binary):
        return value.value
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, set):
        return {_plain(one) for one in value}
    return value
