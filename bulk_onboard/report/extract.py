"""What the page shows of the rows, taken from them as they go by: memory does not grow with the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_onboard.model import Status
from bulk_onboard.report.rows import COLUMNS

# So many rows that need attention are on the page; all of them are in the results.
MOST = 5_000
# No cell of the page is longer.
LONGEST = 300
# Bytes that these rows may take, so that the page can be mailed.
ROOM = 800_000
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


class Extract:
    """Collects what the page needs."""

    def __init__(self) -> None:
        self.latency = Latency()
        self._header: tuple[str, ...] = ()
        self._rows: list[tuple[str, ...]] = []
        self._count = 0

    def add(self, page: pd.DataFrame, to_look_at: pd.DataFrame) -> None:
        """Take a page. ``to_look_at``: those of its rows that somebody should look at."""
        self.latency.add(page["latencyMs"])
        kept = list(page.columns[len(COLUMNS) :])
        self._header = tuple(_short(str(name), LONGEST) for name in (*_SHOWN, *kept))
        if not len(to_look_at):
            return
        # Rows that were never begun need nobody: the next run does them.
        found = to_look_at[to_look_at["status"] != Status.NOT_ATTEMPTED.value]
        self._count += len(found)
        wanted = found.head(MOST - len(self._rows))[[*_SHOWN, *kept]]
        self._rows += [
            tuple(_short(str(cell), LONGEST) for cell in row) for row in wanted.itertuples(index=False)
        ]

    def shown(self, room: int = ROOM) -> Shown:
        """The rows, cut so that they take no more than so many bytes."""
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
