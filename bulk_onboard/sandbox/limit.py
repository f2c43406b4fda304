"""Leaf's own rate limit: so many requests in any sliding second, the rest is turned away."""

from __future__ import annotations

from collections import deque


class Limit:
    """Counts what was served. Times are monotonic seconds."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._served: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Whether a request that arrives now is served."""
        if not self._per_second:
            return True
        while self._served and now - self._served[0] >= 1.0:
            self._served.popleft()
        if len(self._served) >= self._per_second:
            return False
        self._served.append(now)
        return True
