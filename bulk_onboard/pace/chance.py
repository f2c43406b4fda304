"""Whether refusals that ask for a pause come by chance. Pure; no clock.

A limit refuses all that comes after the first request that is one too many. Where a request is refused
right after a pause, and most of those that went out after it were taken, no rate of ours is the cause. Then a
refusal costs its own row the pause, and not all rows.
"""

from __future__ import annotations

import math

# So many answers decide, and this share of them.
ENOUGH, MOST = 8, 0.5
# So many refusals in a row are no accident: while that is being found out, and once it was.
DOUBT, DENIAL = 6, 8


class Chance:
    """Looks at what followed a refused request. ``is_proved``: refusals have nothing to do with our rate."""

    def __init__(self) -> None:
        self.is_proved = False
        self._is_denied = False
        self._first, self._paused_at = math.inf, -math.inf
        self._followed = self._taken = 0

    def passed(self, turn: float) -> None:
        """The request of this turn was not one too many."""
        if self._first < turn <= self._paused_at:
            self._followed += 1
            self._taken += 1
            enough = self._followed >= ENOUGH and self._taken >= MOST * self._followed
            self.is_proved = self.is_proved or (enough and not self._is_denied)

    def refused(self, turn: float, in_a_row: int) -> None:
        """The request of this turn was one too many, in a row with so many."""
        self._followed += self._first < turn <= self._paused_at
        if self.is_proved and in_a_row >= DENIAL:
            self.is_proved, self._is_denied = False, True

    def paused(self, first: float, now: float, *, soon: bool) -> None:
        """All wait from now on, because of the request of the turn ``first``.

        ``soon``: that was right after the last pause, or the beginning.
        """
        self._first, self._paused_at = (first, now) if soon else (math.inf, -math.inf)

    def may_be(self, in_a_row: int) -> bool:
        """Whether that is still to be found out, so that nothing is to be learned from a refusal."""
        undecided = self._first < math.inf and self._followed < ENOUGH
        return undecided and not self._is_denied and in_a_row < DOUBT
