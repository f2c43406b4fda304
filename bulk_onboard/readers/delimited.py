"""Delimited text such as CSV, read in pieces, with the row numbers that a spreadsheet shows.

Arrow reads lines that contain exactly one row, several times as fast as `csv` and with the same result. Their
quotes must be tidy: a quote opens a cell at its start, and the next one closes it at its end; quotes inside
are doubled. `csv` reads everything else, such as a line break within quotes, a row of another length or a
blank row.
"""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, make_chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers import decode
from bulk_onboard.readers.header_row import (
    FirstRows,
    Line,
    count_wanted,
    first_rows_of,
    header_names,
    header_row,
    is_blank,
    lettered,
    no_such_header,
    require_one_row,
    wanted_names,
)
from bulk_onboard.readers.input_file import FileSource, InputFile
from bulk_onboard.validation.columns import LEAF_USER_ID, holds_data, normalize

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# Delimiters of R, Hive and other programs, which are recognised but refused.
_OTHER_DELIMITERS = (" ", ":", "^", "~", "\x01", "\x1f")
# A line that Excel writes and reads to state the delimiter; it is not a row.
_SEP_LINE = re.compile(r'"?sep=([^"\w\s]|\t)"?\s*\Z', re.IGNORECASE)
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_SAMPLE_ROWS = 200
_UUID_LENGTH = 36

# A farm's boundary can have more than the 131,072 characters that csv allows.
csv.field_size_limit(max(csv.field_size_limit(), decode.LONGEST_LINE))

_MISREAD = {
    "unexpected end of data": "a quote is opened in it and never closed",
    "field larger than field limit": f"a cell has more than {decode.LONGEST_LINE:,} characters;"
    " perhaps a quote is never closed",
    "expected after": "a cell continues after its closing quote; double the quotes inside the cell",
}


