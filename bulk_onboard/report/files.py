"""A run's files: the rows in every format asked for, in one pass, and the small files beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.report.draft import Draft, drafts, keep_out_of_git
from bulk_onboard.report.rows import COLUMNS
from bulk_onboard.report.safe import cleaned, harmless, quoted
from bulk_onboard.texts import bytes_of, flat, joined, only_value, repeated

_NUMBERS: Mapping[str, pa.DataType] = {
    "row": pa.int64(),
    "httpStatus": pa.int64(),
    "attempts": pa.int64(),
    "eventStatusCode": pa.int64(),
    "latencyMs": pa.float64(),
    "failedRuns": pa.int64(),
}


def write_results(
    folder: Path, formats: Sequence[str], pages: Iterable[pd.DataFrame], stem: str = "results"
) -> list[Path]:
    """Write ``<stem>.<format>`` for every format, each whole or absent, and name them.

    Pages are taken one by one, so no run is too large. Raises OutputError, and whatever ``pages`` raises.
    """
    paths = [folder / f"{stem}.{name}" for name in formats]
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
    keep_out_of_git(folder.parent)
    return [draft.path for draft in opened]


def write_problems(path: Path, table: pd.DataFrame) -> Path:
    """Write the problems of a file as CSV. Raises OutputError."""
    with drafts([path], "`bulk-onboard validate`") as (draft,):
        sheet = _Sheet(draft, _Csv)
        sheet.write(_table(table, kept_from=len(table.columns)))
        sheet.close()
    return path


def write_plan(path: Path, pages: Iterable[pd.DataFrame]) -> Path:
    """Write pages, whose texts are all ours, as CSV. Raises OutputError, and whatever ``pages`` raises."""
    with drafts([path], _again(path.parent)) as (draft,):
        sheet = _Sheet(draft, _Csv)
        for page in pages:
            sheet.write(_table(page, kept_from=len(page.columns)))
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
    columns: dict[str, pa.Array] = {}
    for at, name in enumerate(map(str, page.columns)):
        if name in _NUMBERS:
            columns[name] = pa.array(page[name], _NUMBERS[name], from_pandas=True)
        else:
            column = flat(pa.array(page[name], pa.large_string(), from_pandas=True))
            filled = pc.fill_null(column, "") if column.null_count else column
            columns[name] = cleaned(filled, lines=at >= kept_from)
    return pa.table(columns)


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
        names = cleaned(pa.array(schema.names, pa.large_string()), lines=False)
        self._file.write((",".join(quoted(harmless(names)).to_pylist()) + "\n").encode())

    def write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._file.write(bytes_of(joined(*_parts(table)))[0].data)


def _parts(table: pa.Table) -> Iterator[pa.Array | str]:
    """What a line is made of: cells, and between them what is the same in all lines."""
    same, comma = "", ""
    for column in table.columns:
        cells = _cells(column)
        if isinstance(cells, str):
            same += comma + cells
        else:
            yield from (same + comma, cells)
            same = ""
        comma = ","
    yield repeated(same + "\n", table.num_rows)


def _cells(column: pa.ChunkedArray | pa.Array) -> pa.Array | str:
    """The cells of a column; one for all rows if they are alike."""
    if column.type != pa.large_string():
        return "" if column.null_count == len(column) else pc.fill_null(flat(column), "")
    texts = flat(column)
    only = only_value(texts)
    if only is None:
        return quoted(harmless(texts))
    return str(quoted(harmless(pa.array([only], pa.large_string())))[0].as_py())


class _Parquet:
    """Typed columns, compressed."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415  (a twentieth of the start-up, for who wants it)

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
