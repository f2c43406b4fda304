"""The first sheet: what was found, by problem, with links to the first rows of each, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openpyxl import Workbook
from openpyxl.utils import get_column_letter, quote_sheetname
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.worksheet import Worksheet

from bulk_onboard.domain.codes import lookup
from bulk_onboard.domain.input_description import described
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
    UNDER,
    WRAPPED,
    escaped,
    fit_page,
    heighten,
)

TITLE_OF_SHEET = "bulk-onboard"
_HEADER = ("Problem", "Rows", "What is wrong", "What to do", "First rows")
_WIDTHS = (28, 9, 46, 50)
_HEAD_HEIGHT, _LETTERS = 20, 46


@dataclass(frozen=True, slots=True)
class Annotated:
    """What was written.

    ``missing``: what it lacks of the original, in words; ``commands``: how to check it, and how to run it.
    """

    missing: Sequence[str] = ()
    commands: Sequence[str] = ()


def add_summary(
    book: Workbook,
    locate: Callable[[int], tuple[str, int]],
    validation: Validation,
    marks: Marks,
    result: Annotated,
) -> None:
    """Put the summary in front of all sheets, instead of one that an earlier check put there.

    ``locate``: the sheet of a row, and its number there.
    """
    for sheet in list(book.worksheets):
        if str(sheet.cell(2, 1).value).startswith(SUMMARY_MARK):
            del book[sheet.title]
    page = book.create_sheet(TITLE_OF_SHEET, 0)
    _Page(page, locate).write(
        validation, [*closing(validation, marks, result.missing), *_next(validation, result.commands)]
    )
    # Two selected sheets would be edited as one.
    for other in book.worksheets:
        other.sheet_view.tabSelected = other is page
    book.active = 0


class _Page:
    def __init__(self, page: Worksheet, locate: Callable[[int], tuple[str, int]]) -> None:
        self._page, self._locate, self._at = page, locate, 1

    def write(self, validation: Validation, closing: Sequence[str]) -> None:
        self._line(headline(validation)).font = TITLE
        self._line(f"{SUMMARY_MARK}; nothing was sent. This sheet is never read as input.")
        self._at += 1
        if validation.problems or validation.repeats or validation.warnings:
            self._head()
            for gravity, causes in _groups(validation):
                for cause in causes:
                    self._cause(cause, FILLS[gravity])
            self._at += 1
        for line in closing:
            self._line(line)
        self._at += 1
        for label, text in described(validation.description):
            self._line(f"{label}: {text}")
        self._set_up()

    def _line(self, text: str) -> Any:
        cell = self._page.cell(self._at, 1, escaped(text))
        cell.data_type = "s"
        self._at += 1
        return cell

    def _head(self) -> None:
        for at in range(1, len(_WIDTHS) + FIRST + 1):
            cell = self._page.cell(self._at, at, _HEADER[at - 1] if at <= len(_HEADER) else None)
            cell.font, cell.border, cell.alignment = BOLD, UNDER, MIDDLE if at == 2 else TOP
        self._page.row_dimensions[self._at].height = _HEAD_HEIGHT
        self._at += 1

    def _cause(self, cause: Cause, fill: object) -> None:
        known = lookup(cause.code)
        meaning, hint = (known.meaning, known.hint) if known else (cause.message, "")
        for at, value in enumerate((cause.code, cause.count, meaning, hint), 1):
            cell = self._page.cell(self._at, at, value)
            cell.alignment = (TOP, MIDDLE, WRAPPED, WRAPPED)[at - 1]
        self._page.cell(self._at, 1).fill = fill
        self._page.cell(self._at, 2).number_format = "#,##0"
        for at, row in enumerate(cause.rows, len(_WIDTHS) + 1):
            self._link(at, row)
        lines = 1 + max(len(meaning), len(hint)) // _LETTERS
        heighten(self._page, self._at, lines)
        self._at += 1

    def _link(self, at: int, row: int) -> None:
        cell = self._page.cell(self._at, at, f"row {row}")
        sheet, own = self._locate(row)
        cell.hyperlink = Hyperlink(cell.coordinate, location=f"{quote_sheetname(sheet)}!A{own}")
        cell.font, cell.alignment = LINK, TOP

    def _set_up(self) -> None:
        for at, width in enumerate((*_WIDTHS, *[12] * FIRST), 1):
            self._page.column_dimensions[get_column_letter(at)].width = width
        self._page.sheet_view.showGridLines = False
        fit_page(self._page)


def _groups(validation: Validation) -> list[tuple[Gravity, tuple[Cause, ...]]]:
    return [
        (Gravity.WRONG, validation.problems),
        (Gravity.REPEAT, validation.repeats),
        (Gravity.CLEANED, validation.warnings),
    ]


def headline(validation: Validation) -> str:
    """The whole in one line."""
    if validation.invalid:
        verb = "needs" if validation.invalid == 1 else "need"
        return (
            f"{validation.source}: {validation.invalid:,} of {validation.rows:,} rows {verb} to be corrected"
        )
    return f"{validation.source}: all of the {validation.rows:,} rows can be sent"


def closing(validation: Validation, marks: Marks, missing: Sequence[str]) -> list[str]:
    """The lines below: sums, what the colours mean, what next."""
    kinds = f"{validation.valid:,} valid, {validation.invalid:,} invalid, {validation.duplicates:,} duplicate"
    lines = [
        f"{validation.rows:,} rows: {kinds}.",
        "Red: has to be corrected. Grey: repeats an earlier row, and is sent once. Yellow: fine.",
    ]
    if validation.invalid:
        lines.append("Correct the red cells and save; filter by the column `problem` at the end of the rows.")
    if marks.shortened:
        codes = ", ".join(marks.shortened)
        lines.append(
            f"Only the first {NOTES_PER_PROBLEM} rows of {codes} have comments; every row is coloured."
        )
    return [*lines, f"Unlike the original, this workbook lacks: {'; '.join(missing)}."] if missing else lines


def _next(validation: Validation, commands: Sequence[str]) -> list[str]:
    labels = (
        ("Then check again", "When every row is valid, onboard")
        if validation.invalid
        else ("Check", "Onboard")
    )
    return [f"{label}: {command}" for label, command in zip(labels, commands, strict=False)]
