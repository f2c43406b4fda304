"""How old a response may be when a request relies on it."""

import pytest

from bulk_onboard.policy.progress import Evidence


@pytest.mark.parametrize(
    ("asked", "answered", "rate", "in_vain", "fresh"),
    [
        (95.0, 99.0, 0.0, 0, True),
        (94.9, 99.0, 0.0, 0, False),
        (94.9, 99.0, 500.0, 1, False),
        (94.9, 99.0, 500.0, 2, True),  # Leaf is slow: what counts is when it answered
        (90.0, 94.9, 500.0, 9, False),
        (80.0, 81.0, 0.1, 0, True),  # ten seconds a turn
        (79.9, 81.0, 0.1, 0, False),
    ],
)
def test_five_seconds_or_two_turns_after_the_question_a_response_is_too_old(
    asked: float, answered: float, rate: float, in_vain: int, fresh: bool
) -> None:
    assert Evidence(asked, answered).is_fresh(100.0, rate, in_vain) is fresh
