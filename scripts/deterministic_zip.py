"""Zip archives whose bytes depend on names and contents alone.

zlib's output differs between its versions and its replacements (zlib-ng, Apple's), so two machines with the same
sources would deploy two different archives. Compression here is integer arithmetic only: LZ77 with lazy matching and
one block of Huffman codes made for it (RFC 1951, 3.2.7). It packs about as small as zlib, and the same everywhere.
"""

import gc
import marshal
import struct
import sys
import zlib
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import NamedTuple

_WINDOW = 32768
# Matches of three bytes, which DEFLATE has too, take a third of the time and save a hundredth of the size.
_MINIMUM_MATCH, _MAXIMUM_MATCH = 4, 258
_SHORTEST = 3  # the first length that DEFLATE can say
_CANDIDATES = 64  # tried for a match: more is slower and hardly smaller
_GOOD_MATCH = 16  # a match this long is taken without looking for a better one

_END_OF_BLOCK, _LITERALS, _DISTANCES = 256, 286, 30
# The order in which a block tells the widths of its width codes
_WIDTH_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)

_DOS_EPOCH_DATE = 0x21  # 1980-01-01, the earliest date that a zip can hold
_UNIX, _VERSION, _DEFLATED = 3, 20, 8
_UTF8_NAMES = 0x800
_REGULAR_FILE_0644 = 0o100644 << 16


def archive(files: Mapping[str, bytes]) -> bytes:
    """One zip with `files` (path with `/` → content), sorted by path, mode 0644, without dates."""
    body, directory = bytearray(), bytearray()
    for path in sorted(files):
        content, name = files[path], path.encode()
        packed = deflate(content)
        common = struct.pack(
            "<HHHHHLLLHH",
            _VERSION,
            _UTF8_NAMES,
            _DEFLATED,
            0,
            _DOS_EPOCH_DATE,
            zlib.crc32(content),
            len(packed),
            len(content),
            len(name),
            0,
        )
        directory += struct.pack("<4sBB", b"PK\x01\x02", _VERSION, _UNIX) + common
        directory += struct.pack("<HHHLL", 0, 0, 0, _REGULAR_FILE_0644, len(body)) + name
        body += b"PK\x03\x04" + common + name + packed
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, len(files), len(files), len(directory), len(body), 0)
    return bytes(body + directory + end)


def deflate(data: bytes) -> bytes:
    """`data` as one DEFLATE block with codes of its own."""
    symbols = [*_symbols(data), (_END_OF_BLOCK, 0)]
    literals, distances = [0] * _LITERALS, [0] * _DISTANCES
    for symbol, distance in symbols:
        literals[_length_symbol(symbol)[0] if symbol > _END_OF_BLOCK else symbol] += 1
        if distance:
            distances[_distance_symbol(distance)[0]] += 1
    literal_widths, distance_widths = _code_widths(literals, 15), _code_widths(distances, 15)
    literal_codes, distance_codes = _codes(literal_widths), _codes(distance_widths)
    written = _Bits()
    written.add(0b101, 3)  # last block, codes of its own
    _write_widths(written, literal_widths, distance_widths)
    for symbol, distance in symbols:
        if symbol <= _END_OF_BLOCK:
            written.add(*literal_codes[symbol])
            continue
        for (code, extra, extra_width), codes in (
            (_length_symbol(symbol), literal_codes),
            (_distance_symbol(distance), distance_codes),
        ):
            value, width = codes[code]
            written.add(value | extra << width, width + extra_width)
    return written.bytes()


class _Packed(NamedTuple):
    data: bytes
    last_alike: list[int]
    symbols: list[tuple[int, int]]


# What this process packed last, by its first bytes: another that begins alike begins with the same symbols.
_before: dict[bytes, _Packed] = {}


