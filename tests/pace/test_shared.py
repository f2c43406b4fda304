"""Workers that really send, under one ceiling, in a time that passes by itself."""

from __future__ import annotations

import asyncio
import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warp import warp

from bulk_onboard.orders import LEASE, RENEWAL, UNLIMITED, Orders
from bulk_onboard.pace import SharedPace
from tests.pace.cluster import Cluster, cluster
from tests.pace.test_ceiling import clock, fullest


@pytest.mark.parametrize(
    ("rate", "workers", "seconds"),
    [(2, 5, 400), (2.5, 5, 400), (2.5, 2, 60), (0.5, 2, 400), (10, 3, 60), (16.67, 4, 60), (200, 3, 10)],
)
def test_the_sum_of_all_keeps_the_rate_in_every_second_and_reaches_it(
    rate: float, workers: int, seconds: float
) -> None:
    async def main() -> list[float]:
        async with cluster(rate) as found:
            for _ in range(workers):
                found.joins(slow=0.05).always_wants()
            await asyncio.sleep(10)
            began = clock()
            await asyncio.sleep(seconds)
            times = found.sent()
            assert len([at for at in times if at >= began]) >= 0.97 * rate * seconds - 1
            return times

    # A rate of 2.5 means three in a second at most, as for one process.
    assert fullest(warp(main()), 1.0) <= math.ceil(rate)


Events = list[tuple[str, float, float]]
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["join", "die", "cut", "stall", "slow", "idle"]), st.floats(0, 1), st.floats(0, 7)
    ),
    max_size=10,
)


async def live(found: Cluster, events: Events) -> None:
    alive = [found.joins() for _ in range(3)]
    for worker in alive:
        worker.always_wants(5)
    for what, whom, seconds in events:
        if what == "join":
            alive.append(found.joins())
            alive[-1].always_wants(5)
        elif what == "idle":
            alive.append(found.joins())
        elif what == "stall":
            found.stalled_until = clock() + seconds
        elif alive:
            worker = alive[int(whom * (len(alive) - 1))]
            if what == "die":
                worker.dies()
                alive.remove(worker)
            elif what == "cut":
                worker.cut_until = clock() + seconds
            else:
                worker.slow = seconds
        await asyncio.sleep(seconds / 2)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 2.5, 7, 20]), EVENTS, st.randoms(use_true_random=False))
def test_no_second_holds_more_while_workers_come_and_go_and_are_cut_off(
    rate: float, events: Events, random: Random
) -> None:
    async def main() -> list[float]:
        async with cluster(rate) as found:
            await live(found, events)
            return found.sent()

    def late() -> float:
        return random.random() * 0.05 if random.random() < 0.2 else 0.0

    times = warp(main(), late)
    assert not times or fullest(times, 1.0) <= math.ceil(rate)


def test_who_dies_gives_back_within_seconds_and_who_joins_gets_his_own() -> None:
    async def main() -> None:
        async with cluster(60) as found:
            first, second = found.joins(), found.joins()
            first.always_wants()
            second.always_wants()
            await asyncio.sleep(10)
            second.dies()
            await asyncio.sleep(LEASE + 3)
            assert first.pace.rate == 60
            third = found.joins()
            third.always_wants()
            await asyncio.sleep(4)
            assert (first.pace.rate, third.pace.rate) == (30, 30)

    warp(main())


def test_who_has_nothing_to_send_leaves_his_share_to_the_others_and_gets_it_back() -> None:
    async def main() -> None:
        async with cluster(100) as found:
            busy, idle = found.joins(), found.joins()
            busy.always_wants()
            await asyncio.sleep(10)
            before = len(busy.sent)
            await asyncio.sleep(10)
            assert len(busy.sent) - before >= 970
            idle.always_wants()
            await asyncio.sleep(6)
            assert (busy.pace.rate, idle.pace.rate) == (50, 50)

    warp(main())


# --- the lease --------------------------------------------------------------------------------------


def test_who_is_cut_off_sends_nothing_after_his_lease_and_goes_on_when_he_is_back() -> None:
    async def main() -> list[float]:
        async with cluster(10) as found:
            worker = found.joins()
            worker.always_wants()
            await asyncio.sleep(10)
            cut = clock()
            worker.cut_until = cut + 20
            await asyncio.sleep(30)
            return [at - cut for at in worker.sent]

    times = warp(main())
    assert max(at for at in times if at < 20) <= LEASE + RENEWAL
    assert max(at for at in times if at < 20) >= LEASE - 1.5
    assert any(at > 20 for at in times)


def test_when_the_leader_is_gone_nobody_sends_though_his_orders_still_lie_about() -> None:
    async def main() -> None:
        async with cluster(50) as found:
            worker = found.joins()
            worker.always_wants()
            await asyncio.sleep(10)
            found.stalled_until = math.inf
            await asyncio.sleep(LEASE + 1)
            before = len(worker.sent)
            await asyncio.sleep(30)
            assert found.orders
            assert len(worker.sent) == before

    warp(main())


def test_a_lease_begins_with_the_report_that_is_answered_not_with_the_answer() -> None:
    async def main() -> None:
        pace = SharedPace("w")
        pace.report()
        await asyncio.sleep(3)
        pace.obey(Orders(1, 1, UNLIMITED))
        assert pace.lapses_in() == pytest.approx(LEASE - 3)
        await pace.turn()
        await asyncio.sleep(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pace.turn(), 100)

    warp(main())


