"""Workbooks (.xlsx .xlsm .xlsb .xls .ods) as a source: one sheet or several, read once and kept in memory."""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Self
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

import numpy as np

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, make_chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions, SheetStart, SkippedLine
from bulk_onboard.errors import InputError
from bulk_onboard.marks import SUMMARY_MARK
from bulk_onboard.readers.detect import OLE_MAGIC, UNZIP_FAULTS
from bulk_onboard.readers.header_row import (
    LOOKED_AT,
    header_row,
    matches,
    require_alike,
    require_one_row,
    spelled,
    wanted_names,
)
from bulk_onboard.readers.input_file import Held
from bulk_onboard.readers.line_up import lined_up, spread
from bulk_onboard.readers.sheet_rows import Book, DamagedWorkbook, EncryptedWorkbook, SheetRow
from bulk_onboard.validation.columns import LEAF_USER_ID, normal

# More would not fit in memory: 100 bytes a cell.
MOST_CELLS = 40_000_000

# Rows looked at for the header and for growers.
_TOP = LOOKED_AT
_UUID = re.compile(r"(?:urn:uuid:|\{)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?")
_ALL = "*"
# Columns without a name that are kept beside a table.
_MOST_NOTES = 20
_FAULTS = (
    *UNZIP_FAULTS,
    DamagedWorkbook,
    ParseError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    struct.error,
)


@dataclass(slots=True)
class Table:
    """The rows of one sheet below its header.

    ``header_row``: as a spreadsheet shows it; ``shift``: what is added to the numbers of its rows, when rows
    of other sheets come first; ``hidden``, ``struck``: numbers of rows, with the shift; ``last``: the last.
    """

    sheet: str
    header: tuple[str, ...]
    header_row: int
    shift: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    skipped: list[SkippedLine] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    struck: list[int] = field(default_factory=list)
    last: int = 0


