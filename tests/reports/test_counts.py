"""Rows by status and health, causes, and the exit code."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Status
from bulk_onboard.domain.run_events import Cause
from bulk_onboard.errors import ExitCode
from bulk_onboard.reports.counts import count_rows, exit_code
from tests.reports.pages import counts_of, run_of, workspace_of


def test_statuses_and_health_are_counted() -> None:
    counts = counts_of(Entry(2, "created", health="healthy"), Entry(3, "created"))
    others = ("existing", "duplicate", "invalid", "rejected", "failed", "unresolved", "not_attempted")
    assert counts.statuses == {"created": 2} | dict.fromkeys(others, 0)
    assert counts.health == {"healthy": 1, "unhealthy": 0, "pending": 0}


def test_causes_are_grouped_and_sorted_by_frequency() -> None:
    entries = [Entry(row, "failed", code="no-answer", message=f"{row}") for row in range(2, 9)]
    counts = counts_of(Entry(9, "rejected"), *reversed(entries), Entry(10, "created"))
    assert counts.causes == (
        Cause("failed", "no-answer", 7, (2, 3, 4, 5, 6), "2"),
        Cause("rejected", "", 1, (9,), ""),
    )
    assert counts.attention == 8


def test_a_cause_is_one_for_all_providers() -> None:
    with workspace_of(["invalid"] * 3, provider=["stara", "raven", ""], code="shared-token") as workspace:
        counts = count_rows(workspace.db)
    assert counts.causes == (Cause("invalid", "shared-token", 3, (2, 3, 4), ""),)
    assert list(counts.providers) == ["", "raven", "stara"]


def test_an_unhealthy_row_is_a_cause() -> None:
    counts = counts_of(Entry(2, "created", code="provider-refused", health="unhealthy"), Entry(3, "created"))
    assert [(cause.status, cause.rows) for cause in counts.causes] == [("unhealthy", (2,))]
    assert counts.statuses["created"] == 2


def test_invalid_rows_of_one_grower_count_as_one_grower() -> None:
    ids = ["00000000-0000-0000-0000-00000000000a"] * 2 + [None] * 2
    with workspace_of(["invalid"] * 4, id=ids) as workspace:
        assert count_rows(workspace.db).growers == 3


def test_health_of_earlier_checks_is_counted_with_the_oldest() -> None:
    times = [*(f"2026-{day}T00:00:00.000Z" for day in ("11-01", "11-02", "12-01")), None]
    with workspace_of(["existing"] * 4, health_checked_at=times, health="healthy") as workspace:
        counts = count_rows(workspace.db, began="2026-11-23")
    assert (counts.checked_earlier, counts.oldest_check) == (2, times[0])


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Entry(3, "created"), 0),
        (Entry(3, "existing"), 0),
        (Entry(3, "duplicate"), 0),
        (Entry(3, "created", health="pending"), 0),
        (Entry(3, "created", health="unhealthy"), 1),
        *((Entry(3, status), 1) for status in (None, "invalid", "rejected", "failed", "unresolved")),
        (Entry(3, "not_attempted"), 1),
        (Entry(3, "splendid"), 70),
    ],
)
def test_one_row_decides_the_exit_code(entry: Entry, code: int) -> None:
    assert exit_code(counts_of(Entry(2, "created"), entry), run_of(2)) == code


def test_what_decides_the_exit_code_besides_rows() -> None:
    stored, unknown = counts_of(Entry(2, "created")), counts_of(Entry(2, None))
    assert exit_code(stored, run_of(2, interrupted=True)) is ExitCode.BUG  # a row is missing
    interrupted = run_of(1, interrupted=True, stop_reason="Ctrl-C", exit_code=None)
    assert exit_code(stored, interrupted) is ExitCode.INTERRUPTED
    for code in (ExitCode.LOGIN, ExitCode.STOPPED, ExitCode.BUG):
        assert exit_code(unknown, run_of(1, stop_reason="Leaf refused", exit_code=int(code))) is code
    assert exit_code(stored, run_of(1, exit_code=1)) is ExitCode.OK  # of an earlier report


words = st.sampled_from([None, *(status.value for status in Status)])


@given(st.lists(words, max_size=40))
def test_the_counts_add_up_to_the_rows(outcomes: list[str | None]) -> None:
    counts = counts_of(*(Entry(row, status) for row, status in enumerate(outcomes, 2)))
    assert sum(counts.statuses.values()) == counts.rows == len(outcomes)
    assert +Counter(counts.statuses) == Counter(status or "unresolved" for status in outcomes)
    assert sum(cause.count for cause in counts.causes) == counts.attention
    assert exit_code(counts, run_of(len(outcomes))) in {ExitCode.OK, ExitCode.ATTENTION}
