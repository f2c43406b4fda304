"""No more requests in any second than the ceiling allows, also where some were held up."""

from __future__ import annotations

import math
from collections import deque
from time import perf_counter


class Window:
    """A log of the last second. ``rate``: requests per second, 0 for as many as come."""

    def __init__(self, rate: float) -> None:
        self._seconds = max(1.0, 1 / rate) if rate else 0.0
        self._recent: deque[float] = deque(maxlen=max(1, math.ceil(rate)))

    def left(self) -> float:
        """Seconds until there is room for a request; none, or less, if there is."""
        full = len(self._recent) == self._recent.maxlen
        return self._recent[0] + self._seconds - perf_counter() if full else 0.0

    def take(self) -> None:
        """A request goes out."""
        self._recent.append(perf_counter())
