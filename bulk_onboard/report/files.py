"""A run's files: the rows in every format asked for, in one pass, and the small files beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_onboard.report.draft import Draft, drafts
from bulk_onboard.report.rows import COLUMNS
from bulk_onboard.report.safe import blank, cleaned, harmless, quoted

_NUMBERS: Mapping[str, pa.DataType] = {
    "row": pa.int64(),
    "httpStatus": pa.int64(),
    "attempts": pa.int64(),
    "eventStatusCode": pa.int64(),
    "latencyMs": pa.float64(),
    "failedRuns": pa.int64(),
}


def write_results(folder: Path, formats: Sequence[str], pages: Iterable[pd.DataFrame]) -> list[Path]:
    """Write ``results.<format>`` for every format, each whole or absent, and name them.

    Pages are taken one by one, so no run is too large. Raises OutputError, and whatever ``pages`` raises.
    """
    paths = [folder / f"results.{name}" for name in formats]
    with drafts(paths, _again(folder)) as opened:
        sheets = [_Sheet(draft, _WRITERS[name]) for draft, name in zip(opened, formats, strict=True)]
        try:
            for page in pages:
                table = _table(page, kept_from=len(COLUMNS))
                for sheet in sheets:
                    sheet.write(table)
            for sheet in sheets:
                sheet.close()
        finally:
            for sheet in sheets:
                sheet.abandon()
    return [draft.path for draft in opened]


def write_problems(path: Path, table: pd.DataFrame) -> Path:
    """Write the problems of a file as CSV. Raises OutputError."""
    with drafts([path], "`bulk-onboard validate`") as (draft,):
        sheet = _Sheet(draft, _Csv)
        sheet.write(_table(table, kept_from=len(table.columns)))
        sheet.close()
    return path


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write one JSON object. Raises OutputError."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with drafts([path], _again(path.parent)) as (draft,), draft.writing():
        draft.file.write(text.encode())
    return path


def _again(folder: Path) -> str:
    """What writes a run's file again: its folder has the run's name."""
    return f"`bulk-onboard report {folder.name}`"


def _table(page: pd.DataFrame, kept_from: int) -> pa.Table:
    """The page for all formats alike: fixed types, and no control characters."""
    schema = pa.schema([(name, _NUMBERS.get(name, pa.string())) for name in page.columns])
    table = pa.Table.from_pandas(page, schema=schema, preserve_index=False).replace_schema_metadata(None)
    for at, field in enumerate(schema):
        if field.type == pa.string():
            column = pc.fill_null(table.column(at).combine_chunks(), "")
            table = table.set_column(at, field, cleaned(column, lines=at >= kept_from))
    return table


class _Writer(Protocol):
    def write(self, table: pa.Table) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _Sheet:
    """One format of the results. Its writer begins with the first page, which tells the columns."""

    def __init__(self, draft: Draft, begin: Callable[[BinaryIO, pa.Schema], _Writer]) -> None:
        self._draft, self._begin = draft, begin
        self._writer: _Writer | None = None

    def write(self, table: pa.Table) -> None:
        with self._draft.writing():
            if self._writer is None:
                self._writer = self._begin(self._draft.file, table.schema)
            self._writer.write(table)

    def close(self) -> None:
        """The end of the file; one without any page still has its columns."""
        if self._writer is None:
            self.write(_table(pd.DataFrame(columns=list(COLUMNS)), kept_from=len(COLUMNS)))
        assert self._writer is not None  # noqa: S101  (narrows the type)
        with self._draft.writing():
            self._writer.close()

    def abandon(self) -> None:
        """Nothing more is written, also when the writer itself is thrown away. No harm after the end."""
        if self._writer is not None:
            self._writer.abandon()


class _Plain:
    """A writer of lines, which needs no end."""

    def close(self) -> None:
        """Nothing comes after the last line."""

    def abandon(self) -> None:
        """Nothing is held back."""


class _Csv(_Plain):
    """UTF-8, commas, "\\n". Lines are joined here because Arrow's own writer puts every text in quotes."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._file = file
        names = cleaned(pa.array(schema.names, pa.string()), lines=False)
        self._file.write((",".join(_cells(names).to_pylist()) + "\n").encode())

    def write(self, table: pa.Table) -> None:
        if table.num_rows:
            lines = pc.binary_join_element_wise(*(_cells(column) for column in table.columns), ",")
            whole = pa.ListArray.from_arrays([0, len(lines)], lines)
            self._file.write(pc.binary_join(whole, "\n")[0].as_buffer())
            self._file.write(b"\n")


def _cells(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if flat.type != pa.string():
        return pc.fill_null(flat.cast(pa.string()), "")
    return flat if blank(flat) else quoted(harmless(flat))


class _Parquet:
    """Typed columns, compressed."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(file, schema, compression="zstd")

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()

    def abandon(self) -> None:
        """End it while its file is still open: else it would try to when it is collected."""
        with suppress(OSError, ValueError):
            self._writer.close()
        self._writer.is_open = False


class _Jsonl(_Plain):
    """One JSON object per line and row."""

    def __init__(self, file: BinaryIO, _schema: pa.Schema) -> None:
        self._file = file

    def write(self, table: pa.Table) -> None:
        if table.num_rows:
            # A missing number is null, so integers must not become floats on the way.
            page = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
            text = page.to_json(orient="records", lines=True, force_ascii=False)
            self._file.write(text.removesuffix("\n").encode() + b"\n")


_WRITERS: Mapping[str, Callable[[BinaryIO, pa.Schema], _Writer]] = {
    "csv": _Csv,
    "parquet": _Parquet,
    "jsonl": _Jsonl,
}
