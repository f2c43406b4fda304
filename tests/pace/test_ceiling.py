"""The ceiling, in a time that passes by itself."""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.turns import Urgency
from bulk_onboard.pace.ceiling import CATCH_UP, Ceiling, Window
from tests.support.properties import scaled
from tests.support.virtual_time import in_virtual_time, warp

ROUNDING = 1e-6
RATES = [0.5, 0.75, 1, 1.5, 2.5, 3, 7.3, 10, 16.67, 99.9, 100, 333, 500, 1000, 2000]


def clock() -> float:
    return asyncio.get_running_loop().time()


async def taken(ceiling: Ceiling, count: int, waiters: int) -> list[float]:
    """When so many turns were had, by so many who always want the next one."""
    times: list[float] = []

    async def want() -> None:
        while len(times) < count:
            await ceiling.turn()
            times.append(clock())

    await asyncio.gather(*(want() for _ in range(waiters)))
    return times[:count]


def fullest(times: list[float], window: float) -> int:
    """The most turns in any half-open window of this length."""
    return max(i - bisect_left(times, t - window + ROUNDING) + 1 for i, t in enumerate(times))


def assert_kept(times: list[float], rate: float) -> None:
    # A rate of 2.5 means three in a second at most, and 25 and a catch-up in ten; one of 0.5, one in two.
    assert fullest(times, max(1.0, 1 / rate)) <= math.ceil(rate)
    assert fullest(times, 10.0) <= rate * (10 + CATCH_UP) + 1


def count_for(rate: float) -> int:
    return min(4000, max(6, round(rate * 4)))


@pytest.mark.parametrize("rate", RATES)
def test_no_second_holds_more_turns_than_the_rate_from_the_first_on(rate: float) -> None:
    assert_kept(warp(taken(Ceiling(rate), count_for(rate), 50)), rate)


@settings(max_examples=scaled(20))
@given(
    st.floats(0.5, 2000) | st.sampled_from(RATES),
    st.integers(1, 64),
    st.sampled_from([0.0, 0.0005, 0.002, 0.05, 0.7]),
    st.randoms(use_true_random=False),
)
def test_no_second_holds_more_when_wake_ups_are_late(
    rate: float, waiters: int, late: float, random: Random
) -> None:
    def lateness() -> float:
        return random.random() * late if random.random() < 0.3 else 0.0

    assert_kept(warp(taken(Ceiling(rate), min(1500, count_for(rate)), waiters), lateness), rate)


