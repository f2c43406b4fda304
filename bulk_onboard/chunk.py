"""A piece of the input: some rows, as text, with what the text alone does not tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import Protocol, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.texts import bytes_of

# Enough for work by columns to pay, few enough to keep memory low.
CHUNK_ROWS = 32_000


class CellKind(IntEnum):
    """What a cell of the input holds, where its text alone does not tell.

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
    was asked for, labelled 0, 1, …; "" for empty. ``kinds`` (rows x columns): `CellKind` values (uint8,
    or bool where there are only texts and values). ``ragged``: the row has more cells than the header.
    ``whole_line``: index -> all cells of that line, also of columns that were not asked for, None if the
    reader has no others; called for few lines. ``top``: the first line follows a header.
    """

    numbers: np.ndarray
    cells: pd.DataFrame
    kinds: np.ndarray
    ragged: np.ndarray
    whole_line: Callable[[int], Sequence[str] | None] | None = None
    top: bool = False

    def line(self, i: int) -> Sequence[str]:
        """All cells of the line with this index, as far as they are known."""
        whole = self.whole_line(i) if self.whole_line else None
        return self.cells.iloc[i].tolist() if whole is None else whole

    def taken(self, lines: np.ndarray | slice, positions: Sequence[int] | None = None) -> Chunk:
        """Some lines, and of them the columns at these positions."""
        cells, kinds = self.cells.iloc[lines].reset_index(drop=True), self.kinds[lines]
        if positions is not None:
            cells = cells[list(positions)].set_axis(range(len(positions)), axis=1)
            kinds = kinds[:, positions]
        at = np.arange(len(self.numbers))[lines]
        numbers, ragged, top = self.numbers[lines], self.ragged[lines], self.top and at[:1].tolist() == [0]
        return Chunk(numbers, cells, kinds, ragged, lambda i: self.line(int(at[i])), top)

    def without(self, numbers: Sequence[int]) -> Chunk:
        """The chunk without the lines of these numbers."""
        stay = ~np.isin(self.numbers, numbers)
        return self if stay.all() else self.taken(np.flatnonzero(stay))

    def digest(self, key: bytes, positions: Sequence[int]) -> bytes:
        """Sixteen bytes that change when anything does but columns at other positions, under this key."""
        digest = blake2b(key=key, digest_size=16)
        for at in positions:
            data, _, lengths = bytes_of(pa.array(self.cells[at], pa.large_string()))
            digest.update(data.data)
            digest.update(lengths.data)
        for column in (self.numbers, self.kinds[:, positions], self.ragged):
            digest.update(np.ascontiguousarray(column).data)
        return digest.digest()


class Source(Protocol):
    """A file that can be read as often as needed, a piece at a time."""

    @property
    def name(self) -> str:
        """Its name for people, without the folder."""

    @property
    def description(self) -> InputDescription:
        """What was found in it and how it is read, without `columns`, which the header decides later."""

    @property
    def header(self) -> tuple[str, ...]:
        """The column headers as spelled in the file."""

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows from the start, only the columns at these positions of the header, in this order."""

    def require_text(self, columns: Sequence[int]) -> None:
        """Raises InputError if one of these columns can hold no text, such as integers in Parquet."""

    def changed(self) -> bool:
        """Whether the file has been written to since it was opened."""

    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def chunk(numbers: Sequence[int], columns: Sequence[Sequence[str]]) -> Chunk:
    """A chunk of plain text cells."""
    cells = pd.DataFrame({i: pd.array(list(column), dtype="str") for i, column in enumerate(columns)})
    shape = (len(numbers), len(columns))
    ragged = np.zeros(len(numbers), bool)
    return Chunk(np.asarray(numbers, np.int64), cells, np.zeros(shape, np.uint8), ragged)
