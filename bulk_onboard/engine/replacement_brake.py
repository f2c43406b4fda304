"""Rows wait here until one more grower may lose the old credentials; see `policy.replacements`."""

from __future__ import annotations

import asyncio
from collections import deque

from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.policy.replacements import Replaced, Replacements

# While this many rows wait, no new row begins: what Leaf said about them must not become too old.
MOST_WAITING = 10


class ReplacementBrake:
    """Bounds the rows of one run that are between DELETE and POST."""

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop
        self._state = Replacements()
        self._waiting = deque[asyncio.Future[None]]()
        self._has_room = asyncio.Event()
        self._has_room.set()

    async def room(self) -> None:
        """Return when a new row may begin."""
        await self._has_room.wait()

    async def start(self) -> bool:
        """Wait until the row may delete what it replaces, and count it. False: the run has stopped."""
        if self._stop.draining:
            return False
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._serve()
        stopped = asyncio.ensure_future(self._stop.drained())
        try:
            await asyncio.wait({mine, stopped}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if mine.done():
                self.end(Replaced.NOTHING_DELETED)
            raise
        finally:
            stopped.cancel()
            if not mine.done():
                self._waiting.remove(mine)
                self._serve()
        return mine.done()

    def end(self, result: Replaced) -> None:
        """Record the end of a counted row. Stops the run if no more credentials may be deleted."""
        self._state = self._state.ended(result)
        if reason := self._state.reason_to_stop:
            self._stop.drain(f"{reason}; no more credentials are replaced")
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._state.may_start and not self._stop.draining:
            self._state = self._state.started()
            self._waiting.popleft().set_result(None)
        if len(self._waiting) < MOST_WAITING or self._stop.draining:
            self._has_room.set()
        else:
            self._has_room.clear()