@settings(max_examples=scaled(20))
@given(
    st.sampled_from(RATES), st.lists(st.tuples(st.integers(1, 300), st.floats(0, 3)), min_size=1, max_size=6)
)
def test_no_second_holds_more_when_waiters_come_in_bursts(
    rate: float, bursts: list[tuple[int, float]]
) -> None:
    async def main() -> list[float]:
        ceiling, times = Ceiling(rate), []

        async def want() -> None:
            await ceiling.turn()
            times.append(clock())

        tasks = []
        for size, pause in bursts:
            tasks += [asyncio.create_task(want()) for _ in range(size)]
            await asyncio.sleep(pause)
        await asyncio.gather(*tasks)
        return times

    assert_kept(warp(main()), rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("late", [0.0, 0.001, 0.005])
def test_at_least_99_percent_of_the_rate_are_reached(rate: float, late: float) -> None:
    random = Random(7)
    times = warp(taken(Ceiling(rate), count_for(rate), 50), lambda: random.random() * late)
    reached = (len(times) - 1) / (times[-1] - times[0])
    assert reached >= 0.99 * rate or (late and rate < 1)


def test_missed_turns_are_made_up() -> None:
    random = Random(7)
    # Every fiftieth wake-up comes up to 40 ms late: a third of the time nothing can be done.
    times = warp(taken(Ceiling(2000), 20_000, 50), lambda: 0.04 * random.random() * (random.random() < 0.02))
    assert (len(times) - 1) / (times[-1] - times[0]) >= 0.97 * 2000
    assert_kept(times, 2000)


def test_missed_turns_are_made_up_gradually() -> None:
    stalls = iter([0.0] * 100 + [CATCH_UP - 0.02])
    times = warp(taken(Ceiling(1000), 1500, 50), lambda: next(stalls, 0.0))
    assert max(b - a for a, b in pairwise(times)) > CATCH_UP - 0.03
    assert (len(times) - 1) / (times[-1] - times[0]) >= 0.99 * 1000
    for window in (0.001, 0.02, 0.1):
        assert fullest(times, window) <= 1000 * 1.5 * (window + 0.01) + 2


def test_at_a_learnt_rate_missed_turns_are_forfeited() -> None:
    ceiling = Ceiling(5000)
    ceiling.change(1000)
    stalls = iter([0.0] * 100 + [0.08])
    times = warp(taken(ceiling, 500, 50), lambda: next(stalls, 0.0))
    assert times[-1] - times[0] >= 0.499 + 0.08 - 0.015


def test_the_first_turn_is_at_once_and_the_next_are_evenly_spaced() -> None:
    async def main() -> list[float]:
        began = clock()
        return [t - began for t in await taken(Ceiling(10), 10, 10)]

    times = warp(main())
    assert times[0] == pytest.approx(0, abs=0.02)
    assert all(0.08 < b - a < 0.12 for a, b in pairwise(times[1:]))


def test_without_a_ceiling_nobody_waits() -> None:
    times = warp(taken(Ceiling(0), 1000, 100))
    assert times[-1] - times[0] < ROUNDING


@pytest.mark.parametrize("rate", [0, 0.5, 10, 2000])
@in_virtual_time
async def test_a_hold_stops_all_waiting_turns(rate: float) -> None:
    ceiling, times = Ceiling(rate), []

    async def want() -> None:
        await ceiling.turn()
        times.append(clock())

    if rate:
        await ceiling.turn()
    held_at = clock()
    tasks = [asyncio.create_task(want()) for _ in range(5)] if rate else []
    await asyncio.sleep(0)
    ceiling.hold(30)
    tasks += [asyncio.create_task(want()) for _ in range(5)]
    await asyncio.gather(*tasks)
    assert min(times) >= held_at + 30


@in_virtual_time
async def test_a_longer_hold_is_kept_and_a_shorter_one_changes_nothing() -> None:
    ceiling, began = Ceiling(10), clock()
    assert ceiling.hold(20)
    assert not ceiling.hold(5)
    waiting = asyncio.create_task(ceiling.turn())
    await asyncio.sleep(10)
    assert not ceiling.hold(1)
    assert ceiling.hold(40)  # to 50 s from the beginning, while somebody waits for 20
    await waiting
    assert clock() - began == pytest.approx(50)


def test_after_a_hold_there_is_no_burst() -> None:
    async def main() -> list[float]:
        ceiling = Ceiling(10)
        ceiling.hold(60)
        return await taken(ceiling, 40, 40)

    assert_kept(warp(main()), 10)


def test_first_come_first_served() -> None:
    async def main() -> list[int]:
        ceiling, order = Ceiling(100), []

        async def want(number: int) -> None:
            await ceiling.turn()
            order.append(number)

        await asyncio.gather(*(want(n) for n in range(200)))
        return order

    assert warp(main()) == list(range(200))


def test_an_urgent_request_goes_before_all_that_wait_already() -> None:
    async def main() -> list[Urgency]:
        ceiling, order = Ceiling(1), list[Urgency]()

        async def want(urgency: Urgency) -> None:
            await ceiling.turn(urgency=urgency)
            order.append(urgency)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(want(Urgency.BEGIN))
            await asyncio.sleep(0.5)  # the next of them has been waiting for its turn since the first went
            for urgency in (Urgency.CONTINUE, Urgency.COMPLETE, Urgency.CONTINUE, Urgency.COMPLETE):
                group.create_task(want(urgency))
        return order

    begun, *rest = warp(main())
    assert begun is Urgency.BEGIN
    assert rest == sorted(rest, reverse=True)


def test_a_request_that_is_not_valid_when_its_turn_comes_leaves_the_turn_to_the_next() -> None:
    async def main() -> list[tuple[str, float]]:
        ceiling, turns = Ceiling(1), list[tuple[str, float]]()
        began = clock()

        async def want(name: str, until: float) -> None:
            turn = await ceiling.turn(still_valid=lambda: clock() - began <= until)
            turns.append((name, round(clock() - began, 3) if turn else 0.0))

        await ceiling.turn()
        ceiling.hold(8.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(want("too old", 5.0))
            group.create_task(want("valid", 60.0))
        return turns

    assert warp(main()) == [("too old", 0.0), ("valid", 8.0)]


@given(st.sets(st.integers(0, 29), max_size=20))
def test_a_cancelled_wait_changes_nothing_for_others(gone: set[int]) -> None:
    async def main() -> list[float]:
        ceiling, times = Ceiling(5), []

        async def want() -> None:
            await ceiling.turn()
            times.append(clock())

        tasks = [asyncio.create_task(want()) for _ in range(30)]
        for n in gone:
            await asyncio.sleep(0.1)
            tasks[n].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return times

    times = warp(main())
    assert len(times) >= 30 - len(gone)
    assert_kept(times, 5)


@given(st.lists(st.tuples(st.floats(1, 2000), st.integers(1, 40)), min_size=1, max_size=12))
@in_virtual_time
async def test_a_change_of_the_rate_gives_no_extra_turn(changes: list[tuple[float, int]]) -> None:
    ceiling, last = Ceiling(100), clock() - 1
    for rate, turns in changes:
        ceiling.change(rate)
        first = await ceiling.turn()
        assert first - last >= 1 / rate - CATCH_UP - ROUNDING
        last = [first, *[await ceiling.turn() for _ in range(turns)]][-1]


def test_a_lower_rate_counts_the_turns_before_it() -> None:
    async def main() -> float:
        ceiling = Ceiling(500)
        first = await ceiling.turn()
        for _ in range(119):
            await ceiling.turn()
        ceiling.change(100)
        return await ceiling.turn() - first

    assert warp(main()) >= 1.0


def test_removing_the_ceiling_releases_all_turns() -> None:
    async def scene() -> list[float]:
        ceiling = Ceiling(2)
        waiting = [asyncio.create_task(ceiling.turn()) for _ in range(6)]
        await asyncio.sleep(0.1)
        ceiling.change(0)
        return await asyncio.gather(*waiting)

    times = warp(scene())
    assert times[-1] - times[0] <= 1.0


def test_a_rate_may_change_while_a_turn_waits_for_the_new_bucket() -> None:
    async def scene() -> None:
        ceiling = Ceiling(1)
        await ceiling.turn()
        for rate in (5, 1, 3, 0.5):
            ceiling.change(rate)
            turn = asyncio.create_task(ceiling.turn())
            await asyncio.sleep(0)
            ceiling.change(rate + 1)
            await turn

    warp(scene())


# --- the log that guards a second ---------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "most"), [(3.0, 3), (2.5, 3), (0.5, 1)])
def test_a_second_has_room_for_so_many_and_then_for_one_more_when_the_first_is_a_second_old(
    rate: float, most: int
) -> None:
    found = Window(rate)
    for _ in range(most):
        assert found.opens() <= 100.0
        found.take(100.0)
    assert found.opens() == 100.0 + max(1.0, 1 / rate)


def test_without_a_rate_there_is_always_room() -> None:
    found = Window(0)
    for now in range(5):
        found.take(now)
        assert found.opens() <= now


def test_what_went_out_counts_at_another_rate_too() -> None:
    found = Window(4)
    assert found.last is None
    for now in (1.0, 1.1, 1.2):
        found.take(now)
    assert (found.at(2).opens(), found.at(2).last) == (2.1, 1.2)
    assert found.at(5).opens() <= 1.2
