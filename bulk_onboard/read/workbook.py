"""Workbooks through calamine. They cannot be read in pieces, so the one sheet is held in memory."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd
import python_calamine as calamine

from bulk_onboard.chunk import Chunk
from bulk_onboard.errors import InputError
from bulk_onboard.header import LEAF_USER_ID, normal
from bulk_onboard.read.cells import as_text, text_column
from bulk_onboard.read.dialect import HEADER_WITHIN, header_at

Cells = list[list[Any]]
# calamine shows a cell with a formula's error as an empty one; in the sheet's XML it is told apart.
_ERROR_CELL = re.compile(
    rb'<c\b(?=[^>]*\bt="e")[^>]*\br="([A-Z]+)([0-9]+)"[^>]*>.*?<v>([^<]*)</v>', re.DOTALL
)


class Workbook:
    """One sheet of a workbook: the one that is named, else the first visible one with a column leafUserId."""

    def __init__(self, name: str, file: BinaryIO, sheet: str | None) -> None:
        """Raises InputError if it cannot be opened, or there is no such sheet."""
        self.name = name
        self._file = file
        try:
            book = calamine.load_workbook(file)
            self._sheet = _chosen(name, book, sheet)
            self._rows = _rows(book, self._sheet)
        except calamine.PasswordError:
            raise InputError(f"{name} is protected by a password; save it without one") from None
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise InputError(f"{name} cannot be opened as a workbook: {_line(error)}") from None
        _put_errors(file, book, self._sheet, self._rows)
        self.header, self._header_row = self._find_header()
        self.description = f"sheet {self._sheet!r} of a workbook"

    def _find_header(self) -> tuple[tuple[str, ...], int]:
        top = [[as_text(cell) for cell in row] for row in self._rows[:HEADER_WITHIN]]
        if not any(any(cell.strip() for cell in row) for row in top):
            raise InputError(f"{self.name}: the sheet {self._sheet!r} is empty")
        at = header_at(top)
        return tuple(cell.strip() for cell in top[at]), at + 1

    def chunks(self, columns: Sequence[int], size: int = 50_000) -> Iterator[Chunk]:
        """See `Source`."""
        for start in range(self._header_row, len(self._rows), size):
            part = self._rows[start : start + size]
            full = [i for i, row in enumerate(part) if any(as_text(cell).strip() for cell in row)]
            found = [text_column([part[i][j] for i in full]) for j in columns]
            cells = pd.DataFrame({j: texts for j, (texts, _) in enumerate(found)}, index=range(len(full)))
            not_text = np.array([flags for _, flags in found], bool).reshape(len(columns), len(full)).T
            numbers = np.array(full, np.int64) + start + 1
            yield Chunk(numbers, cells, not_text, np.zeros(len(full), bool))

    def changed(self) -> bool:
        """See `Source`: it is in memory."""
        return False

    def close(self) -> None:
        """See `Source`."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _chosen(name: str, book: calamine.CalamineWorkbook, sheet: str | None) -> str:
    names = [meta.name for meta in book.sheets_metadata if meta.typ == calamine.SheetTypeEnum.WorkSheet]
    if sheet is not None:
        if sheet not in names:
            raise InputError(f"{name} has no sheet {sheet!r}; it has {', '.join(map(repr, names))}")
        return sheet
    shown = [
        meta.name
        for meta in book.sheets_metadata
        if meta.name in names and meta.visible == calamine.SheetVisibleEnum.Visible
    ]
    if not shown:
        raise InputError(f"{name} has no visible sheet; name one with --sheet: {', '.join(map(repr, names))}")
    return next((one for one in shown if _has_growers(_rows(book, one)[:HEADER_WITHIN])), shown[0])


def _rows(book: calamine.CalamineWorkbook, sheet: str) -> Cells:
    return book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)


def _has_growers(rows: Cells) -> bool:
    return any(normal(as_text(cell)) == normal(LEAF_USER_ID) for row in rows for cell in row)


def _put_errors(file: BinaryIO, book: calamine.CalamineWorkbook, sheet: str, rows: Cells) -> None:
    """Formula errors of an .xlsx sheet, put where calamine has empty cells."""
    try:
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            content = _sheet_xml(archive, book.sheet_names.index(sheet))
    except (zipfile.BadZipFile, KeyError, OSError):
        return  # .xls and .ods: there the cell stays empty, and the row is found to lack its value
    for column, row, error in _ERROR_CELL.findall(content):
        i, j = int(row) - 1, _position(column.decode())
        if i < len(rows) and j < len(rows[i]):
            rows[i][j] = error.decode()


def _sheet_xml(archive: zipfile.ZipFile, index: int) -> bytes:
    """The XML of the sheet at this place in the workbook (ECMA-376 part 1, §18.2.19)."""
    book = archive.read("xl/workbook.xml")
    ids = re.findall(rb"<(?:\w+:)?sheet\b[^>]*\br:id=\"([^\"]+)\"", book)
    for relation in re.findall(rb"<Relationship\b[^>]*>", archive.read("xl/_rels/workbook.xml.rels")):
        if index < len(ids) and b'Id="%s"' % ids[index] in relation:
            target = re.search(rb'Target="([^"]+)"', relation)
            path = target.group(1).decode() if target else ""
            return archive.read(path[1:] if path.startswith("/") else f"xl/{path}")
    return b""


def _position(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
