"""The adaptive rate: how fast to send when Leaf's limit is unknown. Times are passed in, in seconds.

A refusal (429) lowers the rate to just below what Leaf accepted in the second before. The rate stays there
for a while, then rises: slowly up to a little more than the known limit, and faster and faster beyond it
while nothing is refused, because then the limit has risen.

Refusals may also come by chance. If their share does not fall when the rate falls, the rate is not their
cause: it is restored, and a refusal concerns its own row only. The same holds, after the first few, for
single refusals that ask for a pause: a limit would refuse the requests behind them as well.
"""

from __future__ import annotations

import math
from collections import deque

BELOW = 0.97  # of what Leaf accepted
# The limit is tried again after HOLD seconds of sending, or after HOLD_PAUSES times the pause that Leaf asked
# for; if it proves to be the same, after twice as many pauses, up to MOST_PAUSES.
HOLD, HOLD_PAUSES, MOST_PAUSES = 7.0, 20.0, 80.0
# Beyond the known limit: by the factor BEYOND within BEYOND_SECONDS, then by the factor FASTER per second.
BEYOND, BEYOND_SECONDS, FASTER = 1.03, 2.0, 1.3
SLOWEST, FREE = 0.5, 20_000.0  # requests per second; from FREE on, any number

# ENOUGH of the LATEST answers at one rate show a share of refusals. Below the share TOLERATED, refusals below
# the known limit are ignored; from OFTEN on they show a limit even if each asks for a pause; from SHUT on,
# Leaf accepts next to nothing.
LATEST, ENOUGH, TOLERATED, OFTEN, SHUT = 100, 20, 0.05, 0.15, 0.6
# This many refusals in a row are a limit; more at a higher rate, and later on, where chance has more
# opportunities.
IN_A_ROW, IN_A_ROW_CHANCE, FAST = 3, 6, 50.0
SINGLE = 2  # up to this many single refusals, their pauses apply to all requests
# Refusals come by chance if the rate was lowered LOWERED times, and their share is still at least NOT_LESS
# of what it was. With every further time, less is enough.
LOWERED, NOT_LESS = 2, 0.6
# Refusals by chance have ended after this many accepted, or refused, in a row, or when more than half are
# refused.
CALM, REFUSED_IN_A_ROW = 300, 8
SAME = 0.85  # where Leaf accepts less than this share of the known limit, the limit has changed
# Little is accepted of a process that had little to send: its limit is at least this share of the rate.
UNKNOWN = 0.7
REMEMBERED = 10.0  # seconds for which requests are remembered
IDLE = 0.5  # seconds of a gap that count as sending
STEP = 0.01  # changes of the rate that are smaller than this share are left out


