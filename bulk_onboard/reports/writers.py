"""The files of a run: its rows in every format asked for, and the small files beside them.

Each is complete or absent, readable by the user alone (see `draft`), and without control characters.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from bulk_onboard.reports.draft import PRIVATE_FILE, Draft, drafts, keep_out_of_git
from bulk_onboard.reports.results import COLUMNS, NUMBERS, headers
from bulk_onboard.reports.sanitize import add_macros, quoted

# From a dry run: what `run --plan` reads.
_PLAN = """
(SELECT row, {leaf} AS leaf, {owner} AS "apiOwner", "leafUserId", provider, status AS action, code, message,
    fingerprint, "credentialId", credential_created AS "createdTime" FROM results)
"""
# Texts that bulk-onboard writes itself need no cleaning, which takes time.
_TIMES = ("eventAt", "startedAt", "finishedAt", "failingSince", "healthCheckedAt")
_OWN = frozenset({"status", "health", "hint", "fingerprint", *_TIMES})
# COMMENT '': a cell that begins with # is like any other. USE_TMP_FILE: DuckDB writes to the very file.
_CSV = "FORMAT csv, HEADER false, COMMENT '', USE_TMP_FILE false"
_JSON = "FORMAT json, USE_TMP_FILE false"
_PARQUET = "FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false"
# How many rows are sorted at a time: DuckDB needs no temporary file for them.
_PORTION = 100_000
_BUFFER = 1 << 20


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
            titles = [*columns, *headers(kept, str.casefold)]  # most readers take these for the same
            cells = zip(map(_cleaned, names), titles, strict=True)
            select = ", ".join(f"{cell} AS {_name(title)}" for cell, title in cells)
            if name == "jsonl":
                _append(db, draft, select, "results", order="row", options=_JSON)
            else:
                _copy(db, draft, draft.place, f"SELECT {select} FROM results ORDER BY row", _PARQUET)  # noqa: S608
    keep_out_of_git(folder.parent)
    return [draft.path for draft in opened]


def write_plan(db: duckdb.DuckDBPyConnection, path: Path, leaf: str, owner: str) -> Path:
    """Write what a dry run says would happen to each row. Raises OutputError."""
    add_macros(db)
    source = _PLAN.format(leaf=quoted(leaf), owner=quoted(owner))
    with drafts([path], _again(path.parent)) as (draft,):
        columns = db.sql(f"FROM {source}").columns
        _write_csv(db, draft, source, dict(zip(columns, columns, strict=True)))
    return path


def write_problems(path: Path, table: pd.DataFrame) -> Path:
    """Write the problems of a file as CSV. Raises OutputError."""
    problems = pa.Table.from_pandas(table, preserve_index=False)
    with duckdb.connect(":memory:") as db, drafts([path], "`bulk-onboard validate`") as (draft,):
        add_macros(db)
        db.register("problems", problems.append_column("place", [range(len(table))]))
        names = list(map(str, table))
        _write_csv(db, draft, "problems", dict(zip(names, names, strict=True)), order="place")
    return path


def _write_csv(
    db: duckdb.DuckDBPyConnection, draft: Draft, source: str, columns: Mapping[str, str], order: str = "row"
) -> None:
    """Write columns of a table or a query in parentheses under their headers: UTF-8, commas, line feeds."""
    titles = db.execute("SELECT not_a_formula(one_line(unnest($1)))", [list(columns.values())]).fetchall()
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(title for (title,) in titles)
    with draft.writing():
        draft.file.write(line.getvalue().encode())
    _append(db, draft, ", ".join(map(_cell, columns)), source, order=order, options=_CSV)


def _append(
    db: duckdb.DuckDBPyConnection, draft: Draft, cells: str, source: str, *, order: str, options: str
) -> None:
    """Append the cells of a table or query to a draft, in the order of an integer column."""
    ((first, last),) = db.execute(f"SELECT min({order}), max({order}) FROM {source}").fetchall()  # noqa: S608
    part = draft.place.with_suffix(".rows")
    for start in () if first is None else range(first, last + 1, _PORTION):
        within = f"{order} BETWEEN {start} AND {start + _PORTION - 1}"
        with draft.writing():
            part.touch(PRIVATE_FILE, exist_ok=False)
            try:
                query = f"SELECT {cells} FROM {source} WHERE {within} ORDER BY {order}"  # noqa: S608
                _copy(db, draft, part, query, options)
                with part.open("rb") as rows:
                    shutil.copyfileobj(rows, draft.file, _BUFFER)
            finally:
                part.unlink()


def _copy(db: duckdb.DuckDBPyConnection, draft: Draft, path: Path, query: str, options: str) -> None:
    with draft.writing():
        db.execute(f"COPY ({query}) TO {quoted(str(path.absolute()))} ({options})")


def _cell(column: str) -> str:
    """What a cell of a CSV file holds: nothing for an empty text, and whole numbers without ``.0``."""
    if column == "latencyMs":
        return """regexp_replace("latencyMs"::VARCHAR, '[.]0$', '')"""
    if column in NUMBERS:
        return _name(column)
    cell = _cleaned(column)
    return f"nullif({cell if column in _OWN else f'not_a_formula({cell})'}, '')"


def _cleaned(column: str) -> str:
    """A column without control characters; kept columns may have several lines."""
    if column in NUMBERS or column in _OWN:
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
    """The command that writes the files of a run again: its folder has the run's name."""
    return f"`bulk-onboard report {folder.name}`"
