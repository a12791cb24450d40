"""Zip archives whose bytes depend on names and contents alone.

zlib's output differs between its versions and its replacements (zlib-ng, Apple's), so two machines with the same
sources would deploy two different archives. Compression here is integer arithmetic only: LZ77 with lazy matching and
DEFLATE's fixed Huffman codes (RFC 1951, 3.2.6). It is some 10 % larger than zlib's and the same everywhere.
"""

import struct
import zlib
from collections.abc import Mapping

_WINDOW = 32768
_MINIMUM_MATCH, _MAXIMUM_MATCH = 3, 258
_LONGEST_CHAIN = 128  # candidates tried for a match: more is slower and hardly smaller
_GOOD_MATCH = 64  # a match this long is taken without looking for a better one

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
    """`data` as one DEFLATE block with fixed codes."""
    written = _Bits()
    written.add(0b011, 3)  # last block, fixed codes
    position, size = 0, len(data)
    seen: dict[bytes, list[int]] = {}

    def remember(at: int) -> None:
        if at + _MINIMUM_MATCH <= size:
            seen.setdefault(data[at : at + _MINIMUM_MATCH], []).append(at)

    length, distance = _longest_match(data, 0, seen)
    while position < size:
        remember(position)
        next_length, next_distance = 0, 0
        if length < _GOOD_MATCH:
            next_length, next_distance = _longest_match(data, position + 1, seen)
        if length < _MINIMUM_MATCH or next_length > length:
            written.add(*_LITERAL[data[position]])
            position += 1
            length, distance = next_length, next_distance
            continue
        written.add(*_LENGTH[length])
        written.add(*_distance(distance))
        for skipped in range(position + 1, position + length):
            remember(skipped)
        position += length
        length, distance = _longest_match(data, position, seen)
    written.add(*_LITERAL[256])  # end of block
    return written.bytes()


def _longest_match(data: bytes, at: int, seen: dict[bytes, list[int]]) -> tuple[int, int]:
    best, best_distance = 0, 0
    limit = min(_MAXIMUM_MATCH, len(data) - at)
    for start in reversed(seen.get(data[at : at + _MINIMUM_MATCH], ())[-_LONGEST_CHAIN:]):
        if at - start > _WINDOW:
            break
        if best and (best >= limit or data[start + best] != data[at + best]):
            continue
        length = _MINIMUM_MATCH
        while length < limit and data[start + length] == data[at + length]:
            length += 1
        if length > best:
            best, best_distance = length, at - start
            if best == limit:
                break
    return best, best_distance


class _Bits:
    """A bit stream, least significant bit first."""

    def __init__(self) -> None:
        self._buffer, self._held, self._out = 0, 0, bytearray()

    def add(self, value: int, width: int) -> None:
        self._buffer |= value << self._held
        self._held += width
        while self._held >= 8:
            self._out.append(self._buffer & 0xFF)
            self._buffer >>= 8
            self._held -= 8

    def bytes(self) -> bytes:
        return bytes(self._out + (bytes([self._buffer]) if self._held else b""))


def _reversed(code: int, width: int) -> int:
    return int(f"{code:0{width}b}"[::-1], 2)


def _literal_codes() -> list[tuple[int, int]]:
    codes = []
    for symbol in range(288):
        if symbol < 144:
            code, width = 0x30 + symbol, 8
        elif symbol < 256:
            code, width = 0x190 + symbol - 144, 9
        elif symbol < 280:
            code, width = symbol - 256, 7
        else:
            code, width = 0xC0 + symbol - 280, 8
        codes.append((_reversed(code, width), width))
    return codes


def _length_codes() -> dict[int, tuple[int, int]]:
    """Match length → bits and width of its symbol with the extra bits behind it."""
    codes: dict[int, tuple[int, int]] = {}
    length = _MINIMUM_MATCH
    for symbol in range(257, 285):
        extra_width = max(0, (symbol - 261) // 4)
        bits, width = _LITERAL[symbol]
        for extra in range(1 << extra_width):
            codes[length] = (bits | extra << width, width + extra_width)
            length += 1
    codes[_MAXIMUM_MATCH] = _LITERAL[285]
    return codes


def _distance(distance: int) -> tuple[int, int]:
    value = distance - 1
    if value < 4:
        return _reversed(value, 5), 5
    extra_width = value.bit_length() - 2
    symbol = 2 * extra_width + (value >> extra_width)
    return _reversed(symbol, 5) | (value & ((1 << extra_width) - 1)) << 5, 5 + extra_width


_LITERAL = _literal_codes()
_LENGTH = _length_codes()
