"""Writers for the files of a run: the results in each requested format, and the small files beside them.

Each file is complete or absent, readable only by the user (see `draft`), and without control characters.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_onboard.reports.draft import Draft, drafts, keep_out_of_git
from bulk_onboard.reports.results import COLUMNS, NUMBERS, headers
from bulk_onboard.reports.sanitize import add_macros, quoted

# The plan of a dry run, which `run --plan` reads.
_PLAN = """
(SELECT row, {leaf} AS leaf, {owner} AS "apiOwner", "leafUserId", provider, status AS action, code, message,
    fingerprint, "credentialId", credential_created AS "createdTime" FROM results)
"""
# Columns with texts of bulk-onboard itself, which need no cleaning.
_TIMES = ("eventAt", "startedAt", "finishedAt", "failingSince", "healthCheckedAt")
_OWN = frozenset({"provider", "status", "health", "fingerprint", *_TIMES})
# In the results: UUIDs that are the same as these texts, or NULL.
_UUIDS = {"leafUserId": "id", "credentialId": "credential"}
# USE_TMP_FILE false: DuckDB writes directly to the file.
_PARQUET = "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false"
# How many lines are in memory at a time.
_PORTION = 60_000


def write_results(
    db: duckdb.DuckDBPyConnection,
    folder: Path,
    formats: Sequence[str],
    kept: Sequence[str] = (),
    *,
    columns: Sequence[str] = COLUMNS,
    stem: str = "results",
) -> list[Path]:
    """Write ``columns`` and the kept columns as ``<stem>.<format>`` in every format: all files or none.

    ``kept``: the headers of the kept columns. Return the paths. Raises OutputError.
    """
    add_macros(db)
    names = [*columns, *(f"kept_{number}" for number in range(len(kept)))]
    with drafts([folder / f"{stem}.{name}" for name in formats], _again(folder)) as opened:
        for draft, name in zip(opened, formats, strict=True):
            if name == "csv":
                _write_csv(db, draft, "results", dict(zip(names, [*columns, *headers(kept)], strict=True)))
                continue
            titles = [*columns, *headers(kept, str.casefold)]  # most readers treat these as equal
            cells = dict(zip(map(_name, titles), map(_cleaned, names), strict=True))
            if name == "jsonl":
                fields = ", ".join(f"{title} := {cell}" for title, cell in cells.items())
                _append(db, draft, f"to_json(struct_pack({fields})) || chr(10)", "results")
            else:
                _write_parquet(db, draft, ", ".join(f"{cell} AS {title}" for title, cell in cells.items()))
    return [draft.path for draft in opened]


def write_plan(db: duckdb.DuckDBPyConnection, path: Path, leaf: str, owner: str) -> Path:
    """Write the plan: what a dry run says would happen to each row. Raises OutputError."""
    add_macros(db)
    source = _PLAN.format(leaf=quoted(leaf), owner=quoted(owner))
    with drafts([path], _again(path.parent)) as (draft,):
        columns = db.sql(f"FROM {source}").columns
        _write_csv(db, draft, source, dict(zip(columns, columns, strict=True)))
    return path


def write_problems(path: Path, table: pd.DataFrame) -> Path:
    """Write the problems of a file as CSV. Raises OutputError."""
    if table.empty:  # the usual case; opening a database would take a tenth of a second
        with drafts([path], "`bulk-onboard validate`") as (draft,), draft.writing():
            draft.file.write(f"{','.join(map(str, table))}\n".encode())
        keep_out_of_git(path.parent.parent)
        return path
    problems = pa.Table.from_pandas(table, preserve_index=False)
    with duckdb.connect(":memory:") as db, drafts([path], "`bulk-onboard validate`") as (draft,):
        add_macros(db)
        db.register("problems", problems.append_column("place", [range(len(table))]))
        names = list(map(str, table))
        _write_csv(db, draft, "problems", dict(zip(names, names, strict=True)), order="place")
    keep_out_of_git(path.parent.parent)
    return path


def _write_csv(
    db: duckdb.DuckDBPyConnection, draft: Draft, source: str, columns: Mapping[str, str], order: str = "row"
) -> None:
    """Write columns of a table, or of a query in parentheses, as CSV: UTF-8, commas, line feeds."""
    titles = db.execute("SELECT not_a_formula(one_line(unnest($1)))", [list(columns.values())]).fetchall()
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(title for (title,) in titles)
    with draft.writing():
        draft.file.write(line.getvalue().encode())
    uuids = _UUIDS if source == "results" else {}
    cells = ", ',', ".join(_cell(name, uuids.get(name)) for name in columns)
    _append(db, draft, f"concat({cells}, chr(10))", source, order=order)


def _append(
    db: duckdb.DuckDBPyConnection, draft: Draft, line: str, source: str, *, order: str = "row"
) -> None:
    """Append a text for each line of a table or query to a file, in the order of an integer column."""
    ((first, last),) = db.execute(f"SELECT min({order}), max({order}) FROM {source}").fetchall()  # noqa: S608
    for start in () if first is None else range(first, last + 1, _PORTION):
        within = f"{order} BETWEEN {start} AND {start + _PORTION - 1}"
        query = f"SELECT {order} AS place, {line} AS line FROM {source} WHERE {within}"  # noqa: S608
        lines = db.sql(query).to_arrow_table()
        if np.any(np.diff(lines["place"].to_numpy()) < 0):
            lines = lines.take(pc.sort_indices(lines["place"]))
        with draft.writing():
            for chunk in lines["line"].chunks:
                draft.file.write(_joined(chunk))


def _joined(texts: pa.StringArray) -> memoryview:
    """Return the concatenated texts of an array, directly from its memory."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[ends[0] : ends[-1]] if data else memoryview(b"")


def _write_parquet(db: duckdb.DuckDBPyConnection, draft: Draft, cells: str) -> None:
    query = f"SELECT {cells} FROM results ORDER BY row"  # noqa: S608
    with draft.writing():
        db.execute(f"COPY ({query}) TO {quoted(str(draft.place.absolute()))} ({_PARQUET})")


def _cell(column: str, uuid: str | None = None) -> str:
    """Return the SQL for a cell of a CSV file: empty for NULL, and whole numbers without ``.0``.

    ``uuid``: a column that is NULL unless the text is a UUID.
    """
    name = _name(column)
    if uuid:
        return f"CASE WHEN {uuid} IS NULL THEN csv_line({name}) ELSE {name} END"
    if column == "latencyMs":
        return f"regexp_replace({name}::VARCHAR, '[.]0$', '')"
    if column in NUMBERS or column in _OWN:
        return name
    if column == "hint":
        return f"csv_quoted({name})"
    if column == "code":
        return f"CASE WHEN starts_with({name}, 'leaf:') THEN csv_line({name}) ELSE {name} END"
    return f"{'csv_lines' if column.startswith('kept_') else 'csv_line'}({name})"


def _cleaned(column: str) -> str:
    """Return the SQL for a column without control characters; kept columns may have several lines."""
    if column in NUMBERS or column in _OWN or column == "hint":
        return _name(column)
    return f"{'some_lines' if column.startswith('kept_') else 'one_line'}({_name(column)})"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write one JSON object. Raises OutputError."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with drafts([path], _again(path.parent)) as (draft,), draft.writing():
        draft.file.write(text.encode())
    return path


def _again(folder: Path) -> str:
    """Return the command that writes the files of a run again; the folder has the name of the run."""
    return f"`bulk-onboard report {folder.name}`"