class Adaptive:
    """``rate``: requests per second that may go out now, at most ``highest`` (0: no ceiling)."""

    def __init__(self, highest: float) -> None:
        self._highest = self.rate = highest
        self._limit: float | None = None
        self._hold, self._sending = HOLD, 0.0
        # The rate before it was lowered, how often it was since, and the largest share of refusals then.
        self._before, self._lowered, self._share = highest, 0, 0.0
        self._is_chance, self._single = False, 0
        self._sent: deque[float] = deque()
        self._refused: deque[float] = deque()
        self._latest: deque[bool] = deque(maxlen=LATEST)  # answers at this rate: whether they were refusals
        self._in_a_row = self._accepted_in_a_row = 0
        self._changed_at, self._first_refusal = -math.inf, math.inf
        self._began = math.inf  # when sending began, or began again after a pause
        self._busy_at = -math.inf

    def sent(self, turn: float, *, waited: bool) -> None:
        """Record a request that is sent. ``waited``: it had to wait for its turn."""
        if waited:
            self._busy_at = turn
        self._began = min(self._began, turn)
        self._sending += min(IDLE, turn - self._sent[-1]) if self._sent else 0.0
        self._sent.append(turn)
        for turns in (self._sent, self._refused):
            while turns and turns[0] < turn - REMEMBERED:
                turns.popleft()
        self._speed_up()

    def passed(self, turn: float) -> None:
        """The request of this turn was not refused as one too many."""
        if turn > self._changed_at:
            self._latest.append(False)
        self._in_a_row = 0
        self._accepted_in_a_row += 1
        if self._accepted_in_a_row >= CALM:
            self._single = 0
            if self._is_chance:
                self._forget()

    def refused(self, turn: float, pause: float) -> bool:
        """The request of this turn was one too many; ``pause``: seconds that Leaf asks to wait.

        Return whether all requests should pause; False: the row alone.
        """
        self._refused.append(turn)
        self._in_a_row += 1
        self._accepted_in_a_row = 0
        if turn <= self._changed_at:
            return not self._is_chance  # it was under way when the rate was changed
        self._latest.append(True)
        if self._is_chance and (self._in_a_row >= REFUSED_IN_A_ROW or sum(self._latest) > LATEST / 2):
            self._forget()
        return not self._is_chance and self._learn(turn, pause)

    def paused(self) -> None:
        """Nothing goes out for a while, so the first second after it shows less than Leaf accepts."""
        self._began = math.inf

    def _learn(self, turn: float, pause: float) -> bool:
        share = self._share_of_refusals()
        self._first_refusal = min(self._first_refusal, turn)
        is_slow = self._limit is None and 0 < self.rate <= FAST
        in_a_row = IN_A_ROW if is_slow else IN_A_ROW_CHANCE
        is_row = self._in_a_row >= in_a_row or share >= SHUT
        # Whether the second up to this turn was all at this rate, and with refusals: a bucket of tokens
        # accepts more than its limit until it is empty.
        is_measured = turn - max(self._began, self._changed_at, self._first_refusal) >= 1
        if self._limit is None:
            if not is_row and not (is_measured and (share >= OFTEN or not pause)):
                self._single += 1
                return self._single <= SINGLE
            self._lower(turn, pause, share)
        elif is_measured and self._is_in_vain(share):
            self._is_chance, self._limit, self._lowered = True, None, 0
            self._change(self._before)
            return False
        elif self.rate >= self._limit:
            self._tried(turn, pause, share, is_measured=is_measured or is_row)
        elif not is_row and (share < TOLERATED or not is_measured):
            return False
        else:
            self._lower(turn, pause, share)
        return True

    def _is_in_vain(self, share: float) -> bool:
        """Whether refusals are about as many as before the rate was lowered; the more often, the surer."""
        if self._lowered < LOWERED or not TOLERATED <= share < SHUT:
            return False
        return share >= self._share * NOT_LESS / (self._lowered - LOWERED + 1)

    def _tried(self, turn: float, pause: float, share: float, *, is_measured: bool) -> None:
        """The known limit was tried again, and Leaf refused."""
        assert self._limit is not None  # noqa: S101  (narrows the type)
        if is_measured and not self._limit * SAME < self._accepted(turn) <= self._limit * BEYOND:
            self._lower(turn, pause, share)
            return
        self._lowered = 1
        self._hold = min(2 * self._hold, MOST_PAUSES * pause) if pause else HOLD
        self._sending, self.rate = 0.0, max(SLOWEST, self._limit * BELOW)

    def _lower(self, turn: float, pause: float, share: float) -> None:
        """Set the rate just below what was accepted in the second up to this turn."""
        limit = self._accepted(turn)
        if self._limit is not None:
            limit = max(limit, self.rate / 2)  # chance may refuse several in a second
        is_busy = turn - self._busy_at < 1 or max(limit, self._in_a_row) >= ENOUGH
        if self.rate:
            limit = min(self.rate, limit if is_busy else max(limit, self.rate * UNKNOWN))
        elif not is_busy:
            return
        if not self._lowered:
            self._before, self._share = self.rate, 0.0
        self._lowered, self._single = self._lowered + 1, 0
        self._share = max(self._share, share)
        self._limit = max(SLOWEST, limit)
        self._hold, self._sending = max(HOLD, HOLD_PAUSES * pause), 0.0
        self._change(max(SLOWEST, self._limit * BELOW))

    def _speed_up(self) -> None:
        """Raise the rate when it has been held for long enough."""
        if self._limit is None or self._sending < self._hold:
            return
        past = self._sending - self._hold
        beyond = max(self._limit * BEYOND, self._limit + 1)  # a limit of 5 is passed by 6, not by 5.15
        if past < BEYOND_SECONDS:
            rate = self._limit + (beyond - self._limit) * past / BEYOND_SECONDS
        else:
            if self._accepted_in_a_row >= ENOUGH:
                self._lowered = 0
            rate = beyond * FASTER ** min(past - BEYOND_SECONDS, 60.0)
        if rate >= (self._highest or FREE):
            self._limit, self.rate = None, self._highest
        elif rate - self.rate >= STEP * self.rate:
            self.rate = rate

    def _accepted(self, turn: float) -> float:
        """How many requests per second were not refused up to this turn. No answer yet counts as accepted.

        A refusal comes at once, while Leaf is still at work on what it accepted. At a low rate a second is
        too short to measure.
        """
        enough = min(REMEMBERED, ENOUGH / self.rate if self.rate else 0.0)
        seconds = max(1.0, min(enough, turn - max(self._began, self._changed_at)))
        return (_since(self._sent, turn, seconds) - _since(self._refused, turn, seconds)) / seconds

    def _share_of_refusals(self) -> float:
        return sum(self._latest) / len(self._latest) if len(self._latest) >= ENOUGH else 0.0

    def _change(self, rate: float) -> None:
        """Requests that are under way say nothing about the new rate."""
        self.rate = rate
        self._changed_at = self._sent[-1] if self._sent else -math.inf
        self._latest.clear()
        self._in_a_row, self._first_refusal = 0, math.inf

    def _forget(self) -> None:
        self._is_chance, self._limit, self._lowered = False, None, 0
        self._change(self._highest)


def _since(turns: deque[float], end: float, seconds: float) -> int:
    """How many there are in the seconds up to ``end``."""
    return sum(end - seconds < turn <= end for turn in turns)
