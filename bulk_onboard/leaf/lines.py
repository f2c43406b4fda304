"""So many lines to the server, taken in the order of asking."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Lines:
    """A semaphore whose release costs the same however many wait, unlike asyncio's.

    That one looks through all whom it has woken but who have not run yet, and a batch of answers wakes many:
    flat out it took a tenth of the engine's time. Here a line goes from hand to hand. Use as ``async with``.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it had been handed over already
                self._give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            following = self._waiting.popleft()
            if not following.done():  # cancelled
                following.set_result(None)
                return
        self._free += 1
