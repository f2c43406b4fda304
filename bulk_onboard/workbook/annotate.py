"""Findings -> a workbook: the owner's own where that can be kept, else a new one with the same rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from bulk_onboard.chunk import Chunk
from bulk_onboard.findings import Validation
from bulk_onboard.marks import Marks, marks
from bulk_onboard.workbook.fresh import fresh
from bulk_onboard.workbook.marking import mark
from bulk_onboard.workbook.owners import Unkept, formulas_in, open_owners
from bulk_onboard.workbook.save import save
from bulk_onboard.workbook.summary import add_summary


@dataclass(frozen=True, slots=True)
class Place:
    """The owner's workbook, its sheet with the rows, and the header's row as a spreadsheet shows it."""

    file: BinaryIO
    sheet: str
    header_row: int


def annotate(
    out: BinaryIO,
    found: Validation,
    rows: Callable[[], Iterator[Chunk]],
    place: Place | None,
    *,
    macros: bool = False,
) -> list[str]:
    """Write the annotated workbook, and return what of the original it does not have, in words.

    ``rows``: every column of the file, from the start; read where a new workbook has to be made. ``macros``:
    whether the file may hold the owner's macros, as an .xlsm may. Raises UsageError if the rows are more than
    a sheet holds.
    """
    told = marks(found)
    if place is None:
        return _new(out, found, told, rows, [])
    try:
        return _kept(out, found, told, place, macros=macros)
    except Unkept as why:
        return _new(out, found, told, rows, [f"everything but the rows, because {why}"])


def _kept(out: BinaryIO, found: Validation, told: Marks, place: Place, *, macros: bool) -> list[str]:
    """The owner's own workbook, marked. Raises Unkept with nothing written if that cannot be done."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for programmers; what is lost is told in words
            return _owners(out, found, told, place, macros=macros)
    except (Unkept, OSError):
        raise
    except Exception:
        out.seek(0)
        out.truncate()
        raise Unkept("the workbook cannot be written again with what it holds") from None


def _owners(out: BinaryIO, found: Validation, told: Marks, place: Place, *, macros: bool) -> list[str]:
    book, losses = open_owners(place.file, place.sheet, macros=macros)
    sheet = book[place.sheet]
    mark(sheet, told, place.header_row, len(found.header))
    missing = losses.words()
    if formulas_in(sheet, found.fields.values(), place.header_row):
        missing.append("the values of formulas, until it is opened and saved in a spreadsheet program")
    add_summary(book, sheet, found, told, missing)
    save(book, out)
    return missing


def _new(
    out: BinaryIO, found: Validation, told: Marks, rows: Callable[[], Iterator[Chunk]], missing: list[str]
) -> list[str]:
    made = fresh(found.header, found.fields.values(), rows())
    mark(made.sheet, told, made.header_row, len(found.header))
    if made.cut:
        missing = [*missing, f"the ends of {made.cut} cells, longer than a sheet's cell can be"]
    add_summary(made.book, made.sheet, found, told, missing)
    save(made.book, out)
    return missing
