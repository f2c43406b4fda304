"""A new workbook in which what was text is text, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.chunk import CellKind, Chunk
from bulk_onboard.errors import UsageError
from bulk_onboard.workbook.styles import BOLD, HEADER_FILL, TEXT, WRAPPED, escaped, fit_page, heighten

ROWS, COLUMNS, LONGEST = 1_048_576, 16_384, 32_767
_NARROW, _WIDE, _LINES = 10, 44, 5
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


@dataclass(slots=True)
class NewWorkbook:
    """The workbook, its sheet, the row of the header, and how many cells were too long for a sheet."""

    book: Workbook
    sheet: Worksheet
    header_row: int = 0
    cut: int = 0

    def put_text(self, row: int, column: int, text: str) -> Any:
        """Write a text cell, whatever the text looks like. ``column``: from 0."""
        if len(text) > LONGEST:
            text, self.cut = text[:LONGEST], self.cut + 1
        cell = self.sheet.cell(row, column + 1)
        cell.number_format = TEXT
        if text:
            # openpyxl takes "=…" for a formula and "#N/A" for an error.
            cell.value, cell.data_type = escaped(text), "s"
        if "\n" in text:
            cell.alignment = WRAPPED
            heighten(self.sheet, row, min(text.count("\n") + 1, _LINES))
        return cell

    def put_value(self, row: int, column: int, text: str) -> None:
        """Write a value that the next check must see as such; "" means a formula without a result."""
        cell = self.sheet.cell(row, column + 1)
        if not text:
            cell.value = "=NA()"
        elif text in {"TRUE", "FALSE"}:
            cell.value = text == "TRUE"
        elif _NUMBER.fullmatch(text):
            cell.value, cell.data_type = text, "n"
        else:
            try:
                cell.value = datetime.fromisoformat(text)
            except ValueError:  # a time of day or a duration
                self.put_text(row, column, text)


def new_workbook(header: Sequence[str], fields: Collection[int], chunks: Iterator[Chunk]) -> NewWorkbook:
    """Return a workbook with each row at its own number.

    ``fields``: columns that get a text cell even if empty. Raises UsageError if there is more than a sheet
    can hold.
    """
    book = Workbook()
    new, widths = NewWorkbook(book, book.active), [len(name) for name in header]
    new.sheet.title = "Growers"
    if len(header) + 2 > COLUMNS:
        raise UsageError(f"a sheet holds {COLUMNS:,} columns, but the file has {len(header):,}")
    for chunk in chunks:
        numbers = chunk.numbers.tolist()
        if numbers and numbers[-1] > ROWS:
            raise UsageError(f"a sheet holds {ROWS:,} rows, but the file has more; see problems.csv instead")
        new.header_row = new.header_row or max(1, numbers[0] - 1)
        for column in range(len(header)):
            texts, kinds = chunk.cells[column].tolist(), chunk.kinds[:, column].tolist()
            widths[column] = max(widths[column], max(map(len, texts[:100]), default=0))
            for number, text, kind in zip(numbers, texts, kinds, strict=True):
                if kind in {CellKind.VALUE, CellKind.FORMULA}:
                    new.put_value(number, column, text)
                elif text or column in fields:
                    new.put_text(number, column, text)
    for column, (name, width) in enumerate(zip(header, widths, strict=True)):
        cell = new.put_text(new.header_row, column, name)
        cell.font, cell.fill = BOLD, HEADER_FILL
        dimension = new.sheet.column_dimensions[get_column_letter(column + 1)]
        dimension.width, dimension.number_format = min(max(width + 2, _NARROW), _WIDE), TEXT
    fit_page(new.sheet)
    new.sheet.freeze_panes = new.sheet.cell(new.header_row + 1, 1)
    return new
