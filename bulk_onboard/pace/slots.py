"""A pace that several processes keep together: each sends in the slots that are handed out to it.

A slot is a point in time that no other process gets. The slots of all processes are one interval apart, so
they keep the ceiling together. A slot that has long passed is forfeited.

A process that is busy wakes up late. Then it uses its slots late, but those a second later are as late: else
a second could hold the end of one group of slots and all of the next.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bulk_onboard.pace.ceiling import Ceiling
from bulk_onboard.pace.pace import Pace

# Slots for BATCH seconds are requested at a time, AHEAD seconds before the last one is used up.
BATCH, AHEAD = 0.2, 0.4
# A slot may be used up to this many seconds after its time.
LATE = 0.04


class SlotPace(Pace):
    """Turns in the slots of this process; a pause that Leaf asks for holds for all processes."""

    def __init__(
        self,
        rate: float,
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        """``rate``: requests per second of all processes, 0 for no ceiling; see `Pace`."""
        self._wanted = asyncio.Event()
        self._slots = SlotCeiling(rate, self._wanted.set)
        super().__init__(rate, on_hold, on_slower, self._slots)
        self._interval = 1 / rate if rate else 0.0
        self._pause = 0.0
        # What our clock shows minus what the clock of the slots showed; the quickest answer is closest.
        self._offsets: deque[float] = deque(maxlen=20)

    def hold(self, seconds: float) -> None:
        """Send no request for this many seconds, here or in another process."""
        super().hold(seconds)
        self._pause = max(self._pause, seconds)
        self._wanted.set()

    async def next_ask(self, most: float) -> tuple[int, float]:
        """Wait until more slots are urgently needed, or for at most ``most`` seconds; return what to ask for.

        That is the number of slots that this process needs, and the seconds for which no process may send.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + most
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._wanted.wait()
            self._wanted.clear()
            slots = self._slots.need()
            if slots or self._pause or loop.time() >= until:
                pause, self._pause = self._pause, 0.0
                return slots, pause

    def take(self, count: int, now: float, first: float, paused_until: float) -> None:
        """Use ``count`` slots from ``first`` on, by the clock of the slots, which shows ``now``."""
        clock = asyncio.get_running_loop().time()
        self._offsets.append(clock - now)
        offset = min(self._offsets)
        if (until := paused_until + offset) > max(clock, self._slots.held_until):
            super().hold(until - clock)
        if count:
            self._slots.grant([first + offset + number * self._interval for number in range(count)])


class SlotCeiling(Ceiling):
    """A ceiling that is kept by slots. ``wanted`` is called when this process needs more of them."""

    def __init__(self, rate: float, wanted: Callable[[], None]) -> None:
        super().__init__(rate)
        self._shared, self._wanted = rate, wanted
        self._slots: deque[float] = deque()
        self._used: deque[tuple[float, float]] = deque()  # slots of the last second, and when they were used
        self._granted = asyncio.Event()

    def need(self) -> int:
        """How many slots to ask for now."""
        now = asyncio.get_running_loop().time()
        if not self.waiting or (self._slots and self._slots[-1] > now + AHEAD):
            return 0
        return min(math.ceil(self._shared * BATCH), max(1, 2 * self.waiting - len(self._slots)))

    def grant(self, slots: list[float]) -> None:
        """Add slots of this process, by the loop's clock."""
        self._slots.extend(slots)
        self._granted.set()

    async def _spaced(self) -> None:
        """Wait for a slot."""
        if self.rate != self._shared:
            await super()._spaced()  # a rate that was learned from Leaf is lower
        if not self._shared:
            return  # there is no ceiling to keep together
        clock = asyncio.get_running_loop().time
        while True:
            while self._slots and self._is_forfeited(self._slots[0], clock()):
                self._slots.popleft()
            if self.need():
                self._wanted()
            if not self._slots:
                self._granted.clear()
                await self._granted.wait()
            elif (seconds := self._earliest_use(self._slots[0]) - clock()) > 0:
                await asyncio.sleep(seconds)
            else:
                self._used.append((self._slots.popleft(), clock()))
                return

    def _is_forfeited(self, slot: float, now: float) -> bool:
        return max(now, self._earliest_use(slot)) > slot + LATE or slot < self.held_until

    def _earliest_use(self, slot: float) -> float:
        """When a slot may be used: a second after the use of the slot a second before."""
        used = self._used
        while len(used) > 1 and used[1][0] <= slot - 1:
            used.popleft()
        return max(slot, used[0][1] + 1) if used and used[0][0] <= slot - 1 else slot
