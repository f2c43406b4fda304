"""While a run sends: whoever is no longer sure to hold the ledger keeps still, and who has lost it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError

# Seconds since the last look that found the lock: after more than these no request goes out.
SURE = 3.0
LOOK = 0.5  # seconds
# From the moment when the lock is lost to the last request, with some to spare.
OVERLAP = 5.0


class Lock(Protocol):
    """What holds the ledger for this process."""

    @property
    def lost(self) -> BulkOnboardError | None: ...
    def age(self) -> float: ...


class Turns(Protocol):
    """What lets requests out."""

    def rest(self, seconds: float) -> None: ...


@asynccontextmanager
async def holding(lock: Lock, turns: Turns, stop: StopSignal) -> AsyncIterator[None]:
    """As long as the block lasts, no request goes out that the lock does not cover."""
    watch = asyncio.create_task(_watch(lock, turns, stop))
    try:
        yield
    finally:
        watch.cancel()


async def _watch(lock: Lock, turns: Turns, stop: StopSignal) -> None:
    while lock.lost is None:
        if lock.age() > SURE:
            turns.rest(2 * LOOK)
        await asyncio.sleep(LOOK)
    stop.drain(str(lock.lost), lock.lost.exit_code)
