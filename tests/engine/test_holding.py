"""No request goes out under a lock that is in doubt, and a lost lock stops the run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bulk_onboard.engine.stop import LOOK, LockedTurns, StopSignal, stop_when_lost
from bulk_onboard.errors import BulkOnboardError, ExitCode, LedgerError
from bulk_onboard.pace import Pace
from tests.support.virtual_time import warp


@dataclass
class Doubted:
    """A lock that is in doubt until a time of the loop's clock."""

    until: float = 0.0
    lost: BulkOnboardError | None = None
    looks: list[float] = field(default_factory=list)

    def is_sure(self) -> bool:
        self.looks.append(asyncio.get_running_loop().time())
        if self.lost:
            raise self.lost
        return self.looks[-1] >= self.until


def test_no_turn_is_given_while_the_lock_is_in_doubt_and_the_ceiling_is_kept_afterwards() -> None:
    async def turns() -> list[float]:
        clock = asyncio.get_running_loop().time
        began = clock()
        covered = LockedTurns(Pace(10), Doubted(began + 5))
        given: list[float] = []

        async def one() -> None:
            await covered.turn()
            given.append(clock() - began)

        await asyncio.gather(*(one() for _ in range(40)))
        return sorted(given)

    given = warp(turns())
    assert given[0] >= 5
    assert all(later - earlier >= 0.99 for earlier, later in zip(given, given[10:], strict=False))


def test_whoever_waits_for_a_turn_under_a_lock_that_is_lost_is_told() -> None:
    async def turn() -> None:
        await LockedTurns(Pace(0), Doubted(lost=LedgerError("taken"))).turn()

    with pytest.raises(LedgerError, match="taken"):
        warp(turn())


def test_a_run_whose_lock_is_lost_is_drained_for_that_reason() -> None:
    async def drained() -> StopSignal:
        lock, stop = Doubted(), StopSignal()
        async with stop_when_lost(lock, stop):
            await asyncio.sleep(3 * LOOK)
            assert not stop.draining
            lock.lost = LedgerError("taken")
            await asyncio.sleep(2 * LOOK)
        return stop

    stop = warp(drained())
    assert (stop.reason, stop.exit_code) == ("taken", ExitCode.STOPPED)
