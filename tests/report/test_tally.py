from collections import Counter

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.entry import Entry
from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import Cause
from bulk_onboard.model import Status
from bulk_onboard.report.rows import merge
from bulk_onboard.report.tally import Tally, exit_code
from tests.report.pages import manifest_of, run_of


def tally_of(*entries: Entry) -> Tally:
    tally = Tally()
    tally.add(merge(manifest_of([""] * len(entries)), list(entries), "raven"))
    return tally


def test_every_status_is_counted_also_when_there_is_none() -> None:
    assert tally_of(Entry(2, "created")).counts == {
        "created": 1,
        "existing": 0,
        "duplicate": 0,
        "invalid": 0,
        "rejected": 0,
        "failed": 0,
        "unresolved": 0,
        "not_attempted": 0,
    }


def test_health_counts_only_rows_that_were_checked() -> None:
    tally = tally_of(Entry(2, "created", health="healthy"), Entry(3, "created"))
    assert tally.health == {"healthy": 1, "unhealthy": 0, "pending": 0}


def test_rows_for_one_reason_are_one_cause_with_its_first_rows() -> None:
    entries = [Entry(row, "failed", code="no-answer", message="too slow") for row in range(2, 9)]
    assert tally_of(*entries).causes == (Cause("failed", "no-answer", 7, (2, 3, 4, 5, 6), "too slow"),)


def test_a_cause_goes_on_over_pages() -> None:
    tally = Tally()
    for first in (2, 5):
        tally.add(merge(manifest_of(["invalid"] * 3, first=first, code="shared-token"), [], "raven"))
    assert tally.causes == (Cause("invalid", "shared-token", 6, (2, 3, 4, 5, 6), ""),)


def test_the_most_frequent_cause_comes_first() -> None:
    tally = tally_of(Entry(2, "failed"), Entry(3, "rejected"), Entry(4, "rejected"), Entry(5, "created"))
    assert [(cause.status, cause.count) for cause in tally.causes] == [("rejected", 2), ("failed", 1)]
    assert tally.attention == 3


def test_a_connected_row_that_does_not_work_is_a_cause_of_its_own() -> None:
    tally = tally_of(Entry(2, "created", code="provider-refused", health="unhealthy"), Entry(3, "created"))
    assert [(cause.status, cause.rows) for cause in tally.causes] == [("unhealthy", (2,))]
    assert tally.counts["created"] == 2


@pytest.mark.parametrize("status", ["created", "existing", "duplicate"])
def test_all_is_well_when_every_row_is_done(status: str) -> None:
    assert exit_code(tally_of(Entry(2, status)), run_of(1)) is ExitCode.OK


@pytest.mark.parametrize("status", [None, "invalid", "rejected", "failed", "unresolved", "not_attempted"])
def test_one_row_that_is_not_done_asks_for_attention(status: str | None) -> None:
    tally = tally_of(Entry(2, "created"), Entry(3, status))
    assert exit_code(tally, run_of(2)) is ExitCode.ATTENTION


def test_an_unhealthy_row_asks_for_attention_and_a_pending_one_does_not() -> None:
    assert exit_code(tally_of(Entry(2, "created", health="unhealthy")), run_of(1)) is ExitCode.ATTENTION
    assert exit_code(tally_of(Entry(2, "created", health="pending")), run_of(1)) is ExitCode.OK


def test_rows_that_are_missing_from_the_report_are_a_bug() -> None:
    assert exit_code(tally_of(Entry(2, "created")), run_of(2)) is ExitCode.BUG


def test_a_status_that_is_none_is_a_bug() -> None:
    assert exit_code(tally_of(Entry(2, "splendid")), run_of(1)) is ExitCode.BUG


def test_a_bug_is_told_before_anything_else() -> None:
    assert exit_code(tally_of(), run_of(1, interrupted=True)) is ExitCode.BUG


def test_an_interrupted_run_says_so_whatever_became_of_its_rows() -> None:
    info = run_of(1, interrupted=True, stop_reason="Ctrl-C", exit_code=None)
    assert exit_code(tally_of(Entry(2, "created")), info) is ExitCode.INTERRUPTED


@pytest.mark.parametrize("code", [ExitCode.LOGIN, ExitCode.STOPPED, ExitCode.BUG])
def test_what_stopped_the_run_decides_its_code(code: ExitCode) -> None:
    info = run_of(1, stop_reason="Leaf refused our login", exit_code=int(code))
    assert exit_code(tally_of(Entry(2, None)), info) is code


def test_the_code_of_an_earlier_report_does_not_outlive_its_reason() -> None:
    assert exit_code(tally_of(Entry(2, "created")), run_of(1, exit_code=1)) is ExitCode.OK


words = st.sampled_from([None, *(status.value for status in Status)])


@given(st.lists(words, max_size=40), st.integers(1, 10))
def test_the_counts_add_up_to_the_rows_however_they_are_paged(outcomes: list[str | None], size: int) -> None:
    tally = Tally()
    for start in range(0, len(outcomes), size):
        part = outcomes[start : start + size]
        entries = [Entry(start + at + 2, status) for at, status in enumerate(part)]
        tally.add(merge(manifest_of([""] * len(part), first=start + 2), entries, "raven"))
    assert sum(tally.counts.values()) == tally.rows == len(outcomes)
    assert +Counter(tally.counts) == Counter(status or "unresolved" for status in outcomes)
    assert sum(cause.count for cause in tally.causes) == tally.attention
    assert exit_code(tally, run_of(len(outcomes))) in {ExitCode.OK, ExitCode.ATTENTION}


def test_an_empty_page_counts_nothing() -> None:
    tally = Tally()
    tally.add(merge(manifest_of([]), [], "raven"))
    assert (tally.rows, tally.causes) == (0, ())
    assert isinstance(merge(manifest_of([]), [], "raven"), pd.DataFrame)
