"""Parquet, by row groups and only the columns that are needed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from bulk_onboard.domain.chunk import CHUNK_ROWS, Chunk, cell_text, make_chunk
from bulk_onboard.domain.input_description import InputDescription, ReadOptions
from bulk_onboard.errors import InputError
from bulk_onboard.readers.detect import Format
from bulk_onboard.readers.input_file import FileSource, InputFile
from bulk_onboard.validation.columns import LEAF_USER_ID, normalize

FIRST_ROW = 2
_BINARY = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
_STRING = (types.is_string, types.is_large_string, types.is_string_view, types.is_null)


class Parquet(FileSource):
    """A source of Parquet. Text columns are read as they are; others can only be kept."""

    def __init__(self, file: InputFile, options: ReadOptions) -> None:
        """Raises InputError if the file is damaged, encrypted or without columns."""
        self._file = file
        self._id_columns = {normalize(LEAF_USER_ID), normalize(options.id_column)}
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415  (other formats have no use for it)

        try:
            # Not the path: the file that was opened is read, even if another one has its name now.
            self._parquet = ParquetFile(file.reader(), buffer_size=1 << 20, pre_buffer=False)
            self._schema: pa.Schema = self._parquet.schema_arrow
            _require_counts(self._parquet.metadata)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise InputError(_damaged(file.name, error)) from None
        self.name, self.header = file.name, tuple(self._schema.names)
        self.description = InputDescription(file.name, "Parquet", compression=file.packing)
        if not self.header:
            raise InputError(f"{file.name} has no columns")

    def require_text(self, columns: Sequence[int]) -> None:
        """Raises InputError if one of these columns holds something other than text."""
        wrong = [f"{self.header[i]} is {self._type(i)}" for i in columns if not _is_text(self._type(i))]
        if wrong:
            nested = any(types.is_nested(self._type(i)) for i in columns)
            why = "; export one text per row" if nested else ": numbers lose zeros and digits; export as text"
            raise InputError(f"{self.name}: {', '.join(wrong)}, but text is expected{why}")

    def chunks(self, columns: Sequence[int], size: int = CHUNK_ROWS) -> Iterator[Chunk]:
        """Yield the rows from the start. Raises InputError if the file is damaged further on."""
        names = [self.header[i] for i in columns]
        if doubled := sorted({name for name in names if self.header.count(name) > 1}):
            raise InputError(f"{self.name} has several columns named {', '.join(doubled)}")
        first = FIRST_ROW
        try:
            for batch in self._parquet.iter_batches(batch_size=size, columns=names, use_threads=False):
                yield self._chunk(batch, names, first)
                first += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(_damaged(f"{self.name}, after row {first - 1}", error)) from None

    def close(self) -> None:
        """Release the file."""
        self._parquet.close()
        super().close()

    def _type(self, at: int) -> pa.DataType:
        return self._schema.field(at).type

    def _chunk(self, batch: pa.RecordBatch, names: list[str], first: int) -> Chunk:
        numbers = np.arange(first, first + batch.num_rows, dtype=np.int64)
        kinds = np.zeros((batch.num_rows, len(names)), np.uint8)
        columns = []
        for i, name in enumerate(names):
            column = batch.column(name)
            kinds[:, i] = not _is_text(column.type)
            columns.append(self._texts(column, name))
        return make_chunk(numbers, columns, kinds=kinds)

    def _texts(self, column: pa.Array, name: str) -> pa.Array:
        """Return the column as text. Raises InputError if there is no plain text for it."""
        kind = column.type
        # 16 bytes are a UUID in a column with leafUserIds, and in any column of the UUID type.
        is_id = normalize(name) in self._id_columns or getattr(kind, "extension_name", "") == "arrow.uuid"
        try:
            return pc.fill_null(_as_text(_stored(column), is_id=is_id), "")
        except (pa.ArrowException, UnicodeDecodeError):
            what = "holds bytes that are not text" if _is_binary(_storage(kind)) else "cannot be read as text"
            raise InputError(f"{self.name}: column {name} ({kind}) {what}; export it as text") from None


def _require_counts(metadata: Any) -> None:
    """Arrow ends the process over a row group of less than no rows. Raises ValueError."""
    counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
        raise ValueError("the row counts do not add up")


def _storage(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return kind.value_type if types.is_dictionary(kind) else kind


def _is_binary(kind: pa.DataType) -> bool:
    return any(check(kind) for check in _BINARY)


def _is_text(kind: pa.DataType) -> bool:
    return any(check(_storage(kind)) for check in (*_STRING, *_BINARY))


def _stored(column: pa.Array) -> pa.Array:
    """Return the values of a dictionary or of an extension type, or the column as it is."""
    column = column.dictionary_decode() if types.is_dictionary(column.type) else column
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _as_text(column: pa.Array, *, is_id: bool) -> pa.Array:
    """Return the values as text. Raises ArrowException, UnicodeDecodeError."""
    if types.is_nested(column.type):
        raise pa.ArrowNotImplementedError("nested")
    if is_id and _is_binary(column.type):
        return pa.array(map(_id_text, column.to_pylist()), pa.large_string())
    if not _is_text(column.type):
        return pa.array([cell_text(value)[0] for value in column.to_pylist()], pa.large_string())
    if types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    texts = column.cast(pa.large_string())
    texts.validate(full=True)
    return texts


def _id_text(value: bytes | None) -> str | None:
    """16 bytes are a UUID; anything else is text in UTF-8."""
    if value is None:
        return None
    return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.decode()


def _damaged(what: str, error: BaseException) -> str:
    text = " ".join(str(error).split())
    if "encrypt" in text.lower():
        return f"{what} is encrypted; decrypt it first"
    return f"{what}: the Parquet file is damaged or cut off ({text[:120]})"


FORMAT = Format((".parquet",), lambda _, head: head.startswith(b"PAR1"), Parquet)
