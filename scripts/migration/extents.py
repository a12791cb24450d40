"""Where in a file each record stands, whatever it holds: found in one pass over bytes, with a window of bounded size.

Kinds of files, by their first byte or their name: one array of records; one record, or several behind each other; or
(`.jsonl`, `.ndjson`) a record a line. An array's records are told apart by brackets and quotes alone, so that one with
an error in it does not take its neighbours along. Where brackets don't close, the rest of the file is one extent.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

LINE_SUFFIXES = (".jsonl", ".ndjson")
SUFFIXES = (".json", *LINE_SUFFIXES)
# DynamoDB takes 400 KB, which escapes (\u0041) and spaces make longer.
MAXIMUM_RECORD_BYTES = 8 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00\x00\xfe\xff": "UTF-32"}
_WHITE = b" \t\r\n"
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
# Up to the next bracket, or to the next bracket or comma, strings skipped.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+[{}\[\]]", re.DOTALL)
_END = re.compile(rb'(?:[^",{}\[\]]++|' + _STRING + rb")*+[,{}\[\]]", re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")


class Place(NamedTuple):
    """Between two records of a file: where to go on reading."""

    shape: str = ""  # array, values or lines; behind an array; ended; "" at the file's beginning
    offset: int = 0  # bytes
    line: int = 1
    line_offset: int = 0  # of the line's first byte
    ordinal: int = 0  # of the last record


class Extent(NamedTuple):
    """What should be a record: the n-th of its file, from 1; `problem` says why it can't be read, if so."""

    ordinal: int
    offset: int
    length: int
    line: int
    column: int
    raw: bytes  # empty where it is too long to be read
    problem: str = ""


def extents(file: BinaryIO, name: str, place: Place | None = None) -> Iterator[tuple[Extent, Place]]:
    """Each extent behind `place`, with the place behind it."""
    return _Reader(file, name, place or Place()).read()


class _Reader:
    """`_window` is what was read and not yet passed; `_offset` is where it begins in the file."""

    def __init__(self, file: BinaryIO, name: str, place: Place) -> None:
        self._file, self._name = file, name
        self._shape, self._ordinal = place.shape, place.ordinal
        self._line, self._line_offset, self._offset = place.line, place.line_offset, place.offset
        file.seek(place.offset)
        self._window, self._at_end = b"", False

    def read(self) -> Iterator[tuple[Extent, Place]]:
        if not self._shape:
            problem = self._begin()
            if problem:
                yield self._rest(problem)
                return
        if self._shape == "lines":
            yield from self._lines()
        elif self._shape == "array":
            yield from self._array()
        elif self._shape == "values":
            yield from self._values()
        if self._shape == "behind":
            self._space()
            if self._window:
                yield self._rest("there is more behind the end of the array")

    def _begin(self) -> str:
        self._more()
        for mark, encoding in _OTHER_ENCODINGS.items():
            if self._window.startswith(mark):
                return f"the file is {encoding}, not UTF-8"
        if self._window.startswith(BOM):
            self._pass(len(BOM))
            self._line_offset = len(BOM)
        self._space()
        if not self._window:
            return "the file is empty"
        if self._name.endswith(LINE_SUFFIXES):
            self._shape = "lines"
        elif self._window.startswith(b"["):
            self._pass(1)
            self._shape = "array"
        else:
            self._shape = "values"
        return ""

    def _array(self) -> Iterator[tuple[Extent, Place]]:
        while True:
            self._space()
            if self._window.startswith(b"]") and self._ordinal == 0:
                self._pass(1)
                self._shape = "behind"
                return
            length, closed = self._element()
            if not closed:
                yield self._rest("brackets or quotes are not closed" if self._window else "the array ends without a ]")
                return
            if self._window[length : length + 1] == b"]":
                self._shape = "behind"
                yield self._extent(length, behind=1)
                return
            yield self._extent(length, behind=1)

    def _values(self) -> Iterator[tuple[Extent, Place]]:
        while True:
            self._space()
            if not self._window:
                return
            if not self._window.startswith((b"{", b"[")):
                yield self._rest("")
                return
            length, closed = self._element(stop_when_closed=True)
            if not closed:
                yield self._rest("")
                return
            yield self._extent(length)

    def _lines(self) -> Iterator[tuple[Extent, Place]]:
        while True:
            self._space()
            if not self._window:
                return
            while (end := self._window.find(b"\n")) < 0 and not self._at_end and not self._is_too_long():
                self._more()
            if end < 0 and not self._at_end:
                yield self._rest(_too_long())
                return
            yield self._extent(len(self._window) if end < 0 else end)

    def _element(self, *, stop_when_closed: bool = False) -> tuple[int, bool]:
        """The length of what stands at the window's beginning, up to the comma or bracket that ends it."""
        at = depth = 0
        while True:
            found = (_BRACKET if depth else _END).match(self._window, at)
            if not found:
                if self._at_end or self._is_too_long():
                    return len(self._window), False
                self._more()
                continue
            at = found.end()
            mark = self._window[at - 1]
            if mark in b"{[":
                depth += 1
            elif mark in b"}]" and depth:
                depth -= 1
                if not depth and stop_when_closed:
                    return at, True
            elif mark in b",]":
                return at - 1, True

    def _extent(self, length: int, behind: int = 0) -> tuple[Extent, Place]:
        """The next record; `behind` are bytes that end it."""
        raw = self._window[:length].rstrip(_WHITE)
        self._ordinal += 1
        column = self._offset - self._line_offset + 1
        extent = Extent(self._ordinal, self._offset, len(raw), self._line, column, raw)
        self._pass(length + behind)
        return extent, Place(self._shape, self._offset, self._line, self._line_offset, self._ordinal)

    def _rest(self, problem: str) -> tuple[Extent, Place]:
        """All that is left, to the end of the file."""
        while not self._at_end and not self._is_too_long():
            self._more()
        raw = self._window.rstrip(_WHITE) if self._at_end else b""
        length = len(raw) if self._at_end else self._file.seek(0, 2) - self._offset
        problem = problem if self._at_end else _too_long()
        self._ordinal += 1
        column = self._offset - self._line_offset + 1
        extent = Extent(self._ordinal, self._offset, length, self._line, column, raw, problem)
        self._shape = "ended"
        return extent, Place(self._shape, self._offset + length, self._line, self._line_offset, self._ordinal)

    def _space(self) -> None:
        while True:
            found = _SPACE.match(self._window)
            self._pass(found.end() if found else 0)
            if self._window or self._at_end:
                return
            self._more()

    def _pass(self, count: int) -> None:
        if lines := self._window.count(b"\n", 0, count):
            self._line += lines
            self._line_offset = self._offset + self._window.rfind(b"\n", 0, count) + 1
        self._window = self._window[count:]
        self._offset += count

    def _more(self) -> None:
        # Twice as much each time: what is looked for again is not looked through again and again.
        chunk = self._file.read(max(CHUNK_BYTES, len(self._window)))
        self._window += chunk
        self._at_end = not chunk

    def _is_too_long(self) -> bool:
        return len(self._window) > MAXIMUM_RECORD_BYTES


def _too_long() -> str:
    return f"no end within {MAXIMUM_RECORD_BYTES >> 20} MB; nothing of that size can be stored"
