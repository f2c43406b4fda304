"""Tables of text, written in every form that can be read."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import re
from collections.abc import Callable, Sequence
from itertools import chain

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt
from hypothesis import strategies as st
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableCell, TableRow
from odf.text import P, S, Tab
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.chunk import Chunk, Source
from bulk_onboard.readers.inputs import open_source

Rows = list[tuple[str, ...]]

# The last one, in Windows-1252, is not UTF-8.
HEADER = ("leafUserId", "refreshToken", "Größe des Hofs in Hektar")
# What others take for a number, a date, a formula or nothing at all.
TREACHEROUS = [
    "NA", "N/A", "#N/A", "null", "NULL", "None", "nan", "NaN", "inf", "-inf", "TRUE", "false", "007", "1e10",
    "1E+17", "-0", "0.10", "1,5", "1_000", "+49 30", "2026-01-02", "12:30", "1/2", "=1+1", "@x", "'x", " x ",
    "\tx", "x\n", "a\nb", '"', '""', 'a"b', "é", "漢字", "🌱", "x" * 300, "٣", "½", ";", ",", "|", "\\",
    "\\N", "123456789012345678901234567890", "0x1F", "1.0", "sep=;",
]  # fmt: skip

Writer = Callable[[Sequence[Sequence[str]]], bytes]


def cells(*, alphabet: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[str]:
    """A cell: treacherous, empty or anything."""
    letters = alphabet or st.characters(exclude_categories=("Cs", "Cc", "Cn"), include_characters="\n\t")
    return st.one_of(st.sampled_from(TREACHEROUS), st.just(""), st.text(letters, max_size=12))


def tables(cell: st.SearchStrategy[str] | None = None, *, most: int = 12) -> st.SearchStrategy[Rows]:
    """Rows as wide as the header, of which the first is not blank."""
    one = cells() if cell is None else cell
    row = st.tuples(one, one, one)
    return st.lists(row, min_size=1, max_size=most).filter(lambda rows: any(map(filled, rows)))


def filled(row: Sequence[str]) -> bool:
    """Whether a spreadsheet would show anything in the row."""
    return any(cell and not cell.isspace() for cell in row)


def numbered(rows: Rows) -> list[tuple[int, tuple[str, ...]]]:
    """What has to be read: the rows that are not blank, with the numbers a spreadsheet shows."""
    return [(number, row) for number, row in enumerate(rows, 2) if filled(row)]


def opened(content: bytes) -> Source:
    """These bytes as a source."""
    return open_source("-", stdin=io.BytesIO(content))


def read(content: bytes, columns: Sequence[int] = (0, 1, 2), size: int = 50_000) -> list[Chunk]:
    """These bytes, read."""
    with opened(content) as source:
        return list(source.chunks(columns, size))


def as_rows(chunks: Sequence[Chunk]) -> list[tuple[int, tuple[str, ...]]]:
    """Chunks as rows with their numbers."""
    lines = chain.from_iterable(zip(c.numbers, c.cells.itertuples(index=False), strict=True) for c in chunks)
    return [(int(number), tuple(row)) for number, row in lines]


# --- writing ----------------------------------------------------------------------------------------

COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
}


def as_csv(
    rows: Sequence[Sequence[str]],
    *,
    delimiter: str = ",",
    end: str = "\n",
    encoding: str = "utf-8",
    quoting: int = csv.QUOTE_MINIMAL,
) -> bytes:
    """A CSV file."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def as_parquet(rows: Sequence[Sequence[str]]) -> bytes:
    """A Parquet file of small row groups."""
    header, *below = rows
    columns = {name: [row[i] for row in below] for i, name in enumerate(header)}
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, row_group_size=5)
    return file.getvalue()


def as_xlsx(rows: Sequence[Sequence[str]]) -> bytes:
    """A workbook in which all cells are text."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    for i, row in enumerate(rows, 1):
        for j, text in enumerate(row, 1):
            if text:
                cell = sheet.cell(i, j, text)
                cell.data_type = "s"
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_xls(rows: Sequence[Sequence[str]]) -> bytes:
    """A workbook of the old kind."""
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet("Growers")
    for i, row in enumerate(rows):
        for j, text in enumerate(row):
            sheet.write(i, j, text)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def as_ods(rows: Sequence[Sequence[str]]) -> bytes:
    """A spreadsheet of LibreOffice, a paragraph for every line of a cell."""
    book = OpenDocumentSpreadsheet()
    table = Table(name="Growers")
    book.spreadsheet.addElement(table)
    for row in rows:
        line = TableRow()
        table.addElement(line)
        for text in row:
            cell = TableCell(valuetype="string") if text else TableCell()
            for part in text.split("\n") if text else ():
                paragraph = P()
                # Spaces at the ends, and all but the first of several, count only as elements.
                for piece in re.split("([ \t])", part):
                    if piece in {" ", "\t"}:
                        paragraph.addElement(S(c=1) if piece == " " else Tab())
                    else:
                        paragraph.addText(piece)
                cell.addElement(paragraph)
            line.addElement(cell)
    file = io.BytesIO()
    book.write(file)
    return file.getvalue()
