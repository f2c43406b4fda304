"""Slots limit what runs at a time, first come first served, and none is ever lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_onboard.threads import Slots
from tests.support.properties import scaled
from tests.support.virtual_time import warp

# When a task begins, how long it lasts, and whether it is cancelled.
TASKS = st.tuples(st.integers(0, 5), st.integers(1, 5), st.booleans())


@settings(max_examples=scaled(100))
@given(
    st.integers(1, 3), st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5), st.booleans()), max_size=12)
)
def test_no_more_run_than_there_are_slots_and_none_is_lost(
    count: int, tasks: list[tuple[int, int, bool]]
) -> None:
    running, order = [], list[int]()

    async def work(slots: Slots, number: int, begins: int, lasts: int) -> None:
        await asyncio.sleep(begins)
        async with slots:
            order.append(begins)
            running.append(number)
            assert len(running) <= count
            try:
                await asyncio.sleep(lasts)
            finally:
                running.remove(number)

    async def main() -> None:
        slots = Slots(count)
        started = [asyncio.create_task(work(slots, n, *task[:2])) for n, task in enumerate(tasks)]
        await asyncio.sleep(3.5)
        for task, (*_, is_cancelled) in zip(started, tasks, strict=True):
            if is_cancelled:
                task.cancel()
        for task in started:
            with suppress(asyncio.CancelledError):
                await task
        assert [slots.take() for _ in range(count + 1)] == [True] * count + [False]

    warp(main())
    assert order == sorted(order)