class Delimited(FileSource):
    """The rows of a CSV file."""

    def __init__(self, file: InputFile, options: ReadOptions) -> None:
        """Raises InputError if it is not text or has no header."""
        self._file, self._encoding = file, decode.find_encoding(file, options.encoding)
        self._layout = layout = _layout(
            file, wanted_names(options.mapped), self._encoding, options.header_row
        )
        self.name, self.header = file.name, layout.header
        self.description = InputDescription(
            file.name,
            "CSV",
            compression=file.packing or decode.find_compression(file.head(8)),
            encoding=decode.TITLES.get(self._encoding, self._encoding),
            encoding_guessed=self._encoding == decode.GUESS,
            delimiter=_DELIMITERS.get(layout.delimiter, repr(layout.delimiter)),
            header_row=layout.header_at + 1,
        )

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows from the start. Raises InputError for a quote that is never closed and the like."""
        delimiter, width = self._layout.delimiter, len(self.header)
        content = decode.Pieces(decode.read_utf_8(self._file, self._encoding))
        number, line = 1, 1
        while piece := content.piece(self._layout.head_lines if line == 1 else size):
            # The lines down to the header end with a record. In others a cell in quotes may go on in the
            # next piece; then the rest is left to csv.
            is_head = line == 1 and not _LONE_RETURN.search(piece)
            whole = not decode.is_unended(piece) and (is_head or is_tidy(piece, delimiter))
            plain = columns_of(piece, delimiter, width, columns) if whole and line > 1 else None
            if plain is not None:
                numbers = np.arange(number, number + len(plain[0]), dtype=np.int64)
                yield make_chunk(numbers, plain, whole_line=_whole_lines(piece, delimiter))
                number += len(numbers)
                line += len(numbers)
            else:
                lines = decode.split_lines(
                    [piece] if whole else chain([piece], content.left()), self.name, line
                )
                number = yield from self._by_csv(lines, columns, size, number)
                line += decode.count_lines(piece)

    def _by_csv(
        self, lines: Iterator[str], columns: Sequence[int], size: int, number: int
    ) -> Generator[Chunk, None, int]:
        """Yield the rows of these lines that are not blank; return the number of the row after them."""
        if number == 1 and self._layout.sep_line:
            next(lines)
        reader = csv.reader(lines, delimiter=self._layout.delimiter, strict=True)
        while rows := self._take(reader, size, number):
            above = max(0, self._layout.header_at + 2 - number)
            chunk = _chunk(rows[above:], number + above, columns, self.header)
            number += len(rows)
            del rows  # several times as large as the text in them
            if len(chunk.numbers):
                yield chunk
            del chunk
        return number

    def _take(self, reader: Iterator[list[str]], size: int, number: int) -> list[list[str]]:
        rows: list[list[str]] = []
        try:
            rows.extend(islice(reader, size))
        except csv.Error as error:
            what = next((words for part, words in _MISREAD.items() if part in str(error)), str(error))
            raise InputError(f"{self.name}, row {number + len(rows)}: {what}") from None
        return rows


def first_rows(file: InputFile, encoding: str | None = None) -> list[FirstRows]:
    """Return the first rows of the text."""
    content = decode.split_lines(decode.read_utf_8(file, decode.find_encoding(file, encoding)), file.name)
    sample = list(islice(content, _SAMPLE_ROWS))
    sep_line = _SEP_LINE.match(sample[0]) if sample else None
    _, rows, _ = _divided(sample[1:] if sep_line else sample, wanted_names(), sep_line[1] if sep_line else "")
    lines = [Line(number, row) for number, row in enumerate(rows, 1) if not is_blank(row)]
    return [first_rows_of(lines)]


def _whole_lines(piece: bytes, delimiter: str) -> Callable[[int], list[str]]:
    """Return a function that gives all cells of a line, for a piece in which each line is a row."""

    @cache
    def lines() -> list[bytes]:
        return piece.split(b"\n")

    return lambda i: next(csv.reader([lines()[i].decode()], delimiter=delimiter), [])


def _chunk(rows: list[list[str]], first: int, columns: Sequence[int], header: Sequence[str]) -> Chunk:
    """Return a chunk of the rows that are not blank. ``first``: the number of the first row."""
    numbers = np.arange(first, first + len(rows), dtype=np.int64)
    filled = [i for i, row in enumerate(rows) if not is_blank(row)]
    if len(filled) < len(rows):
        rows, numbers = [rows[i] for i in filled], numbers[filled]
    # Rows need several times the memory of their text, so only rows that `skipped_lines` may use are kept.
    odd = {i: row for i, row in enumerate(rows) if _is_odd(row, columns[0])} if columns else {}
    # The second half of a token with a delimiter inside would go unnoticed in a last column without a name.
    width, strict = len(header), not header[-1]
    ragged = np.array([len(row) > width and (strict or not is_blank(row[width:])) for row in rows], bool)
    texts = [[row[i] if i < len(row) else "" for row in rows] for i in columns]
    return make_chunk(numbers, texts, ragged=ragged, whole_line=odd.get)


def _is_odd(row: list[str], key: int) -> bool:
    """Return whether a row has no id in its place, or may be a comment."""
    return len(row) <= key or len(row[key]) != _UUID_LENGTH or row[0].startswith("#")


# --- plain lines ---------------------------------------------------------------------------------------


_LARGEST = 1 << 28
_QUOTE = ord('"')


def is_tidy(data: bytes, delimiter: str) -> bool:
    """Return whether all quotes of whole lines are tidy, so that no record continues in the next piece."""
    if b'"' not in data:
        return True
    if not delimiter.isascii():
        return False
    text = np.frombuffer(data, np.uint8)
    beside = np.isin(np.arange(256), [*b'\n\r"', ord(delimiter)])
    quotes = np.flatnonzero(text == _QUOTE)
    opening, closing = quotes[::2], quotes[1::2]
    before, after = opening[opening > 0] - 1, closing[closing + 1 < len(text)] + 1
    return len(quotes) % 2 == 0 and bool(beside[text[before]].all() and beside[text[after]].all())


def columns_of(data: bytes, delimiter: str, width: int, columns: Sequence[int]) -> list[pa.Array] | None:
    r"""Return these columns of tidy UTF-8 lines that end with ``\n``; None if the lines are not plain."""
    # Arrow would take a byte order mark off the first cell.
    if data.startswith(BOM_UTF8) or not delimiter.isascii() or not columns or len(data) > _LARGEST:
        return None
    names = [str(i) for i in range(width)]
    wanted = [names[i] for i in dict.fromkeys(columns)]
    try:
        table = arrow_csv.read_csv(
            pa.py_buffer(data),
            arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if b'"' in data else False,
                escape_char=False,
                ignore_empty_lines=False,
            ),
            arrow_csv.ConvertOptions(
                check_utf8=False,
                column_types=dict.fromkeys(wanted, pa.large_string()),
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
                include_columns=wanted,
            ),
        )
    except pa.ArrowInvalid:
        return None
    # A lone \r ends a line too, so that there are more rows than lines; where a cell has a line break, fewer.
    if table.num_rows != decode.count_lines(data) or _may_be_blank(table.column(names[columns[0]])):
        return None
    return [table.column(names[i]).combine_chunks() for i in columns]


def _may_be_blank(key: pa.ChunkedArray) -> bool:
    """Return whether a row may be blank; False if all rows begin with a letter or digit."""
    firsts = pc.unique(pc.utf8_slice_codeunits(key, 0, 1)).to_pylist()
    return not all(first.isalnum() for first in firsts)


# --- the layout -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the text is divided into cells. ``header_at``: number of rows above the header.

    ``sep_line``: whether the first line states the delimiter; ``head_lines``: number of lines down to the
    header's end.
    """

    delimiter: str
    sep_line: bool
    header_at: int
    header: tuple[str, ...]
    head_lines: int


