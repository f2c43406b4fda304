"""Parquet, by row groups, only the columns that are needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_onboard.chunk import Chunk
from bulk_onboard.errors import InputError
from bulk_onboard.read.cells import as_text
from bulk_onboard.read.delimited import state_of


class Parquet:
    """Row ``i`` of the file is row ``i + 2``, as if it had been saved to a spreadsheet."""

    def __init__(self, name: str, file: BinaryIO) -> None:
        """Raises InputError if it cannot be opened."""
        self.name = name
        self._file = file
        self._before = state_of(file)
        try:
            self._parquet = pq.ParquetFile(file)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{name} cannot be opened as Parquet: it is damaged or cut off") from error
        self._schema = self._parquet.schema_arrow
        self.header = tuple(self._schema.names)
        self.description = f"Parquet, {self._parquet.num_row_groups} row groups"

    def chunks(self, columns: Sequence[int], size: int = 50_000) -> Iterator[Chunk]:
        """See `Source`. Raises InputError for a column that cannot be text."""
        names = [self.header[i] for i in columns]
        wanted = list(dict.fromkeys(names))
        first = 2
        try:
            for batch in self._parquet.iter_batches(size, columns=wanted):
                found = [self._texts(batch.column(wanted.index(name)), name) for name in names]
                yield _chunk(first, batch.num_rows, found)
                first += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.name} is damaged after row {first}: {type(error).__name__}") from None

    def _texts(self, column: pa.Array, name: str) -> tuple[pa.Array, bool]:
        """The column as text, and whether it was something else than text."""
        kind = column.type
        if pa.types.is_dictionary(kind):
            return self._texts(column.dictionary_decode(), name)
        if isinstance(column, pa.ExtensionArray):
            return self._texts(column.storage, name)
        if pa.types.is_null(kind):
            return pa.array([""] * len(column), pa.string()), False
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
            return pc.fill_null(column.cast(pa.string()), ""), False
        if pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16:
            return pa.array([_uuid(value) for value in column.to_pylist()], pa.string()), False
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return self._decoded(column, name), False
        if pa.types.is_nested(kind):
            raise InputError(f"{self.name}: the column {name} is of type {kind}; export it as text")
        return pa.array([as_text(value) for value in column.to_pylist()], pa.string()), True

    def _decoded(self, column: pa.Array, name: str) -> pa.Array:
        try:
            return pc.fill_null(column.cast(pa.string()), "")
        except pa.ArrowInvalid:
            raise InputError(f"{self.name}: the column {name} holds bytes that are no text") from None

    def changed(self) -> bool:
        """See `Source`."""
        return state_of(self._file) != self._before

    def close(self) -> None:
        """See `Source`."""
        self._parquet.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _uuid(value: bytes | None) -> str:
    return str(uuid.UUID(bytes=value)) if value else ""


def _chunk(first: int, rows: int, found: list[tuple[pa.Array, bool]]) -> Chunk:
    cells: dict[int, Any] = {j: pd.array(texts, dtype="str") for j, (texts, _) in enumerate(found)}
    flags = [np.full(rows, strange) for _, strange in found]
    not_text = np.array(flags, bool).reshape(len(found), rows).T
    numbers = np.arange(first, first + rows, dtype=np.int64)
    return Chunk(numbers, pd.DataFrame(cells, index=range(rows)), not_text, np.zeros(rows, bool))
