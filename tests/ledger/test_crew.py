"""Leases and claims: who may send, until when, and who may take over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from bulk_onboard.errors import LedgerBusy
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.crew import Crew, disband_all, end_leases, leases_left
from bulk_onboard.orders import LEASE
from bulk_onboard.settings import LedgerPlace, PostgresUrl
from tests.ledger.support import begin, g, intent, outcome


class Clock:
    """That all processes share."""

    now = 1_000.0

    def __call__(self, _db: object) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crew(ledger: Ledger, clock: Clock) -> Crew:
    run_no, _ = begin(ledger)
    return Crew(ledger, run_no, clock)


def _left(crew: Crew, worker: str) -> float:
    """For how many seconds a worker may be sending, as the leader sees it."""
    return next(member.left for member in crew.lead({}) if member.worker == worker)


def test_what_a_worker_tells_and_what_it_is_told_is_handed_over(crew: Crew) -> None:
    crew.lead({})
    assert crew.renew("a", "hello").own == ""
    assert [(member.worker, member.told) for member in crew.lead({"a": "go", "b": "nobody"})] == [
        ("a", "hello")
    ]
    assert crew.renew("a", "again").own == "go"
    assert [member.told for member in crew.lead({})] == ["again"]
    assert crew.renew("a", "more").own == "go"  # what the leader does not change stays


def test_a_lease_lasts_as_long_as_both_are_heard_of(crew: Crew, clock: Clock) -> None:
    crew.lead({})
    assert crew.renew("a", "").led
    assert _left(crew, "a") == LEASE
    clock.now += LEASE - 1
    assert crew.renew("a", "").led  # the leader has not been heard of for a while, but for less than a lease
    clock.now += 2
    assert not crew.renew("a", "").led
    assert _left(crew, "a") < 0  # the renewal came to nothing
    assert crew.renew("a", "").led


def test_a_part_is_one_workers_until_it_is_released(crew: Crew) -> None:
    crew.lead({})
    crew.renew("a", "")
    crew.renew("b", "")
    assert crew.claim(7, "a")
    assert crew.claim(7, "a")  # again
    assert not crew.claim(7, "b")
    assert crew.claim(8, "b")
    assert crew.renew("a", "").parts == {7}
    crew.release(7, "b")  # not his to release
    assert not crew.claim(7, "b")
    crew.release(7, "a")
    assert crew.claim(7, "b")
    assert (crew.renew("a", "").parts, crew.renew("b", "").parts) == (frozenset(), {7, 8})


def test_a_part_that_is_let_go_of_while_another_asks_is_asked_for_again(
    crew: Crew, ledger: Ledger, place: LedgerPlace
) -> None:
    if not isinstance(place, PostgresUrl):
        pytest.skip("in a file nobody comes in between")
    crew.lead({})
    crew.renew("a", "")
    crew.claim(7, "a")
    guarding, monkey = ledger.guarding, pytest.MonkeyPatch()

    @contextmanager
    def slow() -> Iterator[Connection]:
        monkey.undo()
        with guarding() as db:
            execute = db.execute

            def executed(statement: Any) -> Any:
                found = execute(statement)
                monkey.undo()
                crew.release(7, "a")  # in a transaction of its own
                return found

            monkey.setattr(db, "execute", executed)
            yield db

    monkey.setattr(ledger, "guarding", slow)
    assert not crew.claim(7, "b")
    assert crew.claim(7, "b")


def test_a_part_is_taken_over_when_its_holders_lease_is_over_and_not_before(crew: Crew, clock: Clock) -> None:
    crew.lead({})
    crew.renew("a", "")
    crew.claim(7, "a")
    clock.now += LEASE - 0.1
    crew.lead({})
    crew.renew("b", "")
    assert not crew.claim(7, "b")
    clock.now += 0.2
    assert crew.claim(7, "b")
    assert crew.renew("a", "").parts == frozenset()  # which it learns before it may send again


def test_who_has_lost_a_part_can_write_nothing_about_it(ledger: Ledger, crew: Crew, clock: Clock) -> None:
    run_no, scope = 1, ledger.scope("https://api.withleaf.io", "me", "raven")
    crew.lead({})
    for worker in ("a", "b"):
        crew.renew(worker, "")

    def write(worker: str, row: int, *, ended: bool) -> None:
        begun, done = ([], [outcome(row, g(row))]) if ended else ([intent(row, g(row))], [])
        ledger.write(run_no, scope, begun, done, fence=lambda db: crew.require(db, 7, worker))

    crew.claim(7, "a")
    write("a", 2, ended=False)
    clock.now += LEASE + 1
    crew.claim(7, "b")
    for ended in (False, True):
        with pytest.raises(LedgerBusy, match="another worker"):
            write("a", 3, ended=ended)
    write("b", 2, ended=True)
    assert [(entry.row, entry.status) for entry in ledger.entries(run_no)] == [(2, "created")]


def test_a_worker_of_a_run_that_has_ended_is_told_so(crew: Crew, ledger: Ledger, clock: Clock) -> None:
    crew.lead({})
    crew.renew("a", "")
    crew.claim(7, "a")
    crew.disband()
    with pytest.raises(LedgerBusy, match="has ended"):
        crew.renew("a", "")
    assert leases_left(ledger, clock) == 0


@pytest.mark.parametrize("set_back", [0.0, 3_600.0])
def test_the_wait_for_workers_of_a_dead_leader_is_announced_and_bounded(
    ledger: Ledger, crew: Crew, clock: Clock, set_back: float
) -> None:
    messages, slept = list[str](), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    crew.lead({})
    crew.renew("a", "")
    clock.now -= set_back
    end_leases(ledger, messages.append, clock=clock, sleep=sleep)
    # After a change of the clock a worker cannot renew its lease, and gets the time to notice.
    assert slept == ([LEASE] * 3 if set_back else [LEASE])
    assert messages == ["workers of an earlier run may still be sending: waiting for up to 12 s"]
    with pytest.raises(LedgerBusy):
        crew.renew("a", "")
    end_leases(ledger, messages.append, clock=clock, sleep=sleep)
    assert len(messages) == 1


def test_the_next_run_waits_for_workers_whose_leader_died(ledger: Ledger, crew: Crew, clock: Clock) -> None:
    crew.lead({})
    crew.renew("a", "")
    clock.now += 1
    crew.renew("a", "")  # which the dead leader does not make longer
    assert leases_left(ledger, clock) == LEASE - 1
    clock.now += LEASE
    assert leases_left(ledger, clock) == 0
    disband_all(ledger)
    with pytest.raises(LedgerBusy):
        crew.renew("a", "")
