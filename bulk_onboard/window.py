"""The log that guards a second: no more requests in any sliding second than a rate allows. Pure; no clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from contextlib import suppress


class Window:
    """The latest requests, by any clock that counts seconds. ``rate``: per second, 0 for as many as come.

    A rate of 2.5 means never more than three in a second; one of 0.5, one in two seconds.
    """

    def __init__(self, rate: float, recent: Iterable[float] = ()) -> None:
        self._seconds = max(1.0, 1 / rate) if rate else 0.0
        self._recent = deque(recent, maxlen=max(1, math.ceil(rate)))

    def at(self, rate: float) -> Window:
        """The same for another rate."""
        return Window(rate, self._recent)

    @property
    def last(self) -> float | None:
        """When the latest request went out; None before the first."""
        return self._recent[-1] if self._recent else None

    def opens(self) -> float:
        """When there is room for one more."""
        full = len(self._recent) == self._recent.maxlen
        return self._recent[0] + self._seconds if full else -math.inf

    def take(self, now: float) -> None:
        """One goes out."""
        self._recent.append(now)

    def put_off(self, then: float, now: float) -> None:
        """The one that was to go out ``then`` was kept back, and goes out ``now``."""
        with suppress(ValueError):  # forgotten already, after so many others
            self._recent.remove(then)
        self._recent.append(now)
