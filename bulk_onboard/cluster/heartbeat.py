"""Beats in the ledger's database: they renew a process's lease, and pass on the pauses that Leaf asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.leases import LEASE, Beat
from bulk_onboard.ledger.lock import Lock, clock
from bulk_onboard.pace.shared import SharedPace
from bulk_onboard.threads import in_thread

# Seconds between two beats if nothing is urgent, and between two that are.
BEAT, URGENT = 0.25, 0.03
# A process without a lease for this many seconds gives up.
LONELY = 30.0


@asynccontextmanager
async def heartbeat(
    beat: Callable[[float], Beat],
    lease: Lock,
    pace: SharedPace,
    stop: StopSignal,
    on_beat: Callable[[Beat], None],
) -> AsyncIterator[None]:
    """Context manager: inside it, ``lease`` is confirmed by beats. When it is lost, all stops at once.

    ``beat`` is called in a thread with the seconds of a new pause, ``on_beat`` with what it returned. Raises
    LedgerBusy, LedgerError.
    """

    async def once() -> None:
        """The lease counts from the beginning of the beat, however long the database takes."""
        began = clock()
        got = await in_thread(partial(beat, pace.take_pause()))
        lease.confirm(began + got.lease_until - got.now - LEASE)
        pace.obey(got.paused_until - got.now)
        on_beat(got)

    async def go_on() -> None:
        while lease.lost is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(pace.is_urgent.wait(), BEAT)
            try:
                await once()
                if lease.age() > LONELY:
                    raise LedgerError("this worker has not heard from the leader for too long")
            except (LedgerBusy, LedgerError) as error:
                lease.lose(error)
                stop.drain(str(error), error.exit_code)
                stop.abort()
            await asyncio.sleep(URGENT)

    await once()
    beating = asyncio.create_task(go_on())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
