"""Everything wrong with a body is said at once, each with its place."""

from decimal import Decimal
from typing import Any

import pytest

from common.errors import Problem
from common.validation import MAXIMUM_ERRORS, Fields


def wrong(value: dict[str, Any], read: Any) -> dict[str, str]:
    fields = Fields(value)
    read(fields)
    with pytest.raises(Problem) as refused:
        fields.done()
    assert refused.value.status == 400
    return {error["pointer"]: error["detail"] for error in refused.value.errors}


def test_a_good_body_is_read() -> None:
    fields = Fields({"a": "x", "n": 3, "l": ["y"], "o": {"b": " z "}})
    child = fields.object("o")
    assert (fields.text("a", most=1), fields.integer("n", low=3, high=3), child.text("b", most=3)) == ("x", 3, " z ")
    assert fields.texts("l", most=1, each=1) == ["y"]
    assert fields.integer("left out", low=1, high=2) is None
    fields.done()


@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "  ", "xxx", "\x00", "a\nb", "\x9f", "\ud800x"])
def test_texts(value: Any) -> None:
    assert list(wrong({"a": value}, lambda fields: fields.text("a", most=2))) == ["#/a"]
    assert list(wrong({"a": [value]}, lambda fields: fields.texts("a", most=2, each=2))) == ["#/a/0"]


@pytest.mark.parametrize("value", ["two\nlines", "a\x00", "tab\t"])
def test_a_free_text_may_hold_control_characters_but_no_broken_unicode(value: str) -> None:
    fields = Fields({"a": value})
    assert fields.text("a", most=9, free=True) == value
    fields.done()
    for bad in (" \n", "\udfff", 1, None, "x" * 10):
        assert list(wrong({"a": bad}, lambda fields: fields.text("a", most=9, free=True))) == ["#/a"]


def test_what_may_be_left_out_may_not_be_wrong() -> None:
    fields = Fields({"null": None, "empty": ""})
    assert fields.optional_text("gone", most=3) is None
    assert fields.optional_text("null", most=3) is None
    assert fields.optional_text("empty", most=3, may_be_empty=True) == ""
    assert fields.texts("gone", most=3, each=3, required=False) == []
    assert fields.number("gone", low=0, high=1) is None
    assert fields.json_object("gone") is None
    fields.done()
    assert list(wrong({"a": ""}, lambda fields: fields.optional_text("a", most=3))) == ["#/a"]
    assert list(wrong({"a": 1}, lambda fields: fields.optional_text("a", most=3, may_be_empty=True))) == ["#/a"]
    assert list(wrong({"a": "x"}, lambda fields: fields.texts("a", most=3, each=3, required=False))) == ["#/a"]


def test_numbers_keep_their_decimal_value() -> None:
    fields = Fields({"a": Decimal("249.99"), "b": 0})
    assert fields.number("a", low=0, high=Decimal("249.99")) == Decimal("249.99")
    assert fields.number("b", low=0, high=1, required=True) == 0
    fields.done()


@pytest.mark.parametrize("value", [True, "1", Decimal("-0.01"), Decimal("3.01"), [], {}])
def test_numbers(value: Any) -> None:
    assert wrong({"a": value}, lambda fields: fields.number("a", low=0, high=3)) == {
        "#/a": "must be a number from 0 to 3"
    }
    assert wrong({}, lambda fields: fields.number("a", low=0, high=3, required=True)) == {"#/a": "is missing"}


def _nested(levels: int) -> Any:
    return {"deeper": _nested(levels - 1)} if levels else 1


@pytest.mark.parametrize("value", ["{}", [], 1, {"a": "\udfff"}, {"a": Decimal("NaN")}, {"a": 10**38 + 1}, _nested(32)])
def test_free_objects_hold_only_what_an_attribute_can_hold(value: Any) -> None:
    fields = Fields({"a": {"b": [1, None, {"c": Decimal("0.1")}]}, "deep": _nested(31)})
    assert fields.json_object("a") == {"b": [1, None, {"c": Decimal("0.1")}]}
    assert fields.json_object("deep")
    fields.done()
    assert list(wrong({"a": value}, lambda fields: fields.json_object("a"))) == ["#/a"]


def test_unknown_fields_may_be_allowed() -> None:
    fields = Fields({"more": 1})
    fields.done(only_known=False)


@pytest.mark.parametrize("value", [None, True, "1", 1.5, 0, 4, [], 10**40])
def test_whole_numbers(value: Any) -> None:
    assert wrong({"a": value}, lambda fields: fields.integer("a", low=1, high=3)) == {
        "#/a": "must be a whole number from 1 to 3"
    }


def test_patterns_and_checks() -> None:
    assert wrong({"a": "b"}, lambda fields: fields.text("a", most=5, pattern="a+", hint="letters a")) == {
        "#/a": "must be letters a"
    }
    assert wrong({"a": "aa\n"}, lambda fields: fields.text("a", most=5, pattern="a+"))
    assert wrong({"a": "b"}, lambda fields: fields.text("a", most=5, check=lambda text: f"is {text}")) == {
        "#/a": "is b"
    }


def test_an_object_that_is_none_is_one_error() -> None:
    for value, said in (({}, "is missing"), ({"o": []}, "must be an object")):
        assert wrong(value, lambda fields: fields.object("o").text("x", most=1)) == {"#/o": said}


def test_unknown_fields_are_pointed_at_in_json_s_own_way() -> None:
    found = wrong({"a/b~c": 1, "o": {"x": 1}, "\ud800": 1}, lambda fields: fields.object("o"))
    assert found == {
        "#/a~1b~0c": "is not a known field",
        "#/o/x": "is not a known field",
        "#/?": "is not a known field",
    }


def test_a_flood_of_errors_is_cut() -> None:
    found = wrong({f"x{i}": 1 for i in range(10_000)}, lambda _: None)
    assert len(found) == MAXIMUM_ERRORS
