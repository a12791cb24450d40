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


def test_a_job_without_a_terminal_tells_now_and_then_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = iter([0.0, 1.0, 61.0, 62.0, 122.0, 123.0])
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    with console.step("restore") as progress:
        for item in range(4):
            progress.update(f"{item} items")
    assert capsys.readouterr().err.splitlines() == [
        "    61 s  restore: 1 items",
        "   122 s  restore: 3 items",
        " 123.0 s  restore",
    ]


def test_texts_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console.out.print("tenant:cat:1", markup=False)
    console.err.print("tenant:cat:1", markup=False)
    assert list(capsys.readouterr()) == ["tenant:cat:1\n", "tenant:cat:1\n"]


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))
    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit):
        console.run(lambda: console.out.print("é, \udcff", markup=False))
    assert written.getvalue() == b"\\xe9, \\udcff\n"


def test_an_interruption_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.argv", ["command"])
    with pytest.raises(SystemExit, match="130"):
        console.run(interrupted)
    assert capsys.readouterr().err == "interrupted\n"
