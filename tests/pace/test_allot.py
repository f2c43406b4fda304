"""Shares of one rate: never more in sum within a second, whatever happens to reports and orders."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.orders import LEASE, UNLIMITED, Orders, Report
from bulk_onboard.pace.allot import MARGIN, TURN, Member, allot, heard, joined
from bulk_onboard.pace.lease import Lease

RATES = [0.4, 1, 2, 2.5, 7.3, 10, 33.3, 100, 2000]


@dataclass
class Used:
    """What a worker may have sent by: shares, and when each of them began."""

    at: list[float] = field(default_factory=lambda: [-math.inf])
    shares: list[float] = field(default_factory=lambda: [0.0])

    def from_now(self, now: float, share: float) -> None:
        if share != self.shares[-1]:
            self.at.append(now)
            self.shares.append(share)

    def most(self, begin: float, end: float) -> float:
        return max(self.shares[bisect_right(self.at, begin) - 1 : bisect_left(self.at, end)])


class World:
    """A leader that only allots, and workers that only report and obey; the table between them."""

    def __init__(self, rate: float) -> None:
        self.now, self.rate = 0.0, rate
        self.members: tuple[Member, ...] = ()
        self.leases: list[Lease] = []
        self.used: list[Used] = []
        self.told: dict[str, Report] = {}
        self.read: dict[str, int] = {}
        self.orders: dict[str, Orders] = {}
        self.wants: dict[str, float] = {}

    def joins(self) -> None:
        self.leases.append(Lease(f"w{len(self.leases)}"))
        self.used.append(Used())

    def passes(self, seconds: float) -> None:
        self.now += seconds
        for lease, used in zip(self.leases, self.used, strict=True):
            if lease.until <= self.now and used.shares[-1]:
                used.from_now(lease.until, 0.0)

    def reports(self, worker: int) -> None:
        lease = self.leases[worker]
        self.told[lease.worker] = lease.report(self.now)

    def leads(self) -> None:
        members = {each.name: each for each in self.members}
        for name, report in self.told.items():
            if self.read.get(name) == report.number:
                continue
            self.read[name] = report.number
            member = members.get(name) or joined(name, self.now, report.obeys)
            members[name] = heard(member, report.obeys, self.wants.get(name, UNLIMITED), self.now)
        self.members = allot(self.rate, members.values(), self.now)
        for each in self.members:
            self.orders[each.name] = Orders(each.number, self.read[each.name], each.share)

    def obeys(self, worker: int) -> None:
        lease = self.leases[worker]
        if lease.worker in self.orders:
            lease.obey(self.orders[lease.worker])
            self.used[worker].from_now(self.now, lease.orders.share if lease.allows(self.now) else 0.0)

    def exchanges(self, workers: Iterable[int], seconds: float, every: float = 0.5) -> None:
        """Everybody's regular life."""
        workers = list(workers)
        for _ in range(round(seconds / every)):
            for each in workers:
                self.obeys(each)
                self.reports(each)
            self.leads()
            self.passes(every)

    def assert_kept(self, rate: float) -> None:
        """No worker sends more in a second than the largest share of that second, rounded up."""
        for begin in sorted({at for used in self.used for at in used.at if at >= 0}):
            for start in (begin, begin - 1 + 1e-6):
                shares = [used.most(start, start + 1) for used in self.used]
                assert sum(shares) <= rate + 1e-6
                assert sum(math.ceil(each - 1e-9) for each in shares) <= math.ceil(rate)

    def shares(self) -> list[float]:
        """What is in use now."""
        return [used.shares[-1] for used in self.used]


Step = tuple[str, int, float]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["report", "lead", "obey", *4 * ["exchange"], "join", "wants", "rate"]),
        st.integers(0, 5),
        st.floats(0, 1.5) | st.floats(0, 8),
    ),
    max_size=60,
)


def live(world: World, steps: list[Step], rate: float) -> None:
    for what, any_worker, number in steps:
        worker = any_worker % max(1, len(world.leases))
        match what:
            case "join":
                world.joins()
            case "lead":
                world.leads()
            case "rate":
                world.rate = max(0.1, rate - number)
            case "exchange":
                world.exchanges(range(0, len(world.leases), 1 + worker % 2), number, every=0.1)
            case _ if not world.leases:
                continue
            case "report":
                world.reports(worker)
            case "obey":
                world.obeys(worker)
            case "wants":
                world.wants[world.leases[worker].worker] = number if number < 4 else UNLIMITED
        world.passes(number / 2)


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(RATES) | st.floats(0.2, 500), st.integers(1, 6), STEPS)
def test_no_second_holds_more_than_the_rate_however_late_reports_and_orders_are(
    rate: float, workers: int, steps: list[Step]
) -> None:
    world = World(rate)
    for _ in range(workers):
        world.joins()
    live(world, steps, rate)
    world.assert_kept(rate)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 6), STEPS)
