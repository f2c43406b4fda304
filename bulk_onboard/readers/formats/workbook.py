"""Workbooks (.xlsx .xlsm .xlsb .xls .ods) as a source: one sheet or several, read once and kept in memory."""

from __future__ import annotations

import gc
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice, zip_longest
from typing import BinaryIO
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

import numpy as np

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, make_chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions, SheetStart, SkippedLine
from bulk_onboard.errors import BulkOnboardError, InputError
from bulk_onboard.readers.detect import OLE_MAGIC, Format, is_workbook
from bulk_onboard.readers.header_row import (
    LOOKED_AT,
    FirstRows,
    Line,
    aligned,
    count_wanted,
    first_rows_of,
    header_names,
    header_row,
    lettered,
    no_such_header,
    require_alike,
    require_one_row,
    wanted_names,
)
from bulk_onboard.readers.input_file import FileSource, InputFile
from bulk_onboard.readers.sheet_rows import Book, DamagedWorkbook, EncryptedWorkbook, SheetRow
from bulk_onboard.validation.cell_marks import SUMMARY_MARK
from bulk_onboard.validation.columns import LEAF_USER_ID, normalize

# More would not fit in memory: 100 bytes a cell.
MOST_CELLS = 40_000_000

_UUID = re.compile(r"(?:urn:uuid:|\{)?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?")
_ALL = "*"
# Columns without a name that are kept beside a table.
_MOST_NOTES = 20


@dataclass(slots=True)
class Table:
    """The rows of one sheet below its header.

    ``header_row``: as a spreadsheet shows it; ``shift``: what is added to the numbers of its rows, when rows
    of other sheets come first; ``hidden``, ``struck``: numbers of rows, with the shift; ``last``: the last;
    ``width``: how many columns have a name, or values so far; ``cells``: how many there are, also in sheets
    that come first.
    """

    sheet: str
    header: tuple[str, ...]
    header_row: int
    shift: int
    last: int
    width: int
    cells: int
    chunks: list[Chunk] = field(default_factory=list)
    skipped: list[SkippedLine] = field(default_factory=list)
    hidden: list[int] = field(default_factory=list)
    struck: list[int] = field(default_factory=list)

    def add(self, rows: Sequence[SheetRow]) -> None:
        """Add rows. Notes beside the table are kept, though not those far from it."""
        last = len(self.header) + _MOST_NOTES
        for texts in (row.texts[:last] for row in rows if len(row.texts) > self.width):
            self.width = max([self.width, *(i + 1 for i, text in enumerate(texts) if text)])
        columns = [*islice(zip_longest(*(row.texts for row in rows), fillvalue=""), self.width)]
        columns += [("",) * len(rows)] * (self.width - len(columns))
        kinds = np.zeros((len(rows), self.width), np.uint8)
        for line, row in enumerate(rows):
            for column, kind in row.kinds.items():
                if column < self.width:
                    kinds[line, column] = kind
        numbers = np.array([row.number for row in rows], np.int64) + self.shift
        self.chunks.append(make_chunk(numbers, columns, kinds=kinds))
        self.last = int(numbers[-1])


