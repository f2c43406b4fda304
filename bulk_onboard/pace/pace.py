"""The pace of all requests: never above the ceiling, and lower when Leaf says so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from bulk_onboard.domain.model import Requests, Traffic
from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.pace.adaptive import Adaptive
from bulk_onboard.pace.ceiling import Ceiling
from bulk_onboard.pace.meter import Meter

# Seconds; a longer wait for a turn is due to the rate.
WAIT = 0.001


class Pace:
    """Turns at no more than ``rate`` requests per second (0: no ceiling), and at what Leaf accepts.

    ``on_hold`` gets the seconds of every pause that Leaf asks for, ``on_slower`` the rate when it falls.
    """

    def __init__(
        self,
        rate: float,
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        self._on_hold, self._on_slower = on_hold, on_slower
        self._ceiling, self._adaptive, self._meter = Ceiling(rate), Adaptive(rate), Meter()
        self._last = -math.inf

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 for no ceiling."""
        return self._ceiling.rate

    @property
    def held_for(self) -> float:
        """Seconds until the latest pause ends, negative if it has ended."""
        return self._ceiling.held_until - asyncio.get_running_loop().time()

    def traffic(self) -> Traffic:
        """The turns so far, over time."""
        return self._meter.read(asyncio.get_running_loop().time())

    def add_traffic(self, requests: Requests) -> None:
        """Count what other processes have sent since the last call."""
        now = asyncio.get_running_loop().time()
        self._meter.sent(now, requests.total)
        self._meter.throttled(now, requests.throttled)

    async def turn(
        self, *, urgency: Urgency = Urgency.BEGIN, still_valid: StillValid = always
    ) -> float | None:
        """Return when the next request may go out, or None; see `Ceiling.turn`."""
        asked = asyncio.get_running_loop().time()
        now = await self._ceiling.turn(urgency=urgency, still_valid=still_valid)
        if now is not None:
            now = self._last = max(now, math.nextafter(self._last, math.inf))  # no two turns are the same
            self._meter.sent(now)
            self._adaptive.sent(now, waited=now - asked > WAIT)
            self._set_rate()
        return now

    def hold(self, seconds: float) -> None:
        """Send no request for this many seconds. A longer pause that is in effect stays."""
        if self._ceiling.hold(seconds):
            until = self._ceiling.held_until
            self._adaptive.paused()
            self._meter.held(until - seconds, until)
            self._on_hold(seconds)

    def passed(self, turn: float) -> None:
        """The request of this turn was not refused as one too many."""
        self._adaptive.passed(turn)
        self._set_rate()

    def throttled(self, turn: float, after: float | None) -> None:
        """The request of this turn was refused as one too many; ``after``: seconds that Leaf asks to wait."""
        self._meter.throttled(turn)
        if self._adaptive.refused(turn, after or 0.0) and after:
            self.hold(after)
        self._set_rate()

    def _set_rate(self) -> None:
        before, now = self._ceiling.rate, self._adaptive.rate
        if now != before:
            self._ceiling.change(now)
            if now and (not before or now < before):
                self._on_slower(now)
