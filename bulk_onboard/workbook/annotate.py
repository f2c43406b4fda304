"""Findings become a workbook: the original where it can be preserved, else a new one with the same rows."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from openpyxl import Workbook, load_workbook

from bulk_onboard.domain.chunk import Chunk
from bulk_onboard.validation.cell_marks import Marks, marks
from bulk_onboard.validation.findings import Validation
from bulk_onboard.workbook.mark_cells import mark
from bulk_onboard.workbook.new_workbook import new_workbook
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


# --- the original --------------------------------------------------------------------------------------


# Beyond that it would take more memory than a machine may have; as a new workbook the rows take a third.
_LARGEST = 600 << 20

# What may be in the archive, and its name for people. openpyxl writes none of these.
_LOST_PARTS: Mapping[str, str] = {
    r"xl/slicers/": "slicers",
    r"xl/timelines/": "timelines",
    r"xl/(ctrlProps|activeX)/": "form controls",
    r"xl/embeddings/": "embedded objects",
    r"xl/(queryTables/|connections\.xml)": "connections to data sources",
    r"xl/model/": "the data model",
    r"xl/threadedComments/": "comment threads (their text stays)",
    r"xl/richData/": "rich data types and pictures in cells",
    r"_xmlsignatures/": "the digital signature",
    r"xl/charts/chart\d+\.xml$": "some of the charts' formatting",
}
# What openpyxl warns of, by the words in its message.
_LOST_BY_WARNING: Mapping[str, str] = {
    "Conditional Formatting extension": "some newer conditional formats",
    "Data Validation extension": "drop-downs with a list on another sheet",
    "Sparkline Group extension": "sparklines",
    "Slicer List extension": "slicers",
    "Timeline extension": "timelines",
    "Cannot parse header or footer": "headers and footers for printing",
}
_SHAPE = re.compile(rb"<xdr:(sp|cxnSp|grpSp)\b")
_MACROS = "xl/vbaProject.bin"


class CannotPreserve(Exception):  # noqa: N818
    """The workbook cannot be marked itself; ``str()`` says why."""


def open_original(file: BinaryIO, sheets: Collection[str], *, macros: bool) -> tuple[Workbook, list[str]]:
    """Return the workbook with all that can be kept, and what cannot, in words. Raises CannotPreserve."""
    try:
        with zipfile.ZipFile(file) as packed:
            _check(packed)
            lost = list(_lost_parts(packed, macros=macros))
            pictures = sum(name.startswith("xl/media/") for name in packed.namelist())
        file.seek(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            book = load_workbook(file, keep_vba=macros, rich_text=True)
    except CannotPreserve:
        raise
    except Exception:
        raise CannotPreserve("the workbook cannot be opened for marking") from None
    if not set(sheets) <= set(book.sheetnames):
        raise CannotPreserve("the sheet cannot be opened for marking")
    messages = [str(warning.message) for warning in caught]
    lost += [lack for words, lack in _LOST_BY_WARNING.items() if any(words in text for text in messages)]
    if pictures > sum(len(sheet._images) for sheet in book.worksheets):
        lost.append("pictures (kept if the Python package pillow is installed)")
    return book, list(dict.fromkeys(lost))


def _check(packed: zipfile.ZipFile) -> None:
    if "xl/workbook.xml" not in packed.namelist():
        raise CannotPreserve("only .xlsx and .xlsm can be marked themselves")
    size = sum(part.file_size for part in packed.infolist() if part.filename.startswith("xl/worksheets/"))
    if size > _LARGEST:
        raise CannotPreserve("the workbook is too large to be marked itself")


def _lost_parts(packed: zipfile.ZipFile, *, macros: bool) -> Iterator[str]:
    names = packed.namelist()
    for pattern, lack in _LOST_PARTS.items():
        if any(re.match(pattern, name) for name in names):
            yield lack
    if _MACROS in names and not macros:
        yield "macros (give the new file the ending .xlsm to keep them)"
    drawings = [name for name in names if re.match(r"xl/drawings/drawing\d+\.xml$", name)]
    if any(_SHAPE.search(packed.read(name)) for name in drawings):
        yield "shapes and text boxes"
