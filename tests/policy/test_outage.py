"""When failures mean that Leaf is unavailable for everybody, and how long that is waited out."""

from __future__ import annotations

import pytest

from bulk_onboard.domain.model import Absent, Ambiguous, Refused, Throttled, Transient
from bulk_onboard.policy.outage import FAILURES, PATIENCE, PAUSE_CAP, Outage, is_failure


def after(targets: str, every: float = 1.0, asked: float = 0.0) -> Outage:
    outage = Outage()
    for number, target in enumerate(targets):
        outage = outage.failed(target, number * every, asked)
    return outage


@pytest.mark.parametrize(
    ("targets", "is_on"),
    [("abc" * 4, True), ("a" * 40, False), ("ab" * 20, False), ("abcdefghi", False), ("aaaaaaaabc", True)],
)
def test_ten_failures_in_a_row_of_three_growers_are_an_outage(targets: str, is_on: bool) -> None:
    assert after(targets).is_on is is_on


def test_it_is_tried_less_and_less_often_but_at_least_every_five_seconds() -> None:
    outage, pauses = after("abc" * 4, every=0.0), []
    for _ in range(8):
        pauses.append(outage.next_try - outage.latest)
        outage = outage.failed("a", outage.next_try)
    assert pauses == sorted(pauses)
    assert (pauses[0] <= 2.0, pauses[-1]) == (True, PAUSE_CAP)


@pytest.mark.parametrize(("asked", "more"), [(0.0, 0.0), (120.0, 120.0), (1e6, 600.0)])
def test_it_is_waited_out_for_a_minute_and_as_long_as_leaf_asks_to_wait(asked: float, more: float) -> None:
    patience = PATIENCE + more
    outage = after("abc" * FAILURES, every=0.1, asked=asked)
    assert not outage.is_too_long(patience)
    assert outage.is_too_long(patience + 0.1)


@pytest.mark.parametrize(
    ("verdict", "failure"),
    [
        (Transient("connection-refused"), True),
        (Ambiguous("server-error", "HTTP 503"), True),
        (Ambiguous("no-answer"), True),
        (Ambiguous("unreadable-reply"), False),
        (Throttled(1.0), False),
        (Refused("leaf:no"), False),
        (Absent(), False),
    ],
)
def test_what_says_that_leaf_is_out_of_order(verdict: object, failure: bool) -> None:
    assert is_failure(verdict) is failure
