"""A turn counts from the end of the pause before it."""

from __future__ import annotations

import math

import pytest

from bulk_onboard.orders import LEASE, UNLIMITED, Orders
from bulk_onboard.pace.lease import Lease
from bulk_onboard.pace.pauses import Pauses


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


def test_a_worker_reports_how_long_it_had_been_sending_when_it_was_refused() -> None:
    lease = Lease("a")
    lease.report(0.0)
    assert lease.obey(Orders(number=1, answers=1, share=UNLIMITED))
    assert lease.allows(LEASE / 2)
    for turn in (1.0, 2.0, 3.0):
        lease.sent(turn)
    lease.throttled(3.0)
    lease.asked_to_wait(3.1, 4.1)
    assert lease.report(3.2).age == pytest.approx(2.0)
