"""The pace of one of several processes: each has a share of the rate, and a pause holds for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from bulk_onboard.pace.pace import Pace

# Seconds that a message about a pause may take: none is set anew for being longer by less than these.
DELAY = 0.5


class SharedPace(Pace):
    """The pace of one process; a pause that Leaf asks for holds for all of them."""

    def __init__(
        self,
        rate: float,
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        super().__init__(rate, on_hold, on_slower)
        self._pause, self.is_urgent = 0.0, asyncio.Event()

    def hold(self, seconds: float) -> None:
        """Send no request for this many seconds, here or in another process."""
        super().hold(seconds)
        self._pause = max(self._pause, seconds)
        self.is_urgent.set()

    def take_pause(self) -> float:
        """Return the seconds of a pause that the other processes do not know of yet, 0 for none."""
        pause, self._pause = self._pause, 0.0
        self.is_urgent.clear()
        return pause

    def obey(self, seconds: float) -> None:
        """Pause for as long as another process was asked to."""
        if seconds > self.held_for + DELAY:
            super().hold(seconds)


def shares(ceiling: float, most: int) -> int:
    """Return how many processes can share a ceiling: what each sends in a second is a whole number."""
    allowed = ceiling + max(1.0, 0.05 * ceiling)
    return next(
        many for many in range(most, 0, -1) if many == 1 or many * math.ceil(ceiling / many) <= allowed
    )
