"""Requests over time, in no more memory than a chart has columns. Times are the loop's, in seconds."""

from __future__ import annotations

from bulk_onboard.domain.model import Traffic

# More stretches than this, and each gets twice as long.
MOST = 600


class Meter:
    """Counts what goes out and what Leaf refuses as one too many, and how long it asks to wait."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._pause = (0.0, 0.0)  # since when, until when; not yet among the held
        self._width = 1
        self._sent: list[int] = []
        self._throttled: list[int] = []
        self._held: list[float] = []

    def sent(self, at: float, count: int = 1) -> None:
        """Record one or more sent requests."""
        self._sent[self._place(at)] += count

    def throttled(self, at: float, count: int = 1) -> None:
        """The request that went out then was one too many, or several were."""
        self._throttled[self._place(at)] += count

    def held(self, since: float, until: float) -> None:
        """Record a pause. Overlapping pauses count once."""
        if since > self._pause[1]:
            self._fold(until=self._pause[1])
            self._pause = (since, until)
        else:
            self._pause = (self._pause[0], max(until, self._pause[1]))

    def read(self, now: float) -> Traffic:
        """Return the traffic until now."""
        if self._began is None:
            return Traffic()
        self._fold(until=now)
        paused = tuple(round(min(seconds, self._width), 1) for seconds in self._held)
        return Traffic(self._width, tuple(self._sent), tuple(self._throttled), paused)

    def _fold(self, until: float) -> None:
        """Count what has passed of the pause: the end of a run may come first."""
        begin, end = max(self._pause[0], self._began or 0.0), min(until, self._pause[1])
        self._pause = (max(begin, end), self._pause[1])
        if begin >= end:
            return
        last = self._place(end)  # which may make the stretches longer
        for place in range(self._place(begin), last + 1):
            starts = (self._began or 0.0) + place * self._width
            self._held[place] += min(end, starts + self._width) - max(begin, starts)

    def _place(self, at: float) -> int:
        """The stretch that holds this moment; it is there from now on."""
        if self._began is None:
            self._began = at
        place = int((at - self._began) / self._width)
        if place >= len(self._sent):
            while place >= MOST:
                self._halve()
                place //= 2
            more = place + 1 - len(self._sent)
            self._sent += [0] * more
            self._throttled += [0] * more
            self._held += [0.0] * more
        return place

    def _halve(self) -> None:
        self._width *= 2
        for counts in (self._sent, self._throttled):
            counts[:] = [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]
        self._held[:] = [sum(self._held[at : at + 2]) for at in range(0, len(self._held), 2)]