def _layout(file: InputFile, wanted: frozenset[str], encoding: str, stated_row: int | None = None) -> _Layout:
    """Return the layout of a file. Raises InputError if it has no header, or is not the usual CSV.

    ``stated_row``: the number of the row that is the header, 0 for none; None to find it.
    """
    content = decode.split_lines(decode.read_utf_8(file, encoding), file.name)
    sample = list(islice(content, _SAMPLE_ROWS))
    sep_line = _SEP_LINE.match(sample[0]) if sample else None
    stated = sep_line[1] if sep_line else ""
    if stated:
        del sample[0]
    delimiter, rows, at = _divided(sample, wanted, stated)
    if at is None or not count_wanted(rows[at], wanted):
        # A report may have a long preamble.
        sample += islice(content, 9 * _SAMPLE_ROWS)
        delimiter, rows, at = _divided(sample, wanted, stated)
    if at is None:
        raise InputError(f"{file.name} has only blank lines; expected a header and rows")
    if stated_row == 0:
        names = tuple(map(lettered, range(max(map(len, rows)))))
        return _Layout(delimiter, bool(stated), -1, names, head_lines=1 + bool(stated))
    if stated_row is not None:
        if stated_row > len(rows) or is_blank(rows[stated_row - 1]):
            raise InputError(no_such_header(file.name, stated_row))
        at = stated_row - 1
    _require_cells(file.name, [row for row in rows[at:] if not is_blank(row)], delimiter, wanted)
    if stated_row is None:
        require_one_row(file.name, rows, at, wanted)
    reader = csv.reader(sample, delimiter=delimiter)
    deque(islice(reader, at + 1), maxlen=0)
    return _Layout(
        delimiter,
        sep_line=bool(stated),
        header_at=at,
        header=header_names(rows[at], _used_width(rows[at], rows[at + 1 :])),
        head_lines=bool(stated) + reader.line_num,
    )


