"""While Leaf is unavailable, requests wait here; one at a time tests whether Leaf is available again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulk_onboard.domain.model import UNAVAILABLE, Ambiguous, Transient
from bulk_onboard.errors import LeafUnavailable

# Consecutive failures, and the different growers they are of: it is not one grower's credentials that fail.
FAILURES, TARGETS = 10, 3
# Seconds from the first failure until the run stops, besides what Leaf asks to wait (that at most).
PATIENCE, LONGEST_WAIT = 60.0, 600.0
# Seconds until the next request tries whether Leaf is back: doubled each time, up to the cap.
FIRST_PAUSE, PAUSE_CAP = 0.5, 5.0


def is_failure(verdict: object) -> bool:
    """Return whether an answer shows a problem of Leaf or of the connection."""
    return isinstance(verdict, Transient | Ambiguous) and verdict.code in UNAVAILABLE


class Availability:
    """What the answers to all requests say about Leaf.

    ``on_trouble`` gets a message when Leaf becomes unavailable, and when it is available again.
    """

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self._trying = asyncio.Lock()  # held by the request that tries
        self._begin()

    def _begin(self) -> None:
        """Forget all failures."""
        self._failures = self._tries = 0
        self._targets: set[str] = set()
        self._since = self._latest = self._asked_to_wait = 0.0
        self._why = ""

    @property
    def is_out(self) -> bool:
        """Whether Leaf is unavailable for all growers."""
        return self._failures >= FAILURES and len(self._targets) >= TARGETS

    async def wait(self) -> bool:
        """Return when a request may go out. True: it tries whether Leaf is back, and `end_try` must follow.

        Only while Leaf `is_out`. Raises LeafUnavailable when that has taken too long.
        """
        await self._trying.acquire()
        tries = False
        try:
            tries = await self._until_next_try()
        finally:
            if not tries:
                self._trying.release()
        return tries

    async def _until_next_try(self) -> bool:
        """Wait until a request may try whether Leaf is back. False: it is back already."""
        clock = asyncio.get_running_loop().time
        while self.is_out:
            lasted = clock() - self._since
            if lasted > PATIENCE + min(self._asked_to_wait, LONGEST_WAIT):
                raise LeafUnavailable(f"Leaf has been unavailable for {lasted:.0f} s ({self._why})")
            pause = min(PAUSE_CAP, FIRST_PAUSE * 2.0 ** min(self._tries, 16))
            if (seconds := self._latest + pause - clock()) <= 0:
                return True
            await asyncio.sleep(seconds)
        return False

    def end_try(self) -> None:
        """Record that the test request has an answer or was not sent."""
        self._trying.release()

    def heard(self, target: str, verdict: object) -> None:
        """Record that Leaf answered a request of this grower, or to this path."""
        was_out = self.is_out
        if isinstance(verdict, Transient | Ambiguous) and is_failure(verdict):
            self._latest = asyncio.get_running_loop().time()
            self._since = self._since if self._failures else self._latest
            self._failures, self._tries = self._failures + 1, self._tries + was_out
            if len(self._targets) < TARGETS:
                self._targets.add(target)
            asked = verdict.after if isinstance(verdict, Ambiguous) else None
            self._asked_to_wait = max(self._asked_to_wait, asked or 0.0)
            self._why = verdict.message or verdict.code
        elif self._failures:
            self._begin()
        if self.is_out and not was_out:
            self._on_trouble(
                f"Leaf is unavailable ({self._why}): waiting until it is back; no new row starts"
            )
        elif was_out and not self.is_out:
            self._on_trouble("Leaf is available again")
