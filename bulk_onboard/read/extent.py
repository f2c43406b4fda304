"""How far the cells of an .xlsx sheet reach: calamine keeps a place for all of the rectangle they span.

One stray letter in the last cell of the grid would take half a terabyte, and the process would be killed.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

from bulk_onboard.read.cell_errors import column_number, sheet_path
from bulk_onboard.read.held import Held
from bulk_onboard.read.kind import UNZIP_FAULTS

MOST_CELLS = 200_000_000

_BLOCK = 1 << 20
_LONGEST_CELL = 1 << 12
_DIMENSION = re.compile(rb'<(?:\w+:)?dimension\s+ref="(?:[A-Z]+\d+:)?([A-Z]{1,3})(\d+)"')
_FILLED = re.compile(rb'<(?:\w+:)?c\b[^>]*?\br="([A-Z]{1,3})(\d+)"[^>]*(?<!/)><(?:\w+:)?(?:v|f|is)\b')


def beyond(held: Held, sheet: str) -> str:
    """The corner of the rectangle that the filled cells span, if it is too large to be read; else ""."""
    try:
        with held.reader() as reader, zipfile.ZipFile(reader) as packed:
            path = sheet_path(packed, sheet)
            with packed.open(path) as part:
                if _said_to_be_small(part.read(_BLOCK)):
                    return ""
            with packed.open(path) as part:
                return _corner(part)
    except (*UNZIP_FAULTS, ElementTree.ParseError, KeyError):
        return ""  # No .xlsx, or a damaged one, which calamine tells.


def _said_to_be_small(head: bytes) -> bool:
    """Programs write it there; cells without content may count, so that a large one has to be looked into."""
    said = _DIMENSION.search(head)
    return said is not None and column_number(said[1]) * int(said[2]) <= MOST_CELLS


def _corner(part: IO[bytes]) -> str:
    letters, width, height = b"A", 1, 1
    for found, row in _filled(part):
        height = max(height, int(row))
        if (column := column_number(found)) > width:
            letters, width = found, column
    return f"{letters.decode()}{height}" if width * height > MOST_CELLS else ""


def _filled(part: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    rest = b""
    while block := part.read(_BLOCK):
        piece = rest + block
        yield from _FILLED.findall(piece)
        rest = piece[-_LONGEST_CELL:]
