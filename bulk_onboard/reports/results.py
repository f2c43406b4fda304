"""The columns of results.csv, and a run's results as a DataFrame.

The functions of this package use a DuckDB connection with the view ``results``: one line per row of the
input with `COLUMNS`, the kept columns as ``kept_0``, … and ``cause`` (NULL, or the status for which the row
needs attention).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb
import pandas as pd
import pyarrow as pa

COLUMNS = (
    "row",
    "leafUserId",
    "provider",
    "status",
    "health",
    "code",
    "message",
    "hint",
    "httpStatus",
    "attempts",
    "credentialId",
    "credentialStatus",
    "eventStatusCode",
    "eventAt",
    "startedAt",
    "finishedAt",
    "latencyMs",
    "fingerprint",
    "failingSince",
    "failedRuns",
    "healthCheckedAt",
)
NUMBERS = frozenset({"row", "httpStatus", "attempts", "eventStatusCode", "latencyMs", "failedRuns"})
_NULLABLE = ("httpStatus", "eventStatusCode", "failedRuns")
_CLASH = " (input)"


def headers(kept: Sequence[str], same: Callable[[str], str] = str) -> list[str]:
    """Return the headers of kept columns, changed if another column has the same name.

    ``same``: returns equal texts for names that count as equal.
    """
    taken, names = {same(name) for name in COLUMNS}, []
    for name in kept:
        while same(name) in taken:
            name += _CLASH  # noqa: PLW2901
        taken.add(same(name))
        names.append(name)
    return names


def table(db: duckdb.DuckDBPyConnection, kept: Sequence[str] = ()) -> pd.DataFrame:
    """Return the results with `COLUMNS` and the kept columns, in input order."""
    names = [*COLUMNS, *(f"kept_{number}" for number in range(len(kept)))]
    columns = ", ".join(f'"{name}"' for name in names)
    query = f"SELECT {columns} FROM results ORDER BY row"  # noqa: S608
    frame: pd.DataFrame = (
        db.sql(query)
        .to_arrow_table()
        .to_pandas(types_mapper={pa.string(): pd.StringDtype(na_value=float("nan"))}.get)
    )
    frame = frame.astype(dict.fromkeys(_NULLABLE, "Int64"))
    return frame.set_axis([*COLUMNS, *headers(kept)], axis=1)
