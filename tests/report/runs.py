"""Runs with everything a page can show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bulk_onboard.entry import Entry
from bulk_onboard.facts import RunInfo
from bulk_onboard.model import Requests, Traffic
from bulk_onboard.report.extract import Extract
from bulk_onboard.report.page import render
from bulk_onboard.report.rows import merge
from bulk_onboard.report.tally import Tally
from tests.report.pages import STARTED, manifest_of, run_of

# One of each kind of row that needs somebody.
KINDS = (
    {"status": "rejected", "code": "leaf:invalidToken", "message": 'The token is not valid, "they" say'},
    {"status": "failed", "code": "server-error", "message": "=HTTP(503)"},
    {"status": "unresolved", "code": "no-answer", "message": "no answer within 30 s"},
    {"status": "created", "code": "provider-refused", "message": "HTTP 401", "health": "unhealthy"},
)
TRAFFIC = Traffic(
    width=1,
    sent=(*[9, 10, 10] * 20, 0, 0, 0, *[10, 8] * 15),
    throttled=(*[0, 0, 1] * 20, 0, 0, 0, *[0] * 30),
    held=(*[0.0] * 60, 1.0, 1.0, 0.5, *[0.0] * 30),
)


def entry(row: int, every: int) -> Entry:
    """A row's outcome: each ``every``-th needs somebody, 0 for none."""
    if every and not row % every:
        kind: dict[str, Any] = KINDS[row // every % len(KINDS)]
        return Entry(row, latency_ms=130.0 + row % 90, **kind)
    return Entry(row, "created", health="healthy", latency_ms=20.0 + row % 90)


def gathered(rows: int, every: int, page: int = 10_000, **kept: Any) -> tuple[Tally, Extract]:
    """What is told of so many rows, page by page."""
    tally, extract = Tally(), Extract()
    for first in range(2, rows + 2, page):
        size = min(page, rows + 2 - first)
        entries = [entry(row, every) for row in range(first, first + size)]
        found = merge(manifest_of([""] * size, first=first, **kept), entries, "raven")
        extract.add(found, tally.add(found))
    return tally, extract


def usual(rows: int, **fields: Any) -> RunInfo:
    """A run of a minute and a half, which Leaf throttled."""
    told: dict[str, Any] = {
        "traffic": TRAFFIC,
        "requests": Requests(get=12, post=sum(TRAFFIC.sent) - 12, throttled=20),
        "finished_at": STARTED + timedelta(seconds=93),
    }
    return run_of(rows, **(told | fields))


def page_of(rows: int = 300, every: int = 12, *, info: RunInfo | None = None, **kept: Any) -> str:
    """The page of such a run."""
    tally, extract = gathered(rows, every, **kept)
    return render(info or usual(rows), tally, extract, ["results.csv"])
