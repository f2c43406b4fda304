"""A DataFrame as input, for callers of the library."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, make_chunk
from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.errors import InputError
from bulk_onboard.readers.cell_text import cell_text

FIRST_ROW = 2


class Frame:
    """A source of a DataFrame, as it was when it was handed over. Row i is row i + 2 of a file."""

    def __init__(self, frame: pd.DataFrame) -> None:
        """Raises InputError if it has no columns."""
        if not len(frame.columns):
            raise InputError("the DataFrame has no columns")
        self._frame = frame.copy()
        self._header = tuple(" ".join(str(name).split()) for name in frame.columns)

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "DataFrame"

    @property
    def description(self) -> InputDescription:
        """A DataFrame."""
        return InputDescription(self.name, "DataFrame")

    @property
    def header(self) -> tuple[str, ...]:
        """The labels of the columns, as text."""
        return self._header

    def require_text(self, columns: Sequence[int]) -> None:
        """Cells are judged one by one, as in a workbook."""

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows from the start."""
        for start in range(0, len(self._frame), size):
            piece = self._frame.iloc[start : start + size]
            found = [_as_text(piece.iloc[:, i]) for i in columns]
            shape = (len(piece), len(columns))
            kinds = np.stack([mask for _, mask in found], axis=1) if found else np.zeros(shape, np.uint8)
            numbers = np.arange(start, start + len(piece), dtype=np.int64) + FIRST_ROW
            yield make_chunk(
                numbers, [texts for texts, _ in found], kinds=kinds, whole_line=_whole_lines(piece)
            )

    def changed(self) -> bool:
        """Never: it is a copy."""
        return False

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _whole_lines(piece: pd.DataFrame) -> Callable[[int], list[str]]:
    return lambda i: [_as_text(piece.iloc[i : i + 1, at])[0][0] for at in range(piece.shape[1])]


def _as_text(column: pd.Series[Any]) -> tuple[list[str], np.ndarray]:
    missing = column.isna().to_numpy(bool)
    pairs = [("", False) if gap else _plain(value) for value, gap in zip(column, missing, strict=True)]
    return [text for text, _ in pairs], np.array([other for _, other in pairs], np.uint8)


def _plain(value: Any) -> tuple[str, bool]:
    return (str(value), False) if isinstance(value, uuid.UUID) else cell_text(value)
