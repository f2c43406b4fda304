"""The rows on the page: rows that need attention, rows that wait for an event, and response times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import duckdb

from bulk_onboard.reports.results import headers

# The largest number of rows on the page that need attention or wait for an event; results.csv has all.
MOST = 5_000
MOST_WAITING = 1_000
# The largest number of characters of a cell. The message is the last of `_SHOWN`; kept columns follow it.
LONGEST = 300
_LONGEST_ID = 80
_SHOWN = ("row", "leafUserId", "status", "code", "message")
# The largest size of the rows in bytes, so that the page can be mailed.
ROOM = 850_000
_MARKUP = len("<td>")

# Rows that were not attempted need no attention: the next run does them.
_ATTENTION = "cause IS NOT NULL"
_WAITING = "health = 'pending' AND code NOT IN ('environment-changed', 'app-changed')"
_LATENCY = 'SELECT quantile_disc("latencyMs", [0.5, 0.95]), max("latencyMs") FROM results'


class Shown(NamedTuple):
    """Rows of the page, as tuples of cells. ``more``: how many rows are only in the results."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: int


class Latency(NamedTuple):
    """The response times, in milliseconds."""

    median: float
    percentile_95: float
    slowest: float


class PageRows(NamedTuple):
    """All rows of the page. ``latency``: None if no response was timed."""

    attention: Shown
    waiting: Shown
    latency: Latency | None


def page_rows(db: duckdb.DuckDBPyConnection, kept: Sequence[str] = ()) -> PageRows:
    """Return the rows that fit onto the page. ``kept``: the headers of the kept columns."""
    ((percentiles, slowest),) = db.execute(_LATENCY).fetchall()
    return PageRows(
        _shown(db, _ATTENTION, kept, status="cause", most=MOST, room=ROOM),
        _shown(db, _WAITING, kept, status="status", most=MOST_WAITING, room=ROOM // 10),
        Latency(percentiles[0], percentiles[1], slowest) if percentiles else None,
    )


def _shown(
    db: duckdb.DuckDBPyConnection, condition: str, kept: Sequence[str], *, status: str, most: int, room: int
) -> Shown:
    """Return the first rows that meet a condition, in at most ``room`` bytes."""
    columns = ["row::VARCHAR", '"leafUserId"', status, "code", "message"]
    columns += [f"kept_{number}" for number in range(len(kept))]
    cells = ", ".join(f"left({column}, {LONGEST + 1})" for column in columns)
    db.execute(f"SELECT {cells} FROM results WHERE {condition} ORDER BY row LIMIT {most}")  # noqa: S608
    rows = []
    for cells_of_row in db.fetchall():
        row = tuple(_short(cell, LONGEST if at >= 4 else _LONGEST_ID) for at, cell in enumerate(cells_of_row))
        room -= _weight(row)
        if room < 0:
            break
        rows.append(row)
    ((count,),) = db.execute(f"SELECT count(*) FROM results WHERE {condition}").fetchall()  # noqa: S608
    header = tuple(_short(name, LONGEST) for name in (*_SHOWN, *headers(kept)))
    return Shown(header, rows, count - len(rows))


def _weight(row: tuple[str, ...]) -> int:
    """Return the size of a row in HTML, where escaped characters take up to six bytes."""
    text = "".join(row)
    special = sum(text.count(sign) for sign in "<>&\"'")
    return len(text.encode(errors="replace")) + 5 * special + _MARKUP * (len(row) + 1)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