class Workbook:
    """A source of one sheet, or of several, whose rows are numbered through like those of several files.

    Rows of the second sheet have the numbers that follow the last row of the first, and so on.
    """

    def __init__(self, held: Held, options: ReadOptions) -> None:
        """Raises InputError if it is damaged, encrypted or too large, or if the sheet is not certain."""
        self._held, self._options = held, options
        with _named_errors(held.name):
            book = open_book(held)
            try:
                chosen, self._unread = _choose(held.name, book, options)
                self.tables = _read(held.name, book, chosen, options)
                self._file_type = book.file_type
            finally:
                book.close()
        headers = [table.header for table in self.tables]
        if len(headers) > 1:
            heads = [(f"sheet {table.sheet!r}", table.header) for table in self.tables]
            require_alike(heads, wanted_names(options.mapped))
        self.header, self.places = lined_up(headers)

    @property
    def name(self) -> str:
        """The file's name."""
        return self._held.name

    @property
    def description(self) -> InputDescription:
        """The sheets that are read, others with content, and rows that are hidden or struck through."""
        return InputDescription(
            self.name,
            self._file_type,
            sheets=tuple(table.sheet for table in self.tables),
            unread_sheets=tuple(self._unread),
            header_row=self.header_row,
            skipped_lines=tuple(chain.from_iterable(table.skipped for table in self.tables)),
            hidden_rows=tuple(chain.from_iterable(table.hidden for table in self.tables)),
            hidden=self._options.hidden,
            struck_rows=tuple(chain.from_iterable(table.struck for table in self.tables)),
            sheet_starts=self._starts() if len(self.tables) > 1 else (),
        )

    def _starts(self) -> tuple[SheetStart, ...]:
        return tuple(
            SheetStart(table.header_row + table.shift + 1, table.sheet)
            for table in self.tables
            if table.chunks
        )

    @property
    def header_row(self) -> int:
        """The row of the first sheet's header, as a spreadsheet shows it."""
        return self.tables[0].header_row

    def bytes(self) -> io.BufferedReader:
        """The workbook as it is stored, from the start."""
        return self._held.reader()

    def formula_results(self) -> Mapping[str, Mapping[tuple[int, int], tuple[str, str]]]:
        """Of an .xlsx, what `Xlsx.results` finds; nothing of other formats."""
        from bulk_onboard.readers.xlsx import Xlsx  # noqa: PLC0415

        book = open_book(self._held)
        try:
            return book.results() if isinstance(book, Xlsx) else {}
        finally:
            book.close()

    def require_text(self, columns: Sequence[int]) -> None:
        """Cells are judged one by one: most of a column may be text."""

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows below the headers, without the blank ones.

        Cells beyond the header are not a fault: people write notes beside a table.
        """
        for table, at in zip(self.tables, self.places, strict=True):
            places = [at[i] for i in columns]
            there = [i for i in places if i is not None]
            for kept in table.chunks:
                for start in range(0, len(kept.numbers), size):
                    piece = kept.taken(slice(start, start + size), there)
                    yield spread(piece, places) if None in places else piece

    def changed(self) -> bool:
        """Whether the file has been written to."""
        return self._held.changed()

    def close(self) -> None:
        """Release the file."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_book(held: Held) -> Book:
    """The workbook by its content, whatever its name. Raises DamagedWorkbook and more (`_FAULTS`)."""
    if held.head(len(OLE_MAGIC)) == OLE_MAGIC:
        from bulk_onboard.readers.xls import Xls  # noqa: PLC0415  (each loaded when used)

        with held.reader() as reader:
            return Xls(reader.read())
    archive = zipfile.ZipFile(held.reader())
    names = {name.lower() for name in archive.namelist()}
    if "content.xml" in names:
        from bulk_onboard.readers.ods import Ods  # noqa: PLC0415

        return Ods(archive)
    if "xl/workbook.bin" in names:
        from bulk_onboard.readers.xlsb import Xlsb  # noqa: PLC0415

        return Xlsb(archive)
    from bulk_onboard.readers.xlsx import Xlsx  # noqa: PLC0415

    return Xlsx(archive)


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Whatever a damaged workbook does to a library becomes an InputError that names the file."""
    try:
        yield
    except EncryptedWorkbook:
        raise InputError(f"{name} is encrypted; save the workbook without a password") from None
    except _FAULTS as error:
        text = " ".join(str(error).split())[:120] if isinstance(error, DamagedWorkbook) else ""
        if isinstance(error, ParseError):
            text = f"XML: {expat.ErrorString(error.code)}, line {error.position[0]}"
        raise InputError(
            f"{name} is damaged or cut off: it cannot be read as a workbook"
            f"{f' ({text})' if text else ''}; open it in a spreadsheet program and save it again"
        ) from None


# --- which sheets ---------------------------------------------------------------------------------------


def _choose(name: str, book: Book, options: ReadOptions) -> tuple[list[str], list[str]]:
    """The sheets to read, and those that are not read: visible ones with content, hidden ones with growers.

    Raises InputError if it is not certain which to read.
    """
    wanted, visible = wanted_names(options.mapped), [sheet for sheet, shown in book.sheets.items() if shown]
    named = [_find(name, book, sheet) for sheet in options.sheets if sheet != _ALL]
    tops = {sheet: top for sheet in book.sheets if (top := _top(book, sheet)) and not _is_summary(top)}
    with_growers = [sheet for sheet, top in tops.items() if _has_growers(top, wanted)]
    if named and _ALL not in options.sheets:
        chosen = named
    elif visible:
        chosen = [*_candidates(name, tops, with_growers, visible, options), *named]
    else:
        raise InputError(f"{name} has no visible sheet; name a hidden one with --sheet")
    unread = [sheet for sheet in tops if sheet not in chosen and (sheet in visible or sheet in with_growers)]
    hidden = [f"{sheet} (a hidden sheet)" if sheet not in visible else sheet for sheet in unread]
    return list(dict.fromkeys(chosen)), hidden


def _candidates(
    name: str,
    tops: Mapping[str, Sequence[SheetRow]],
    with_growers: Sequence[str],
    visible: Sequence[str],
    options: ReadOptions,
) -> list[str]:
    """The visible sheets with growers; else the first one with a known header, or with anything."""
    growers = [sheet for sheet in with_growers if sheet in visible]
    if len(growers) > 1 and not options.sheets:
        raise InputError(
            f"{name}: several sheets contain growers: {_listed(growers)}; choose with"
            f" --sheet \"{growers[-1]}\" (may be given several times), or read all with --sheet '*'"
        )
    others = [sheet for sheet in tops if sheet in visible]
    wanted = wanted_names(options.mapped)
    known = [sheet for sheet in others if any(matches(row.texts, wanted) for row in tops[sheet])]
    if with_growers and not growers and not known and not options.sheets:
        raise InputError(
            f"{name}: only hidden sheets contain growers: {_listed(with_growers)}; to read one, name it with"
            f' --sheet "{with_growers[0]}"'
        )
    if not growers and not others:
        raise InputError(f"{name} has nothing in {_listed(visible)}; expected a header and rows")
    return growers or (known or others)[:1]


def _find(name: str, book: Book, asked: str) -> str:
    """The sheet of this name; case and spaces around it do not matter if that is unambiguous."""
    names = list(book.sheets)
    folded = [sheet for sheet in names if sheet.strip().casefold() == asked.strip().casefold()]
    if asked in names:
        return asked
    if len(folded) == 1:
        return folded[0]
    visible = [sheet for sheet, shown in book.sheets.items() if shown]
    raise InputError(f"{name} has no sheet {asked!r}; it has {_listed(visible) or 'none'}")


def _top(book: Book, sheet: str) -> list[SheetRow]:
    """The first rows that are not blank."""
    return list(islice((row for row in book.rows(sheet) if not row.blank), _TOP))


def _has_growers(top: Sequence[SheetRow], wanted: frozenset[str]) -> bool:
    """Whether a sheet has rows below a header with a grower's id or two fields, or ids without a header."""
    texts = [row.texts for row in top]
    at = header_row(texts, wanted)
    if at is not None and at + 1 < len(top):
        own = wanted - wanted_names() | {normal(LEAF_USER_ID)}
        if matches(texts[at], own) or matches(texts[at], wanted) > 1:
            return True
    return any(_UUID.fullmatch(text.strip()) for row in texts for text in row)


