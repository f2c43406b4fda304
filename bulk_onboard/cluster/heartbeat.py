"""The lease of a process that works on a run with others: beats in the ledger's database renew it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Self

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, LedgerError
from bulk_onboard.ledger.hold import clock
from bulk_onboard.ledger.leases import Ask, Beat
from bulk_onboard.pace.slots import SlotPace

# Seconds between two beats if nothing is urgent, and between two that are.
BEAT, URGENT = 0.25, 0.03
# Nothing is sent in the last seconds of a lease, for two clocks may not run alike.
MARGIN = 1.0
# A process that has had no lease for so many seconds gives up.
LONELY = 30.0


class Heartbeat:
    """Keeps the lease, and brings the slots to send in. Use as ``async with``.

    ``beat`` is called in a thread of its own, ``on_beat`` with what it returned. This is the lock of the
    turns (see `LockedTurns`): nothing is sent without a lease. When it is lost for good, all stops at once.
    """

    def __init__(
        self,
        beat: Callable[[Ask], Beat],
        pace: SlotPace,
        stop: StopSignal,
        on_beat: Callable[[Beat], None],
    ) -> None:
        self._beat, self._pace, self._stop, self._on_beat = beat, pace, stop, on_beat
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lease")
        self._sure_until = clock()
        self.lost: BulkOnboardError | None = None

    async def __aenter__(self) -> Self:
        await self._once(Ask())
        self._beating = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._beating.cancel()
        with suppress(asyncio.CancelledError):
            await self._beating
        await asyncio.to_thread(self._thread.shutdown)

    def is_sure(self) -> bool:
        """Whether a request may go out now. Raises what the lease was lost for."""
        if self.lost is not None:
            raise type(self.lost)(str(self.lost))
        return clock() <= self._sure_until

    async def _go_on(self) -> None:
        while self.lost is None:
            try:
                await self._once(await self._next())
                if clock() > self._sure_until + LONELY:
                    raise LedgerError("this worker has not heard from the leader for too long")
            except BulkOnboardError as error:
                self.lost = error
                self._stop.drain(str(error), error.exit_code)
                self._stop.abort()
            await asyncio.sleep(URGENT)

    async def _next(self) -> Ask:
        """What to ask for, when it is time for a beat."""
        loop, wanted = asyncio.get_running_loop(), self._pace.wanted
        until = loop.time() + BEAT
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await wanted.wait()
            wanted.clear()
            ask = Ask(*self._pace.ask())
            if any(ask) or loop.time() >= until:
                return ask

    async def _once(self, ask: Ask) -> None:
        """One beat. The lease counts from its beginning, however long the database takes."""
        began = clock()
        beat = await asyncio.get_running_loop().run_in_executor(self._thread, self._beat, ask)
        self._sure_until = began + beat.lease_until - beat.now - MARGIN
        self._pace.take(ask.slots, beat.now, beat.first, beat.paused_until)
        self._on_beat(beat)
