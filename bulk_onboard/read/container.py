"""The container of old Office files ([MS-CFB]): whether it is whole enough to be read.

calamine follows a chain of sectors that runs in a circle until no memory is left, and makes room for as many
cells as a sheet says it has; so damage is looked for before.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import chain

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SPECIAL = 0xFFFFFFFA  # from here on: end of chain, free, and the like
_SMALL_STREAM = 4096
_ENTRY = 128
_ROOT, _STREAM = 5, 2
_DIMENSIONS = 0x0200
_CELLS = frozenset({0x0006, 0x00BD, 0x00D6, 0x00FD, 0x0203, 0x0204, 0x0205, 0x027E})
_ROWS, _COLUMNS = 65_536, 256
_BOOKS = frozenset({"workbook", "book"})

Table = Sequence[int]


class _Broken(Exception):  # noqa: N818  (a fact about the file, for this module alone)
    """A chain leads nowhere, or in a circle."""


def is_sound(content: bytes) -> bool:
    """Whether everything on the way to the workbook's stream can be followed to its end."""
    try:
        _follow(content)
    except (_Broken, struct.error):
        return False
    return True


def _follow(content: bytes) -> None:
    (shift,) = struct.unpack_from("<H", content, 30)
    folder_at, small_at = _numbers(content, 48, 60)
    if shift not in {9, 12}:
        raise _Broken
    sectors = _Sectors(content, 1 << shift)
    fat = sectors.numbers(_fat_sectors(content, sectors))
    folder = sectors.join(_chain(fat, folder_at))
    small = sectors.numbers(_chain(fat, small_at))
    entries = [_entry(folder[at : at + _ENTRY]) for at in range(0, len(folder) - _ENTRY + 1, _ENTRY)]
    root = b"".join(sectors.join(_chain(fat, start)) for _, kind, start, _ in entries if kind == _ROOT)
    for name, kind, start, size in entries:
        if kind != _STREAM or name not in _BOOKS:
            continue
        if size >= _SMALL_STREAM:
            _measure(sectors.join(_chain(fat, start))[:size])
        else:
            _measure(b"".join(root[at << 6 : at + 1 << 6] for at in _chain(small, start))[:size])


def _measure(stream: bytes) -> None:
    """The records of a workbook ([MS-XLS] 2.1.4): one tells how large a sheet is, and is believed."""
    at = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        if kind == _DIMENSIONS and length >= 10:
            first, last, left, right = struct.unpack_from(
                "<IIHH" if length >= 14 else "<HHHH", stream, at + 4
            )
            if not (first <= last <= _ROWS and left <= right <= _COLUMNS):
                raise _Broken
        elif kind in _CELLS and length >= 4 and struct.unpack_from("<H", stream, at + 6)[0] >= _COLUMNS:
            raise _Broken
        at += 4 + length


def _numbers(content: bytes, *places: int) -> list[int]:
    return [struct.unpack_from("<I", content, place)[0] for place in places]


class _Sectors:
    """The file in pieces; the header takes the place of the first."""

    def __init__(self, content: bytes, size: int) -> None:
        self._content, self._size = content, size

    def join(self, numbers: Iterable[int]) -> bytes:
        """These sectors, one after the other."""
        return b"".join(self._one(number) for number in numbers)

    def numbers(self, numbers: Iterable[int]) -> Table:
        """These sectors, as the numbers they hold."""
        found = self.join(numbers)
        return struct.unpack(f"<{len(found) // 4}I", found[: len(found) // 4 * 4])

    def _one(self, number: int) -> bytes:
        start = (number + 1) * self._size
        if start >= len(self._content):
            raise _Broken
        return self._content[start : start + self._size]


def _fat_sectors(content: bytes, sectors: _Sectors) -> list[int]:
    """Where the table of chains is: 109 places in the header, the others in a chain of their own."""
    found = [struct.unpack_from("<109I", content, 76)]
    seen: set[int] = set()
    (after,) = _numbers(content, 68)
    while after < _SPECIAL:
        if after in seen:
            raise _Broken
        seen.add(after)
        *here, after = sectors.numbers([after])
        found.append(tuple(here))
    return [number for number in chain.from_iterable(found) if number < _SPECIAL]


def _chain(table: Table, start: int) -> list[int]:
    found: list[int] = []
    while start < _SPECIAL:
        if start >= len(table) or len(found) > len(table):
            raise _Broken
        found.append(start)
        start = table[start]
    return found


def _entry(entry: bytes) -> tuple[str, int, int, int]:
    """Name in small letters, kind, first sector and size of an entry of the directory."""
    length, kind = struct.unpack_from("<HB", entry, 64)
    start, size = struct.unpack_from("<II", entry, 116)
    return entry[: max(0, min(length, 64) - 2)].decode("utf-16-le", "replace").casefold(), kind, start, size
