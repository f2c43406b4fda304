"""A bounded pool with a worker for each started item; reading is one batch ahead of the workers.

An item is begun when there is a start for it, which is given back when its first request goes out. So few
items ever wait for that in vain: when the run stops, the others have not been touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from time import monotonic
from typing import TypeVar

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, ExitCode, InputError
from bulk_onboard.threads import Slots

T = TypeVar("T")
Work = Callable[[T, Callable[[], None]], Awaitable[None]]
# Items read at a time, in a thread, while the workers work; fewer if reading them takes longer (seconds).
BATCH = 500
BATCH_SECONDS = 0.02


async def work_through(
    items: Iterator[T], work: Work[T], stop: StopSignal, *, starts: int, in_hand: int
) -> None:
    """Work on the items until there are none left or the run stops.

    ``work`` gets an item and a function to call when it is under way. At most ``starts`` items are begun but
    not under way, at most ``in_hand`` not done. ``items`` is advanced in a thread. An error that ends the
    run (a BulkOnboardError) drains the others. When `StopSignal.abort` is called, work is cancelled.
    """
    try:
        await stop.cut_short(_work_through(items, work, stop, starts, in_hand), at_once=True)
    except ExceptionGroup as group:
        error: Exception = group
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _work_through(
    items: Iterator[T], work: Work[T], stop: StopSignal, starts: int, in_hand: int
) -> None:
    started, unfinished = Slots(starts), Slots(in_hand)

    async def do(item: T) -> None:
        waiting = [started]

        def under_way() -> None:
            if waiting:
                waiting.pop().release()

        try:
            await work(item, under_way)
        except BulkOnboardError as error:
            stop.drain(str(error), error.exit_code)
        finally:
            under_way()
            stop.in_flight -= 1
            unfinished.release()

    async with aclosing(_batches(items, stop)) as batches, asyncio.TaskGroup() as group:
        async for batch in batches:
            for item in batch:
                for slots in (started, unfinished):
                    if not slots.take():
                        await slots.acquire()
                if stop.suspended:
                    await stop.resumed()
                if stop.draining:
                    return
                stop.in_flight += 1
                group.create_task(do(item))


async def _batches(items: Iterator[T], stop: StopSignal) -> AsyncGenerator[list[T]]:
    """Yield items in batches; the next one is read while the caller works on one."""
    reading = asyncio.ensure_future(asyncio.to_thread(_batch, items))
    try:
        while batch := await reading:
            if not stop.draining:
                reading = asyncio.ensure_future(asyncio.to_thread(_batch, items))
            yield batch
    except InputError as error:
        # Some rows may have been sent by now, so this is not "nothing was sent" any more.
        stop.drain(str(error), ExitCode.STOPPED)
    finally:
        reading.cancel()


def _batch(items: Iterator[T]) -> list[T]:
    """Return the next items, none only if there are none left: the first ones do not wait long for others."""
    batch, began = list[T](), 0.0
    for item in items:
        batch.append(item)
        began = began or monotonic()
        if len(batch) == BATCH or monotonic() - began > BATCH_SECONDS:
            break
    return batch
