"""Blocking work in threads that never outlive their callers, and slots that limit concurrency."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Slots:
    """A fair semaphore like `asyncio.Semaphore`, in constant time however many tasks are waiting."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Acquire a slot without waiting. Return False if none is free."""
        if self._free:
            self._free -= 1
            return True
        return False

    async def acquire(self) -> None:
        """Wait for a slot and acquire it."""
        if self.take():
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if not slot.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Release a slot, to the first waiting task if there is one."""
        while self._waiting:
            slot = self._waiting.popleft()
            if not slot.done():
                slot.set_result(None)
                return
        self._free += 1

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *error: object) -> None:
        self.release()


def _nothing() -> None:
    pass


async def in_thread(function: Callable[[], T], on_cancel: Callable[[], None] = _nothing) -> T:
    """Return the function's result, like `asyncio.to_thread`; a cancellation waits for the end of the thread.

    With `asyncio.to_thread` the thread would continue, and might write to a ledger that another run is using
    by then. ``on_cancel`` is called at once on cancellation, to end the work soon.
    """
    context = contextvars.copy_context()
    work = asyncio.get_running_loop().run_in_executor(None, partial(context.run, function))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        on_cancel()
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        with suppress(BaseException):
            work.result()
        raise


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items in the same order; prefetch one item while the caller works on the item before.

    An exception of the iterator is raised in its turn. A caller that stops early waits for that item.
    """
    nothing = object()
    with ThreadPoolExecutor(1) as other:
        coming = other.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = other.submit(next, items, nothing)
            yield item  # type: ignore[misc]
            del item  # do not keep it in memory with the next two
