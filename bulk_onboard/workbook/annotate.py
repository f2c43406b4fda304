"""Findings -> a workbook: the original where it can be preserved, else a new one with the same rows."""

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
        """The marks of this sheet, by its own rows and columns."""
        mine = range(self.header_row + self.shift + 1, self.last + 1)
        cells = tuple(
            replace(mark, row=mark.row - self.shift, column=column)
            for mark in all_marks.cells
            if mark.row in mine and (column := self.columns[mark.column]) is not None
        )
        rows = {row - self.shift: words for row, words in all_marks.rows.items() if row in mine}
        return Marks(cells, rows, all_marks.shortened)


@dataclass(frozen=True, slots=True)
class Place:
    """The original workbook, its sheets that were read, and what gives the stored results of its formulas."""

    file: BinaryIO
    sheets: Sequence[SheetPlace]
    results: Callable[[], Mapping[str, Results]]

    def locate(self, row: int) -> tuple[str, int]:
        """The sheet of a row, and its number there."""
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
    """Write the annotated workbook.

    ``rows``: every column of the file, from the start; read where a new workbook has to be made;
    ``commands``: whether it is the original workbook -> how to check and run it next; ``macros``:
    whether the file may hold the original's macros, as an .xlsm may. Raises UsageError if the rows are more
    than a sheet holds.
    """
    all_marks = marks(validation)
    if place is None:
        return _new(out, validation, all_marks, rows, Annotated(commands=commands(False)))
    try:
        return _kept(out, validation, all_marks, place, commands(True), macros=macros)
    except CannotPreserve as why:
        missing = [f"everything but the rows, because {why}"]
        return _new(out, validation, all_marks, rows, Annotated(missing, commands(False)))


def _kept(
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
            book, losses = open_original(place.file, [sheet.name for sheet in place.sheets], macros=macros)
            for sheet in place.sheets:
                mark(book[sheet.name], sheet.own(all_marks), sheet.header_row, sheet.width)
            result = Annotated(losses.words(), commands)
            add_summary(book, place.locate, validation, all_marks, result)
            save(book, out, place.results())
            return result
    except (CannotPreserve, OSError):
        raise
    except Exception:
        out.seek(0)
        out.truncate()
        raise CannotPreserve("the workbook's contents cannot be written again") from None


def _new(
    out: BinaryIO,
    validation: Validation,
    all_marks: Marks,
    rows: Callable[[], Iterator[Chunk]],
    result: Annotated,
) -> Annotated:
    made, missing = new_workbook(validation.header, validation.fields.values(), rows()), list(result.missing)
    mark(made.sheet, all_marks, made.header_row, len(validation.header))
    if made.cut:
        missing.append(f"the ends of {made.cut} cells, longer than a sheet's cell can be")
    if validation.description.hidden == "skip" and validation.description.hidden_rows:
        missing.append("the hidden rows")
    result = replace(result, missing=missing)
    add_summary(made.book, lambda row: (made.sheet.title, row), validation, all_marks, result)
    save(made.book, out)
    return result
