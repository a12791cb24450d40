"""What a person is asked reaches them whole; where nobody can answer, the answer is empty."""

import io

import pytest

from scripts import console


def test_a_question_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(" y \n"))
    assert console.ask("Apply? [y/N]") == "y"
    assert capsys.readouterr().err == "Apply? [y/N] "


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert console.ask("Apply? [y/N]") == ""
