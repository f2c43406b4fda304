"""What the page shows of the rows, collected page by page: memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bulk_onboard.model import NOT_AS_ASKED, Health, Status
from bulk_onboard.report.lookup import Lookup
from bulk_onboard.report.rows import COLUMNS

# Rows that need attention on the page; results.csv has all of them.
MOST = 5_000
# No cell of the page is longer.
LONGEST = 300
# The same of connected rows that have no event yet.
MOST_WAITING = 1_000
# Bytes that rows and the index of growers may take, so that the page can be mailed.
ROOM = 850_000
ROOM_WAITING = 100_000
# What is tried, in this order, where they take more: columns that were kept, and letters of a long text.
_SHORTER = ((True, LONGEST), (True, 100), (True, 40), (False, 100), (False, 40))
_MARKUP = len("<td>")

_SHOWN = ["row", "leafUserId", "status", "code", "message"]
# Milliseconds.
EDGES = tuple(digit * 10**power for power in range(5) for digit in (1, 2, 5))
_PER_DECADE = 40  # a percentile is told to 6 %
_FINE = np.logspace(-1, 7, 8 * _PER_DECADE + 1)


class Shown(NamedTuple):
    """Rows as the page has them, a tuple of cells each. ``more``: so many rows are in the results only.

    ``shortened``: texts were cut, or kept columns left out.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: int
    shortened: bool


class Latency:
    """How long answers took: counted, not kept. Milliseconds."""

    def __init__(self) -> None:
        self._coarse = np.zeros(len(EDGES) + 1, dtype=np.int64)
        self._fine = np.zeros(len(_FINE) + 1, dtype=np.int64)
        self.slowest = 0.0

    def add(self, column: pd.Series) -> None:
        """Count a page's; what is missing is no answer of this run."""
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        values = values[~np.isnan(values)]
        if len(values):
            self._coarse += np.bincount(np.searchsorted(EDGES, values), minlength=len(EDGES) + 1)
            self._fine += np.bincount(np.searchsorted(_FINE, values), minlength=len(_FINE) + 1)
            self.slowest = max(self.slowest, float(values.max()))

    @property
    def total(self) -> int:
        """How many answers were counted."""
        return int(self._coarse.sum())

    def within(self, share: float) -> float:
        """So many milliseconds were enough for that share of the answers."""
        place = int(np.searchsorted(self._fine.cumsum(), share * self.total))
        return min(float(_FINE[min(place, len(_FINE) - 1)]), self.slowest)

    def bins(self) -> list[tuple[float, float, int]]:
        """From, to and how many, from the first with answers to the last; the last of all has no end."""
        bounds = (0.0, *map(float, EDGES), float("inf"))
        found = [(bounds[at], bounds[at + 1], int(count)) for at, count in enumerate(self._coarse)]
        filled = [at for at, (_, _, count) in enumerate(found) if count]
        return found[filled[0] : filled[-1] + 1] if filled else []


class _Rows:
    """The first rows of one kind that the page lists, no more than ``most``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._header: tuple[str, ...] = ()
        self._rows: list[tuple[str, ...]] = []
        self._count = 0

    def add(self, found: pd.DataFrame) -> None:
        kept = list(found.columns[len(COLUMNS) :])
        self._header = tuple(_short(str(name), LONGEST) for name in (*_SHOWN, *kept))
        self._count += len(found)
        wanted = found.head(self._most - len(self._rows))[[*_SHOWN, *kept]]
        self._rows += [
            tuple(_short(str(cell), LONGEST) for cell in row) for row in wanted.itertuples(index=False)
        ]

    def shown(self, room: int) -> Shown:
        kept = len(self._header) > len(_SHOWN)
        longest, rows = LONGEST, self._rows
        for with_kept, longest in _SHORTER:
            kept = with_kept and len(self._header) > len(_SHOWN)
            rows = [_cut(row, longest, kept=kept) for row in self._rows]
            if sum(map(_weight, rows)) <= room:
                break
        rows = list(_until_full(rows, room))
        header = self._header if kept else self._header[: len(_SHOWN)]
        shortened = longest < LONGEST or header != self._header
        return Shown(header, rows, self._count - len(rows), shortened)


class Extract:
    """Collects what the page needs."""

    def __init__(self) -> None:
        self.latency = Latency()
        self._attention = _Rows(MOST)
        self._waiting = _Rows(MOST_WAITING)
        self._lookup = Lookup()

    def add(self, page: pd.DataFrame, to_look_at: pd.DataFrame) -> None:
        """Take a page. ``to_look_at``: those of its rows that need attention."""
        self.latency.add(page["latencyMs"])
        self._lookup.add(page)
        # Rows that were not attempted need no attention: the next run does them.
        self._attention.add(to_look_at[to_look_at["status"] != Status.NOT_ATTEMPTED.value])
        pending = page["health"] == Health.PENDING.value
        if pending.any():
            self._waiting.add(page[pending & ~page["code"].isin(NOT_AS_ASKED)])

    def shown(self, room: int = ROOM) -> Shown:
        """Return the rows that need attention, cut so that they take no more than ``room`` bytes."""
        return self._attention.shown(room)

    def waiting(self) -> Shown:
        """Return the connected rows that have no event yet."""
        return self._waiting.shown(ROOM_WAITING)

    def parts(self) -> tuple[Shown, Shown, dict[str, Any]]:
        """Return the rows that need attention, the waiting rows and the index of growers, for one page."""
        waiting = self.waiting()
        used = _total(waiting)
        attention = self.shown(ROOM - used)
        return attention, waiting, self._lookup.shown(ROOM - used - _total(attention))


def _total(shown: Shown) -> int:
    return sum(map(_weight, shown.rows))


def _until_full(rows: Sequence[tuple[str, ...]], room: int) -> Iterator[tuple[str, ...]]:
    weights = np.cumsum([_weight(row) for row in rows])
    return islice(rows, int(np.searchsorted(weights, room, side="right")))


def _weight(row: tuple[str, ...]) -> int:
    """The bytes of a row in HTML, where four signs take up to six."""
    text = "".join(row)
    special = sum(text.count(sign) for sign in "<>&\"'")
    return len(text.encode(errors="replace")) + 5 * special + _MARKUP * (len(row) + 1)


def _cut(row: tuple[str, ...], longest: int, *, kept: bool) -> tuple[str, ...]:
    first, texts = row[:4], row[4:] if kept else row[4:5]
    return *(_short(cell, 80) for cell in first), *(_short(cell, longest) for cell in texts)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
