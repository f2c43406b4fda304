"""The pace of all requests: never above the ceiling, and lower when Leaf says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from bulk_onboard.model import Traffic
from bulk_onboard.pace.ceiling import Ceiling
from bulk_onboard.pace.meter import Meter
from bulk_onboard.pace.probe import ENOUGH, Immune, Knowledge, Probe, Refusal, learn

# A new rate is set in steps of at least this share of the old one.
STEP = 0.01
# Seconds for which turns are remembered, so that a late refusal can still be placed among them.
REMEMBERED = 10.0
# Without a ceiling, whoever may send so many requests per second may send as many as he can.
FREE = 20_000.0
# Who waits longer than this for a turn, in seconds, waits because of the rate.
WAIT = 0.001
# A gap between two turns counts as sending for so many seconds at most: idling proves nothing.
IDLE = 0.5


class Pace:
    """Turns at no more than ``rate`` requests per second (0: no ceiling), and at what Leaf takes.

    ``on_hold`` is told the seconds of every pause that Leaf asks for, ``on_slower`` the rate when it falls.
    """

    def __init__(
        self,
        rate: float,
        on_hold: Callable[[float], None] = lambda _seconds: None,
        on_slower: Callable[[float], None] = lambda _rate: None,
    ) -> None:
        self._highest = rate
        self._on_hold, self._on_slower = on_hold, on_slower
        self._ceiling = Ceiling(rate)
        self._meter = Meter()
        self._known: Knowledge = None
        self._began: float | None = None
        self._last = 0.0
        self._waited = float("-inf")
        self._passed: deque[float] = deque()
        self._changed_at = float("-inf")
        self._sending = 0.0
        self._answered = self._refused = self._in_a_row = 0

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 if there is no ceiling."""
        return self._ceiling.rate

    def traffic(self) -> Traffic:
        """The turns so far, over time."""
        return self._meter.read(asyncio.get_running_loop().time())

    async def turn(self) -> float:
        """Return when the next request may go out: the time, by the loop's clock."""
        if isinstance(self._known, Probe):
            self._speed_up(self._known)
        now = wanted = asyncio.get_running_loop().time()
        if not self._ceiling.is_open(now):
            now = await self._ceiling.turn()
            if now - wanted > WAIT:
                self._waited = now
        self._remember(now)
        return now

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds. A longer pause already begun is kept."""
        if self._ceiling.hold(seconds):
            self._meter.held(self._ceiling.held_until - seconds, self._ceiling.held_until)
            self._on_hold(seconds)

    def passed(self, turn: float) -> None:
        """The request of this turn was not refused as one too many."""
        self._in_a_row = 0
        self._passed.append(turn)
        if turn > self._changed_at:
            self._answered += 1

    def throttled(self, turn: float, after: float | None) -> None:
        """The request of this turn was refused as one too many; ``after``: seconds that Leaf asks to wait."""
        self._meter.throttled(turn)
        if after:
            self.hold(after)
        self._in_a_row += 1
        # Requests that were under way when the rate was changed say nothing about the new rate.
        if turn > self._changed_at:
            self._answered += 1
            self._refused += 1
            self._learn(turn, after or 0.0)

    def _learn(self, turn: float, pause: float) -> None:
        began = turn if self._began is None else self._began
        taken = sum(turn - 1.0 < at <= turn for at in self._passed)
        told = Refusal(
            rate=self._ceiling.rate,
            busy=turn - self._waited < 1.0 or max(taken, self._in_a_row) >= ENOUGH,
            taken=taken,
            age=turn - max(began, self._ceiling.held_until),
            in_a_row=self._in_a_row,
            answered=self._answered,
            refused=self._refused,
            pause=pause,
        )
        known = learn(self._known, told)
        if known is self._known:
            return
        match known:
            case Probe():
                self._ceiling.change(known.rate(0.0))
                self._on_slower(self._ceiling.rate)
            case Immune() if isinstance(self._known, Probe):
                self._ceiling.change(self._known.before)
        self._known, self._sending = known, 0.0
        self._changed_at = self._last
        self._answered = self._refused = self._in_a_row = 0

    def _speed_up(self, probe: Probe) -> None:
        wanted = probe.rate(self._sending)
        if wanted >= (self._highest or FREE):
            self._known = None
            self._ceiling.change(self._highest)
            return
        if abs(wanted - self._ceiling.rate) >= STEP * self._ceiling.rate:
            self._ceiling.change(wanted)

    def _remember(self, now: float) -> None:
        self._meter.sent(now)
        if self._began is None:
            self._began = self._last = now
        self._sending += min(IDLE, now - self._last)
        self._last = now
        while self._passed and self._passed[0] < now - REMEMBERED:
            self._passed.popleft()
