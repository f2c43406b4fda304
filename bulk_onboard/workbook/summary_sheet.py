"""The first sheet: what was found, by problem, with links to the first rows of each, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl import Workbook
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.input_description import describe
from bulk_onboard.domain.run_events import Cause
from bulk_onboard.validation.cell_marks import NOTES_PER_PROBLEM, SUMMARY_MARK, Gravity, Marks
from bulk_onboard.validation.findings import FIRST, Validation
from bulk_onboard.workbook.styles import (
    BOLD,
    FILLS,
    LINK,
    MIDDLE,
    TITLE,
    TOP,
    UNDERLINED,
    WRAPPED,
    escaped,
    fit_page,
    heighten,
)

TITLE_OF_SHEET = "bulk-onboard"
_HEADER = ("Problem", "Rows", "What is wrong", "What to do", "First rows")
_WIDTHS = (28, 9, 46, 50)
_HEAD_HEIGHT = 20

Locate = Callable[[int], tuple[str, int]]
"""The number of a row -> its sheet, and its number there."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """What was written.

    ``missing``: what it lacks of the original, in words; ``commands``: how to check it, and how to run it.
    """

    missing: Sequence[str] = ()
    commands: Sequence[str] = ()


def add_summary(
    book: Workbook, locate: Locate, validation: Validation, marks: Marks, result: Annotated
) -> None:
    """Put the summary in front of all sheets, instead of one that an earlier check put there."""
    for sheet in list(book.worksheets):
        if str(sheet.cell(2, 1).value).startswith(SUMMARY_MARK):
            del book[sheet.title]
    page = book.create_sheet(TITLE_OF_SHEET, 0)
    _text(page, 1, _headline(validation)).font = TITLE
    _text(page, 2, f"{SUMMARY_MARK}; nothing was sent. This sheet is never read as input.")
    if validation.problems or validation.repeats or validation.warnings:
        _add_header(page, 4)
        groups = (validation.problems, validation.repeats, validation.warnings)
        for gravity, causes in zip((Gravity.WRONG, Gravity.REPEAT, Gravity.CLEANED), groups, strict=True):
            for cause in causes:
                _add_cause(page, page.max_row + 1, cause, gravity, locate)
    for lines in (
        list(_closing(validation, marks, result)),
        [f"{label}: {text}" for label, text in describe(validation.description)],
    ):
        for row, line in enumerate(lines, page.max_row + 2):
            _text(page, row, line)
    for column, width in enumerate((*_WIDTHS, *[12] * FIRST), 1):
        page.column_dimensions[get_column_letter(column)].width = width
    page.sheet_view.showGridLines = False
    fit_page(page)
    # Two selected sheets would be edited as one.
    for other in book.worksheets:
        other.sheet_view.tabSelected = other is page
    book.active = 0


def _text(page: Worksheet, row: int, text: str) -> Any:
    cell = page.cell(row, 1, escaped(text))
    cell.data_type = "s"
    return cell


def _add_header(page: Worksheet, row: int) -> None:
    for column in range(1, len(_WIDTHS) + FIRST + 1):
        cell = page.cell(row, column, _HEADER[column - 1] if column <= len(_HEADER) else None)
        cell.font, cell.border, cell.alignment = BOLD, UNDERLINED, MIDDLE if column == 2 else TOP
    page.row_dimensions[row].height = _HEAD_HEIGHT


def _add_cause(page: Worksheet, row: int, cause: Cause, gravity: Gravity, locate: Locate) -> None:
    known = lookup(cause.code)
    meaning, hint = (known.meaning, known.hint) if known else (cause.message, "")
    alignments = (TOP, MIDDLE, WRAPPED, WRAPPED)
    for column, value in enumerate((cause.code, cause.count, meaning, hint), 1):
        page.cell(row, column, value).alignment = alignments[column - 1]
    page.cell(row, 1).fill = FILLS[gravity]
    page.cell(row, 2).number_format = "#,##0"
    for column, number in enumerate(cause.rows, len(_WIDTHS) + 1):
        cell = page.cell(row, column, f"row {number}")
        sheet, own = locate(number)
        cell.hyperlink = Hyperlink(cell.coordinate, location=f"{quote_sheetname(sheet)}!A{own}")
        cell.font, cell.alignment = LINK, TOP
    heighten(page, row, 1 + max(len(meaning), len(hint)) // _WIDTHS[2])


def _headline(validation: Validation) -> str:
    if validation.invalid:
        verb = "needs" if validation.invalid == 1 else "need"
        return (
            f"{validation.source}: {validation.invalid:,} of {validation.rows:,} rows {verb} to be corrected"
        )
    return f"{validation.source}: all of the {validation.rows:,} rows can be sent"


def _closing(validation: Validation, marks: Marks, result: Annotated) -> Iterator[str]:
    """Yield the lines below the table: sums, what the colours mean, what next."""
    yield (
        f"{validation.rows:,} rows: {validation.valid:,} valid, {validation.invalid:,} invalid,"
        f" {validation.duplicates:,} duplicate."
    )
    yield "Red: has to be corrected. Grey: repeats an earlier row, and is sent once. Yellow: fine."
    if validation.invalid:
        yield "Correct the red cells and save; filter by the column `problem` at the end of the rows."
    if marks.shortened:
        codes = ", ".join(marks.shortened)
        yield f"Only the first {NOTES_PER_PROBLEM} rows of {codes} have comments; every row is coloured."
    if result.missing:
        yield f"Unlike the original, this workbook lacks: {'; '.join(result.missing)}."
    labels = ("Then check again", "When every row is valid, onboard")
    for label, command in zip(
        labels if validation.invalid else ("Check", "Onboard"), result.commands, strict=False
    ):
        yield f"{label}: {command}"
