"""How long a row is retried: one budget for all of its requests.

Pure: times and random draws are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from bulk_onboard.domain.model import IfExists

P = TypeVar("P")


class Moment(NamedTuple):
    """When a decision is made: seconds since the row's first request, and a random draw in [0, 1)."""

    elapsed: float
    draw: float


@dataclass(frozen=True, slots=True)
class Next(Generic[P]):
    """The next step of a row: act on ``progress`` after ``after`` seconds."""

    progress: P
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The retry budget of a row, and what it may do with existing credentials. Times in seconds.

    ``attempts``: the number of answers that decide nothing before the row gives up, of POSTs, and of
    DELETEs. ``patience``: counted from the row's first request; no wait begins that would end after it.
    ``settle``: how long Leaf may still be at work on a POST or DELETE that got no readable answer, whatever
    came instead of one; ``pause``: the shortest time between two looks meanwhile. ``overlap``: how much
    longer it may take until an earlier run that left an intent has noticed that it is over.
    ``throttle_cap``: the longest backoff after a 429; the pace slows all rows down, so a row that is refused
    by chance need not wait for longer. ``replace_healthy``: `IfExists.REPLACE` also applies to credentials
    that work.
    """

    if_exists: IfExists = IfExists.SKIP
    replace_healthy: bool = False
    attempts: int = 8
    patience: float = 600.0
    backoff: float = 0.5
    backoff_cap: float = 30.0
    throttle_cap: float = 5.0
    settle: float = 30.0
    pause: float = 1.0
    overlap: float = 0.0

    def wait(self, failures: int, draw: float, cap: float | None = None) -> float:
        """Return exponential backoff with full jitter: a random part of a time that doubles up to the cap."""
        return draw * min(cap or self.backoff_cap, self.backoff * 2.0 ** min(failures, 16))

    def after_failure(self, failures: int, after: float | None, moment: Moment) -> float | None:
        """Return the seconds until the next attempt; None if attempts or patience are used up.

        ``failures``: answers in a row that decided nothing. ``after``: seconds that Leaf asks to wait.
        """
        if failures >= self.attempts:
            return None
        return self._in_time(after or self.wait(failures, moment.draw), moment)

    def after_throttle(self, throttles: int, after: float | None, moment: Moment) -> float | None:
        """Return the seconds until the next attempt after a 429; None if patience is used up.

        A 429 does not count against the row, so only patience limits them. Even "after 0 s" does not mean at
        once.
        """
        return self._in_time(after or self.wait(throttles, moment.draw, self.throttle_cap), moment)

    def _in_time(self, wait: float, moment: Moment) -> float | None:
        return None if moment.elapsed + wait > self.patience else wait
