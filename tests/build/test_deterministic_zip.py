"""The archives open everywhere, and their bytes depend on names and contents alone."""

import io
import random
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import deterministic_zip

SAMPLES = {
    "empty": b"",
    "one byte": b"a",
    "longest match over and over": b"\0" * 70_000,
    "matches at the window's edge": (b"needle" + random.Random(1).randbytes(32_760)) * 3,
    "every byte": bytes(range(256)) * 300,
    "noise": random.Random(2).randbytes(50_000),
    "every match length": b"".join(b"%d" % size + b"x" * size for size in range(1, 300)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_zlib_reads_back_what_was_packed(name: str) -> None:
    assert zlib.decompress(deterministic_zip.deflate(SAMPLES[name]), -15) == SAMPLES[name]


@given(st.binary(max_size=2000) | st.text("abc\n", max_size=2000).map(str.encode))
def test_zlib_reads_back_anything(data: bytes) -> None:
    assert zlib.decompress(deterministic_zip.deflate(data), -15) == data


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.binary(max_size=300) | st.text("ab\n", max_size=600).map(str.encode)),
        min_size=2,
        max_size=5,
    )
)
def test_what_was_packed_before_makes_no_difference(endings: list[tuple[int, bytes]]) -> None:
    text = b"".join(b"%d bottles, %d left\n" % (number, number - 1) for number in range(40, 0, -1))
    packed = []
    for length, ending in endings:
        data = text[: length * 18] + ending
        packed.append((data, deterministic_zip.deflate(data)))
    for data, together in packed:
        deterministic_zip._before.clear()
        assert deterministic_zip.deflate(data) == together


def test_the_archive_is_a_plain_zip_without_dates() -> None:
    files = {"b/second.py": b"print(2)\n" * 50, "a.py": b"", "ä.txt": b"name in UTF-8"}
    archive = zipfile.ZipFile(io.BytesIO(deterministic_zip.archive(files)))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.py", "b/second.py", "ä.txt"]
    assert {name: archive.read(name) for name in files} == files
    for entry in archive.infolist():
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.external_attr >> 16 == 0o100644


def test_the_bytes_are_these_on_every_machine() -> None:
    # A fixed digest: another machine, Python or zlib that packs differently fails here.
    archive = deterministic_zip.archive({"handler.py": b"def handler(event, context):\n    return event\n" * 20})
    assert (len(archive), zlib.crc32(archive)) == (178, 0x43E887EA)
