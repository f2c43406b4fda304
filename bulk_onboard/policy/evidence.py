"""How old a response from Leaf may be when a POST or DELETE relies on it. Pure; times are handed in."""

from __future__ import annotations

from typing import NamedTuple

# Seconds, or turns of the pace where those take longer: from the question to the request that relies on it.
FRESH_SECONDS, FRESH_TURNS = 5.0, 2.0
# If Leaf takes that long to answer, no response is fresh by the time of its request. After this many requests
# in a row without effect, the time of the response counts.
ASKED_IN_VAIN = 2


class Evidence(NamedTuple):
    """When Leaf was asked, and when it answered; seconds by a monotonic clock."""

    asked: float
    answered: float

    def is_fresh(self, now: float, rate: float, in_vain: int = 0) -> bool:
        """Whether a request that goes out now may rely on it.

        ``rate``: requests per second, 0 for no ceiling; ``in_vain``: how often in a row it was asked again
        because the response was too old.
        """
        limit = max(FRESH_SECONDS, FRESH_TURNS / rate) if rate else FRESH_SECONDS
        since = self.answered if in_vain >= ASKED_IN_VAIN else self.asked
        return now - since <= limit
