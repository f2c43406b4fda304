"""The ceiling: in no sliding second more than R requests, evenly spaced, from the first second on.

aiolimiter's leaky bucket alone lets a full bucket through at once (up to twice R in the first second), and
a bucket of one loses time with every late wake-up. So its bucket is made just large enough to catch up what
a late wake-up missed, it is filled before the first turn, and a log of the last R turns guards the second.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from aiolimiter import AsyncLimiter

# How late a wake-up may be without costing throughput, in seconds.
CATCH_UP = 0.01


class Ceiling:
    """Turns at no more than ``rate`` requests per second (0: no ceiling), first come, first served.

    ``on_hold`` is told the seconds of every pause that Leaf asks for.
    """

    def __init__(self, rate: float, on_hold: Callable[[float], None] = lambda _seconds: None) -> None:
        self._rate = rate
        self._on_hold = on_hold
        self._order = asyncio.Lock()
        self._held_until = 0.0
        self._limiter: AsyncLimiter | None = None
        # A rate of 2.5: on average by the bucket, and never more than three in a second.
        self._window = max(1.0, 1 / rate) if rate else 0.0
        self._recent: deque[float] = deque(maxlen=max(1, math.ceil(rate)))

    async def turn(self) -> None:
        """Return when the next request may go out."""
        if not self._rate:
            await self._wait_until(lambda: self._held_until)
            return
        async with self._order:
            await (await self._bucket()).acquire()
            await self._wait_until(self._earliest)
            self._recent.append(asyncio.get_running_loop().time())

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds. A longer pause already begun is kept."""
        until = asyncio.get_running_loop().time() + seconds
        if until > self._held_until:
            self._held_until = until
            self._on_hold(seconds)

    async def _bucket(self) -> AsyncLimiter:
        if self._limiter is None:
            spare = self._rate * CATCH_UP
            self._limiter = AsyncLimiter(1 + spare, (1 + spare) / self._rate)
            await self._limiter.acquire(spare)
        return self._limiter

    def _earliest(self) -> float:
        """When the next turn may be, by the loop's clock."""
        full = len(self._recent) == self._recent.maxlen
        return max(self._held_until, self._recent[0] + self._window if full else 0.0)

    async def _wait_until(self, when: Callable[[], float]) -> None:
        """Asked again after every sleep, for a pause may have come in the meantime."""
        clock = asyncio.get_running_loop().time
        while (left := when() - clock()) > 0:  # noqa: ASYNC110  (time passes by itself)
            await asyncio.sleep(left)
