"""The ceiling: in no sliding second more than R requests, evenly spaced, from the first second on.

aiolimiter's leaky bucket alone lets a full bucket through at once (up to twice R in the first second), and
a bucket of one loses time with every late wake-up. So its bucket is made just large enough to catch up what
late wake-ups missed, it is filled before the first turn, and a log of the last R turns guards the second.

What was missed is not caught up all at once but by going a little faster, which is a second bucket's. For
the log makes every gap, and the crowd after it, come back a second later, and two crowds at the ends of a
second would be too many for Leaf if one of them were delayed on the way.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import count

from aiolimiter import AsyncLimiter

from bulk_onboard.domain.turns import StillValid, Urgency, always

# How late wake-ups may be in all without costing throughput, in seconds: a busy machine has no core for us
# for some hundredths of a second, again and again.
CATCH_UP = 0.1
# Late requests go out at FASTER times the rate, at once no more than are due in AT_ONCE seconds at that rate.
FASTER, AT_ONCE = 1.5, 0.01
# The same at a rate that was learned: it is close to Leaf's limit, which refuses requests that catch up.
CATCH_UP_LEARNT = 0.01


class Ceiling:
    """Turns at no more than ``rate`` requests per second (0: no ceiling), the most urgent requests first.

    ``held_until``: when the latest pause ends, by the loop's clock.
    """

    def __init__(self, rate: float) -> None:
        self._queue = _Queue()
        self._serving: asyncio.Task[None] | None = None
        self.held_until = 0.0
        self._buckets: tuple[AsyncLimiter, AsyncLimiter] | None = None
        self._window = Window(rate)
        self.rate = self._told = rate

    def change(self, rate: float) -> None:
        """Set the rate from the next turn on; any rate but the first was learned from Leaf."""
        self.rate = rate
        self._window = self._window.at(rate)
        self._buckets = None  # aiolimiter's rate is fixed when it is made

    async def turn(
        self, *, urgency: Urgency = Urgency.BEGIN, still_valid: StillValid = always
    ) -> float | None:
        """Return when the next request may go out: the time, by the loop's clock.

        The most urgent requests are first, and of these those that came first. ``still_valid`` is asked when
        the turn has come. If it says no, the result is None, and the turn goes to the next request.
        """
        if not self.rate and (now := asyncio.get_running_loop().time()) >= self.held_until:
            return now if still_valid() else None
        turn = self._queue.join(urgency, still_valid)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        return await turn

    async def _serve(self) -> None:
        """Give turns to those in the queue until it is empty."""
        clock = asyncio.get_running_loop().time
        while self._queue.prune():
            await self._spaced()
            if self._queue.serve(clock()):
                self._window.take(clock())

    async def _spaced(self) -> None:
        """Wait until the ceiling allows one more turn."""
        clock = asyncio.get_running_loop().time
        if self.rate:  # else the ceiling has gone since the queue began
            for bucket in await self._filled():
                await bucket.acquire()
        # Asked again after every sleep, for a pause may have come in the meantime.
        while (seconds := self._earliest() - clock()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(seconds)

    def hold(self, seconds: float) -> bool:
        """Send no request for this many seconds. Return False if a longer pause is in effect; it stays."""
        until = asyncio.get_running_loop().time() + seconds
        if until <= self.held_until:
            return False
        self.held_until = until
        return True

    async def _filled(self) -> tuple[AsyncLimiter, AsyncLimiter]:
        """The bucket that keeps the rate, and the one that keeps what is caught up from coming at once."""
        buckets = self._buckets
        if buckets is None:
            missed = self.rate * (CATCH_UP if self.rate == self._told else CATCH_UP_LEARNT)
            crowd = self.rate * FASTER * AT_ONCE
            buckets = self._buckets = (
                AsyncLimiter(1 + missed, (1 + missed) / self.rate),
                AsyncLimiter(1 + crowd, (1 + crowd) / (self.rate * FASTER)),
            )
            # Full, but for what has leaked since the last turn: a new bucket must not allow an extra turn.
            await buckets[0].acquire(missed + 1 - self._due())
        return buckets  # not the attribute: `change` may have emptied it meanwhile

    def _due(self) -> float:
        """How much of the next turn is due by now, 0 to 1."""
        last = self._window.last
        if last is None:
            return 1.0
        return min(1.0, (asyncio.get_running_loop().time() - last) * self.rate)

    def _earliest(self) -> float:
        """When the next turn may be, by the loop's clock."""
        return max(self.held_until, self._window.opens())


class _Queue:
    """Requests that wait for their turn."""

    def __init__(self) -> None:
        self._numbers = count()
        self._waiting: list[tuple[int, int, asyncio.Future[float | None], StillValid]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def join(self, urgency: Urgency, still_valid: StillValid) -> asyncio.Future[float | None]:
        """Wait for a turn; the result as `Ceiling.turn` returns it."""
        turn: asyncio.Future[float | None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-urgency, next(self._numbers), turn, still_valid))
        return turn

    def prune(self) -> bool:
        """Forget those that were cancelled. Whether any are left."""
        while self._waiting and self._waiting[0][2].done():
            heappop(self._waiting)
        return bool(self._waiting)

    def serve(self, now: float) -> bool:
        """Give the turn to the first request that is still to be sent. False if there is none."""
        while self.prune():
            *_, turn, still_valid = heappop(self._waiting)
            if still_valid():
                turn.set_result(now)
                return True
            turn.set_result(None)
        return False


class Window:
    """The log that guards a second: the latest requests, by any clock that counts seconds.

    ``rate``: per second, 0 for no limit. A rate of 2.5 means never more than three in a second; one of 0.5,
    one in two seconds.
    """

    def __init__(self, rate: float, recent: Iterable[float] = ()) -> None:
        self._seconds = max(1.0, 1 / rate) if rate else 0.0
        self._recent = deque(recent, maxlen=max(1, math.ceil(rate)))

    def at(self, rate: float) -> Window:
        """The same for another rate."""
        return Window(rate, self._recent)

    @property
    def last(self) -> float | None:
        """When the latest request went out; None before the first."""
        return self._recent[-1] if self._recent else None

    def opens(self) -> float:
        """Return when one more request fits."""
        full = len(self._recent) == self._recent.maxlen
        return self._recent[0] + self._seconds if full else -math.inf

    def take(self, now: float) -> None:
        """Record a request that is sent."""
        self._recent.append(now)
