"""Columns whose value stands in the path of the file: ``provider=raven/part-0.parquet``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Self

import numpy as np
import pandas as pd

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, Source, text_column
from bulk_onboard.domain.input_description import InputDescription
from bulk_onboard.errors import InputError
from bulk_onboard.validation.columns import normal


def with_path_columns(source: Source, columns: Mapping[str, str]) -> Source:
    """The source with these columns added: name -> the value that all of its rows have."""
    return PathColumns(source, columns) if columns else source


class PathColumns:
    """A source with columns from its path. A blank cell of a column of that name gets the path's value."""

    def __init__(self, source: Source, columns: Mapping[str, str]) -> None:
        """``columns``: name -> value; "" for a missing value."""
        self._source, self._columns = source, columns
        self.name = source.name
        self._values = {
            at: value
            for name, value in columns.items()
            for at, header in enumerate(source.header)
            if normal(header) == normal(name)
        }
        own = {normal(header) for header in source.header}
        self._added = [(name, value) for name, value in columns.items() if normal(name) not in own]
        self.header = (*source.header, *(name for name, _ in self._added))

    @property
    def description(self) -> InputDescription:
        """That of the source, which names these columns."""
        return replace(self._source.description, path_columns=tuple(self._columns))

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """The rows from the start. Raises InputError if a cell contradicts the path."""
        width = len(self._source.header)
        own = [at for at in columns if at < width]
        for chunk in self._source.chunks(own, size):
            yield self._with_values(chunk, columns, own)

    def _with_values(self, chunk: Chunk, columns: Sequence[int], own: Sequence[int]) -> Chunk:
        width, rows = len(self._source.header), len(chunk.numbers)
        cells: dict[int, pd.Series[str]] = {}
        kinds = np.zeros((rows, len(columns)), chunk.kinds.dtype)
        for i, at in enumerate(columns):
            if at >= width:
                cells[i] = text_column([self._added[at - width][1]] * rows)
                continue
            place = own.index(at)
            kinds[:, i] = chunk.kinds[:, place]
            cells[i] = chunk.cells[place]
            if self._values.get(at):
                cells[i] = self._filled(chunk, place, at)
        return replace(chunk, cells=pd.DataFrame(cells, index=chunk.cells.index), kinds=kinds)

    def _filled(self, chunk: Chunk, place: int, at: int) -> pd.Series[str]:
        column, value, header = chunk.cells[place], self._values[at], self._source.header[at]
        other = [i for i, cell in enumerate(column) if cell.strip() and normal(cell) != normal(value)]
        if other:
            raise InputError(
                f"{self.name}, row {chunk.numbers[other[0]]}: the column {header} contradicts the folder"
                f" {header}={value} that the file is in; move the file, or correct the column"
            )
        return text_column([cell if cell.strip() else value for cell in column])

    def require_text(self, columns: Sequence[int]) -> None:
        """Raises InputError if one of these columns of the file can hold no text."""
        self._source.require_text([at for at in columns if at < len(self._source.header)])

    def changed(self) -> bool:
        """Whether the file has been written to."""
        return self._source.changed()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
