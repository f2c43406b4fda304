"""Limit: whoever takes too long is told so at the due time, and nobody else is."""

from __future__ import annotations

import asyncio

import pytest
from warp import warp

from bulk_onboard.leaf.limit import Limit


async def _ended(limit: Limit, seconds: float) -> tuple[bool, float]:
    """Whether a block that takes so long is in time, and after how many seconds it is over."""
    clock = asyncio.get_running_loop().time
    began = clock()
    try:
        with limit.kept():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return False, round(clock() - began, 1)
    return True, round(clock() - began, 1)


def test_each_has_the_whole_time_whenever_it_begins() -> None:
    async def later(limit: Limit, after: float, seconds: float) -> tuple[bool, float]:
        await asyncio.sleep(after)
        return await _ended(limit, seconds)

    async def main() -> list[tuple[bool, float]]:
        limit = Limit(30)
        told = ((0, 60), (0, 1), (0.5, 29.9), (10, 60), (10, 20), (29.8, 60), (70, 60), (140, 60))
        return list(await asyncio.gather(*(later(limit, *each) for each in told)))

    late, after_one = (False, 30.0), (True, 1.0)
    assert warp(main()) == [late, after_one, (True, 29.9), late, (True, 20.0), late, late, late]


def test_a_task_that_was_late_goes_on_and_may_be_late_again() -> None:
    async def main() -> tuple[list[tuple[bool, float]], int]:
        limit = Limit(5)
        ends = [await _ended(limit, seconds) for seconds in (9, 1, 9)]
        task = asyncio.current_task()
        assert task is not None
        return ends, task.cancelling()

    assert warp(main()) == ([(False, 5.0), (True, 1.0), (False, 5.0)], 0)


def test_who_is_cancelled_by_others_is_cancelled() -> None:
    async def both(limit: Limit) -> None:
        task, kept = asyncio.current_task(), limit.kept()
        assert task is not None
        with kept:
            # In the moment in which it is late, too.
            asyncio.get_running_loop().call_at(kept.due, task.cancel)
            await asyncio.sleep(60)

    async def main() -> None:
        limit = Limit(5)
        tasks = asyncio.create_task(_ended(limit, 60)), asyncio.create_task(both(limit))
        await asyncio.sleep(1)
        tasks[0].cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task

    warp(main())


def test_nothing_is_left_on_the_loop_after_the_end() -> None:
    async def main() -> float:
        limit = Limit(1000)
        await _ended(limit, 1)
        limit.close()
        await asyncio.sleep(2000)
        assert not limit._open
        return asyncio.get_running_loop().time()

    warp(main())
