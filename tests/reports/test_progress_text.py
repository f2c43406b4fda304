"""Facts in words."""

from bulk_onboard.domain.model import Health, Status
from bulk_onboard.domain.run_events import About, FileChecked, Paused, RowChecked, RowFinished, Stopping
from bulk_onboard.reports import progress_text


def test_what_is_about_to_be_changed_names_leaf_owner_provider_rows_and_rate() -> None:
    told = progress_text.about(
        About("20261124T000000Z-a", "https://api.withleaf.io", "me@example.com", "raven", 1200, 10.0)
    )
    for part in (
        "1,200 rows",
        "https://api.withleaf.io",
        "me@example.com",
        "raven",
        "at most 10 requests per second",
    ):
        assert part in told


def test_no_ceiling_is_said_in_words() -> None:
    assert progress_text.rate(0) == "without a rate ceiling"
    assert progress_text.rate(2.5) == "at most 2.5 requests per second"


def test_what_the_file_holds_is_said_with_its_warnings() -> None:
    fact = FileChecked("a.csv", 5, {Status.INVALID: 1, Status.EXISTING: 0}, 4, {"spaces-removed": 2})
    assert progress_text.scanned(fact) == "a.csv: 5 rows, 1 invalid, 2 rows with spaces-removed; 4 to do"


def test_a_wait_and_a_stop_are_said_in_words() -> None:
    assert progress_text.announcement(Paused(30.0)) == "Leaf asks to wait 30 s"
    assert "interrupted" in (progress_text.announcement(Stopping("interrupted")) or "")
    waiting = progress_text.announcement(Stopping("interrupted", in_flight=7, grace=30.0)) or ""
    assert "Waiting for 7 rows in flight, up to 30 s" in waiting


def test_only_rows_that_need_attention_concern_anyone() -> None:
    assert progress_text.concern(RowFinished(7, Status.REJECTED, "leaf-400")) == "row 7: rejected (leaf-400)"
    assert progress_text.concern(RowFinished(7, Status.CREATED)) is None
    assert progress_text.concern(RowChecked(7, Health.UNHEALTHY)) == "row 7: unhealthy"
    assert progress_text.concern(RowChecked(7, None)) is None


def test_a_check_that_runs_beside_onboarding_is_not_counted_as_a_row_onboarded() -> None:
    tally = progress_text.Tally("onboard", 4, begun=0.0)
    for fact in (
        RowFinished(2, Status.CREATED),
        RowChecked(2, Health.HEALTHY),
        RowFinished(3, Status.FAILED),
    ):
        tally.add(fact)
    assert tally.line(2.0) == "onboarding: 2 of 4 rows, 1 rows/s, 1 attention, 1 created, about 2 s left"
