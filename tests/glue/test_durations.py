"""Spans of time as people type them."""

import pytest

from scripts import durations
from scripts.console import CommandError


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604800), ("0s", 0)])
def test_a_span_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert durations.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-7d", "7w", "1.5h", "٣d", "7d\n", "9999999999d"])
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(CommandError, match="is not a time") as caught:
        durations.seconds(text)
    assert "7d" in caught.value.next_step


def test_no_date_lies_so_far_back() -> None:
    with pytest.raises(CommandError, match="more than ten years"):
        durations.seconds("999999999d")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 seconds"), (90, "90 seconds"), (600, "10 minutes"), (129600, "36 hours"), (604800, "7 days")],
)
def test_spans_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert durations.text(seconds) == text
