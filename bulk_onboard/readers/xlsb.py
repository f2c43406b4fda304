"""Binary workbooks of Excel (.xlsb; record names as in [MS-XLSB]).

The library pyxlsb copies sheets into temporary files, and knows neither hidden rows nor texts in cells.
Styles are not read: a date is the number that is stored, and text that is struck through is not reported.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator

from xlrd.biffh import error_text_from_code

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.office_xml import Package
from bulk_onboard.readers.sheet_rows import DamagedWorkbook, SheetRow, number_text

_ROW_HEADER, _SST_ITEM, _SHEET_DATA_END, _SHEET = 0, 19, 146, 156
_BLANK, _RK, _ERROR, _BOOL, _REAL, _TEXT, _SHARED, _RICH_TEXT = *range(1, 8), 62
# The results of formulas.
_FORMULAS = {8: _TEXT, 9: _REAL, 10: _BOOL, 11: _ERROR}
# Cells that do not name their column: they follow the one before.
_SHORT = {12: _BLANK, 13: _RK, 14: _ERROR, 15: _BOOL, 16: _REAL, 17: _TEXT, 18: _SHARED}
_CELLS = {*range(1, 19), _RICH_TEXT}
_ERRORS = {**error_text_from_code, 0x2B: "#GETTING_DATA"}
_HIDDEN_ROW = 0x10


class Xlsb:
    """An .xlsb workbook."""

    file_type = "binary Excel workbook (.xlsb)"

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook and others (see `workbook`)."""
        self._package = Package(archive)
        self.close = self._package.close
        related = self._package.related("xl/workbook.bin")
        parts = dict(related.values())
        self.sheets: dict[str, bool] = {}
        self._targets: dict[str, str] = {}
        for record, data in self._records("xl/workbook.bin"):
            if record == _SHEET:
                link, end = _text(data, 8)
                name, (kind, target) = _text(data, end)[0], related.get(link, ("", ""))
                if kind == "worksheet":
                    self.sheets[name], self._targets[name] = data[:4] == bytes(4), target
        strings = self._records(parts.get("sharedStrings", ""))
        self._shared = [_text(data, 1)[0] for record, data in strings if record == _SST_ITEM]

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Yield the rows of a sheet that have cells, from the top."""
        row, column = None, -1
        for record, data in self._records(self._targets[sheet]):
            if record == _ROW_HEADER:
                if row is not None:
                    yield row
                (number,) = struct.unpack_from("<I", data)
                row, column = SheetRow(number + 1, hidden=bool(data[11] & _HIDDEN_ROW)), -1
            elif record == _SHEET_DATA_END:
                break
            elif row is not None and record in _CELLS:
                column = column + 1 if record in _SHORT else struct.unpack_from("<I", data)[0]
                self._put(row, column, record, data if record in _SHORT else data[4:])
        if row is not None:
            yield row

    def _put(self, row: SheetRow, column: int, record: int, data: bytes) -> None:
        """Add one cell to its row. ``data``: its style (24 bits), some flags, and the value."""
        kind = _SHORT.get(record, _FORMULAS.get(record, record))
        if kind == _BLANK:
            return
        text, cell = self._content(kind, data)
        row.put(column, text, cell, formula=record in _FORMULAS)

    def _content(self, kind: int, data: bytes) -> tuple[str, CellKind]:
        if kind in {_TEXT, _RICH_TEXT}:
            return _text(data, 4 if kind == _TEXT else 5)[0], CellKind.TEXT
        if kind == _SHARED:
            return self._shared_string(struct.unpack_from("<I", data, 4)[0]), CellKind.TEXT
        if kind == _ERROR:
            return _ERRORS.get(data[4], "#ERROR!"), CellKind.ERROR
        if kind == _BOOL:
            return ("TRUE" if data[4] else "FALSE"), CellKind.VALUE
        value = _rk(data[4:8]) if kind == _RK else struct.unpack_from("<d", data, 4)[0]
        return number_text(value), CellKind.VALUE

    def _shared_string(self, number: int) -> str:
        if number >= len(self._shared):
            raise DamagedWorkbook("a cell refers to a shared string that does not exist")
        return self._shared[number]

    def _records(self, part: str) -> Iterator[tuple[int, bytes]]:
        """Yield number and content of the records of a part, which need not exist."""
        if part not in self._package:
            return
        with self._package.open(part) as stream:
            content = stream.read()
        at = 0
        while at < len(content):
            record, at = _variable(content, at, 2)
            length, at = _variable(content, at, 4)
            if at + length > len(content):
                raise DamagedWorkbook("a record is cut off")
            yield record, content[at : at + length]
            at += length


def _variable(content: bytes, at: int, most: int) -> tuple[int, int]:
    """Return a number in bytes of seven bits, the lowest first; and where it ends."""
    number = 0
    for i in range(most):
        number |= (content[at + i] & 0x7F) << 7 * i
        if not content[at + i] & 0x80:
            return number, at + i + 1
    return number, at + most


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Return an XLWideString; and where it ends. The length of a missing one is 0xFFFFFFFF."""
    (length,) = struct.unpack_from("<I", data, at)
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    if end > len(data):
        raise DamagedWorkbook("a text is cut off")
    return data[at + 4 : end].decode("utf-16-le", "surrogatepass"), end


def _rk(data: bytes) -> float:
    """Return an RkNumber: 30 bits of an integer or of a double, perhaps to be divided by a hundred."""
    (bits,) = struct.unpack("<i", data)
    rest = struct.pack("<xxxxi", bits & ~3)
    value = float(bits >> 2) if bits & 2 else float(struct.unpack("<d", rest)[0])
    return value / 100 if bits & 1 else value
