"""What the page shows of the rows: those that need attention, those that wait, answer times, and an index.

The index shows the outcome of a grower when the reader enters its id. It holds no ids: a grower is six bytes
of the SHA-256 of its id, which the page computes from what is entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from string import ascii_letters, digits
from typing import Any, NamedTuple

import duckdb
import numpy as np

from bulk_onboard.reports import formatting
from bulk_onboard.reports.results import headers

# Rows on the page that need attention or wait for an event, and growers in its index; results.csv has all.
MOST = 5_000
MOST_WAITING = 1_000
MOST_INDEXED = 50_000
# Characters of a cell, and of a grower in the index.
LONGEST = 300
WIDTH = 10
# Bytes that rows and the index of growers may take, so that the page can be mailed.
ROOM = 850_000
ROOM_WAITING = 100_000
# What is tried where they take more, in this order: with the kept columns or not, and letters of a text.
_SHORTER = ((True, LONGEST), (True, 100), (True, 40), (False, 100), (False, 40))
_MARKUP = len("<td>")
_SHOWN = ("row", "leafUserId", "status", "code", "message")
# Outcomes are numbered in 12 bits. Beyond this many they have no codes.
_MOST_OUTCOMES = 4_000
_BASE64 = f"{ascii_letters[26:]}{ascii_letters[:26]}{digits}+/"
# Milliseconds.
EDGES = tuple(float(digit * 10**power) for power in range(5) for digit in (1, 2, 5))

# Rows that were not attempted need no attention: the next run does them.
_ATTENTION = "cause IS NOT NULL"
_WAITING = "health = 'pending' AND code NOT IN ('environment-changed', 'app-changed')"
_LATENCY = """
SELECT histogram("latencyMs", $edges), quantile_disc("latencyMs", [0.5, 0.95]), max("latencyMs"),
    count("latencyMs") FROM results
"""
_INDEX = """
SELECT row, to_base64(unhex(sha256(lower("leafUserId"))[:12])), status, health, code
FROM results JOIN (SELECT row FROM results WHERE "leafUserId" != '' ORDER BY row LIMIT $most) USING (row)
ORDER BY row
"""


class Shown(NamedTuple):
    """Rows as the page has them, a tuple of cells each. ``more``: how many rows are in the results only.

    ``shortened``: texts were cut, or kept columns left out.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: int
    shortened: bool


class Latency(NamedTuple):
    """How long answers took, in milliseconds. ``bins``: from, to and how many; the last may have no end."""

    total: int = 0
    median: float = 0.0
    percentile_95: float = 0.0
    slowest: float = 0.0
    bins: Sequence[tuple[float, float, int]] = ()


class PageRows(NamedTuple):
    """All of it. ``growers``: an index of them, see `_growers`."""

    attention: Shown
    waiting: Shown
    growers: Mapping[str, Any]
    latency: Latency


def page_rows(db: duckdb.DuckDBPyConnection, kept: Sequence[str] = ()) -> PageRows:
    """Return what fits onto the page. ``kept``: the headers of the kept columns."""
    waiting = _shown(db, _WAITING, kept, ROOM_WAITING, status="status", most=MOST_WAITING)
    room = ROOM - sum(map(_weight, waiting.rows))
    attention = _shown(db, _ATTENTION, kept, room, status="cause", most=MOST)
    growers = _growers(db, room - sum(map(_weight, attention.rows)))
    return PageRows(attention, waiting, growers, latency(db))


def latency(db: duckdb.DuckDBPyConnection) -> Latency:
    """Return how long the answers took, as one bin per stretch from the fastest to the slowest."""
    edges = [*EDGES, float("inf")]
    ((buckets, percentiles, slowest, total),) = db.execute(_LATENCY, {"edges": edges}).fetchall()
    if not total:
        return Latency()
    bins = [(since, until, buckets[until]) for since, until in zip([0.0, *EDGES], edges, strict=True)]
    filled = [at for at, (_, _, count) in enumerate(bins) if count]
    median, percentile_95 = percentiles
    return Latency(total, median, percentile_95, slowest, bins[filled[0] : filled[-1] + 1])


def _shown(
    db: duckdb.DuckDBPyConnection, condition: str, kept: Sequence[str], room: int, *, status: str, most: int
) -> Shown:
    """The first rows that meet a condition, cut so that they take no more than ``room`` bytes."""
    columns = ["row::VARCHAR", '"leafUserId"', status, "code", "message"]
    columns += [f"kept_{number}" for number in range(len(kept))]
    cells = ", ".join(f"left({column}, {LONGEST + 1})" for column in columns)
    result: list[tuple[str, ...]] = db.execute(
        f"SELECT {cells} FROM results WHERE {condition} ORDER BY row LIMIT {most}"  # noqa: S608
    ).fetchall()
    ((count,),) = db.execute(f"SELECT count(*) FROM results WHERE {condition}").fetchall()  # noqa: S608
    header = tuple(_short(name, LONGEST) for name in (*_SHOWN, *headers(kept)))
    for with_kept, longest in _SHORTER:
        width = len(header) if with_kept else len(_SHOWN)
        rows = [_cut(row[:width], longest) for row in result]
        if sum(map(_weight, rows)) <= room:
            break
    weights = np.cumsum([_weight(row) for row in rows])
    rows = rows[: int(np.searchsorted(weights, room, side="right"))]
    shortened = longest < LONGEST or width < len(header)
    return Shown(header[:width], rows, count - len(rows), shortened)


def _weight(row: tuple[str, ...]) -> int:
    """The bytes of a row in HTML, where four signs take up to six."""
    text = "".join(row)
    special = sum(text.count(sign) for sign in "<>&\"'")
    return len(text.encode(errors="replace")) + 5 * special + _MARKUP * (len(row) + 1)


def _cut(row: tuple[str, ...], longest: int) -> tuple[str, ...]:
    return *(_short(cell, 80) for cell in row[:4]), *(_short(cell, longest) for cell in row[4:])


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _growers(db: duckdb.DuckDBPyConnection, room: int) -> Mapping[str, Any]:
    """Return an index of the first growers, in no more than about ``room`` characters.

    ``lines``: 8 characters of the key of each grower and 2 of the number of its outcome, in base64. ``rows``:
    pairs of a row number and how many consecutive rows begin there.
    """
    most = min(MOST_INDEXED, max(0, room) // WIDTH)
    rows = db.execute(_INDEX, {"most": most}).fetchall()
    ((count,),) = db.execute("""SELECT count(*) FROM results WHERE "leafUserId" != ''""").fetchall()
    outcomes: dict[str, int] = {}
    lines = [key + _number(outcomes, *outcome) for _, key, *outcome in rows]
    return {
        "outcomes": list(outcomes),
        "rows": list(_consecutive([row for row, *_ in rows])),
        "lines": "".join(lines),
        "growers": len(rows),
        "leftOut": count - len(rows),
    }


def _number(outcomes: dict[str, int], status: str, health: str, code: str) -> str:
    """The number of an outcome in two characters; ``outcomes`` numbers their texts."""
    text = ", ".join(filter(None, (formatting.status(status), health)))
    if code and len(outcomes) < _MOST_OUTCOMES:
        text += f" ({code[:80]})"
    high, low = divmod(outcomes.setdefault(text, len(outcomes)), 64)
    return _BASE64[high] + _BASE64[low]


def _consecutive(rows: Sequence[int]) -> Iterator[list[int]]:
    for _, group in groupby(enumerate(rows), lambda pair: pair[1] - pair[0]):
        places = [row for _, row in group]
        yield [places[0], len(places)]
