"""`Chunk`, rows of an input as text cells, and `Source`, the base of all inputs."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.input_description import InputDescription

# Enough rows for fast work by columns, few enough to need little memory.
CHUNK_ROWS = 32_000
_TEXT = pd.StringDtype(na_value=np.nan)


class CellKind(IntEnum):
    """The kind of a cell, if its text alone does not show it.

    ``VALUE``: a number, a date or a boolean. ``ERROR``: an error value of a spreadsheet, with its word as the
    text. ``FORMULA``: a formula without a stored result, with "" as the text.
    """

    TEXT = 0
    VALUE = 1
    ERROR = 2
    FORMULA = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows in input order.

    ``numbers``: their numbers as a spreadsheet shows them, int64. ``cells``: a text column per position that
    was asked for, labelled 0, 1, …; "" for empty. ``kinds`` (rows x columns): `CellKind` values, uint8.
    ``ragged``: the row has more cells than the header. ``whole_line``: index -> all cells of that line, also
    of columns that were not asked for, None if the reader has no others; called for few lines. ``top``: the
    first line follows a header.
    """

    numbers: np.ndarray
    cells: pd.DataFrame
    kinds: np.ndarray
    ragged: np.ndarray
    whole_line: Callable[[int], Sequence[str] | None] | None = None
    top: bool = False

    def line(self, i: int) -> Sequence[str]:
        """Return all cells of the line with this index that the reader has."""
        whole = self.whole_line(i) if self.whole_line else None
        return self.cells.iloc[i].tolist() if whole is None else whole

    def taken(self, lines: np.ndarray | slice) -> Chunk:
        """Return some of the lines."""
        cells, kinds = self.cells.iloc[lines].reset_index(drop=True), self.kinds[lines]
        at = np.arange(len(self.numbers))[lines]
        numbers, ragged, top = self.numbers[lines], self.ragged[lines], self.top and at[:1].tolist() == [0]
        return Chunk(numbers, cells, kinds, ragged, lambda i: self.line(int(at[i])), top)

    def placed(self, places: Sequence[int | str]) -> Chunk:
        """Return the chunk with a column for each place: its own at a position, or one of a constant text."""
        if list(places) == list(range(self.kinds.shape[1])):
            return self
        size = len(self.numbers)
        columns = [self.cells[at] if isinstance(at, int) else constant_column(at, size) for at in places]
        kinds = np.zeros((size, len(places)), np.uint8)
        own = {i: at for i, at in enumerate(places) if isinstance(at, int)}
        kinds[:, list(own)] = self.kinds[:, list(own.values())]
        cells = pd.DataFrame(dict(enumerate(columns)), index=self.cells.index)
        return replace(self, cells=cells, kinds=kinds)

    def without(self, numbers: Sequence[int]) -> Chunk:
        """Return the chunk without the lines of these numbers."""
        stay = ~np.isin(self.numbers, numbers)
        return self if stay.all() else self.taken(np.flatnonzero(stay))

    def digest(self, key: bytes, positions: Sequence[int]) -> bytes:
        """Return sixteen bytes that depend, under this key, on everything but columns at other positions."""
        columns = [pa.array(self.cells[at], pa.large_string()) for at in positions]
        digest = blake2b(
            pa.record_batch(columns, list(map(str, positions))).serialize(), key=key, digest_size=16
        )
        for column in (self.numbers, self.kinds[:, positions], self.ragged):
            digest.update(np.ascontiguousarray(column).data)
        return digest.digest()


def make_chunk(
    numbers: Sequence[int] | np.ndarray,
    columns: Iterable[Sequence[str] | pa.Array],
    *,
    kinds: np.ndarray | None = None,
    ragged: np.ndarray | None = None,
    whole_line: Callable[[int], Sequence[str] | None] | None = None,
) -> Chunk:
    """Return a chunk of these columns; all cells are text and no row is ragged unless stated otherwise."""
    cells = pd.DataFrame(dict(enumerate(map(text_column, columns))), index=pd.RangeIndex(len(numbers)))
    return Chunk(
        np.asarray(numbers, np.int64),
        cells,
        np.zeros(cells.shape, np.uint8) if kinds is None else kinds,
        np.zeros(len(numbers), bool) if ragged is None else ragged,
        whole_line,
    )


def text_column(values: Sequence[str] | pa.Array) -> pd.Series[str]:
    """Return a text column of these values, which have no gaps."""
    if not isinstance(values, pa.Array):
        try:
            values = pa.array(values, pa.large_string())
        except UnicodeEncodeError:
            # Half of a surrogate pair is not a character; validation reports its replacement.
            whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in values]
            values = pa.array(whole, pa.large_string())
    return pd.Series(pd.array(values, dtype=_TEXT, copy=False))


def constant_column(text: str, size: int) -> pd.Series[str]:
    """Return a text column with the same text in all of its cells."""
    return text_column(pa.repeat(pa.scalar(text, pa.large_string()), size))


def cell_text(value: Any) -> tuple[str, bool]:
    """Return a cell's value as text, and whether it is not a text, such as a number or a date."""
    if isinstance(value, str):
        return value, False
    if value is None:
        return "", False
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).upper(), True
    if isinstance(value, float | np.floating):
        number = float(value)  # 12345.0 is 12345, and 1.23e+17 has its zeros
        return (str(int(number)) if number.is_integer() else f"{Decimal(repr(number)):f}"), True
    if isinstance(value, datetime.datetime):
        return (value.date() if value.time() == datetime.time.min else value).isoformat(), True
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat(), True
    return str(value), True


class Source(ABC):
    """An input that can be read as often as needed, a chunk at a time. Readers inherit the defaults.

    ``name``: for people, without the folder; ``header``: the column headers as spelled in the file;
    ``description``: what the reader chose, without `columns`, which the header decides later.
    """

    name: str
    header: tuple[str, ...]
    description: InputDescription

    @abstractmethod
    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows from the start, only the columns at these positions of the header, in this order."""

    def require_text(self, columns: Sequence[int]) -> None:  # noqa: B027  (most have nothing to check)
        """Raise InputError if one of these columns cannot hold text, such as integers in Parquet."""

    def changed(self) -> bool:
        """Return whether the input has been written to since it was opened."""
        return False

    def row_ranges(self) -> str:
        """Return a sentence that says which rows belong to which file; "" for a single file."""
        return ""

    def close(self) -> None:  # noqa: B027  (some hold no file open)
        """Release the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
