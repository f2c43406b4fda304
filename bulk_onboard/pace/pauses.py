"""When nothing was to go out, as a turn sees it. No clock: times are handed in."""

from __future__ import annotations

import math


class Pauses:
    """The latest pause, and the one before it. ``until``: when the latest one ends."""

    def __init__(self) -> None:
        self.until = self._earlier = -math.inf

    def hold(self, now: float, until: float) -> None:
        """Nothing goes out before this time. A longer pause that has begun is kept."""
        if self.until <= now:
            self._earlier = self.until
        self.until = max(self.until, until)

    def ended_before(self, turn: float) -> float:
        """When the latest pause before this turn ended; the one that its refusal asked for came after it."""
        return self.until if self.until <= turn else self._earlier
