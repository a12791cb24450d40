"""What stands in files: where each record is, what is wrong with it, and that nothing of it is lost."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.console import CommandError, Progress
from scripts.migration import extents as reading
from scripts.migration.connection import require_no_proxy
from scripts.migration.extents import extents
from scripts.migration.meter import Meter
from scripts.migration.profile_records import ProfileRecords
from scripts.migration.source import Source, list_files
from scripts.migration.state import State

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_records = st.lists(st.dictionaries(st.text(), _values, max_size=4), max_size=6)


def found(text: str | bytes, name: str = "a.json") -> list[tuple[int, int, int, bytes, str]]:
    """Ordinal, line, column, text and problem of each extent."""
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return [(one.ordinal, one.line, one.column, one.raw, one.problem) for one, _ in extents(file, name)]


@given(_records, st.sampled_from([None, 1, "\t"]))
def test_each_record_of_an_array_is_found_where_it_stands(records: list[Any], indent: Any) -> None:
    text = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    file = io.BytesIO(text)
    got = [one for one, _ in extents(file, "a.json")]
    assert [json.loads(one.raw) for one in got] == records
    for one in got:
        assert text[one.offset : one.offset + one.length] == one.raw
        before = text[: one.offset]
        assert one.line == before.count(b"\n") + 1
        assert one.column == one.offset - (before.rfind(b"\n") + 1) + 1


@given(_records)
def test_reading_goes_on_anywhere(records: list[Any]) -> None:
    for name, text in (("a.json", json.dumps(records)), ("a.jsonl", "\n".join(map(json.dumps, records)))):
        file = io.BytesIO(text.encode())
        every = list(extents(file, name))
        for position, (_, place) in enumerate(every, start=1):
            assert list(extents(file, name, place)) == every[position:]


def test_records_are_found_across_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK_BYTES", 7)
    records = [{"a": 'b"\\' * number, "c": [{}, [], {"é": number}]} for number in range(40)]
    assert [json.loads(raw) for *_, raw, _ in found(json.dumps(records, ensure_ascii=False))] == records


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [(1, 1, 1, b"", "the file is empty")]),
        (" \n\t", [(1, 2, 2, b"", "the file is empty")]),
        ("[]", []),
        (" [ ] \n", []),
        ('\ufeff{"a": 1}', [(1, 1, 1, b'{"a": 1}', "")]),
        ('{"a": 1}\n{"b": 2}', [(1, 1, 1, b'{"a": 1}', ""), (2, 2, 1, b'{"b": 2}', "")]),
        ('{"a": 1} x', [(1, 1, 1, b'{"a": 1}', ""), (2, 1, 10, b"x", "")]),
        ('[{"a" 1}, {"b": 2}]', [(1, 1, 2, b'{"a" 1}', ""), (2, 1, 11, b'{"b": 2}', "")]),
        ("[{},\n,{}]", [(1, 1, 2, b"{}", ""), (2, 2, 1, b"", ""), (3, 2, 2, b"{}", "")]),
        ("[{},]", [(1, 1, 2, b"{}", ""), (2, 1, 5, b"", "")]),
        ("[{}, {", [(1, 1, 2, b"{}", ""), (2, 1, 6, b"{", "brackets or quotes are not closed")]),
        ("[{}", [(1, 1, 2, b"{}", "brackets or quotes are not closed")]),
        ("[{},", [(1, 1, 2, b"{}", ""), (2, 1, 5, b"", "the array ends without a ]")]),
        ("[{}] []", [(1, 1, 2, b"{}", ""), (2, 1, 6, b"[]", "there is more behind the end of the array")]),
        ('[{"a": "}], {"}]', [(1, 1, 2, b'{"a": "}], {"}', "")]),
        ("\xff\xfe[".encode("latin-1"), [(1, 1, 1, b"\xff\xfe[", "the file is UTF-16, not UTF-8")]),
    ],
)
def test_what_is_broken_is_told_from_what_is_not(text: str | bytes, expected: list[Any]) -> None:
    assert found(text) == expected


def test_a_record_without_an_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAXIMUM_RECORD_BYTES", 1 << 20)
    text = b'[{"a": 1}, {"b": "' + b"x" * (3 << 20)
    (_, *_), (ordinal, _, column, raw, problem) = found(text)
    assert (ordinal, column, raw) == (2, 12, b"")
    assert "no end within 1 MB" in problem


BAD = {
    "missing name": ('{"id": "1"}', "#/name is missing"),
    "wrong price": ('{"name": "n", "averagePrice": "1"}', "#/averagePrice must be a number"),
    "id": ('{"id": "a/b", "name": "n"}', "#/id must be no path"),
    "number as id": ('{"id": 17, "name": "n"}', "#/id must be a text"),
    "39 digits": ('{"name": "n", "x": 123456789012345678901234567890123456789}', "38 significant digits"),
    "NaN": ('{"name": "n", "x": NaN}', "NaN is not a JSON number"),
    "surrogate": ('{"name": "n", "x": "\\ud800"}', "half of a surrogate pair"),
    "twice": ('{"name": "n", "a": {"b": 1, "b": 2}}', 'the name "b" stands twice'),
    "nested": ('{"name": "n", "x": ' + "[" * 40 + "]" * 40 + "}", "nested deeper than 32"),
    "nested beyond reason": ('{"x": ' + "[" * 90_000 + "]" * 90_000 + "}", "nested too deeply"),
    "too large": (json.dumps({"name": "n", "description": "x" * 90_000, "y": "é" * 120_000}), "of 409600 at most"),
    "broken": ('{"name": "n",\n "x" 1}', "no JSON: Expecting ':' delimiter at line 2 column 6"),
    "no object": ("[17]", "a record is a JSON object"),
    "an item": ('{"Item": {"id": {"S": "1"}}}', "FORM=items"),
    "empty": ("", "the file is empty"),
}


def read(folder: Path, state: Path) -> tuple[State, Source]:
    opened = State(state)
    list_files(opened, folder)
    source = Source(opened, folder, ProfileRecords())
    source.read_all(Meter(Progress("read"), 0))
    return opened, source


@pytest.mark.parametrize("why", BAD)
def test_what_is_bad_is_named_and_put_aside_whole(why: str, tmp_path: Path) -> None:
    text, reason = BAD[why]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.json").write_text(text)
    (tmp_path / "in" / "good.json").write_text('{"name": "good"}')
    opened, source = read(tmp_path / "in", tmp_path / "state")
    assert source.quarantine(tmp_path / "quarantine.jsonl") == 1
    entry = json.loads((tmp_path / "quarantine.jsonl").read_text())
    assert (entry["file"], entry["record"], entry["line"]) == ("bad.json", 1, 1)
    assert any(reason in one for one in entry["reasons"]), entry["reasons"]
    kept = entry["raw"]
    assert kept == (text[1:-1] if why == "no object" else text)
    assert opened.outcomes() == {"": 1}
    opened.close()


def test_bytes_that_are_no_text_are_put_aside_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    raw = b'{"name": "lat\xe9"}'
    long = b'{"name": "n", "description": "' + b"x" * 2_000_000 + b'"}'
    (tmp_path / "in" / "a.json").write_bytes(b"[" + raw + b", " + long + b"]")
    opened, source = read(tmp_path / "in", tmp_path / "state")
    assert source.quarantine(tmp_path / "quarantine.jsonl") == 2
    first, second = map(json.loads, (tmp_path / "quarantine.jsonl").read_text().splitlines())
    assert base64.b64decode(first["raw_base64"]) == raw
    assert Path(second["raw_file"]).read_bytes() == long
    opened.close()


def test_links_to_files_are_read_and_no_other_link_is_passed_over_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "a.json").write_text('{"id": "a", "name": "A"}')
    (folder / "a.json").symlink_to(elsewhere / "a.json")
    (folder / "more").symlink_to(elsewhere)
    opened, _ = read(folder, tmp_path / "state")
    assert opened.outcomes() == {"": 1}
    opened.close()
    assert f"{folder}/more is a link to a folder, and not followed" in capsys.readouterr().err
    (folder / "b.json").symlink_to(elsewhere / "b.json")
    with pytest.raises(CommandError, match=r"in/b\.json can't be read: No such file"):
        read(folder, tmp_path / "other")


def test_an_interrupted_note_is_undone_and_the_next_one_taken(tmp_path: Path) -> None:
    state = State(tmp_path / "state")

    def interrupted() -> None:
        with state.transaction():
            state.note(first=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with state.transaction():
        state.note(second=2)
    assert (state.fact("first"), state.fact("second")) == (None, 2)
    state.close()


def test_of_one_key_the_first_record_counts(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    same = {"id": "a", "name": "A", "n": 1.0}
    records = [same, {"id": "a", "n": 1, "name": "A"}, {"id": "a", "name": "B"}, {"name": "C"}, {"name": "C"}]
    (tmp_path / "in" / "a.json").write_text(json.dumps(records))
    opened, source = read(tmp_path / "in", tmp_path / "state")
    assert opened.outcomes() == {"": 2, "same": 2, "other": 1}
    (bad,) = source.bad()
    assert bad.reasons == ["has the key a of record 1 of a.json, line 1, but not its content"]
    opened.close()


def test_ids_are_the_same_wherever_a_record_stands() -> None:
    kind = ProfileRecords()
    one = kind.record({"name": "n", "price": 10, "x": {"a": 1, "b": 2}})
    other = kind.record({"x": {"b": 2, "a": 1}, "price": 10, "name": "n"})
    assert one.key == other.key
    assert len(one.key) == 32
    assert kind.record({"name": "m"}).key != one.key


def test_a_proxy_on_the_way_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")
    with pytest.raises(CommandError, match="must be direct"):
        require_no_proxy("https://dynamodb.eu-north-1.amazonaws.com")
    require_no_proxy("http://127.0.0.1:4566")
    monkeypatch.setenv("NO_PROXY", ".amazonaws.com")
    require_no_proxy("https://dynamodb.eu-north-1.amazonaws.com")
