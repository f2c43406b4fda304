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


def test_every_status_is_counted_also_when_there_is_none_and_health_only_where_it_was_checked() -> None:
    counts = counts_of(Entry(2, "created", health="healthy"), Entry(3, "created"))
    assert counts.statuses == {
        "created": 2,
        "existing": 0,
        "duplicate": 0,
        "invalid": 0,
        "rejected": 0,
        "failed": 0,
        "unresolved": 0,
        "not_attempted": 0,
    }
    assert counts.health == {"healthy": 1, "unhealthy": 0, "pending": 0}


def test_rows_for_one_reason_are_one_cause_with_its_first_rows_the_most_frequent_first() -> None:
    entries = [Entry(row, "failed", code="no-answer", message=f"{row}") for row in range(2, 9)]
    counts = counts_of(Entry(9, "rejected"), *reversed(entries), Entry(10, "created"))
    assert counts.causes == (
        Cause("failed", "no-answer", 7, (2, 3, 4, 5, 6), "2"),
        Cause("rejected", "", 1, (9,), ""),
    )
    assert counts.attention == 8


def test_a_cause_is_one_for_all_providers() -> None:
    with workspace_of(["invalid"] * 3, provider=["b", "a", ""], code="shared-token") as workspace:
        counts = count_rows(workspace.db)
    assert counts.causes == (Cause("invalid", "shared-token", 3, (2, 3, 4), ""),)
    assert list(counts.providers) == ["", "a", "b"]


def test_a_connected_row_that_does_not_work_is_a_cause_of_its_own() -> None:
    counts = counts_of(Entry(2, "created", code="provider-refused", health="unhealthy"), Entry(3, "created"))
    assert [(cause.status, cause.rows) for cause in counts.causes] == [("unhealthy", (2,))]
    assert counts.statuses["created"] == 2


def test_two_invalid_rows_of_a_grower_are_one_grower() -> None:
    ids = ["00000000-0000-0000-0000-00000000000a"] * 2 + [None] * 2
    with workspace_of(["invalid"] * 4, id=ids) as workspace:
        assert count_rows(workspace.db).growers == 3


def test_health_of_earlier_checks_is_counted_with_the_oldest() -> None:
    times = ["2026-11-01", "2026-11-02", "2026-12-01", ""]
    with workspace_of(["existing"] * 4, health_checked_at=times, health="healthy") as workspace:
        counts = count_rows(workspace.db, began="2026-11-23")
    assert (counts.checked_earlier, counts.oldest_check) == (2, "2026-11-01")


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


def test_rows_that_are_missing_from_the_report_are_a_bug_whatever_else_happened() -> None:
    assert exit_code(counts_of(Entry(2, "created")), run_of(2, interrupted=True)) is ExitCode.BUG


def test_an_interrupted_run_says_so_whatever_became_of_its_rows() -> None:
    info = run_of(1, interrupted=True, stop_reason="Ctrl-C", exit_code=None)
    assert exit_code(counts_of(Entry(2, "created")), info) is ExitCode.INTERRUPTED


@pytest.mark.parametrize("code", [ExitCode.LOGIN, ExitCode.STOPPED, ExitCode.BUG])
def test_what_stopped_the_run_decides_its_code(code: ExitCode) -> None:
    info = run_of(1, stop_reason="Leaf refused our login", exit_code=int(code))
    assert exit_code(counts_of(Entry(2, None)), info) is code


def test_the_code_of_an_earlier_report_does_not_outlive_its_reason() -> None:
    assert exit_code(counts_of(Entry(2, "created")), run_of(1, exit_code=1)) is ExitCode.OK


words = st.sampled_from([None, *(status.value for status in Status)])


@given(st.lists(words, max_size=40))
def test_the_counts_add_up_to_the_rows(outcomes: list[str | None]) -> None:
    counts = counts_of(*(Entry(row, status) for row, status in enumerate(outcomes, 2)))
    assert sum(counts.statuses.values()) == counts.rows == len(outcomes)
    assert +Counter(counts.statuses) == Counter(status or "unresolved" for status in outcomes)
    assert sum(cause.count for cause in counts.causes) == counts.attention
    assert exit_code(counts, run_of(len(outcomes))) in {ExitCode.OK, ExitCode.ATTENTION}
