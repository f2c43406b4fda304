"""A bounded queue and a worker for each item in hand; what to do with it is somebody else's business.

Reading runs ahead of the workers by a batch. An item is begun when there is a start for it, and whoever works
on it gives the start back when its first request goes out. So few items ever wait for that in vain: when
the run stops they have not been touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from time import monotonic
from typing import Generic, TypeVar

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, ExitCode, InputError

T = TypeVar("T")
Work = Callable[[T, Callable[[], None]], Awaitable[None]]
# Read from the file at a time, in a thread, while the workers work; fewer where they take longer to find.
BATCH = 500
LONG = 0.02  # seconds


async def work_through(
    items: Iterator[T], work: Work[T], stop: StopSignal, *, starts: int, in_hand: int
) -> None:
    """Work on the items until there are none left or the run stops.

    ``work`` gets an item and what to call when it is under way. No more than ``starts`` items are begun but
    not under way, no more than ``in_hand`` not done. ``items`` is advanced in a thread. An error that ends
    the run (a BulkOnboardError) drains the others. When `StopSignal.abort` is called, work is cancelled.
    """
    everything = asyncio.ensure_future(_Pool(items, work, stop, starts, in_hand).run())
    aborted = asyncio.ensure_future(stop.aborted())
    try:
        await asyncio.wait({everything, aborted}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        aborted.cancel()
        everything.cancel()
        ended = await asyncio.gather(everything, return_exceptions=True)
    if isinstance(ended[0], Exception):
        raise _innermost(ended[0])


class _Pool(Generic[T]):
    def __init__(
        self, items: Iterator[T], work: Work[T], stop: StopSignal, starts: int, in_hand: int
    ) -> None:
        self._items, self._work, self._stop = items, work, stop
        self._queue: asyncio.Queue[list[T]] = asyncio.Queue(1)
        # Counted here instead of by semaphores: only one takes from them, and he does so for every item.
        self._starts, self._in_hand = starts, in_hand
        self._freed = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            while batch := await self._queue.get():
                for item in batch:
                    if not (self._starts and self._in_hand):
                        await self._room()
                    # Also when draining the queue is emptied, so that the reader is never stuck before it.
                    if self._stop.draining:
                        break
                    self._starts -= 1
                    self._in_hand -= 1
                    group.create_task(self._do(item))

    async def _room(self) -> None:
        """Wait until another item may be begun."""
        while not (self._starts and self._in_hand):
            self._freed.clear()
            await self._freed.wait()

    async def _read(self) -> None:
        """Batches of items, and an empty one at the end."""
        try:
            while batch := await asyncio.to_thread(_batch, self._items):
                await self._queue.put(batch)
                if self._stop.draining:
                    break
        except InputError as error:
            # Some rows may have been sent by now, so this is no longer "nothing was sent".
            self._stop.drain(str(error), ExitCode.STOPPED)
        await self._queue.put([])

    async def _do(self, item: T) -> None:
        start = _Start(self)
        self._stop.in_flight += 1
        try:
            await self._work(item, start.give_back)
        except BulkOnboardError as error:
            self._stop.drain(str(error), error.exit_code)
        finally:
            start.give_back()
            self._stop.in_flight -= 1
            self._in_hand += 1
            self._freed.set()

    def free_start(self) -> None:
        """One more item may be begun."""
        self._starts += 1
        self._freed.set()


def _batch(items: Iterator[T]) -> list[T]:
    """The next items, none only if there are none left: what is found does not wait for long for the rest."""
    batch = list[T]()
    for item in items:
        batch.append(item)
        if len(batch) == 1:
            began = monotonic()
        if len(batch) == BATCH or monotonic() - began > LONG:
            break
    return batch


class _Start:
    """A start that is given back once, however often that is said."""

    __slots__ = ("_pool",)

    def __init__(self, pool: _Pool[T]) -> None:
        self._pool: _Pool[T] | None = pool

    def give_back(self) -> None:
        if self._pool is not None:
            self._pool.free_start()
            self._pool = None


def _innermost(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
