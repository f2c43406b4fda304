"""Where a file can be taken apart: CSV between records, Parquet between row groups, all else nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from bulk_onboard.domain.chunk import Source
from bulk_onboard.readers import decode
from bulk_onboard.readers.delimited import Delimited
from bulk_onboard.readers.input_file import Held
from bulk_onboard.readers.parquet import Parquet
from bulk_onboard.readers.part import Lines, Range, RowGroups, Size, Whole
from bulk_onboard.readers.records import Border, Borders, borders
from bulk_onboard.readers.workbook import Workbook


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a file, the number of the row before its first one, and how many follow, if known."""

    range: Range
    before: int
    rows: int | None


def pieces(source: Source, held: Held, size: Size) -> list[Piece]:
    """An opened file, taken apart. Raises InputError if its records cannot be told apart."""
    match source:
        case Parquet() if held.in_memory:
            return [Piece(Whole(), 1, sum(rows for rows, _ in source.row_groups))]
        case Parquet():
            return list(_row_groups(source, size))
        case Delimited():
            return _lines(source, held, size)
        case Workbook():
            return [Piece(Whole(), source.header_row, None)]
    raise TypeError(f"{type(source).__name__} is not a file")


def last_number(source: Source, before: int) -> int:
    """The number of the last row, found by reading all of them; ``before`` if there is none."""
    for chunk in source.chunks([]):
        before = int(chunk.numbers[-1])
    return before


# --- Parquet ----------------------------------------------------------------------------------------


def _row_groups(source: Parquet, size: Size) -> Iterator[Piece]:
    """Neighbours together, until there are enough rows or bytes."""
    before, first, rows, count = 1, 0, 0, 0
    for i, (more, length) in enumerate(source.row_groups, 1):
        rows, count = rows + more, count + length
        if rows >= size.rows or count >= size.bytes or i == len(source.row_groups):
            yield Piece(RowGroups(first, i), before, rows)
            before, first, rows, count = before + rows, i, 0, 0


# --- CSV --------------------------------------------------------------------------------------------


def _lines(source: Delimited, held: Held, size: Size) -> list[Piece]:
    layout = source.layout
    header = layout.header_at + 1
    if layout.lone_returns or not layout.delimiter.isascii():
        return [Piece(Whole(), header, None)]
    apart = layout.encoding in decode.BYTE_BY_BYTE and not (
        held.in_memory or decode.compression(held.head(8))
    )
    content = decode.Pieces(decode.blocks(held) if apart else decode.utf_8(held, layout.encoding))
    first = Border(len(content.piece(layout.head_lines)), header, layout.head_lines)
    found = borders(content.left(), layout.delimiter, first, size)
    if not found.sound:
        # The reader knows why, and in which row. If it finds no fault, it is right.
        return [Piece(Whole(), header, last_number(source, header) - header)]
    if not apart:
        return [Piece(Whole(), header, found.end.rows - header)]
    return list(_between(found, layout.encoding))


def _between(found: Borders, encoding: str) -> Iterator[Piece]:
    """The blocks of a CSV that is read byte by byte. A byte order mark is before the first of them."""
    encoding = encoding.removesuffix("-sig")
    for begin, end in pairwise([*found.begins, found.end]):
        if begin.at < end.at:
            yield Piece(Lines(begin.at, end.at, begin.lines + 1, encoding), begin.rows, end.rows - begin.rows)
