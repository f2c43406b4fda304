"""Requests over time: what is counted, where, and in how much memory."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Traffic
from bulk_onboard.pace import Pace
from bulk_onboard.pace.meter import MOST, Meter
from tests.support.virtual_time import warp


def test_nothing_was_sent_before_the_first_request() -> None:
    assert Meter().read(99.0) == Traffic()


def test_requests_count_in_the_second_in_which_they_went_out() -> None:
    meter = Meter()
    for at in (100.5, 100.6, 101.4, 101.5, 103.6):
        meter.sent(at)
    meter.throttled(101.5)  # the refusal comes later than its request
    assert meter.read(104.0) == Traffic(1, (3, 1, 0, 1), (0, 1, 0, 0), (0.0,) * 4)


def test_a_pause_counts_in_every_second_that_it_covers_and_overlapping_ones_once() -> None:
    meter = Meter()
    meter.sent(10.0)
    meter.held(10.5, 12.5)
    meter.held(11.0, 13.0)
    assert meter.read(14.0).held == (0.5, 1.0, 1.0, 0.0)
    meter.held(14.0, 14.5)
    assert meter.read(15.0).held == (0.5, 1.0, 1.0, 0.0, 0.5)


def test_a_pause_that_the_end_of_the_run_cuts_short_counts_until_then() -> None:
    meter = Meter()
    meter.sent(10.0)
    meter.held(10.0, 100_000.0)
    assert meter.read(12.0) == Traffic(1, (1, 0, 0), (0, 0, 0), (1.0, 1.0, 0.0))


moments = st.lists(st.tuples(st.floats(0, 1e6), st.booleans()), min_size=1, max_size=60)


@given(moments, st.lists(st.tuples(st.floats(0, 1e6), st.floats(0.1, 1e4)), max_size=5))
def test_long_runs_lose_nothing_in_bounded_memory(
    told: list[tuple[float, bool]], pauses: list[tuple[float, float]]
) -> None:
    meter = Meter()
    for at, refused in sorted(told):
        meter.sent(at)
        if refused:
            meter.throttled(at)
    for since, seconds in pauses:
        meter.held(since, since + seconds)
    found = meter.read(1e7)
    assert (sum(found.sent), sum(found.throttled)) == (len(told), sum(refused for _, refused in told))
    assert len(found.sent) == len(found.throttled) == len(found.held) <= MOST
    assert all(0 <= each <= found.width for each in found.held)


def test_the_pace_knows_what_went_out_when_and_what_leaf_refused() -> None:
    async def main() -> Traffic:
        pace = Pace(2.0)
        for _ in range(4):
            turn = await pace.turn()
        pace.throttled(turn, 3.0)
        await pace.turn()
        return pace.traffic()

    found = warp(main())
    assert sum(found.sent) == 5
    assert sum(found.throttled) == 1
    assert sum(found.held) == pytest.approx(3.0, abs=0.2)


def test_the_observer_is_notified_when_the_pace_falls() -> None:
    told: list[float] = []

    async def main() -> None:
        pace = Pace(50.0, on_slower=told.append)
        for _ in range(60):
            pace.passed(await pace.turn())
        for _ in range(3):
            pace.throttled(await pace.turn(), None)

    warp(main())
    assert told
    assert all(0 < rate < 50 for rate in told)


def test_counting_is_cheap() -> None:
    async def main() -> float:
        meter, clock = Meter(), asyncio.get_running_loop().time
        began = clock()
        for _ in range(20_000):
            meter.sent(began)
        return clock() - began

    assert asyncio.run(main()) < 0.5  # 25 microseconds each, fifty times what was measured
