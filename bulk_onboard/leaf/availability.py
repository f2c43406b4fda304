"""While Leaf is unavailable requests wait here, but for one at a time that tries whether it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bulk_onboard.domain.model import Ambiguous, Transient
from bulk_onboard.errors import LeafUnavailable
from bulk_onboard.policy.outage import Outage, is_failure


class Availability:
    """What the answers to all requests say about Leaf.

    ``on_trouble`` gets a message when Leaf becomes unavailable, and when it is available again.
    """

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self._outage = Outage()
        self._why = ""
        # Held by the request that tries.
        self._trying = asyncio.Lock()

    @property
    def is_out(self) -> bool:
        """Whether Leaf is unavailable for everybody."""
        return self._outage.is_on

    async def wait(self) -> bool:
        """Return when a request may go out. True: it tries whether Leaf is back, and `end_try` must follow.

        Raises LeafUnavailable when that has taken too long.
        """
        if not self.is_out:
            return False
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
            now = clock()
            if self._outage.is_too_long(now):
                lasted = now - self._outage.since
                raise LeafUnavailable(f"Leaf has been unavailable for {lasted:.0f} s ({self._why})")
            if now >= self._outage.next_try:
                return True
            await asyncio.sleep(self._outage.next_try - now)
        return False

    def end_try(self) -> None:
        """The request that tried has its answer, or was not sent."""
        self._trying.release()

    def heard(self, target: str, verdict: object) -> None:
        """Record that Leaf answered a request of this grower, or to this path."""
        was_out = self.is_out
        if isinstance(verdict, Transient | Ambiguous) and is_failure(verdict):
            after = verdict.after if isinstance(verdict, Ambiguous) else None
            self._outage = self._outage.failed(target, asyncio.get_running_loop().time(), after or 0.0)
            self._why = verdict.message or verdict.code
        else:
            self._outage = Outage()
        if self.is_out and not was_out:
            self._on_trouble(
                f"Leaf is unavailable ({self._why}): waiting until it is back; no new row starts"
            )
        elif was_out and not self.is_out:
            self._on_trouble("Leaf is available again")