def _symbols(data: bytes) -> list[tuple[int, int]]:
    """Literals as (byte, 0), matches as (256 + length, distance)."""
    before = _before.get(data[:_MAXIMUM_MATCH], _Packed(b"", [], []))
    shorter = min(len(data), len(before.data))
    alike = bisect(range(1, shorter + 1), False, key=lambda length: data[:length] != before.data[:length])
    last_alike = _last_alike(data, before.last_alike[: max(0, alike - _MINIMUM_MATCH + 1)])
    symbols, position, size = [], 0, len(data)
    for symbol, distance in before.symbols:
        # What follows decides about a symbol: as much as the longest match of the next position.
        if position + 1 + _MAXIMUM_MATCH > alike:
            break
        symbols.append((symbol, distance))
        position += symbol - _END_OF_BLOCK if distance else 1
    longest_match = _longest_matches(data, last_alike)
    length, distance = longest_match(position)
    while position < size:
        next_length, next_distance = longest_match(position + 1) if length < _GOOD_MATCH else (0, 0)
        if length < _MINIMUM_MATCH or next_length > length:
            symbols.append((data[position], 0))
            position += 1
            length, distance = next_length, next_distance
        else:
            symbols.append((_END_OF_BLOCK + length, distance))
            position += length
            length, distance = longest_match(position)
    _before[data[:_MAXIMUM_MATCH]] = _Packed(data, last_alike, symbols)
    return symbols


def _longest_matches(data: bytes, last_alike: list[int]) -> Callable[[int], tuple[int, int]]:
    """What tells of a position how long a match it begins, and how far back: (0, 0) for none."""
    size = len(data)

    def longest_match(at: int) -> tuple[int, int]:
        limit = min(_MAXIMUM_MATCH, size - at)
        best, best_start, start = 0, 0, at
        for _ in range(_CANDIDATES if limit >= _MINIMUM_MATCH else 0):
            start = last_alike[start]
            if start < 0 or at - start > _WINDOW:
                break
            # Only a longer one counts; its last byte tells most of the others.
            if best and (data[start + best] != data[at + best] or data[start : start + best] != data[at : at + best]):
                continue
            best, best_start = max(best + 1, _MINIMUM_MATCH), start
            while best < limit and data[start + best] == data[at + best]:
                best += 1
            if best == limit:
                break
        return (best, at - best_start) if best else (0, 0)

    return longest_match


def _last_alike(data: bytes, known: list[int]) -> list[int]:
    """Of each position the last one before it that begins with the same bytes; -1 for none; `known`: of the first."""
    begins = [data[at : at + _MINIMUM_MATCH] for at in range(len(data))]
    last = dict(zip(begins[: len(known)], range(len(known)), strict=True))
    found = [*known]
    for at, begin in enumerate(begins[len(known) :], len(known)):
        found.append(last.get(begin, -1))
        last[begin] = at
    return found


