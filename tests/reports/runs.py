"""Runs with everything a page can show."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Requests, Traffic
from bulk_onboard.domain.run_events import RunInfo
from bulk_onboard.reports.counts import Counts, count_rows
from bulk_onboard.reports.page import render
from bulk_onboard.reports.page_rows import PageRows, page_rows
from tests.reports.pages import STARTED, run_of, workspace_of

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


def rows_of_page(*entries: Entry, **kept: Any) -> tuple[Counts, PageRows]:
    """What the page has of rows with these entries, and kept columns."""
    with workspace_of([""] * len(entries), entries, kept) as workspace:
        return workspace.read(count_rows), workspace.read(lambda db: page_rows(db, workspace.kept))


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
    entries = [entry(row, every) for row in range(2, rows + 2)]
    return render(info or usual(rows), *rows_of_page(*entries, **kept), ["results.csv"])