def test_whatever_was_before_all_of_the_rate_is_in_use_some_seconds_later(
    rate: float, workers: int, steps: list[Step]
) -> None:
    world = World(rate)
    for _ in range(workers):
        world.joins()
    live(world, steps, rate)
    world.rate = rate
    world.wants.clear()
    # The last leases run out, then what they held is given out and taken.
    world.exchanges(range(len(world.leases)), LEASE + max(1.0, 1 / rate) + 5)
    seen = []
    for _ in range(20):
        world.exchanges(range(len(world.leases)), 0.5)
        seen.append(sum(world.shares()))
    assert max(seen) == pytest.approx(rate)
    world.assert_kept(rate)


def settled(rate: float, workers: int, **wants: float) -> World:
    world = World(rate)
    for _ in range(workers):
        world.joins()
    world.wants = wants
    world.exchanges(range(workers), 20)
    return world


@pytest.mark.parametrize(
    ("rate", "shares"),
    [(10, [4, 3, 3]), (2.5, [1.5, 1, 0]), (100, [34, 33, 33]), (0.5, [0.5, 0, 0]), (33.3, [11.3, 11, 11])],
)
def test_everybody_gets_the_same_in_whole_numbers_but_for_one(rate: float, shares: list[float]) -> None:
    assert sorted(settled(rate, 3).shares(), reverse=True) == pytest.approx(shares)


def test_no_ceiling_is_no_ceiling_for_anybody() -> None:
    assert settled(0, 3).shares() == [UNLIMITED] * 3


def test_a_ceiling_that_comes_up_waits_for_those_who_had_none() -> None:
    world = settled(0, 2)
    world.rate = 10
    world.exchanges([0], 2)  # the other one is not heard of, and may be sending as much as it likes
    world.joins()
    world.exchanges([0, 2], LEASE - 2)
    assert world.shares()[2] == 0
    world.exchanges([0, 2], 4)
    assert world.shares() == [5, 0, 5]


def test_who_wants_nothing_leaves_nearly_all_of_it_to_the_others() -> None:
    world = settled(100, 3, w0=0.0)
    assert sum(world.shares()[1:]) >= 98
    assert world.shares()[0] <= 2


def test_who_wants_little_gets_that() -> None:
    assert settled(100, 3, w0=7.2).shares() == [8, 46, 46]


def test_what_nobody_wants_lies_ready_where_it_may_be_wanted() -> None:
    assert settled(90, 3, w0=0.0, w1=0.0, w2=0.0).shares() == [30, 30, 30]


def test_who_dies_gives_back_within_seconds_and_who_joins_gets_his_own() -> None:
    world = settled(90, 3)
    world.exchanges([0, 1], LEASE + 1 + MARGIN + 0.5, every=0.1)
    assert world.shares() == [45, 45, 0]
    world.joins()
    world.exchanges([0, 1, 3], 2, every=0.1)
    assert world.shares() == [30, 30, 0, 30]
    world.assert_kept(90)


def test_where_there_are_more_workers_than_requests_per_second_they_take_turns() -> None:
    world = settled(2, 5)
    turns = [0.0] * 5
    for _ in range(4000):
        world.exchanges(range(5), 0.5)
        for at, share in enumerate(world.shares()):
            turns[at] += share * 0.5
    assert sum(turns) >= 0.97 * 2 * 2000
    assert min(turns) >= 0.9 * sum(turns) / 5
    for used in world.used:
        waits = [b - a for a, b, share in zip(used.at, used.at[1:], used.shares, strict=False) if not share]
        assert max(waits[1:]) <= 2 * TURN + 10
    world.assert_kept(2)


def test_a_share_changes_hands_only_when_something_changes() -> None:
    world = settled(100, 7)
    before = [each.number for each in world.members]
    world.exchanges(range(7), 300)
    assert [each.number for each in world.members] == before


def test_a_fraction_stays_with_whom_it_is() -> None:
    world = settled(9.5, 3)
    before = [each.number for each in world.members]
    for rate in (9.7, 9.2):
        world.rate = rate
        world.exchanges(range(3), 5)
    assert [each.number - then for each, then in zip(world.members, before, strict=True)] == [2, 0, 0]


def test_two_fractions_at_once_do_not_make_one_more() -> None:
    world = settled(9.9, 3)  # 3.9, 3, 3
    world.wants = {"w0": 3.0}
    for _ in range(12):
        world.exchanges([1, 2], 0.1, every=0.1)  # the first has not heard yet that it is to cede
    world.exchanges([0, 1, 2], 5, every=0.1)
    world.assert_kept(9.9)


def test_orders_of_an_earlier_lease_are_not_taken_for_those_of_this_one() -> None:
    world = settled(10, 2)
    world.exchanges([1], 20)  # the first was given up
    world.reports(0)
    world.leads()
    assert world.leases[0].orders.number < world.members[-1].number
    world.exchanges([0, 1], 10)
    assert world.shares() == [5, 5]
    world.assert_kept(10)


def test_orders_that_were_never_given_are_not_obeyed() -> None:
    member = joined("w", 0.0)
    assert heard(member, 7, 1.0, 1.0).grants == member.grants
