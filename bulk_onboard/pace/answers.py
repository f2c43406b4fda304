"""What Leaf accepted and refused since the rate was last changed, and the pauses. Times are handed in."""

from __future__ import annotations

import math
from collections import deque
from itertools import takewhile

# Seconds for which turns are remembered, so that a late refusal can still be placed among them.
REMEMBERED = 10.0


class Answers:
    """Counts what Leaf took and what it refused as one too many.

    ``answered``, ``refused``: requests sent since the counts began `anew`. ``in_a_row``: refusals since the
    last request that was not refused. ``latest``: the turn of the latest request that is answered.
    """

    def __init__(self) -> None:
        self._sent: deque[float] = deque()
        self._refused: deque[float] = deque()
        self._began = float("-inf")
        self.latest = float("-inf")
        self.answered = self.refused = self.in_a_row = 0

    def sent(self, turn: float) -> None:
        """A request goes out; what is too long ago to matter is forgotten."""
        self._sent.append(turn)
        for turns in (self._sent, self._refused):
            while turns and turns[0] < turn - REMEMBERED:
                turns.popleft()

    def passed(self, turn: float) -> None:
        """The request of this turn was not one too many."""
        self.in_a_row = 0
        self.latest = max(self.latest, turn)
        if turn > self._began:
            self.answered += 1

    def throttled(self, turn: float) -> bool:
        """The request of this turn was one too many. Whether it says anything about the present rate."""
        self.in_a_row += 1
        self.latest = max(self.latest, turn)
        self._refused.append(turn)
        # Requests that were under way when the rate was changed say nothing about the new rate.
        if turn <= self._began:
            return False
        self.answered += 1
        self.refused += 1
        return True

    def taken(self, turn: float) -> int:
        """How many of the second up to this turn were not refused.

        What has no answer yet counts: a refusal comes at once, while Leaf is still at work on what it took.
        """
        return _in_second(self._sent, turn) - _in_second(self._refused, turn)

    def between(self, since: float, turn: float) -> int:
        """How many requests went out after ``since`` and before this turn, as far as is remembered."""
        later = takewhile(lambda sent: sent > since, reversed(self._sent))
        return sum(sent < turn for sent in later)

    def anew(self, since: float) -> None:
        """Count from here on: the rate was changed after the turn at ``since``."""
        self._began = since
        self.answered = self.refused = self.in_a_row = 0


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


def _in_second(turns: deque[float], end: float) -> int:
    """How many there are in the second up to ``end``, of turns that are in order, or nearly."""
    later = takewhile(lambda turn: turn > end - 1.0, reversed(turns))
    return sum(turn <= end for turn in later)
