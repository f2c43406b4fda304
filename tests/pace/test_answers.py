"""What Leaf took, and what it refused as one too many."""

from __future__ import annotations

import math

from bulk_onboard.pace.answers import REMEMBERED, Answers, Pauses


def sent(*turns: float) -> Answers:
    answers = Answers()
    for turn in turns:
        answers.sent(turn)
    return answers


def test_what_is_not_refused_was_taken_also_while_there_is_no_answer() -> None:
    answers = sent(1.0, 1.5, 1.9, 2.2, 2.4)
    answers.passed(1.5)
    assert answers.throttled(2.2)
    assert answers.taken(2.2) == 2  # of a whole second: 1.5 and 1.9
    assert answers.taken(2.4) == 3
    assert (answers.answered, answers.refused, answers.in_a_row, answers.latest) == (2, 1, 1, 2.2)


def test_what_was_under_way_when_the_rate_was_changed_says_nothing_of_the_new_one() -> None:
    answers = sent(1.0, 1.1, 1.2)
    assert answers.throttled(1.0)
    answers.anew(1.1)
    assert not answers.throttled(1.1)
    answers.passed(1.0)
    assert (answers.answered, answers.refused) == (0, 0)
    assert answers.throttled(1.2)
    assert (answers.answered, answers.refused, answers.in_a_row) == (1, 1, 1)


def test_what_is_too_long_ago_is_forgotten() -> None:
    answers = sent(1.0, 2.0)
    answers.throttled(1.0)
    answers.sent(2.0 + REMEMBERED)
    assert (answers.taken(1.5), answers.taken(2.5)) == (0, 1)


def test_before_the_first_pause_none_has_ended() -> None:
    assert Pauses().ended_before(5.0) == -math.inf


def test_the_pause_that_a_turn_asked_for_did_not_end_before_it() -> None:
    pauses = Pauses()
    pauses.hold(10.0, 11.0)
    assert (pauses.ended_before(9.9), pauses.ended_before(11.0)) == (-math.inf, 11.0)
    pauses.hold(15.0, 16.0)
    assert (pauses.ended_before(14.9), pauses.ended_before(16.5), pauses.until) == (11.0, 16.0, 16.0)


def test_a_pause_that_is_made_longer_is_still_the_same() -> None:
    pauses = Pauses()
    pauses.hold(10.0, 11.0)
    for now, until in ((15.0, 16.0), (15.5, 18.0), (15.6, 17.0)):
        pauses.hold(now, until)
    assert (pauses.until, pauses.ended_before(14.9)) == (18.0, 11.0)
