"""Whether refusals that ask for a pause come by chance, whatever our rate. Pure; no clock.

Take the number of requests that Leaf accepts between a pause and the next refusal. A limit accepts about the
same number every time, or another number from some moment on. Chance accepts few, then many, then few again:
a refusal after few requests, with many accepted both before and after it, is not due to a limit. And a limit
far below our rate refuses nearly all requests that went out right behind the first one that it refused;
chance accepts most of them.
"""

from __future__ import annotations

import math
from collections import deque

# Refusals after a pause that are compared, and how many of them must contradict a limit.
COMPARED, CONTRADICTIONS = 10, 2
# A refusal contradicts a limit if so many times the number was accepted before and after it, plus one.
MORE = 1.5
# A limit far below our rate has accepted at most this share of a second's requests before it refuses. Then so
# many of the requests behind the refused one tell chance from a limit, by the share of them that is accepted.
EARLY, BEHIND, MOST = 0.1, 8, 0.6
# A limit accepts the same number, to this share of it, so many times in a row; more often if that makes few.
SAME, TIMES, TIMES_IF_FEW, FEW = 0.15, 3, 4, 15
# Refusals by chance end when so many answers in a row are refused, or more than half of the latest ones.
IN_A_ROW, LATEST = 8, 40
# So many accepted in a row end it too: whatever refuses the next request may be another thing.
CALM = 300


class Chance:
    """``is_proved``: refusals have nothing to do with our rate. ``is_limit``: a limit refused the latest one.

    For Leaf accepted the same number of requests before it as before those that it refused earlier.
    """

    def __init__(self) -> None:
        self.is_proved = self.is_limit = False
        self._accepted: deque[int] = deque(maxlen=COMPARED)
        self._latest: deque[bool] = deque(maxlen=LATEST)
        self._first, self._paused_at = math.inf, -math.inf
        self._behind = self._accepted_behind = self._calm = self._series = 0

    def passed(self, turn: float) -> bool:
        """The request of this turn was not one too many. Whether this proves chance."""
        self._latest.append(False)
        self._calm += 1
        if self._calm >= CALM:
            self._forget()
        if self.is_proved or not self._first < turn <= self._paused_at:
            return False
        self._behind += 1
        self._accepted_behind += 1
        self.is_proved = self._behind >= BEHIND and self._accepted_behind >= MOST * self._behind
        return self.is_proved

    def refused(self, turn: float, in_a_row: int) -> None:
        """The request of this turn was one too many, in a row with so many."""
        self._latest.append(True)
        self._calm = 0
        self._behind += self._first < turn <= self._paused_at
        self.is_limit = False
        if self.is_proved and (in_a_row >= IN_A_ROW or sum(self._latest) > LATEST / 2):
            self._forget()

    def paused(self, turn: float, now: float, accepted: int, rate: float) -> bool:
        """The first refusal after a pause asks for another one, now. Whether this proves chance.

        ``turn``: of that request. ``accepted``: requests since the last pause. ``rate``: requests per second,
        0 for no ceiling.
        """
        self._first, self._paused_at = (turn, now) if accepted <= EARLY * rate else (math.inf, -math.inf)
        # Beyond a second's worth the number says how steady a limit is, and not how high.
        accepted = int(min(accepted, max(rate, FEW) if rate else math.inf))
        # None accepted: the pause was too short, or it is chance again; nothing can be compared.
        self._series = self._series + 1 if accepted else 0
        if not accepted or self.is_proved:
            return False
        self._accepted.append(accepted)
        self.is_limit = self._is_same()
        self.is_proved = not self.is_limit and _contradictions(list(self._accepted)) >= CONTRADICTIONS
        return self.is_proved

    def _is_same(self) -> bool:
        """Whether Leaf accepted the same number before each of the latest refusals."""
        latest = list(self._accepted)[-TIMES:]
        times = TIMES if sum(latest) >= FEW else TIMES_IF_FEW
        latest = list(self._accepted)[-times:]
        return self._series >= times and max(latest) - min(latest) <= int(SAME * max(latest))

    def prove(self) -> None:
        """A lower rate has not lowered the share of refusals."""
        self.is_proved = True

    def _forget(self) -> None:
        self.is_proved = False
        self._accepted.clear()
        self._behind = self._accepted_behind = self._series = 0


def _contradictions(accepted: list[int]) -> int:
    """How many of these numbers lie well below both an earlier and a later one."""
    return sum(
        min(max(accepted[:at]), max(accepted[at + 1 :])) >= MORE * number + 1
        for at, number in enumerate(accepted[1:-1], start=1)
    )
