"""A person's environment file is edited as a person would: no comment is lost, and never is it broken."""

from pathlib import Path

import pytest

from scripts import environment_file
from scripts.console import CommandError
from scripts.environments import Environment, parse

TEXT = """# About this environment.

[aws]
region = "eu-north-1"   # near the users

[variables]
# Why the alarms are off.
alarms = { enabled = false }  # for now
chat_sessions = { session_ttl_days = 7 }
tags = { Owner = "team" }

[variables.pet_store]
seed = false  # ours are real
"""


def _environment(tmp_path: Path, text: str = TEXT) -> Environment:
    file = tmp_path / "dev.toml"
    file.write_text(text)
    return parse("dev", file, text)


def test_comments_and_layout_stay() -> None:
    after = environment_file.edited(
        TEXT,
        {
            ("adopt_tables",): ["Pets"],
            ("chat_sessions", "table_name"): "chats",
            ("pet_store", "table_name"): "Pets",
            ("tables", "pet_store.pets", "billing_mode"): "PROVISIONED",
            ("tables", "pet_store.pets", "ttl"): {"attribute": "gone", "enabled": True},
        },
    )
    assert [line for line in TEXT.splitlines() if "#" in line] == [line for line in after.splitlines() if "#" in line]
    (chats,) = [line for line in after.splitlines() if line.startswith("chat_sessions")]
    assert chats.replace(" ", "") == 'chat_sessions={session_ttl_days=7,table_name="chats"}'
    assert after.endswith(
        'table_name = "Pets"\n\n[variables.tables."pet_store.pets"]\nbilling_mode = "PROVISIONED"\n'
        'ttl = {attribute = "gone", enabled = true}\n'
    )
    assert environment_file.variables(after) == {
        "alarms": {"enabled": False},
        "chat_sessions": {"session_ttl_days": 7, "table_name": "chats"},
        "tags": {"Owner": "team"},
        "adopt_tables": ["Pets"],
        "pet_store": {"seed": False, "table_name": "Pets"},
        "tables": {"pet_store.pets": {"billing_mode": "PROVISIONED", "ttl": {"attribute": "gone", "enabled": True}}},
    }


def test_what_stands_there_is_not_written_again() -> None:
    changes = {("tags",): {"Owner": "team"}, ("pet_store", "seed"): False, ("nothing", "here"): None}
    assert environment_file.edited(TEXT, changes) == TEXT


def test_a_setting_is_taken_away() -> None:
    after = environment_file.edited(TEXT, {("pet_store", "seed"): None, ("alarms",): None})
    assert environment_file.variables(after).keys() == {"chat_sessions", "tags", "pet_store"}


def test_a_file_without_variables() -> None:
    after = environment_file.edited('[aws]\nregion = "eu-north-1"\n', {("name_prefix",): "mine"})
    assert environment_file.variables(after) == {"name_prefix": "mine"}


def test_tables_below_those_that_are_there() -> None:
    before = environment_file.edited(TEXT, {("tables", "a.b", "stream_view_type"): "KEYS_ONLY"})
    after = environment_file.edited(before, {("tables", "c.d", "table_class"): "STANDARD"})
    assert environment_file.variables(after)["tables"] == {
        "a.b": {"stream_view_type": "KEYS_ONLY"},
        "c.d": {"table_class": "STANDARD"},
    }


def test_the_file_is_written_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    environment.file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(environment.file)
    after = environment_file.edited(TEXT, {("name_prefix",): "mine"})
    assert environment_file.write(environment._replace(file=link), TEXT, after)
    assert link.is_symlink()
    assert environment.file.read_text() == after
    assert environment.file.stat().st_mode & 0o777 == 0o640
    assert not environment_file.write(environment, after, after)
    assert {path.name for path in tmp_path.iterdir()} == {"dev.toml", "link.toml"}


def test_what_would_break_it_is_not_written(tmp_path: Path) -> None:
    environment = _environment(tmp_path)
    with pytest.raises(CommandError, match="no variable 'adopt_tabels'"):
        environment_file.write(environment, TEXT, environment_file.edited(TEXT, {("adopt_tabels",): ["x"]}))
    environment.file.write_text(TEXT + "# somebody's\n")
    with pytest.raises(CommandError, match="changed meanwhile"):
        environment_file.write(environment, TEXT, environment_file.edited(TEXT, {("name_prefix",): "mine"}))
    assert environment.file.read_text().endswith("# somebody's\n")
    assert [path.name for path in tmp_path.iterdir()] == ["dev.toml"]
