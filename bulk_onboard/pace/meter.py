"""Requests over time, in no more memory than a chart has columns. Times are the loop's, in seconds."""

from __future__ import annotations

from collections import Counter

from bulk_onboard.domain.model import Traffic

# More stretches than this, and each gets twice as long.
MOST = 600


class Meter:
    """Counts what goes out and what Leaf refuses as one too many, and how long it asks to wait."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._width = 1
        self._sent, self._throttled = Counter[int](), Counter[int]()
        self._pauses: list[tuple[float, float]] = []

    def sent(self, at: float, count: int = 1) -> None:
        """Record one or more sent requests."""
        self._sent[self._place(at)] += count

    def throttled(self, at: float, count: int = 1) -> None:
        """The request that went out then was one too many, or several were."""
        self._throttled[self._place(at)] += count

    def held(self, since: float, until: float) -> None:
        """Record a pause. Overlapping pauses count once."""
        if self._pauses and since <= self._pauses[-1][1]:
            before = self._pauses.pop()
            since, until = min(since, before[0]), max(until, before[1])
        self._pauses.append((since, until))

    def read(self, now: float) -> Traffic:
        """Return the traffic until now."""
        if self._began is None:
            return Traffic()
        # The end of a run may come before that of a pause.
        pauses = [(max(since, self._began), min(until, now)) for since, until in self._pauses]
        last = max((self._place(max((until for _, until in pauses), default=0.0)), *self._sent))
        held = [0.0] * (last + 1)
        for since, until in pauses:
            for place in range(self._place(since), last + 1):
                starts = self._began + place * self._width
                held[place] += max(0.0, min(until, starts + self._width) - max(since, starts))
        sent, throttled = (
            tuple(counts[n] for n in range(last + 1)) for counts in (self._sent, self._throttled)
        )
        return Traffic(self._width, sent, throttled, tuple(round(min(s, self._width), 1) for s in held))

    def _place(self, at: float) -> int:
        """The stretch that holds this moment."""
        if self._began is None:
            self._began = at
        place = max(0, int((at - self._began) / self._width))
        while place >= MOST:
            self._width, place = 2 * self._width, place // 2
            for counts in (self._sent, self._throttled):
                before = dict(counts)
                counts.clear()
                for number, count in before.items():
                    counts[number // 2] += count
        return place
