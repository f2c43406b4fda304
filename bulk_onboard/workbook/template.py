"""An empty workbook to fill in: the columns of a provider, with help where it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from openpyxl import Workbook
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.providers import Field, Provider
from bulk_onboard.workbook.new_workbook import ROWS
from bulk_onboard.workbook.save import save
from bulk_onboard.workbook.styles import BOLD, HEADER_FILL, TEXT, TITLE, WRAPPED, comment, fit_page, heighten

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
