"""Reports in, orders out."""

from __future__ import annotations

import pytest

from bulk_onboard.orders import LEASE, Orders, Report
from bulk_onboard.pace import Leader
from bulk_onboard.pace.lease import Lease


def test_orders_answer_the_latest_report_and_tell_the_rate_of_all() -> None:
    leader = Leader(30)
    leader.hear(Report("a", 1), 0.0)
    leader.hear(Report("b", 4), 0.0)
    told = leader.orders(0.1)
    assert {name: (each.answers, each.share, each.rate) for name, each in told.items()} == {
        "a": (1, 15, 30),
        "b": (4, 15, 30),
    }


def test_a_report_that_is_read_again_renews_nothing_and_brings_nobody_back() -> None:
    leader = Leader(30)
    for now in range(20):
        leader.hear(Report("a", 1), now)
        assert ("a" in leader.orders(now)) == (now < LEASE + 1.2)
    leader.hear(Report("a", 2), 20.0)
    assert leader.workers == ("a",)


def test_as_long_as_workers_of_an_earlier_leader_may_be_sending_there_are_no_orders() -> None:
    leader = Leader(30, quiet_until=5.0)
    leader.hear(Report("a", 1), 1.0)
    assert leader.orders(4.9) == {}
    leader.hear(Report("a", 2), 4.9)
    assert leader.orders(5.0)["a"].share == 30


def test_a_pause_is_told_as_the_seconds_that_are_left_of_it() -> None:
    leader = Leader(30)
    leader.hear(Report("a", 1, pauses=1, pause=3.0), 10.0)
    assert [leader.orders(now)["a"].pause for now in (10.0, 12.0, 14.0)] == [3.0, 1.0, 0.0]


def test_the_traffic_of_all_is_what_they_reported() -> None:
    leader = Leader(0)
    leader.hear(Report("a", 1, sent=3), 0.0)
    leader.hear(Report("b", 1, sent=2, throttled=1), 0.5)
    leader.hear(Report("a", 2, sent=10, throttled=2), 1.5)
    found = leader.traffic(2.0)
    assert (found.sent, found.throttled) == ((5, 7), (1, 2))


def test_who_is_gone_is_not_part_of_what_was_taken() -> None:
    leader = Leader(500)
    leader.hear(Report("dead", 1, taken=400), 0.0)
    leader.orders(0.0)
    leader.orders(LEASE + 1.3)
    assert leader.workers == ()
    told = Report("a", 1, taken=50, age=9, rate=500, refused=3, in_a_row=3, answered=50)
    leader.hear(told, LEASE + 1.4)
    leader.orders(LEASE + 1.5)
    assert leader.rate == pytest.approx(0.97 * 50)


def test_who_has_stopped_sending_reports_that_nothing_of_his_is_taken() -> None:
    lease = Lease("w")
    lease.report(0.0)
    lease.obey(Orders(1, 1, 10))
    for at in range(10):
        lease.sent(at / 10)
        lease.passed(at / 10)
    assert [lease.report(now).taken for now in (1.0, 2.0, 4.0)] == [10, 10, 0]


def test_answers_to_what_was_sent_at_the_old_rate_are_not_counted_for_the_new_one() -> None:
    lease = Lease("w")
    lease.report(0.0)
    lease.obey(Orders(1, 1, 10, rate=50.0))
    for at in (0.1, 0.2):
        lease.sent(at)
    lease.throttled(0.1)
    told = lease.report(0.5)
    assert (told.epoch, told.refused, told.rate, told.throttled) == (0, 1, 50.0, 1)
    lease.obey(Orders(2, 2, 5, rate=25.0, epoch=1))
    lease.throttled(0.2)
    told = lease.report(1.0)
    assert (told.epoch, told.refused, told.throttled) == (1, 0, 2)
