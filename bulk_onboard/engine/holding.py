"""While a run sends: no request goes out that its lock does not cover, and whoever has lost it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from bulk_onboard.domain.turns import StillValid, Turns, Urgency, always
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError

LOOK = 0.5  # seconds
# From the moment when a lock is lost to the last request that may still go out, with some to spare.
OVERLAP = 5.0


class Lock(Protocol):
    """What holds the ledger for this process."""

    @property
    def lost(self) -> BulkOnboardError | None: ...
    def is_sure(self) -> bool: ...


class Covered:
    """Turns that are given only while the lock is known to be ours. Its doubt is looked at last of all.

    For an intent may be on disk for long before its request has its turn, and a process may sleep meanwhile.
    """

    def __init__(self, turns: Turns, lock: Lock) -> None:
        self._turns, self._lock = turns, lock
        self.hold, self.passed, self.throttled = turns.hold, turns.passed, turns.throttled

    @property
    def rate(self) -> float:
        """Requests per second that may go out now, 0 if there is no ceiling."""
        return self._turns.rate

    async def turn(
        self, *, urgency: Urgency = Urgency.BEGIN, still_valid: StillValid = always
    ) -> float | None:
        """Return when the next request may go out, or None if it is not valid any more.

        Raises LedgerBusy, LedgerError if the lock is lost.
        """
        while True:
            turn = await self._turns.turn(urgency=urgency, still_valid=still_valid)
            if turn is None or self._lock.is_sure():
                return turn
            await asyncio.sleep(LOOK)  # and stand in line again: all at once would be too many


@asynccontextmanager
async def holding(lock: Lock, stop: StopSignal) -> AsyncIterator[None]:
    """As long as the block lasts, the run stops when its lock is lost."""
    watch = asyncio.create_task(_watch(lock, stop))
    try:
        yield
    finally:
        watch.cancel()
        with suppress(asyncio.CancelledError):
            await watch


async def _watch(lock: Lock, stop: StopSignal) -> None:
    while (lost := lock.lost) is None:  # noqa: ASYNC110  (it is lost in a thread)
        await asyncio.sleep(LOOK)
    stop.drain(str(lost), lost.exit_code)
