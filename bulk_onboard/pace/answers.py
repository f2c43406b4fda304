"""What came of the requests since the rate was last changed because of them. Times are handed in."""

from __future__ import annotations

from collections import deque

# Seconds for which turns are remembered, so that a late refusal can still be placed among them.
REMEMBERED = 10.0


class Answers:
    """Counts what Leaf took and what it refused as one too many.

    ``answered``, ``refused``: requests sent since the counts began `anew`. ``in_a_row``: refusals since the
    last request that was not refused. ``latest``: the turn of the latest request that is answered.
    """

    def __init__(self) -> None:
        self._passed: deque[float] = deque()
        self._began = float("-inf")
        self.latest = float("-inf")
        self.answered = self.refused = self.in_a_row = 0

    def passed(self, turn: float) -> None:
        """The request of this turn was not one too many."""
        self.in_a_row = 0
        self._passed.append(turn)
        self.latest = max(self.latest, turn)
        if turn > self._began:
            self.answered += 1

    def throttled(self, turn: float) -> bool:
        """The request of this turn was one too many. Whether it says anything about the present rate."""
        self.in_a_row += 1
        self.latest = max(self.latest, turn)
        # Requests that were under way when the rate was changed say nothing about the new rate.
        if turn <= self._began:
            return False
        self.answered += 1
        self.refused += 1
        return True

    def taken(self, turn: float) -> int:
        """How many of the second before this turn were not refused."""
        return sum(turn - 1.0 < at <= turn for at in self._passed)

    def anew(self, since: float) -> None:
        """Count from here on: the rate was changed after the turn at ``since``."""
        self._began = since
        self.answered = self.refused = self.in_a_row = 0

    def forget(self, now: float) -> None:
        """Let go of what is too long ago to matter."""
        while self._passed and self._passed[0] < now - REMEMBERED:
            self._passed.popleft()