def _is_summary(top: Sequence[SheetRow]) -> bool:
    """Whether it is the sheet that `validate --annotate` puts in front of the others."""
    return any(text.startswith(SUMMARY_MARK) for row in top[:2] for text in row.texts)


def _listed(sheets: Sequence[str]) -> str:
    return ", ".join(map(repr, sheets))


# --- their rows -----------------------------------------------------------------------------------------


def _read(name: str, book: Book, sheets: Sequence[str], options: ReadOptions) -> list[Table]:
    """The sheets with their rows. Raises InputError."""
    tables: list[Table] = []
    cells = 0

    def counted(rows: Iterable[SheetRow], width: int) -> Iterator[SheetRow]:
        nonlocal cells
        for row in rows:
            cells += max(row.filled, width)
            if cells > MOST_CELLS:
                raise InputError(f"{name} has more than {MOST_CELLS:,} cells; save it as CSV")
            yield row

    for sheet in sheets:
        rows = counted((row for row in book.rows(sheet) if not row.blank), 0)
        top = list(islice(rows, _TOP))
        texts = [row.texts for row in top]
        at = header_row(texts, wanted_names(options.mapped))
        if at is None:
            raise InputError(f"{name} has nothing in {sheet!r}; expected a header and rows")
        numbers = [row.number for row in top]
        require_one_row(
            f"{name}, sheet {sheet!r}", texts, at, wanted_names(options.mapped), numbers.__getitem__
        )
        table = Table(sheet, spelled(texts[at]), numbers[at])
        table.shift = tables[-1].last - table.header_row if tables else 0
        table.last = table.header_row + table.shift
        below = _below(table, chain(top[at + 1 :], rows), skip_hidden=options.hidden == "skip")
        width = len(table.header)
        while taken := list(islice(counted(below, width), CHUNK_ROWS)):
            width = max(width, *(_width(row, len(table.header)) for row in taken))
            table.chunks.append(_chunk(taken, width, table.shift))
            table.last = taken[-1].number + table.shift
        _widen(table, width)
        tables.append(table)
    return tables


def _width(row: SheetRow, header: int) -> int:
    """How many columns a row needs: notes beside a table are kept, though not those far from it."""
    last = header + _MOST_NOTES
    return next((i + 1 for i in range(min(len(row.texts), last) - 1, header - 1, -1) if row.texts[i]), header)


def _widen(table: Table, width: int) -> None:
    """Give columns with values but without a name a place in the header, and in every chunk."""
    if width > len(table.header):
        table.header = (*table.header, *[""] * (width - len(table.header)))
        for i, chunk in enumerate(table.chunks):
            there = len(chunk.cells.columns)
            table.chunks[i] = spread(chunk, [*range(there), *[None] * (width - there)])


def _below(table: Table, rows: Iterator[SheetRow], *, skip_hidden: bool) -> Iterator[SheetRow]:
    """The rows that count, while the table notes what is said about them."""
    before = table.header_row
    for row in rows:
        if row.number <= before:
            raise DamagedWorkbook(f"row {row.number} of sheet {table.sheet!r} appears twice or out of order")
        before, number = row.number, row.number + table.shift
        if row.formula_zeros:
            table.skipped.append(SkippedLine(number, "only formulas that show 0 or nothing"))
            continue
        if row.hidden:
            table.hidden.append(number)
            if skip_hidden:
                continue
        if row.struck:
            table.struck.append(number)
        yield row


def _chunk(rows: Sequence[SheetRow], width: int, shift: int) -> Chunk:
    numbers = np.array([row.number for row in rows], np.int64) + shift
    texts = [[row.texts[i] if i < len(row.texts) else "" for row in rows] for i in range(width)]
    kinds = np.zeros((len(rows), width), np.uint8)
    for line, row in enumerate(rows):
        for column, kind in row.kinds.items():
            if column < width:
                kinds[line, column] = kind
    return make_chunk(numbers, texts, kinds=kinds)
