"""The pace of all requests: never above the ceiling, and lower when Leaf says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulk_onboard.domain.turns import StillValid, Urgency, always
from bulk_onboard.model import Requests, Traffic
from bulk_onboard.pace.adaptive import ENOUGH, Refusal, Search
from bulk_onboard.pace.answers import Answers, Pauses
from bulk_onboard.pace.ceiling import Ceiling
from bulk_onboard.pace.chance import Chance
from bulk_onboard.pace.meter import Meter

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
        ceiling: Ceiling | None = None,
    ) -> None:
        """``ceiling``: keeps the rate, if not this process alone."""
        self._on_hold, self._on_slower = on_hold, on_slower
        self._ceiling = ceiling or Ceiling(rate)
        self._meter = Meter()
        self._search = Search(rate)
        self._chance = Chance()
        self._answers = Answers()
        self._began: float | None = None
        self._last = 0.0
        self._pauses = Pauses()
        self._waited = float("-inf")

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 if there is no ceiling."""
        return self._ceiling.rate

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
        if self._search.probing:
            self._search.speed_up()
            self._set_rate()
        wanted = asyncio.get_running_loop().time()
        now = await self._ceiling.turn(urgency=urgency, still_valid=still_valid)
        if now is not None:
            if now - wanted > WAIT:
                self._waited = now
            self._remember(now)
        return now

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds. A longer pause already begun is kept."""
        if self._ceiling.hold(seconds):
            since, until = self._ceiling.held_until - seconds, self._ceiling.held_until
            self._pauses.hold(since, until)
            self._meter.held(since, until)
            self._on_hold(seconds)

    def passed(self, turn: float) -> None:
        """The request of this turn was not refused as one too many."""
        self._answers.passed(turn)
        if self._chance.passed(turn):
            self._start_over()

    def throttled(self, turn: float, after: float | None) -> None:
        """The request of this turn was refused as one too many; ``after``: seconds that Leaf asks to wait."""
        self._meter.throttled(turn)
        is_news = self._answers.throttled(turn)
        self._chance.refused(turn, self._answers.in_a_row)
        since, now = self._pauses.until, asyncio.get_running_loop().time()
        if after and turn > since:
            accepted = self._answers.between(since, turn)
            if self._chance.paused(turn, now, accepted, self._ceiling.rate):
                self._start_over()
        if self._chance.is_proved:
            return  # the row waits, the others do not
        if after:
            self.hold(after)
        if is_news:
            self._learn(turn, after or 0.0)

    def _start_over(self) -> None:
        """Refusals come by chance: no limit is known."""
        self._search.forget()
        self._answers.anew(self._last)
        self._set_rate()

    def _paused_until(self, turn: float) -> float:
        """When the latest pause before this turn ended, or when all began."""
        return max(turn if self._began is None else self._began, self._pauses.ended_before(turn))

    def _learn(self, turn: float, pause: float) -> None:
        answers = self._answers
        taken = answers.taken(turn)
        told = Refusal(
            rate=self._ceiling.rate,
            busy=turn - self._waited < 1.0 or max(taken, answers.in_a_row) >= ENOUGH,
            taken=taken,
            age=turn - self._paused_until(turn),
            in_a_row=answers.in_a_row,
            answered=answers.answered,
            refused=answers.refused,
            pause=pause,
            repeated=self._chance.is_limit,
        )
        if self._search.refused(told):
            if pause and self._search.is_immune:
                self._chance.prove()
                self._search.forget()
            answers.anew(self._last)
            self._set_rate()
            if self._search.probing:
                self._on_slower(self._ceiling.rate)

    def _set_rate(self) -> None:
        if self._search.rate != self._ceiling.rate:
            self._ceiling.change(self._search.rate)

    def _remember(self, now: float) -> None:
        self._meter.sent(now)
        if self._began is None:
            self._began = self._last = now
        self._search.sent_for(min(IDLE, now - self._last))
        self._last = now
        self._answers.sent(now)