def test_a_turn_that_stood_in_line_when_the_lease_ran_out_is_not_had() -> None:
    async def main() -> None:
        pace = SharedPace("w")
        pace.report()
        pace.obey(Orders(1, 1, 0.2))
        await pace.turn()
        waiting = asyncio.create_task(pace.turn())
        await asyncio.sleep(20)
        assert not waiting.done()
        pace.report()
        pace.obey(Orders(1, 2, 0.2))
        began = clock()
        assert await waiting - began < 0.1

    warp(main())


def test_orders_that_are_older_than_those_obeyed_change_nothing() -> None:
    async def main() -> None:
        pace = SharedPace("w")
        for _ in range(3):
            pace.report()
        pace.obey(Orders(5, 3, 7.0))
        pace.obey(Orders(4, 2, 70.0))
        assert pace.rate == 7.0

    warp(main())


def test_no_share_is_no_licence_and_a_changed_one_is_reported_early() -> None:
    async def main() -> None:
        hurried: list[float] = []
        pace = SharedPace("w", lambda: hurried.append(clock()))
        pace.report()
        pace.obey(Orders(0, 1, 0.0))
        waiting = asyncio.create_task(pace.turn())
        await asyncio.sleep(1)
        assert not waiting.done()
        assert len(hurried) == 1  # who begins wants a share soon
        hurried.clear()
        pace.obey(Orders(1, 1, 5.0))
        await waiting
        assert len(hurried) == 1
        assert pace.report().obeys == 1

    warp(main())


def test_who_rests_leaves_his_share_at_once_and_who_goes_on_asks_for_it_at_once() -> None:
    async def main() -> None:
        async with cluster(100, tick=0.1) as found:
            busy, other = found.joins(), found.joins()
            busy.always_wants()
            await other.turn()
            await asyncio.sleep(4)
            other.pace.rest()
            await asyncio.sleep(2.2)
            assert busy.pace.rate >= 98
            assert (await other.turn()) - clock() <= 0.1  # a little lies ready
            other.always_wants()
            await asyncio.sleep(2.5)
            assert (busy.pace.rate, other.pace.rate) == (50, 50)

    warp(main())


def test_shares_stay_where_they_are_while_all_begin() -> None:
    async def main() -> None:
        async with cluster(90, tick=0.1) as found:
            first, second, third = found.joins(), found.joins(), found.joins()
            await asyncio.sleep(30)  # the file is read; nobody sends
            first.always_wants()
            await asyncio.sleep(1.5)
            second.always_wants()
            third.always_wants()
            await asyncio.sleep(0.5)
            assert {each.pace.rate for each in (first, second, third)} == {30}

    warp(main())


# --- what Leaf asks for ------------------------------------------------------------------------------


def test_a_pause_that_leaf_asks_of_one_is_kept_by_all() -> None:
    async def main() -> None:
        async with cluster(50) as found:
            one, other = found.joins(), found.joins()
            other.always_wants()
            await asyncio.sleep(5)
            turn = await one.turn()
            one.pace.throttled(turn, 20.0)
            held = clock()
            one.always_wants()
            await asyncio.sleep(40)
            assert not [at for at in one.sent if held < at < held + 20]
            assert not [at for at in other.sent if held + 2 * RENEWAL + 0.2 < at < held + 20]
            assert any(held + 20 < at < held + 22 for at in one.sent)
            assert sum(one.pace.traffic().held) == pytest.approx(20, abs=1.5)

    warp(main())


def test_pauses_do_not_echo_between_workers_and_leader() -> None:
    async def main() -> None:
        async with cluster(50) as found:
            workers = [found.joins() for _ in range(3)]
            for worker in workers:
                worker.always_wants()
            await asyncio.sleep(5)
            for worker in workers:
                worker.pace.hold(2.0)
            held = clock()
            await asyncio.sleep(10)
            assert min(at for at in found.sent() if at > held) <= held + 2 + 1.5

    warp(main())


def test_after_refusals_in_a_row_nothing_goes_out_until_they_are_weighed_once_for_each_rate() -> None:
    async def main() -> None:
        pace = SharedPace("w")
        pace.report()
        pace.obey(Orders(1, 1, UNLIMITED))

        async def refused(times: int) -> None:
            for turn in [await pace.turn() for _ in range(times)]:
                pace.throttled(turn, None)

        async def stands() -> bool:
            waiting = asyncio.create_task(pace.turn())
            await asyncio.sleep(0.1)
            waiting.cancel()
            return not waiting.done()

        await refused(3)
        assert await stands()
        pace.obey(Orders(1, 1, UNLIMITED))  # from before
        assert await stands()
        pace.report()
        pace.obey(Orders(1, 2, UNLIMITED, weighing=True))
        assert await stands()
        pace.obey(Orders(1, 2, UNLIMITED))
        assert not await stands()
        await refused(3)
        assert not await stands()  # the rate is the same
        pace.obey(Orders(2, 2, UNLIMITED, epoch=1))
        await refused(3)
        assert await stands()

    warp(main())
