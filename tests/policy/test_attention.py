"""What follows from rows that need attention: the exit code, and who is notified of what."""

from __future__ import annotations

import itertools

import pytest

from bulk_onboard.errors import ExitCode
from bulk_onboard.notify import notification_text as letter
from bulk_onboard.policy.attention import Change, End, Turn, code_for
from bulk_onboard.settings import FailOn, NotifyWhen

WORSE = Change(worse={("rejected", "leaf-refused"): 2, ("failed", ""): 1})
BETTER = Change(recovered=1)
CUT = (ExitCode.LOGIN, ExitCode.STOPPED, ExitCode.BUG, ExitCode.INTERRUPTED)
ENDED = (ExitCode.OK, ExitCode.ATTENTION)


@pytest.mark.parametrize(
    ("fail_on", "is_worse", "code"),
    [
        (FailOn.PROBLEMS, False, 1),
        (FailOn.PROBLEMS, True, 1),
        (FailOn.CHANGE, False, 0),
        (FailOn.CHANGE, True, 1),
        (FailOn.NEVER, False, 0),
        (FailOn.NEVER, True, 0),
    ],
)
def test_rows_that_need_attention_fail_a_run_as_asked(fail_on: FailOn, is_worse: bool, code: int) -> None:
    assert code_for(ExitCode.ATTENTION, fail_on, is_worse=is_worse) == code


def test_every_other_end_keeps_its_code() -> None:
    for code, fail_on, is_worse in itertools.product(ExitCode, FailOn, (True, False)):
        if code is not ExitCode.ATTENTION:
            assert code_for(code, fail_on, is_worse=is_worse) is code


# --- who is notified ----------------------------------------------------------------------------------


def test_a_new_problem_is_worse_even_if_others_recovered() -> None:
    mixed = Change(worse=WORSE.worse, recovered=5)
    assert End(ExitCode.ATTENTION, mixed, ExitCode.ATTENTION).turn is Turn.WORSE


def test_lasting_problems_are_not_news() -> None:
    same = End(ExitCode.ATTENTION, Change(lasting=31), ExitCode.ATTENTION)
    assert (same.turn, same.is_told(NotifyWhen.CHANGE), same.is_told(NotifyWhen.PROBLEMS)) == (
        Turn.SAME, False, True,
    )  # fmt: skip


@pytest.mark.parametrize(("now", "last"), [*itertools.product(CUT, [*ENDED, *CUT, None])])
def test_an_early_stop_is_worse_unless_the_last_run_stopped_in_the_same_way(
    now: ExitCode, last: ExitCode | None
) -> None:
    assert End(now, last=last).turn is (Turn.SAME if now is last else Turn.WORSE)


@pytest.mark.parametrize(("now", "last"), [*itertools.product(ENDED, CUT)])
def test_a_complete_run_after_an_early_stop_is_a_recovery(now: ExitCode, last: ExitCode) -> None:
    assert End(now, last=last).turn is Turn.BETTER


def test_an_unchanged_run_notifies_only_with_always() -> None:
    quiet = End(ExitCode.OK, last=ExitCode.OK)
    assert [when for when in NotifyWhen if quiet.is_told(when)] == [NotifyWhen.ALWAYS]


def test_a_good_first_run_is_not_news() -> None:
    assert not End(ExitCode.OK).is_told(NotifyWhen.CHANGE)


@pytest.mark.parametrize("code", [ExitCode.INPUT, ExitCode.STOPPED, ExitCode.USAGE, ExitCode.BUG])
def test_a_run_that_did_not_begin_always_notifies(code: ExitCode) -> None:
    assert End(code, began=False).is_told(NotifyWhen.CHANGE)


def test_a_busy_ledger_is_not_news() -> None:
    busy = End(ExitCode.BUSY, began=False)
    assert not busy.is_told(NotifyWhen.CHANGE)
    assert busy.is_told(NotifyWhen.PROBLEMS)


# --- what the message says ----------------------------------------------------------------------------


def test_the_message_begins_with_what_changed_the_most_frequent_first() -> None:
    told = letter.body(End(ExitCode.ATTENTION, WORSE), "closing words", "now", "before")
    assert told.splitlines()[:3] == [
        "Since run before:",
        "  new: 2 rows rejected (leaf-refused)",
        "  new: 1 row failed",
    ]
    assert "closing words" in told


def test_a_first_run_has_no_changes() -> None:
    assert letter.body(End(ExitCode.ATTENTION, WORSE), "closing words", "now", None).startswith("closing")


@pytest.mark.parametrize(
    ("end", "attention", "headline"),
    [
        (End(ExitCode.ATTENTION, WORSE, ExitCode.OK), 5, "3 rows newly need attention"),
        (End(ExitCode.ATTENTION, BETTER), 1, "recovered, 1 row still needs attention"),
        (End(ExitCode.OK, BETTER), 0, "recovered"),
        (End(ExitCode.ATTENTION, Change(lasting=2), ExitCode.ATTENTION), 2, "2 rows still need attention"),
        (End(ExitCode.OK, last=ExitCode.OK), 0, "all is well"),
        (End(ExitCode.STOPPED), 0, "stopped early"),
        (End(ExitCode.INTERRUPTED), 0, "interrupted"),
        (End(ExitCode.INPUT, began=False), 0, "the run could not start"),
    ],
)  # fmt: skip
def test_the_title_is_one_line(end: End, attention: int, headline: str) -> None:
    assert letter.title("growers.csv", end, attention) == f"bulk-onboard: {headline} (growers.csv)"


def test_the_title_names_tokens_that_leaf_refreshed() -> None:
    end = End(ExitCode.OK, last=ExitCode.OK)
    title = letter.title("growers.csv", end, 0, 12)
    assert title == "bulk-onboard: all is well, 12 rows with a different token at Leaf (growers.csv)"