def _divided(
    sample: list[str], wanted: frozenset[str], stated: str
) -> tuple[str, list[list[str]], int | None]:
    """Return the delimiter of a sample, its rows, and the position of the header, None if all are blank.

    The delimiter is the one by which the header is recognised, else the one stated, else the one by which
    the rows are most alike.
    """

    def fitness(delimiter: str) -> tuple[int, bool, float, int]:
        rows = [row for row in _split(sample, delimiter) if not is_blank(row)]
        widths = [len(row) for row in rows if len(row) > 1]
        usual = max(set(widths), key=widths.count, default=0)
        known = max((count_wanted(row, wanted) for row in rows), default=0)
        return known, delimiter == stated, widths.count(usual) / max(1, len(rows)), usual

    best: str = max([*_DELIMITERS, *stated], key=fitness)
    rows = _split(sample, best)
    return best, rows, header_row(rows, wanted)


def _split(sample: list[str], delimiter: str) -> list[list[str]]:
    """Return the rows of a sample down to the first fault."""
    rows: list[list[str]] = []
    with suppress(csv.Error):
        rows.extend(csv.reader(sample, delimiter=delimiter))
    return rows


def _used_width(header: list[str], below: list[list[str]]) -> int:
    """Return how many cells of a header are columns: the empty ones at its end too, if there are cells below.

    Most rows must have as many cells; else a delimiter inside a cell could pass as the end of a column.
    """
    rows = [row for row in below if not is_blank(row)]
    named, width = len(header_names(header)), len(header)
    used = any(not is_blank(row[named:width]) for row in rows)
    return width if used and _are_most([len(row) == width for row in rows]) else named


def _require_cells(name: str, rows: list[list[str]], delimiter: str, wanted: frozenset[str]) -> None:
    """Raise InputError if the lines were written in another way than they are read."""
    header, below = rows[0], rows[1:]
    if _is_quoted_as_a_whole(header, below, delimiter, wanted):
        raise InputError(
            f"{name}: every line is quoted as a whole, so it is a single cell; remove the outer quotes (and"
            ' write " for "" inside them), or export the table again'
        )
    if len(header) == 1 and (other := _other_delimiter(header[0], wanted)):
        how = "; in R: write.csv(x, 'growers.csv', row.names = FALSE)" if other == " " else ""
        raise InputError(
            f"{name}: the cells are separated by {other!r}; expected comma, semicolon, tab or pipe{how}"
        )
    if below and _has_row_names(header, below):
        raise InputError(
            f"{name}: each row has one cell more than the header: a row name, as R's write.table writes it."
            " Write it with row.names = FALSE, or put a name for the first column in front of the header"
        )


def _is_quoted_as_a_whole(
    header: list[str], below: list[list[str]], delimiter: str, wanted: frozenset[str]
) -> bool:
    """Return whether the header, or most of the rows below it, has all of its cells in the first one."""
    if not count_wanted(header, wanted):
        inner = [row for separator in _DELIMITERS for row in _split(header[:1], separator)[:1]]
        return is_blank(header[1:]) and any(count_wanted(row, wanted) > 1 for row in inner)
    return _are_most(
        [
            is_blank(row[1:]) and holds_data(row[:1]) and row[0].count(delimiter) >= len(header) - 1 > 0
            for row in below
        ]
    )


def _other_delimiter(line: str, wanted: frozenset[str]) -> str:
    """Return a delimiter that is not supported and divides two wanted names, "" if there is none."""
    divided = ((delimiter, row) for delimiter in _OTHER_DELIMITERS for row in _split([line], delimiter))
    return next((delimiter for delimiter, row in divided if count_wanted(row, wanted) > 1), "")


def _has_row_names(header: list[str], below: list[list[str]]) -> bool:
    """Return whether most rows have one cell more than the header, and their leafUserId further right."""
    at = next((i for i, name in enumerate(header) if normalize(name) == normalize(LEAF_USER_ID)), None)
    if at is None:
        return False
    return _are_most(
        [
            len(row) == len(header) + 1 and holds_data([row[at + 1]]) and not holds_data([row[at]])
            for row in below
        ]
    )


def _are_most(flags: list[bool]) -> bool:
    """Return whether most values are true; some rows may be totals or comments."""
    return sum(flags) > len(flags) / 2
