"""Binary workbooks of Excel (.xlsb; [MS-XLSB], whose names of records are used here).

The library pyxlsb copies sheets into temporary files, and knows neither hidden rows nor texts in cells.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Sequence

from openpyxl.styles.numbers import BUILTIN_FORMATS
from xlrd.biffh import error_text_from_code

from bulk_onboard.domain.chunk import CellKind
from bulk_onboard.readers.cell_text import number_text
from bulk_onboard.readers.sheet_rows import LAST_ROW, DamagedWorkbook, SheetRow
from bulk_onboard.readers.xlsx import Package

_ROW_HEADER, _BLANK, _SST_ITEM, _FONT, _FORMAT, _XF = 0, 1, 19, 43, 44, 47
_SHEET_DATA_END, _WORKBOOK_PROPERTIES, _SHEET, _CELL_XFS, _CELL_XFS_END = 146, 153, 156, 617, 618
_RK, _ERROR, _BOOL, _REAL, _TEXT, _SHARED, _RICH = range(2, 9)
# The same for formulas, whose results these are.
_FORMULAS = {8: _TEXT, 9: _REAL, 10: _BOOL, 11: _ERROR}
# Cells that do not name their column: they stand beside the one before.
_SHORT = {12: _BLANK, 13: _RK, 14: _ERROR, 15: _BOOL, 16: _REAL, 17: _TEXT, 18: _SHARED}
_RICH_TEXT = 62
_GETTING_DATA = 0x2B
_HIDDEN_ROW, _STRIKEOUT, _DATES_1904 = 0x10, 0x08, 0x01


class Xlsb:
    """An .xlsb workbook."""

    file_type = "binary Excel workbook (.xlsb)"

    def __init__(self, archive: zipfile.ZipFile) -> None:
        """Raises DamagedWorkbook."""
        self._archive, self._package = archive, Package(archive)
        related = self._package.related("xl/workbook.bin")
        parts = dict(related.values())
        listed: list[tuple[str, bool, str]] = []
        self._mac_dates = False
        for record, data in self._records("xl/workbook.bin"):
            if record == _SHEET:
                (state,) = struct.unpack_from("<I", data)
                link, end = _text(data, 8)
                listed.append((_text(data, end)[0], state == 0, link))
            elif record == _WORKBOOK_PROPERTIES:
                self._mac_dates = bool(data[0] & _DATES_1904)
        tables = [(name, visible, *related[link]) for name, visible, link in listed if link in related]
        self.sheets: Sequence[tuple[str, bool]] = [
            (name, visible) for name, visible, kind, _ in tables if kind == "worksheet"
        ]
        self._targets = {name: target for name, _, kind, target in tables if kind == "worksheet"}
        self._shared = [
            _text(data, 1)[0]
            for record, data in self._records(parts.get("sharedStrings", ""))
            if record == _SST_ITEM
        ]
        self._styles = self._cell_styles(parts.get("styles", ""))

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """The rows of a sheet that have cells, from the top. Raises DamagedWorkbook."""
        row, column = None, -1
        for record, data in self._records(self._targets[sheet]):
            if record == _ROW_HEADER:
                if row is not None:
                    yield row
                (number,) = struct.unpack_from("<I", data)
                if number >= LAST_ROW:
                    raise DamagedWorkbook(f"a row with the number {number + 1}")
                row, column = SheetRow(number + 1, hidden=bool(data[11] & _HIDDEN_ROW)), -1
            elif record == _SHEET_DATA_END:
                break
            elif row is not None and (record <= max(_SHORT) or record == _RICH_TEXT):
                column = column + 1 if record in _SHORT else struct.unpack_from("<I", data)[0]
                self._put(row, column, record, data[0 if record in _SHORT else 4 :])
        if row is not None:
            yield row

    def close(self) -> None:
        """Release the archive."""
        self._archive.close()

    def _put(self, row: SheetRow, column: int, record: int, data: bytes) -> None:
        """One cell. ``data``: its style (24 bits), some flags, and the value."""
        style = int.from_bytes(data[:3], "little")
        number_format, struck = self._styles[style] if style < len(self._styles) else ("General", False)
        kind = _SHORT.get(record, _FORMULAS.get(record, record))
        if kind == _BLANK:
            return
        if record == _RICH_TEXT:
            text, cell = _text(data, 5)[0], CellKind.TEXT
        elif kind == _TEXT:
            text, cell = _text(data, 4)[0], CellKind.TEXT
        elif kind == _SHARED:
            text, cell = self._shared_string(struct.unpack_from("<I", data, 4)[0]), CellKind.TEXT
        elif kind == _ERROR:
            text, cell = _error(data[4]), CellKind.ERROR
        elif kind == _BOOL:
            text, cell = ("TRUE" if data[4] else "FALSE"), CellKind.VALUE
        else:
            value = _rk(data[4:8]) if kind == _RK else struct.unpack_from("<d", data, 4)[0]
            text, cell = number_text(value, number_format, mac_dates=self._mac_dates), CellKind.VALUE
        row.struck = row.struck or struck
        if text or record in _FORMULAS:
            row.put(column, text, cell, formula=record in _FORMULAS)

    def _shared_string(self, number: int) -> str:
        if number >= len(self._shared):
            raise DamagedWorkbook("a cell refers to a shared string that does not exist")
        return self._shared[number]

    def _cell_styles(self, part: str) -> list[tuple[str, bool]]:
        """By style number: the number format, and whether the font is struck through."""
        formats, fonts, styles, inside = dict(BUILTIN_FORMATS), [], [], False
        for record, data in self._records(part):
            if record == _FORMAT:
                formats[struct.unpack_from("<H", data)[0]] = _text(data, 2)[0]
            elif record == _FONT:
                fonts.append(bool(data[2] & _STRIKEOUT))
            elif record in {_CELL_XFS, _CELL_XFS_END}:
                inside = record == _CELL_XFS
            elif record == _XF and inside:
                number_format, font = struct.unpack_from("<HH", data, 2)
                struck = font < len(fonts) and fonts[font]
                styles.append((formats.get(number_format, "General"), struck))
        return styles

    def _records(self, part: str) -> Iterator[tuple[int, bytes]]:
        """The records of a part, which need not exist: number and content."""
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
    """A number in bytes of seven bits, the lowest first; and where it ends."""
    number = 0
    for i in range(most):
        byte = content[at + i]
        number |= (byte & 0x7F) << 7 * i
        if not byte & 0x80:
            return number, at + i + 1
    return number, at + most


def _text(data: bytes, at: int) -> tuple[str, int]:
    """An XLWideString; and where it ends. The length of a missing one is 0xFFFFFFFF."""
    (length,) = struct.unpack_from("<I", data, at)
    if length == 0xFFFFFFFF:
        return "", at + 4
    end = at + 4 + 2 * length
    if end > len(data):
        raise DamagedWorkbook("a text is cut off")
    return data[at + 4 : end].decode("utf-16-le", "surrogatepass"), end


def _rk(data: bytes) -> float:
    """An RkNumber: 30 bits of an integer or of a double, perhaps to be divided by a hundred."""
    (bits,) = struct.unpack("<i", data)
    rest = struct.pack("<xxxxi", bits & ~3)
    value = float(bits >> 2) if bits & 2 else float(struct.unpack("<d", rest)[0])
    return value / 100 if bits & 1 else value


def _error(code: int) -> str:
    return "#GETTING_DATA" if code == _GETTING_DATA else error_text_from_code.get(code, "#ERROR!")
