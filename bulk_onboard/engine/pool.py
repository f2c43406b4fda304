"""A bounded queue and a number of workers; what to do with an item is somebody else's business."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import TypeVar

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, ExitCode, InputError

T = TypeVar("T")
# Read from the file at a time, in a thread, while the workers work.
BATCH = 500


async def work_through(
    items: Iterator[T], work: Callable[[T], Awaitable[None]], workers: int, stop: StopSignal
) -> None:
    """Let ``workers`` work on the items until there are none left or the run stops.

    ``items`` is advanced in a thread. An error that ends the run (a BulkOnboardError) drains the others.
    When `StopSignal.abort` is called, work in hand is cancelled.
    """
    everything = asyncio.ensure_future(_all(items, work, workers, stop))
    aborted = asyncio.ensure_future(stop.aborted())
    try:
        await asyncio.wait({everything, aborted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        aborted.cancel()
        everything.cancel()
        ended = await asyncio.gather(everything, return_exceptions=True)
    if isinstance(ended[0], Exception):
        raise _innermost(ended[0])


async def _all(
    items: Iterator[T], work: Callable[[T], Awaitable[None]], workers: int, stop: StopSignal
) -> None:
    queue: asyncio.Queue[T | None] = asyncio.Queue(workers)
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(_worker(queue, work, stop))
        await _feed(items, queue, stop)
        for _ in range(workers):
            await queue.put(None)


async def _feed(items: Iterator[T], queue: asyncio.Queue[T | None], stop: StopSignal) -> None:
    try:
        while batch := await asyncio.to_thread(lambda: list(islice(items, BATCH))):
            for item in batch:
                if stop.draining:
                    return
                await queue.put(item)
    except InputError as error:
        # Some rows may have been sent by now, so this is no longer "nothing was sent".
        stop.drain(str(error), ExitCode.STOPPED)


async def _worker(
    queue: asyncio.Queue[T | None], work: Callable[[T], Awaitable[None]], stop: StopSignal
) -> None:
    # Also when draining the queue is emptied, so that the feed is never stuck before a full one.
    while (item := await queue.get()) is not None:
        if stop.draining:
            continue
        try:
            await work(item)
        except BulkOnboardError as error:
            stop.drain(str(error), error.exit_code)


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
