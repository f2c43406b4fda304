"""Broken workbooks."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import openpyxl
import xlwt
from odf.opendocument import OpenDocumentSpreadsheet, OpenDocumentText
from odf.table import Table, TableCell, TableRow
from odf.text import P
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import Font
from openpyxl.worksheet.worksheet import Worksheet

from tests.readers.bad_input.case import HEADER, IDS, Case, Make, data, faulty, fine, good, refused, token

NAMES = ("leafUserId", "refreshToken")
GOOD = [NAMES, *((IDS[n], token(n)) for n in range(3))]

Row = Sequence[Any]


def xlsx(*rows: Row, **sheets: list[Row]) -> bytes:
    """One sheet of these rows, then others by name."""
    book = openpyxl.Workbook()
    for name, content in (({"Sheet1": list(rows)} if rows else {}) | sheets).items():
        fill(book.create_sheet(name), content)
    del book["Sheet"]
    return packed(book)


def fill(sheet: Worksheet, rows: Sequence[Row]) -> None:
    """Put rows into a sheet."""
    for row in rows:
        sheet.append(list(row))


def packed(book: openpyxl.Workbook) -> bytes:
    """The workbook as a file."""
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def changed(change: Callable[[openpyxl.Workbook, Worksheet], object], rows: Sequence[Row] = GOOD) -> Make:
    """A good workbook in which something was done."""

    def content() -> bytes:
        book = openpyxl.Workbook()
        sheet = book.active
        assert isinstance(sheet, Worksheet)
        fill(sheet, rows)
        change(book, sheet)
        return packed(book)

    return data(content)


def xls(rows: Sequence[Row]) -> bytes:
    """The same in the old format."""
    book = xlwt.Workbook()
    sheet = book.add_sheet("Growers")
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            sheet.write(i, j, value)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def ods(rows: Sequence[Row]) -> bytes:
    """The same for LibreOffice; a number is a number, an error begins with #."""
    book = OpenDocumentSpreadsheet()
    table = Table(name="Growers")
    book.spreadsheet.addElement(table)
    for row in rows:
        line = TableRow()
        table.addElement(line)
        for value in row:
            line.addElement(_ods_cell(value))
    file = io.BytesIO()
    book.write(file)
    return file.getvalue()


def _ods_cell(value: Any) -> Any:
    if isinstance(value, int | float):
        cell = TableCell(valuetype="float", value=value)
    else:
        cell = TableCell(valuetype="string")
    cell.addElement(P(text=str(value)))
    return cell


def zipped(parts: dict[str, bytes | str], mode: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", mode) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def put(sheet: Worksheet, row: int, column: int) -> None:
    """A stray cell."""
    sheet.cell(row, column).value = "x"
