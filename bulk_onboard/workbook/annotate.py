"""Findings become a workbook: the original where it can be preserved, else a new one with the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.validation.cell_marks import Marks, marks
from bulk_onboard.validation.findings import Validation
from bulk_onboard.workbook.mark_cells import mark
from bulk_onboard.workbook.new_workbook import new_workbook
from bulk_onboard.workbook.preserve import CannotPreserve, open_original
from bulk_onboard.workbook.save import Results, save
from bulk_onboard.workbook.summary_sheet import Annotated, add_summary


@dataclass(frozen=True, slots=True)
class SheetPlace:
    """A sheet with rows, and how its rows and columns are numbered among those of all sheets.

    ``header_row``: as a spreadsheet shows it; ``shift``: what was added to the numbers of its rows, of which
    ``last`` is the last; ``columns``: by position in the header of all sheets, the position in its own header
    of ``width`` columns, None if it lacks the column.
    """

    name: str
    header_row: int
    shift: int
    last: int
    columns: Sequence[int | None]
    width: int

    def own(self, all_marks: Marks) -> Marks:
        """Return the marks of this sheet, by its own rows and columns."""
        own_rows = range(self.header_row + self.shift + 1, self.last + 1)
        cells = tuple(
            replace(mark, row=mark.row - self.shift, column=column)
            for mark in all_marks.cells
            if mark.row in own_rows and (column := self.columns[mark.column]) is not None
        )
        rows = {row - self.shift: note for row, note in all_marks.rows.items() if row in own_rows}
        return Marks(cells, rows, all_marks.shortened)


@dataclass(frozen=True, slots=True)
class Place:
    """The original workbook, its sheets that were read, and what gives the stored results of its formulas."""

    file: BinaryIO
    sheets: Sequence[SheetPlace]
    results: Callable[[], Mapping[str, Results]]

    def locate(self, row: int) -> tuple[str, int]:
        """Return the sheet of a row, and its number there."""
        sheet = next((sheet for sheet in self.sheets if row <= sheet.last), self.sheets[-1])
        return sheet.name, row - sheet.shift


def annotate(
    out: BinaryIO,
    validation: Validation,
    rows: Callable[[], Iterator[Chunk]],
    place: Place | None,
    *,
    commands: Callable[[bool], Sequence[str]],
    macros: bool = False,
) -> Annotated:
    """Write the annotated workbook, and return what it lacks of the original.

    Args:
        out: The open file.
        validation: What was found.
        rows: Returns every column of the file, from the start; read where a new workbook has to be made.
        place: The original workbook, if the file is one.
        commands: Returns how to check and run the result; its argument: whether it is the original workbook.
        macros: Whether the file may hold the original's macros, as an .xlsm may.

    Raises:
        UsageError: The rows are more than a sheet holds.
    """
    all_marks, missing = marks(validation), []
    if place is not None:
        try:
            return _mark_original(out, validation, all_marks, place, commands(True), macros=macros)
        except CannotPreserve as reason:
            missing.append(f"everything but the rows, because {reason}")
    new = new_workbook(validation.header, validation.fields.values(), rows())
    mark(new.sheet, all_marks, new.header_row, len(validation.header))
    if new.cut:
        missing.append(f"the ends of {new.cut} cells, longer than a sheet's cell can be")
    if validation.description.hidden == "skip" and validation.description.hidden_rows:
        missing.append("the hidden rows")
    result = Annotated(missing, commands(False))
    add_summary(new.book, lambda row: (new.sheet.title, row), validation, all_marks, result)
    save(new.book, out)
    return result


def _mark_original(
    out: BinaryIO,
    validation: Validation,
    all_marks: Marks,
    place: Place,
    commands: Sequence[str],
    *,
    macros: bool,
) -> Annotated:
    """Mark the original workbook. Raises CannotPreserve with nothing written if that cannot be done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for programmers; what is lost is said in words
            book, lost = open_original(place.file, [sheet.name for sheet in place.sheets], macros=macros)
            for sheet in place.sheets:
                mark(book[sheet.name], sheet.own(all_marks), sheet.header_row, sheet.width)
            result = Annotated(lost, commands)
            add_summary(book, place.locate, validation, all_marks, result)
            save(book, out, place.results())
            return result
    except (CannotPreserve, OSError):
        raise
    except Exception:
        out.seek(0)
        out.truncate()
        raise CannotPreserve("the workbook's contents cannot be written again") from None
