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
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

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


def rewritten(content: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """A workbook one part of which was edited by hand."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    text = parts[part]
    assert isinstance(text, bytes)
    parts[part] = change(text.decode())
    return zipped(parts)


SHEET = "xl/worksheets/sheet1.xml"


def calculated(kind: str, value: str) -> Callable[[], bytes]:
    """A workbook in which the first token is a formula with this stored result."""

    def content() -> bytes:
        book = xlsx(NAMES, (IDS[0], "=A1&1"), *GOOD[2:])
        cell = f'<c r="B2" t="{kind}"><f>A1&amp;1</f><v>{value}</v></c>'
        return rewritten(
            book, SHEET, lambda text: text[: text.index('<c r="B2"')] + cell + after(text, '<c r="B2"')
        )

    return content


def after(text: str, start: str) -> str:
    """What follows the cell that begins so."""
    return text.split(start, 1)[1].split("</c>", 1)[1]


def bomb() -> bytes:
    """A small file that would unpack to gigabytes: its directory says so."""
    content = bytearray(zipped({"xl/workbook.xml": "x", "xl/worksheets/sheet1.xml": bytes(1 << 20)}))
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    return bytes(content)


def real_bomb() -> bytes:
    """A sheet that is 150 MB of spaces."""
    book = xlsx(*GOOD)
    return rewritten(
        book, SHEET, lambda text: text.replace("</sheetData>", " " * 150_000_000 + "</sheetData>")
    )


def only_hidden() -> bytes:
    """openpyxl refuses to write one, so the sheets are hidden afterwards."""
    return rewritten(
        xlsx(*GOOD), "xl/workbook.xml", lambda text: text.replace('state="visible"', 'state="hidden"')
    )


def hidden_first(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    other = book.create_sheet("Old", 0)
    fill(other, [NAMES, ("x", "y")])
    other.sheet_state = "hidden"


def notes_first(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    fill(book.create_sheet("Read me", 0), [("Please fill in",), ("the second sheet",)])


def empty_first(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    book.create_sheet("Empty", 0)


def chart_first(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    chart = BarChart()
    chart.add_data(Reference(sheet, min_col=1, min_row=1, max_row=3))
    book.create_chartsheet("Chart", 0).add_chart(chart)


def only_chart() -> bytes:
    """A workbook without a table."""
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    book.create_chartsheet("Chart")
    return packed(book)


def put(sheet: Worksheet, row: int, column: int) -> None:
    """A stray cell."""
    sheet.cell(row, column).value = "x"


def embolden(sheet: Worksheet, row: int, column: int) -> None:
    """A cell with a format and nothing in it."""
    sheet.cell(row, column).font = Font(bold=True)


def encrypted_ods() -> bytes:
    """As LibreOffice writes it: the manifest tells of the encryption."""
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": b"\x00\x01garbage",
            "META-INF/manifest.xml": "<manifest><manifest:encryption-data/></manifest>",
        }
    )


def document() -> bytes:
    """A text document of LibreOffice."""
    file = io.BytesIO()
    OpenDocumentText().write(file)
    return file.getvalue()


def beside(book: openpyxl.Workbook, sheet: Worksheet) -> None:
    sheet["H1"], sheet["H3"] = "a note", "another"


XLSX = [
    fine("growers.xlsx", data(lambda: xlsx(*GOOD))),
    fine("growers.xls", data(lambda: xls(GOOD))),
    fine("growers.ods", data(lambda: ods(GOOD))),
    fine("xlsx.csv", data(lambda: xlsx(*GOOD)), note="a workbook named .csv"),
    fine("xlsx.xls", data(lambda: xlsx(*GOOD)), note="a new workbook with an old name"),
    fine("xls.xlsx", data(lambda: xls(GOOD)), note="an old workbook with a new name"),
    fine("growers.bak", data(lambda: xlsx(*GOOD)), note="a workbook of any name"),
    faulty(
        "numbers.xlsx",
        data(lambda: xlsx(NAMES, (123456789012345678, "a"), (1.5, "b"), (True, "c"), (IDS[3], 12345))),
        numeric_cell=[2, 3, 4, 5],
    ),
    faulty(
        "dates.xlsx",
        data(lambda: xlsx(NAMES, (datetime.date(2026, 1, 2), "a"), (IDS[1], datetime.time(3, 4)))),
        numeric_cell=[2, 3],
    ),
    faulty("numbers.xls", data(lambda: xls([NAMES, (12345.0, "a"), (IDS[1], True)])), numeric_cell=[2, 3]),
    faulty("numbers.ods", data(lambda: ods([NAMES, (12345, "a"), (IDS[1], 7.5)])), numeric_cell=[2, 3]),
    faulty(
        "errors.xlsx",
        data(lambda: xlsx(NAMES, (IDS[0], "#REF!"), ("#N/A", "b"), (IDS[2], "#DIV/0!"), (IDS[3], "c"))),
        formula_error=[2, 3, 4],
    ),
    faulty("cached-error.xlsx", data(calculated("e", "#VALUE!")), formula_error=[2]),
    fine("cached-text.xlsx", data(calculated("str", token(0))), note="formula with its result"),
    faulty("uncached.xlsx", data(lambda: xlsx(NAMES, (IDS[0], "=A1&1"), *GOOD[2:])),
           note="formula without its result", formula_without_value=[2]),
    faulty("merged.xlsx", changed(lambda _, sheet: sheet.merge_cells("B2:B3")), missing_refreshToken=[3]),
    faulty("blanks.xlsx", data(lambda: xlsx(NAMES, (), GOOD[1], (), (" ", None), ("bad", "w"))),
           bad_leaf_user_id=[6], rows=2),
    faulty("titles.xlsx", data(lambda: xlsx(("Growers 2026",), (), *GOOD, ("bad", "w"))),
           bad_leaf_user_id=[7]),
    faulty("lines.xlsx", data(lambda: xlsx(NAMES, (IDS[0], "a\nb"), ("bad", "w"))), control_character=[2],
           bad_leaf_user_id=[3]),
    fine("beside.xlsx", changed(beside), note="notes beside the table"),
    fine("hidden-first.xlsx", changed(hidden_first)),
    fine("notes-first.xlsx", changed(notes_first)),
    fine("empty-first.xlsx", changed(empty_first)),
    fine("chart-first.xlsx", changed(chart_first)),
    fine("named-sheet.xlsx", changed(empty_first), options=("--sheet", "sheet")),
    refused("only-hidden.xlsx", data(only_hidden), "no visible sheet", "--sheet"),
    fine("hidden-asked.xlsx", data(only_hidden), options=("--sheet", "Sheet1")),
    refused("only-chart.xlsx", data(only_chart), "no visible sheet"),
    refused("wrong-sheet.xlsx", changed(notes_first), "no sheet 'Growers'", "'Read me', 'Sheet'",
            options=("--sheet", "Growers")),
    refused("asked-empty.xlsx", changed(empty_first), "no content in 'Empty'", options=("--sheet", "Empty")),
    refused("nothing.xlsx", data(lambda: packed(openpyxl.Workbook())), "no content in 'Sheet'", "header"),
    refused("header-only.xlsx", data(lambda: xlsx(NAMES)), "header but no rows"),
    refused("header-only.ods", data(lambda: ods([NAMES])), "header but no rows"),
    refused("no-header.xlsx", data(lambda: xlsx(*GOOD[1:])), "has no header", "leafUserId, refreshToken"),
    refused("near-miss.xlsx", data(lambda: xlsx(("Leaf ID", "Refresh Tokens"), *GOOD[1:])),
            "--map 'leafUserId=Leaf ID' --map 'refreshToken=Refresh Tokens'"),
]  # fmt: skip

DAMAGED = [
    refused("cut.xlsx", data(lambda: xlsx(*GOOD)[:-300]), "damaged or cut off"),
    refused("half.xlsx", data(lambda: xlsx(*GOOD)[:2000]), "damaged or cut off"),
    refused("begun.xlsx", data(b"PK\x03\x04"), "damaged or cut off"),
    refused("flipped.xlsx", data(lambda: rewritten(xlsx(*GOOD), SHEET, lambda text: text[:200])), "damaged"),
    refused("no-sheet.xlsx", data(lambda: zipped({"xl/workbook.xml": "<workbook/>"})), "damaged"),
    refused("no-xml.xlsx", data(lambda: zipped({"xl/workbook.xml": b"\xff\x00<"})), "damaged"),
    refused("cut.xls", data(lambda: xls(GOOD)[:2000]), "an old Office file without a workbook"),
    refused("cut-later.xls", data(lambda: xls(GOOD * 99)[:-3000]), "or cut off"),
    refused("cut.ods", data(lambda: ods(GOOD)[:-200]), "damaged or cut off"),
    refused("empty.zip", data(lambda: zipped({})), "ZIP archive"),
    fine("growers.zip", data(lambda: zipped({"growers.csv": HEADER + good()}))),
    fine("zip.xlsx", data(lambda: zipped({"growers.csv": HEADER + good()})), note="with a CSV in it"),
    refused(
        "letter.docx",
        data(lambda: zipped({"[Content_Types].xml": "<Types/>", "word/document.xml": "<w/>"})),
        "is a Word document; copy the table",
    ),
    refused("letter.odt", data(document), "is an Office document"),
    refused("bomb.xlsx", data(bomb), "would unpack to", "save it as CSV"),
    refused("real-bomb.xlsx", data(real_bomb), "would unpack to 143 MiB"),
    faulty(
        "far.xlsx",
        changed(lambda _, sheet: put(sheet, 1 << 20, 1 << 14)),
        missing_leafUserId=[1 << 20],
        missing_refreshToken=[1 << 20],
    ),
    fine("far-format.xlsx", changed(lambda _, sheet: embolden(sheet, 1 << 20, 1 << 14)), note="only bold"),
    faulty(
        "bottom.xlsx",
        changed(lambda _, sheet: put(sheet, 50_000, 3)),
        missing_leafUserId=[50_000],
        missing_refreshToken=[50_000],
    ),
    refused("locked.ods", data(encrypted_ods), "is encrypted; save the workbook without a password"),
    refused(
        "locked.xlsx",
        data(OLE + bytes(2000) + "EncryptedPackage".encode("utf-16-le") + bytes(2000)),
        "is encrypted; save the workbook without a password",
    ),
    refused("letter.doc", data(OLE + bytes(2000) + "WordDocument".encode("utf-16-le")), "is a Word document"),
    refused("ole.xls", data(OLE + bytes(600) + "Workbook".encode("utf-16-le") + bytes(600)), "damaged"),
    refused("ole-cut.xls", data(OLE), "old Office file"),
]

CASES: list[Case] = [*XLSX, *DAMAGED]
