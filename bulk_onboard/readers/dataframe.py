"""A DataFrame as input, for callers of the library."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source, cell_text, make_chunk
from bulk_onboard.domain.input_description import InputDescription
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
    pairs = [("", False) if gap else _cell_text(value) for value, gap in zip(column, missing, strict=True)]
    return [text for text, _ in pairs], [other for _, other in pairs]


def _cell_text(value: Any) -> tuple[str, bool]:
    return (str(value), False) if isinstance(value, uuid.UUID) else cell_text(value)
