"""Sources in memory: a DataFrame, for callers of the library; and any source with corrections by hand."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CHUNK_ROWS, CellKind, Chunk, Source, cell_text, make_chunk, text_column
from bulk_onboard.domain.input_description import InputDescription, SkippedLine
from bulk_onboard.errors import InputError

FIRST_ROW = 2


class Frame(Source):
    """A source of a DataFrame, as it was when it was handed over. Row i is row i + 2 of a file."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Raises InputError if it has no columns."""
        if not len(frame.columns):
            raise InputError("the DataFrame has no columns")
        self._frame = frame.copy()
        self.name = "DataFrame"
        self.header = tuple(" ".join(str(name).split()) for name in frame.columns)
        self.description = InputDescription(self.name, "DataFrame")

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows from the start."""
        for start in range(0, len(self._frame), size):
            piece = self._frame.iloc[start : start + size]
            cells = [_as_text(piece.iloc[:, i]) for i in columns]
            kinds = np.zeros((len(piece), len(columns)), np.uint8)
            for i, (_, others) in enumerate(cells):
                kinds[:, i] = others
            numbers = np.arange(start, start + len(piece), dtype=np.int64) + FIRST_ROW
            texts = [column for column, _ in cells]
            yield make_chunk(numbers, texts, kinds=kinds, whole_line=_whole_lines(piece))


def _whole_lines(piece: pd.DataFrame) -> Callable[[int], list[str]]:
    return lambda i: [_as_text(piece.iloc[i : i + 1, at])[0][0] for at in range(piece.shape[1])]


def _as_text(column: pd.Series[Any]) -> tuple[list[str], list[bool]]:
    """Return the texts of a column, and which of its values are not text."""
    missing = column.isna().to_numpy(bool)
    values = (str(value) if isinstance(value, uuid.UUID) else value for value in column)
    pairs = [("", False) if gap else cell_text(value) for value, gap in zip(values, missing, strict=True)]
    return [text for text, _ in pairs], [other for _, other in pairs]


# --- corrections ---------------------------------------------------------------------------------------


LEFT_OUT = "left out by hand"


class Corrected(Source):
    """Another source with other texts in some cells, and without some rows.

    The file itself stays as it is, and the corrections, which may be secrets, stay in memory. Both readings
    of a run see the same corrections.
    """

    def __init__(
        self,
        source: Source,
        cells: Mapping[tuple[int, int], str],
        left_out: Collection[int] = (),
        header: Sequence[str] = (),
    ) -> None:
        """``cells``: (row number, position of the column) -> text; ``left_out``: numbers of rows.

        ``header``: other names for the columns, such as names that distinguish empty or repeated ones.
        """
        self._source, self._left_out = source, sorted(left_out)
        self._columns: dict[int, dict[int, str]] = defaultdict(dict)
        for (row, column), text in cells.items():
            self._columns[column][row] = text
        self.name, self.header = source.name, tuple(header) or source.header
        lines = (SkippedLine(number, LEFT_OUT) for number in self._left_out)
        self.description = source.description.with_skipped(lines)

    def require_text(self, columns: Sequence[int]) -> None:
        """Raise InputError if one of these columns cannot hold text."""
        self._source.require_text(columns)

    def changed(self) -> bool:
        """Return whether the file has been written to."""
        return self._source.changed()

    def close(self) -> None:
        """Release the file."""
        self._source.close()

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the corrected rows."""
        for chunk in self._source.chunks(columns, size):
            corrected = self._corrected(chunk, columns).without(self._left_out)
            if len(corrected.numbers):
                yield corrected

    def _corrected(self, chunk: Chunk, columns: Sequence[int]) -> Chunk:
        cells, kinds = chunk.cells, chunk.kinds
        for place, column in enumerate(columns):
            texts = self._columns.get(column, {})
            lines = np.isin(chunk.numbers, list(texts)) if texts else np.zeros(0, bool)
            if lines.any():
                values = chunk.cells[place].to_numpy(object, copy=True)
                values[lines] = [texts[number] for number in chunk.numbers[lines].tolist()]
                cells, kinds = cells.copy(deep=False), kinds.copy()
                cells[place], kinds[lines, place] = text_column(values), CellKind.TEXT
        if cells is chunk.cells:
            return chunk
        return replace(chunk, cells=cells, kinds=kinds, whole_line=lambda i: self._whole_line(chunk, i))

    def _whole_line(self, chunk: Chunk, i: int) -> Sequence[str] | None:
        whole = chunk.whole_line(i) if chunk.whole_line else None
        if whole is None:
            return None
        line, number = list(whole), int(chunk.numbers[i])
        for column, texts in self._columns.items():
            if number in texts:
                line += [""] * (column + 1 - len(line))
                line[column] = texts[number]
        return line
