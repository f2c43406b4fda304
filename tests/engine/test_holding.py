"""A lost lock stops the run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bulk_onboard.engine.stop import LOOK, StopSignal, stop_when_lost
from bulk_onboard.errors import BulkOnboardError, ExitCode, LedgerError
from tests.support.virtual_time import warp


@dataclass
class Held:
    """A lock that is held until it is lost."""

    lost: BulkOnboardError | None = None

    def is_sure(self) -> bool:
        return self.lost is None


def test_a_run_whose_lock_is_lost_is_drained_for_that_reason() -> None:
    async def drained() -> StopSignal:
        lock, stop = Held(), StopSignal()
        async with stop_when_lost(lock, stop):
            await asyncio.sleep(3 * LOOK)
            assert not stop.draining
            lock.lost = LedgerError("taken")
            await asyncio.sleep(2 * LOOK)
        return stop

    stop = warp(drained())
    assert (stop.reason, stop.exit_code) == ("taken", ExitCode.STOPPED)
