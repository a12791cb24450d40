"""The verifications of an environment, gathered over time and from other machines."""

from pathlib import Path

from scripts import verification_history
from scripts.verification_history import FILE, MOST
from tests.glue import made_up_history
from tests.glue.made_up_history import verification


def hours(tmp_path: Path, *folders: Path) -> list[str]:
    return [one["began_at"][8:13] for one in verification_history.read("staging", folders or [tmp_path])]


def test_each_run_adds_one_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    for hour in range(MOST + 3):
        verification_history.append(tmp_path, verification(hour))
    found = verification_history.read("staging", [tmp_path])
    assert len(found) == MOST
    assert (found[0], found[-1]) == (verification(3), verification(MOST + 2))


def test_files_of_other_machines_come_in_between_and_none_twice(tmp_path: Path) -> None:
    made_up_history.write(tmp_path / "here", [verification(1), verification(3)])
    made_up_history.write(tmp_path / "runs" / "one", [verification(2), verification(3)])
    made_up_history.write(tmp_path / "runs" / "two", [verification(0), verification(5, environment="prod")])
    assert hours(tmp_path, tmp_path / "here", tmp_path / "runs") == ["20T00", "20T01", "20T02", "20T03"]


def test_what_is_no_verification_is_passed_over(tmp_path: Path) -> None:
    made_up_history.write(tmp_path, [verification(1)])
    with (tmp_path / FILE).open("a") as file:
        file.write('{"environment": "staging", "began\n[1]\n"text"\n\n{"environment": "staging"}\n')
        file.write('{"environment": "staging", "began_at": "2026", "account_id": "1"}\n')
    assert hours(tmp_path) == ["20T01"]
    verification_history.append(tmp_path, verification(2))
    assert hours(tmp_path) == ["20T01", "20T02"]


def test_there_is_none_before_the_first(tmp_path: Path) -> None:
    assert hours(tmp_path) == []
