"""What Leaf took, and what it refused as one too many."""

from __future__ import annotations

from bulk_onboard.pace.answers import REMEMBERED, Answers


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