class Workbook(FileSource):
    """The rows of one sheet, or of several.

    Rows are numbered across sheets: the rows of the second one have the numbers that follow the last row of
    the first, and so on.
    """

    def __init__(self, file: InputFile, options: ReadOptions) -> None:
        """Raises InputError if it is damaged, encrypted or too large, or if the sheet is not certain."""
        self._file, self.name = file, file.name
        with _named_errors(file.name), _uncollected(), closing(_open_book(file)) as book:
            self._tops, self._visible = _tops(book), book.sheets
            chosen, unread = _choose(file.name, book, self._tops, options)
            self.tables = tables = _read(file.name, book, chosen, options)
        if len(tables) > 1:
            heads = [(f"sheet {table.sheet!r}", table.header) for table in tables]
            require_alike(heads, wanted_names(options.mapped))
        self.header, self.places = aligned([table.header for table in tables])
        starts = [
            SheetStart(start.header_row + start.shift + 1, start.sheet) for start in tables if start.chunks
        ]
        self.description = InputDescription(
            file.name,
            book.file_type,
            compression=file.packing,
            sheets=tuple(table.sheet for table in tables),
            unread_sheets=tuple(unread),
            header_row=tables[0].header_row,
            skipped_lines=tuple(chain.from_iterable(table.skipped for table in tables)),
            hidden_rows=tuple(chain.from_iterable(table.hidden for table in tables)),
            hidden=options.hidden,
            struck_rows=tuple(chain.from_iterable(table.struck for table in tables)),
            sheet_starts=tuple(starts) if len(tables) > 1 else (),
        )

    def first_rows(self) -> list[FirstRows]:
        """Return the first rows of each sheet that has any."""
        return _first_rows(self._tops, self._visible)

    def bytes(self) -> BinaryIO:
        """Return the workbook as it is stored, from the start."""
        return self._file.reader()

    def formula_results(self) -> Mapping[str, Mapping[tuple[int, int], tuple[str, str]]]:
        """Return what `Xlsx.results` does for an .xlsx; nothing for other formats."""
        from bulk_onboard.readers.xlsx import Xlsx  # noqa: PLC0415

        with closing(_open_book(self._file)) as book:
            return book.results() if isinstance(book, Xlsx) else {}

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows below the headers, without the blank ones.

        Cells beyond the header are allowed: people write notes beside a table.
        """
        for table, at in zip(self.tables, self.places, strict=True):
            for piece in table.chunks:
                width = piece.kinds.shape[1]
                places = [i if (i := at[column]) is not None and i < width else "" for column in columns]
                for start in range(0, len(piece.numbers), size):
                    yield piece.taken(slice(start, start + size)).placed(places)


def first_rows(file: InputFile, _encoding: str | None = None) -> list[FirstRows]:
    """Return the first rows of each sheet that has any. Raises InputError if the workbook is damaged."""
    with _named_errors(file.name), closing(_open_book(file)) as book:
        return _first_rows(_tops(book), book.sheets)


def _first_rows(tops: Mapping[str, Sequence[SheetRow]], visible: Mapping[str, bool]) -> list[FirstRows]:
    return [
        first_rows_of(
            [Line(row.number, row.texts, row.hidden) for row in top],
            sheet,
            is_visible=visible[sheet],
            has_growers=_has_growers(top, wanted_names()),
        )
        for sheet, top in tops.items()
    ]


def _open_book(file: InputFile) -> Book:
    """Return the workbook by its content, whatever its name. Raises DamagedWorkbook and others."""
    if file.head(len(OLE_MAGIC)) == OLE_MAGIC:
        from bulk_onboard.readers.xls import Xls  # noqa: PLC0415  (each loaded when used)

        with file.reader() as reader:
            return Xls(reader.read())
    archive = zipfile.ZipFile(file.reader())
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
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector, which takes a third of the time: cells are many objects without cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _named_errors(name: str) -> Iterator[None]:
    """Turn any exception of a library over a damaged workbook into an InputError that names the file."""
    try:
        yield
    except EncryptedWorkbook:
        raise InputError(f"{name} is encrypted; save the workbook without a password") from None
    except (BulkOnboardError, MemoryError):
        raise
    except Exception as error:  # damaged bytes can cause any exception in libraries and readers
        text = f" ({' '.join(str(error).split())[:120]})" if isinstance(error, DamagedWorkbook) else ""
        if isinstance(error, ParseError):
            text = f" (XML: {expat.ErrorString(error.code)}, line {error.position[0]})"
        raise InputError(
            f"{name} is damaged or cut off: it cannot be read as a workbook{text};"
            " open it in a spreadsheet program and save it again"
        ) from None


# --- which sheets ---------------------------------------------------------------------------------------


def _tops(book: Book) -> dict[str, list[SheetRow]]:
    """Return the first rows of each sheet with content, without the summary sheet of `--annotate`."""
    filled = {sheet: (row for row in book.rows(sheet) if not row.blank) for sheet in book.sheets}
    tops = ((sheet, list(islice(rows, LOOKED_AT))) for sheet, rows in filled.items())
    return {sheet: top for sheet, top in tops if top and not _is_summary(top)}


def _choose(
    name: str, book: Book, tops: Mapping[str, Sequence[SheetRow]], options: ReadOptions
) -> tuple[list[str], list[str]]:
    """Return the sheets to read, and unread ones: visible ones with content, hidden ones with growers.

    Raises InputError if it is not certain which to read.
    """
    wanted, visible = wanted_names(options.mapped), [sheet for sheet in book.sheets if book.sheets[sheet]]
    named = [_find(name, book, sheet) for sheet in options.sheets if sheet != _ALL]
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
    """Return the visible sheets with growers; else the first with a known header, or with anything."""
    growers = [sheet for sheet in with_growers if sheet in visible]
    if len(growers) > 1 and not options.sheets:
        raise InputError(
            f"{name}: several sheets contain growers: {_listed(growers)}; choose with"
            f" --sheet \"{growers[-1]}\" (may be given several times), or read all with --sheet '*'"
        )
    others = [sheet for sheet in tops if sheet in visible]
    wanted = wanted_names(options.mapped)
    known = [sheet for sheet in others if any(count_wanted(row.texts, wanted) for row in tops[sheet])]
    if with_growers and not growers and not known and not options.sheets:
        raise InputError(
            f"{name}: only hidden sheets contain growers: {_listed(with_growers)}; to read one, name it with"
            f' --sheet "{with_growers[0]}"'
        )
    if not growers and not others:
        raise InputError(f"{name} has no content in {_listed(visible)}; expected a header and rows")
    return growers or (known or others)[:1]


def _find(name: str, book: Book, requested: str) -> str:
    """Return the sheet of this name; case and spaces around it do not matter if that is unambiguous."""
    folded = [sheet for sheet in book.sheets if sheet.strip().casefold() == requested.strip().casefold()]
    if requested in book.sheets:
        return requested
    if len(folded) == 1:
        return folded[0]
    visible = [sheet for sheet in book.sheets if book.sheets[sheet]]
    raise InputError(f"{name} has no sheet {requested!r}; it has {_listed(visible) or 'none'}")


def _has_growers(top: Sequence[SheetRow], wanted: frozenset[str]) -> bool:
    """Return whether there are rows below a header with an id or two fields, or ids without a header."""
    texts = [row.texts for row in top]
    at = header_row(texts, wanted)
    if at is not None and at + 1 < len(top):
        own = wanted - wanted_names() | {normalize(LEAF_USER_ID)}
        if count_wanted(texts[at], own) or count_wanted(texts[at], wanted) > 1:
            return True
    return any(_UUID.fullmatch(text.strip()) for row in texts for text in row)


def _is_summary(top: Sequence[SheetRow]) -> bool:
    """Return whether it is the sheet that `validate --annotate` puts in front of the others."""
    return any(text.startswith(SUMMARY_MARK) for row in top[:2] for text in row.texts)


def _listed(sheets: Sequence[str]) -> str:
    return ", ".join(map(repr, sheets))


# --- their rows -----------------------------------------------------------------------------------------


def _read(name: str, book: Book, sheets: Sequence[str], options: ReadOptions) -> list[Table]:
    """Return the sheets with their rows. Raises InputError."""
    tables: list[Table] = []
    for sheet in sheets:
        rows = (row for row in book.rows(sheet) if not row.blank)
        top = list(islice(rows, LOOKED_AT))
        at = _header_of(name, sheet, top, options)
        if at < 0:
            number, header = 0, tuple(map(lettered, range(max(len(row.texts) for row in top))))
        else:
            number, header = top[at].number, header_names(top[at].texts)
        before = tables[-1].last if tables else number
        cells = tables[-1].cells if tables else 0
        table = Table(sheet, header, number, before - number, before, len(header), cells)
        below = _below(name, table, chain(top[at + 1 :], rows), skip_hidden=options.hidden == "skip")
        while taken := list(islice(below, CHUNK_ROWS)):
            table.add(taken)
        # Columns with values but without a name have a place in the header too.
        table.header = (*header, *[""] * (table.width - len(header)))
        tables.append(table)
    return tables


def _header_of(name: str, sheet: str, top: Sequence[SheetRow], options: ReadOptions) -> int:
    """Return the position of the header. Raises InputError if there is none, or it has several rows."""
    texts, wanted = [row.texts for row in top], wanted_names(options.mapped)
    if options.header_row == 0 and top:
        return -1
    if options.header_row is not None:
        numbers = [row.number for row in top]
        if options.header_row not in numbers:
            raise InputError(no_such_header(f"{name}, sheet {sheet!r}", options.header_row))
        return numbers.index(options.header_row)
    at = header_row(texts, wanted)
    if at is None:
        raise InputError(f"{name} has no content in {sheet!r}; expected a header and rows")
    require_one_row(f"{name}, sheet {sheet!r}", texts, at, wanted, lambda i: top[i].number)
    return at


def _below(name: str, table: Table, rows: Iterator[SheetRow], *, skip_hidden: bool) -> Iterator[SheetRow]:
    """Yield the rows that count, while the table notes what is said about them."""
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
        table.cells += max(row.filled, len(table.header))
        if table.cells > MOST_CELLS:
            raise InputError(f"{name} has more than {MOST_CELLS:,} cells; save it as CSV")
        yield row


FORMAT = Format(
    (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"), is_workbook, Workbook, first_rows, has_sheets=True
)
