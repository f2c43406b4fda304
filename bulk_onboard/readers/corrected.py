"""A source with a person's corrections: cells with another text, and rows that are left out.

The file itself stays as it is, and the corrections, which may be secrets, stay in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from bulk_onboard.domain.chunk import CHUNK_ROWS, CellKind, Chunk, Source, text_column
from bulk_onboard.domain.input_description import SkippedLine

LEFT_OUT = "left out by hand"


class Corrected(Source):
    """Another source, corrected. Both readings of a run see the same corrections."""

    def __init__(
        self,
        source: Source,
        cells: Mapping[tuple[int, int], str],
        left_out: Collection[int] = (),
        header: Sequence[str] = (),
    ) -> None:
        """``cells``: (row number, position of the column) -> text; ``left_out``: numbers of rows.

        ``header``: other names of the columns, such as those that a person needs to tell them apart.
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
