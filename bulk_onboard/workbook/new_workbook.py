"""New workbooks: the rows of a file, in which what was text is text; and an empty one to fill in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.chunk import CellKind, Chunk
from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.errors import UsageError
from bulk_onboard.workbook.save import save
from bulk_onboard.workbook.styles import (
    BOLD,
    HEADER_FILL,
    TEXT,
    TITLE,
    WRAPPED,
    comment,
    escaped,
    fit_page,
    heighten,
)

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


# --- to fill in ----------------------------------------------------------------------------------------

SHEET, HELP = "Growers", "How to fill in"
# Rows with cells of their own; a program that ignores the columns' format keeps digits at least in these.
PREPARED = 3_000
_WIDTH, _HELP_WIDTH = 42, 100


def write_template(out: BinaryIO, provider: Provider, columns: Sequence[Field]) -> None:
    """Write the workbook; its cells hold only the header."""
    book = Workbook()
    sheet = book.active
    sheet.title = SHEET
    for number, column in enumerate(columns, 1):
        _add_column(sheet, number, column, provider)
    fit_page(sheet)
    sheet.freeze_panes = "A2"
    _add_help(book.create_sheet(HELP), provider, columns)
    save(book, out)


def _add_column(sheet: Worksheet, number: int, column: Field, provider: Provider) -> None:
    letter = get_column_letter(number)
    head = sheet.cell(1, number, column.name)
    head.font, head.fill, head.number_format = BOLD, HEADER_FILL, TEXT
    head.comment = comment("\n".join(provider.instructions(column)))
    dimension = sheet.column_dimensions[letter]
    dimension.width, dimension.number_format = _WIDTH, TEXT
    for row in range(2, PREPARED + 2):
        sheet.cell(row, number).number_format = TEXT
    if column.allowed:
        choices = DataValidation("list", formula1=f'"{",".join(column.allowed)}"', allow_blank=True)
        choices.error, choices.errorTitle = f"One of {', '.join(column.allowed)}", column.name
        sheet.add_data_validation(choices)
        choices.add(f"{letter}2:{letter}{ROWS}")


def _add_help(page: Worksheet, provider: Provider, columns: Sequence[Field]) -> None:
    """Add the same help to read at once, print or see on a telephone, where comments are hidden."""
    page.cell(1, 1, f"Growers to connect with {provider.title}").font = TITLE
    names = {column.name for column in columns}
    settings = [provider.setting(field) for field in provider.app_fields if field.name not in names]
    lines = [
        f"One grower per row on the sheet {SHEET}, below the header. All cells are text: paste values only.",
        *(f"{column.name}: {' '.join(provider.instructions(column))}" for column in columns),
        *([f"The same for every grower, and so a setting: {', '.join(settings)}"] if settings else []),
        f"Then check it: bulk-onboard validate FILE --provider {provider.name}",
    ]
    for row, line in enumerate(lines, 3):
        page.cell(row, 1, line).alignment = WRAPPED
        heighten(page, row, 1 + len(line) // _HELP_WIDTH)
    page.column_dimensions["A"].width = _HELP_WIDTH
    fit_page(page)
