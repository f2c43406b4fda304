"""Leases, claims and send slots: who may send, when, and who takes over."""

from __future__ import annotations

from functools import partial

import pytest

from bulk_onboard.domain.model import Requests
from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.leases import LEASE, Leases, Stop, wait_for_workers
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import begin, g, intent, sql

SENT = Requests(get=2, post=1)


class Clock:
    """The time that all processes share."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def leases_of(ledger: Ledger, clock: Clock) -> Leases:
    run_no, _ = begin(ledger)
    leases = Leases(ledger, run_no, clock)
    leases.open()
    leases.lead(0.0, None)
    return leases


@pytest.fixture
def leases(ledger: Ledger, clock: Clock) -> Leases:
    return leases_of(ledger, clock)


def test_a_part_is_claimed_by_one_worker_until_its_lease_is_over(leases: Leases, clock: Clock) -> None:
    first = leases.claim(3)
    assert first is not None
    assert leases.claim(3) is None
    assert leases.claim(4) is not None
    clock.now += LEASE - 1
    leases.lead(0.0, None)
    leases.renew(first, 0.0, SENT)
    clock.now += LEASE - 1
    assert leases.claim(3) is None
    clock.now += 1
    leases.lead(0.0, None)
    second = leases.claim(3)
    assert second is not None
    assert (second.epoch, second.requests) == (first.epoch + 1, SENT)
    with pytest.raises(LedgerBusy, match="another worker has taken over"):
        leases.renew(first, 0.0, SENT)


def test_a_part_that_was_released_can_be_claimed_at_once(leases: Leases) -> None:
    first = leases.claim(0)
    assert first is not None
    leases.release(first, SENT)
    assert leases.left() == 0
    assert leases.claim(0) is not None
    with pytest.raises(LedgerBusy):
        leases.release(first, SENT)
    assert leases.requests() == SENT


def test_no_lease_lasts_longer_than_that_of_the_leader(leases: Leases, clock: Clock) -> None:
    mine = leases.claim(0)
    assert mine is not None
    clock.now += 3
    assert leases.renew(mine, 0.0, SENT).lease_until == clock.now + 1
    clock.now += 3
    assert leases.renew(mine, 0.0, SENT).lease_until < clock.now
    assert leases.left() == 0
    leases.lead(0.0, None)
    assert leases.renew(mine, 0.0, SENT).lease_until == clock.now + LEASE
    assert leases.left() == LEASE


def test_workers_hear_why_the_run_stops_and_that_it_has_ended(leases: Leases) -> None:
    mine, stop = leases.claim(0), Stop("interrupted", 130, at_once=True)
    assert mine is not None
    assert leases.renew(mine, 0.0, SENT).stop is None
    leases.lead(0.0, stop)
    assert leases.renew(mine, 0.0, SENT).stop == stop
    leases.close()
    with pytest.raises(LedgerBusy):
        leases.renew(mine, 0.0, SENT)


def test_an_intent_is_not_written_by_a_worker_that_has_lost_its_part(
    ledger: Ledger, leases: Leases, clock: Clock
) -> None:
    run_no, scope = 1, ledger.scope("https://api.withleaf.io", "owner@example.com", "raven")
    first = leases.claim(0)
    assert first is not None
    write = partial(ledger.write, run_no, scope, outcomes=[])
    write([intent(2, g(2))], fence=partial(leases.require, mine=first))
    clock.now += LEASE
    leases.lead(0.0, None)
    second = leases.claim(0)
    assert second is not None
    with pytest.raises(LedgerBusy):
        write([intent(3, g(3))], fence=partial(leases.require, mine=first))
    write([intent(4, g(4))], fence=partial(leases.require, mine=second))
    assert [entry.row for entry in ledger.entries(run_no)] == [2, 4]


def test_a_run_that_has_been_replaced_renews_no_lease(place: LedgerPlace, ledger: Ledger) -> None:
    leases = leases_of(ledger, Clock())
    with Ledger(place) as other:
        begin(other, "r-2")
    for attempt in (lambda: leases.lead(0.0, None), lambda: leases.claim(0)):
        with pytest.raises(LedgerError, match="another run has taken over"):
            attempt()


def test_the_next_run_waits_for_workers_of_a_dead_one_but_not_for_long(
    place: LedgerPlace, ledger: Ledger
) -> None:
    slept, told = list[float](), list[str]()
    wait_for_workers(ledger, told.append, slept.append)
    assert not slept
    assert not told
    run_no, _ = begin(ledger)
    leases = Leases(ledger, run_no)
    leases.open()
    leases.lead(0.0, None)
    assert leases.claim(0) is not None
    sql(place, "UPDATE claim SET lease_until = lease_until + 3600")  # the clock was set back since
    wait_for_workers(ledger, told.append, slept.append)
    assert slept == [LEASE]
    assert "workers of an earlier run" in told[0]
    assert leases.left() == 0


def test_the_longest_pause_holds_whoever_was_asked_for_it(leases: Leases, clock: Clock) -> None:
    mine = leases.claim(0)
    assert mine is not None
    assert leases.renew(mine, 3.0, SENT).paused_until == clock.now + 3
    clock.now += 1
    assert leases.lead(0.5, None).paused_until == clock.now + 2
    assert leases.lead(9.0, None).paused_until == clock.now + 9
    assert leases.renew(mine, 0.0, SENT).paused_until == clock.now + 9
