"""The cells of a sheet that show an error such as #REF!, which calamine turns into empty ones.

Found in the XML of .xlsx and .ods, a piece at a time. In .xls they stay empty cells.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO
from xml.etree import ElementTree

from bulk_onboard.read.held import Held
from bulk_onboard.read.kind import UNZIP_FAULTS

Place = tuple[int, int]

_BLOCK = 1 << 20
_LONGEST_CELL = 1 << 16
_ERROR_CELL = re.compile(
    rb'<(?:\w+:)?c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]{1,3})(\d+)"[^>]*>'
    rb"(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]*)<",
    re.DOTALL,
)
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_OASIS = "{urn:oasis:names:tc:opendocument:xmlns:"
_TABLE, _ROW, _CELL = (
    f"{_OASIS}table:1.0}}table",
    f"{_OASIS}table:1.0}}table-row",
    f"{_OASIS}table:1.0}}table-cell",
)
_COVERED = f"{_OASIS}table:1.0}}covered-table-cell"
_NAME = f"{_OASIS}table:1.0}}name"
_ROWS, _COLUMNS = f"{_OASIS}table:1.0}}number-rows-repeated", f"{_OASIS}table:1.0}}number-columns-repeated"
_PARAGRAPH = f"{_OASIS}text:1.0}}p"
_CALC_TYPE = "value-type"


def cell_errors(held: Held, sheet: str) -> Mapping[Place, str]:
    """Row and column, both from zero, -> the error shown there. Empty if the sheet cannot be looked into."""
    try:
        with held.reader() as reader, zipfile.ZipFile(reader) as packed:
            if "content.xml" in packed.namelist():
                return dict(_in_ods(packed, sheet))
            with packed.open(sheet_path(packed, sheet)) as part:
                return dict(_in_xlsx(part))
    except (*UNZIP_FAULTS, ElementTree.ParseError, KeyError):
        # Only the name of the problem is lost: such a cell is empty then, and invalid as that.
        return {}


# --- .xlsx ------------------------------------------------------------------------------------------


def sheet_path(packed: zipfile.ZipFile, sheet: str) -> str:
    """Where the XML of a sheet is. Raises KeyError if nowhere."""
    book = ElementTree.fromstring(packed.read("xl/workbook.xml"))  # noqa: S314  (expat limits expansion)
    links = ElementTree.fromstring(packed.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    found = {
        one.get("name"): targets.get(one.get(_RELATION)) for one in book.iter() if one.tag.endswith("}sheet")
    }
    return posixpath.normpath(posixpath.join("/xl", found[sheet] or "")).lstrip("/")


def _in_xlsx(part: IO[bytes]) -> Iterator[tuple[Place, str]]:
    rest = b""
    while block := part.read(_BLOCK):
        piece = rest + block
        if b't="e"' in piece:
            for letters, digits, error in _ERROR_CELL.findall(piece):
                yield (int(digits) - 1, column_number(letters) - 1), error.decode("utf-8", "replace")
        # A cell may go on in the next block; one that was found twice is the same entry twice.
        rest = piece[-_LONGEST_CELL:]


def column_number(letters: bytes) -> int:
    """``A`` is 1."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


# --- .ods -------------------------------------------------------------------------------------------


def _in_ods(packed: zipfile.ZipFile, sheet: str) -> Iterator[tuple[Place, str]]:
    with packed.open("content.xml") as part:
        if not _mentions_error(part):
            return
    row = 0
    with packed.open("content.xml") as part:
        inside = False
        for event, element in ElementTree.iterparse(part, ("start", "end")):  # noqa: S314
            if element.tag == _TABLE:
                inside = event == "start" and element.get(_NAME) == sheet
            elif inside and element.tag == _ROW and event == "end":
                yield from _in_ods_row(element, row)
                row += int(element.get(_ROWS, "1"))
                element.clear()


def _mentions_error(part: IO[bytes]) -> bool:
    rest, sign = b"", b'value-type="error"'
    while block := part.read(_BLOCK):
        if sign in rest + block:
            return True
        rest = block[-len(sign) :]
    return False


def _in_ods_row(element: ElementTree.Element, row: int) -> Iterator[tuple[Place, str]]:
    column = 0
    for cell in element:
        if cell.tag in {_CELL, _COVERED}:
            if any(name.endswith(_CALC_TYPE) and value == "error" for name, value in cell.items()):
                yield (row, column), "".join(p.text or "" for p in cell.iter(_PARAGRAPH)) or "#ERROR!"
            column += int(cell.get(_COLUMNS, "1"))
