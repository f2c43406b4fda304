"""CSV and its relatives, a piece at a time, through Python's csv module: it knows the number of every row."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import BinaryIO, Self, cast

import numpy as np
import pandas as pd

from bulk_onboard.chunk import Chunk
from bulk_onboard.errors import InputError
from bulk_onboard.read.dialect import DELIMITERS, HEADER_WITHIN, delimiter_of, header_at
from bulk_onboard.read.encoding import encoding_of

SAMPLE = 1 << 16  # characters
# A quote that is never closed swallows the rest of the file into one cell; this is where it is noticed.
LARGEST_CELL = 1 << 20  # characters
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError)


class Delimited:
    """A delimited text: a file, or bytes in memory."""

    def __init__(self, name: str, content: BinaryIO | bytes) -> None:
        """Look at it. Raises InputError if it is no table."""
        self.name = name
        self._file = io.BytesIO(content) if isinstance(content, bytes) else content
        self._before = state_of(self._file)
        self._packing = _packing(self._file)
        try:
            with self._unpacked() as raw:
                self._codec, encoding = encoding_of(name, raw)
            with self._text() as text:
                sample = text.read(SAMPLE)
        except _DAMAGED as error:
            raise self._damaged(error) from None
        except UnicodeError:
            raise InputError(f"{name} looks like {encoding}, but is damaged; save it as UTF-8") from None
        self._delimiter, self._skip = _declared(sample)
        delimiter = self._delimiter or delimiter_of(sample)
        self._delimiter = delimiter
        self._limit_cells()
        self.header, self._header_row = self._find_header()
        packed = f", {self._packing}" if self._packing else ""
        self.description = f"CSV, {DELIMITERS.get(delimiter, repr(delimiter))}, {encoding}{packed}"

    def chunks(self, columns: Sequence[int], size: int = 50_000) -> Iterator[Chunk]:
        """See `Source`. Raises InputError for a quote that is never closed and the like, with the row."""
        self._limit_cells()
        with self._text() as text:
            rows = self._rows(text)
            for _ in islice(rows, self._header_row):
                pass
            first = self._header_row + 1  # numbers count from 1
            while batch := list(islice(rows, size)):
                yield _chunk(batch, first, columns, len(self.header))
                first += len(batch)

    def changed(self) -> bool:
        """See `Source`."""
        return state_of(self._file) != self._before

    def close(self) -> None:
        """See `Source`."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- reading ------------------------------------------------------------------------------------

    def _rows(self, text: io.TextIOBase) -> Iterator[list[str]]:
        reader = csv.reader(text, delimiter=self._delimiter or ",", strict=False)
        number = 0
        try:
            for row in islice(reader, self._skip, None):
                number += 1
                yield row
        except csv.Error as error:
            raise InputError(_csv_words(self.name, number + 1, error)) from None
        except UnicodeError:
            raise InputError(f"{self.name}: row {number + 1} or later is damaged: not valid text") from None
        except _DAMAGED as error:
            raise self._damaged(error) from None

    def _find_header(self) -> tuple[tuple[str, ...], int]:
        with self._text() as text:
            rows = list(islice(self._rows(text), HEADER_WITHIN))
        if not any(any(cell.strip() for cell in row) for row in rows):
            raise InputError(f"{self.name} is empty: no header within its first {HEADER_WITHIN} rows")
        at = header_at(rows)
        header = [cell.strip() for cell in rows[at]]
        while header and not header[-1]:
            header.pop()
        return tuple(header), at + 1

    def _unpacked(self) -> BinaryIO:
        self._file.seek(0)
        unclosable = cast("BinaryIO", _Kept(self._file))
        match self._packing:
            case "gzip":
                return cast("BinaryIO", gzip.GzipFile(fileobj=unclosable))
            case "bzip2":
                return cast("BinaryIO", bz2.BZ2File(unclosable))
            case "xz":
                return cast("BinaryIO", lzma.LZMAFile(unclosable))
            case _:
                return unclosable

    def _text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(self._unpacked(), encoding=self._codec, newline="")

    def _limit_cells(self) -> None:
        csv.field_size_limit(LARGEST_CELL)

    def _damaged(self, error: BaseException) -> InputError:
        what = f"{self._packing} file" if self._packing else "file"
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "cut off or not one"
        return InputError(f"{self.name} is a damaged {what}: {reason}")


class _Kept(io.RawIOBase):
    """The file for one reading: closing it leaves the file open for the next."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def state_of(file: BinaryIO) -> tuple[int, int] | None:
    """Size and time of the last writing, None for what is no file on disk."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, io.UnsupportedOperation):
        return None
    return found.st_size, found.st_mtime_ns


def _packing(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(6)
    if not head:
        raise InputError("standard input is empty")
    for magic, name in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz")):
        if head.startswith(magic):
            return name
    return ""


def _declared(sample: str) -> tuple[str | None, int]:
    """Excel's first line ``sep=;`` names the delimiter, and is no row of the sheet."""
    line = sample.splitlines()[0].strip().strip('"') if sample else ""
    if line.lower().startswith("sep=") and len(line) == 5:
        return line[4], 1
    return None, 0


def _csv_words(name: str, row: int, error: csv.Error) -> str:
    if "field larger" in str(error):
        return (
            f"{name}: a cell in row {row} is longer than {LARGEST_CELL >> 20} million characters:"
            " a quote is opened there and never closed"
        )
    return f"{name}: row {row} cannot be read: {error}"


def _chunk(batch: list[list[str]], first: int, columns: Sequence[int], width: int) -> Chunk:
    """A batch of rows, the blank ones left out but counted."""
    numbers = np.arange(first, first + len(batch), dtype=np.int64)
    if any(not row or not any(row) for row in batch):
        full = [i for i, row in enumerate(batch) if any(cell.strip() for cell in row)]
        numbers, batch = numbers[full], [batch[i] for i in full]
    ragged = np.zeros(len(batch), bool)
    uneven = [i for i, row in enumerate(batch) if len(row) != width]
    for i in uneven:
        row = batch[i]
        ragged[i] = any(cell.strip() for cell in row[width:])
        batch[i] = (row + [""] * width)[:width]
    cells = pd.DataFrame(
        {j: pd.array([row[i] for row in batch], dtype="str") for j, i in enumerate(columns)},
        index=range(len(batch)),
    )
    return Chunk(numbers, cells, np.zeros((len(batch), len(columns)), bool), ragged)
