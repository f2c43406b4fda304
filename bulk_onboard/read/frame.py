"""A pandas DataFrame as a source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import pandas as pd

from bulk_onboard.chunk import Chunk
from bulk_onboard.read.cells import text_column


class Frame:
    """Row ``i`` of the frame is row ``i + 2``, as if it had been saved to a spreadsheet."""

    name = "DataFrame"
    description = "a DataFrame"

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.header = tuple(str(name) for name in frame.columns)

    def chunks(self, columns: Sequence[int], size: int = 50_000) -> Iterator[Chunk]:
        """See `Source`."""
        for start in range(0, len(self._frame), size):
            part = self._frame.iloc[start : start + size]
            found = [text_column(part.iloc[:, i].tolist()) for i in columns]
            cells = pd.DataFrame({j: texts for j, (texts, _) in enumerate(found)}, index=range(len(part)))
            not_text = np.array([flags for _, flags in found], bool).reshape(len(columns), len(part)).T
            numbers = np.arange(start, start + len(part), dtype=np.int64) + 2
            yield Chunk(numbers, cells, not_text, np.zeros(len(part), bool))

    def changed(self) -> bool:
        """See `Source`."""
        return False

    def close(self) -> None:
        """See `Source`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass
