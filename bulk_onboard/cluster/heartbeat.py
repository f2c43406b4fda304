"""Beats in the ledger's database: they renew a process's lease and bring the slots that it sends in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import LedgerBusy, LedgerError
from bulk_onboard.ledger.leases import LEASE, Ask, Beat
from bulk_onboard.ledger.lock import Lock, clock
from bulk_onboard.pace.slots import SlotPace

# Seconds between two beats if nothing is urgent, and between two that are.
BEAT, URGENT = 0.25, 0.03
# A process without a lease for this many seconds gives up.
LONELY = 30.0


@asynccontextmanager
async def heartbeat(
    beat: Callable[[Ask], Beat],
    lease: Lock,
    pace: SlotPace,
    stop: StopSignal,
    on_beat: Callable[[Beat], None],
) -> AsyncIterator[None]:
    """Context manager: inside it, ``lease`` is confirmed by beats. When it is lost, all stops at once.

    ``beat`` is called in a thread, ``on_beat`` with what it returned. Raises LedgerBusy, LedgerError.
    """
    loop, thread = asyncio.get_running_loop(), ThreadPoolExecutor(1, thread_name_prefix="lease")

    async def once(ask: Ask) -> None:
        """The lease counts from the beginning of the beat, however long the database takes."""
        began = clock()
        got = await loop.run_in_executor(thread, beat, ask)
        lease.confirm(began + got.lease_until - got.now - LEASE)
        pace.take(ask.slots, got.now, got.first, got.paused_until)
        on_beat(got)

    async def go_on() -> None:
        while lease.lost is None:
            try:
                await once(Ask(*await pace.next_ask(BEAT)))
                if lease.age() > LONELY:
                    raise LedgerError("this worker has not heard from the leader for too long")
            except (LedgerBusy, LedgerError) as error:
                lease.lose(error)
                stop.drain(str(error), error.exit_code)
                stop.abort()
            await asyncio.sleep(URGENT)

    await once(Ask())
    beating = asyncio.create_task(go_on())
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        await asyncio.to_thread(thread.shutdown)