class _Bits:
    """A bit stream, least significant bit first."""

    def __init__(self) -> None:
        self._buffer, self._held, self._out = 0, 0, bytearray()

    def add(self, value: int, width: int) -> None:
        self._buffer |= value << self._held
        self._held += width
        if self._held >= 32:
            self._out += (self._buffer & 0xFFFFFFFF).to_bytes(4, "little")
            self._buffer >>= 32
            self._held -= 32

    def bytes(self) -> bytes:
        return bytes(self._out + self._buffer.to_bytes((self._held + 7) // 8, "little"))


def _reversed(code: int, width: int) -> int:
    """Huffman codes go into the stream most significant bit first."""
    return int(f"{code:0{width}b}"[::-1], 2)


@cache
def _length_symbol(symbol: int) -> tuple[int, int, int]:
    """The code of a match's length (given as 256 + length), its extra bits and their number."""
    value = symbol - _END_OF_BLOCK - _SHORTEST
    if value == _MAXIMUM_MATCH - _SHORTEST:
        return 285, 0, 0
    if value < 8:
        return 257 + value, 0, 0
    extra_width = value.bit_length() - 3
    return 257 + 4 * extra_width + (value >> extra_width), value & ((1 << extra_width) - 1), extra_width


@cache
def _distance_symbol(distance: int) -> tuple[int, int, int]:
    value = distance - 1
    if value < 4:
        return value, 0, 0
    extra_width = value.bit_length() - 2
    return 2 * extra_width + (value >> extra_width), value & ((1 << extra_width) - 1), extra_width


def _code_widths(counts: list[int], limit: int) -> list[int]:
    """The best code widths up to `limit` bits for symbols that occur so often (package-merge)."""
    # Decoders want a complete code, even where fewer than two symbols occur.
    spare = 2 - min(2, sum(map(bool, counts)))
    unused = [symbol for symbol, count in enumerate(counts) if not count][:spare]
    leaves = sorted((count or 1, (symbol,)) for symbol, count in enumerate(counts) if count or symbol in unused)
    packages: list[tuple[int, tuple[int, ...]]] = []
    for _ in range(limit):
        merged = sorted(leaves + packages)
        packages = [
            (first[0] + second[0], first[1] + second[1])
            for first, second in zip(merged[::2], merged[1::2], strict=False)
        ]
    widths = [0] * len(counts)
    for _, contained in packages[: len(leaves) - 1]:
        for symbol in contained:
            widths[symbol] += 1
    return widths


def _codes(widths: list[int]) -> list[tuple[int, int]]:
    """Canonical codes (bits in the order of the stream, width) by symbol."""
    codes, code = [(0, 0)] * len(widths), 0
    for width in range(1, max(widths) + 1):
        for symbol, own in enumerate(widths):
            if own == width:
                codes[symbol] = (_reversed(code, width), width)
                code += 1
        code <<= 1
    return codes


def _write_widths(written: _Bits, literal_widths: list[int], distance_widths: list[int]) -> None:
    """The block's header: both codes by their widths, run lengths shortened, themselves in Huffman codes."""
    literal_count = max(257, max(symbol for symbol, width in enumerate(literal_widths) if width) + 1)
    distance_count = max(symbol for symbol, width in enumerate(distance_widths) if width) + 1
    runs = list(_run_lengths(literal_widths[:literal_count] + distance_widths[:distance_count]))
    counts = [0] * len(_WIDTH_ORDER)
    for symbol, _, _ in runs:
        counts[symbol] += 1
    widths = _code_widths(counts, 7)
    codes = _codes(widths)
    used = max(place for place, symbol in enumerate(_WIDTH_ORDER) if widths[symbol]) + 1
    written.add(literal_count - 257, 5)
    written.add(distance_count - 1, 5)
    written.add(used - 4, 4)
    for symbol in _WIDTH_ORDER[:used]:
        written.add(widths[symbol], 3)
    for symbol, extra, extra_width in runs:
        written.add(*codes[symbol])
        written.add(extra, extra_width)


def _run_lengths(widths: list[int]) -> Iterator[tuple[int, int, int]]:
    """(symbol, extra bits, their number): a width, 16 for the last one again, 17 and 18 for zeros."""
    for width, group in groupby(widths):
        left = len(list(group))
        if width:
            yield width, 0, 0
            left -= 1
        while left >= 3:
            if width:
                symbol, least, most, extra_width = 16, 3, 6, 2
            elif left <= 10:
                symbol, least, most, extra_width = 17, 3, 10, 3
            else:
                symbol, least, most, extra_width = 18, 11, 138, 7
            run = min(left, most)
            yield symbol, run - least, extra_width
            left -= run
        yield from [(width, 0, 0)] * left


def _serve() -> None:
    """One archive after the other, until nobody asks any more."""
    gc.disable()  # nothing here refers to itself, and looking for that takes an eighth of the time
    while True:
        try:
            files = marshal.load(sys.stdin.buffer)  # noqa: S302  what that module wrote
        except EOFError:
            return
        marshal.dump(archive(files), sys.stdout.buffer)
        sys.stdout.flush()


if __name__ == "__main__":  # scripts.archivers
    _serve()
