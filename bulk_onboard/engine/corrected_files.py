"""Copies of a file for its owner: one with the problems marked, one with the certain repairs made."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from bulk_onboard.domain.chunk import Chunk, Source

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.validation.findings import Validation
    from bulk_onboard.workbook import Annotated, Place


def write_marked(
    out: BinaryIO,
    source: Source,
    validation: Validation,
    commands: Callable[[bool], Sequence[str]],
    *,
    macros: bool = False,
) -> Annotated:
    """Write the annotated workbook; the parameters are those of `annotate`. Raises UsageError."""
    from bulk_onboard.workbook import annotate  # noqa: PLC0415

    return annotate(out, validation, lambda: _lines(source), _place(source), commands=commands, macros=macros)


def has_macros(source: Source) -> bool:
    """Return whether it is a workbook with macros."""
    place = _place(source)
    if place is None or not zipfile.is_zipfile(place.file):
        return False
    with zipfile.ZipFile(place.file) as packed:
        return "xl/vbaProject.bin" in packed.namelist()


def write_repaired(write: Callable[[bytes], object], source: Source, validation: Validation) -> pd.DataFrame:
    """Write the repaired CSV; return a line per repair."""
    from bulk_onboard.validation.repair import Repair  # noqa: PLC0415

    work = Repair(validation, _rows(source, validation))
    write(_csv([work.header()]))
    for chunk in _rows(source, validation):
        write(_csv(work.lines(chunk)))
    return work.table()


def _place(source: Source) -> Place | None:
    from bulk_onboard.readers.formats.workbook import Workbook  # noqa: PLC0415
    from bulk_onboard.workbook import Place, SheetPlace  # noqa: PLC0415

    if not isinstance(source, Workbook):
        return None
    sheets = [
        SheetPlace(table.sheet, table.header_row, table.shift, table.last, tuple(at), len(table.header))
        for table, at in zip(source.tables, source.places, strict=True)
    ]
    return Place(source.bytes(), sheets, source.formula_results)


def _lines(source: Source) -> Iterator[Chunk]:
    """Yield all columns of all lines, also of lines that are not rows."""
    return source.chunks(range(len(source.header)))


def _rows(source: Source, validation: Validation) -> Iterator[Chunk]:
    """Yield all columns of the rows."""
    skipped = [line.row for line in validation.description.skipped_lines]
    return (chunk.without(skipped) for chunk in _lines(source))


def _csv(lines: list[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
