"""What `make load` asks and refuses before anything is sent, and how it tells what went wrong."""

from types import SimpleNamespace
from typing import Any

import pytest

from scripts import load
from scripts.console import CommandError
from scripts.load_models import Findings

SYSTEMS: dict[str, Any] = {
    "pet_store": {"persistence": "dynamodb", "tables": {"pets": {"name": "RenamedPets"}}},
    "chat_sessions": {"persistence": "memory", "tables": {}},
}
OPENED: Any = SimpleNamespace(place="prod: account 1, region r", environment=SimpleNamespace(name="prod"))


def agree(*, yes: bool) -> None:
    load._agree(OPENED, {"pet_store": SYSTEMS["pet_store"]}, 64, 60, "load-1", yes=yes)


def test_on_aws_it_says_what_it_writes_and_does_nothing_unasked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in ("", "n"):
        monkeypatch.setattr(load, "ask", lambda _question, said=answer: said)
        with pytest.raises(CommandError, match="nothing was done") as refused:
            agree(yes=False)
        assert refused.value.exit_code == 2
    said = capsys.readouterr().err
    assert "prod: account 1, region r: 64 clients for 60 s on pet_store." in said
    assert "They write to RenamedPets what bears the mark load-1, and remove it" in said
    monkeypatch.setattr(load, "ask", lambda _question: "y")
    agree(yes=False)


def test_yes_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "ask", lambda _question: pytest.fail("it was asked"))
    agree(yes=True)


def test_systems_in_memory_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(load._chosen(OPENED, SYSTEMS, "")) == ["pet_store"]
    assert "left out: chat_sessions, whose state is in memory" in capsys.readouterr().err
    with pytest.raises(CommandError, match="nothing to put under load"):
        load._chosen(OPENED, SYSTEMS, "chat_sessions")
    with pytest.raises(CommandError, match="there is no system 'cats'"):
        load._chosen(OPENED, SYSTEMS, "cats")


def test_an_api_that_asks_for_tokens_is_refused() -> None:
    with pytest.raises(CommandError, match="takes tenant and user from tokens"):
        load._require_many_callers("prod", "jwt")
    load._require_many_callers("prod", "iam")


def test_what_is_lost_twice_overwritten_or_unknown_is_named() -> None:
    findings = Findings()
    acknowledged = {"a": 1, "b": 2, "c": 3, "d": 4}
    findings.compare("here", acknowledged, [("b", 2), ("b", 2), ("c", 30), ("d", 4), ("e", 5), ("f", 6)], maybe=["f"])
    assert findings.checked == 4
    assert findings.lost == ["here: a is not there"]
    assert findings.duplicates == ["here: b is there 2 times"]
    assert findings.lost_updates == ["here: c is 30, and 3 was acknowledged"]
    assert findings.wrong == ["here: e is there, and nobody was told so"]


def test_what_may_have_been_carried_out_may_be_there_once() -> None:
    findings = Findings()
    findings.compare("here", {}, [], maybe=["a"])
    findings.compare("here", {}, [("a", 1)], maybe=["a"])
    assert findings.bad == []
    findings.compare("here", {}, [("a", 1), ("a", 1)], maybe=["a"])
    assert findings.bad == ["here: a is there 2 times"]
