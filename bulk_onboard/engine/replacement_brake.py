"""Bounds how many growers may be between old and new credentials at a time, and says when no more may be."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto

from bulk_onboard.domain.model import Status
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.policy.progress import LEFT_WITHOUT, Finish, Progress

# At a time: until one replacement has succeeded, until `ENOUGH` have, and from then on.
FIRST, FEW, MANY = 1, 3, 10
ENOUGH = 10
# If the first UNUSABLE stored replacements are all unusable by their status, the app is wrong.
UNUSABLE = 3
_UNUSABLE_STATUSES = frozenset({"UNAUTHENTICATED", "MISSING_PERMISSION"})
# While this many rows wait, no new row begins: what Leaf said about them must not become too old.
MOST_WAITING = 10


class Replaced(Enum):
    """The result of one replacement."""

    NOTHING_DELETED = auto()
    SUCCEEDED = auto()
    UNUSABLE = auto()
    LOST = auto()  # the old credentials are gone, or may be, and the new ones are not known to be stored


def result_of(progress: Progress, finish: Finish) -> Replaced:
    """Return the result of the replacement of a row with this end."""
    if finish.status is Status.CREATED:
        status = finish.credential.status.upper() if finish.credential else ""
        return Replaced.UNUSABLE if status in _UNUSABLE_STATUSES else Replaced.SUCCEEDED
    is_unknown = finish.status is Status.UNRESOLVED and progress.deletes > 0
    return Replaced.LOST if finish.code == LEFT_WITHOUT or is_unknown else Replaced.NOTHING_DELETED


class ReplacementBrake:
    """Counts the replacements of one run; rows wait here until one more grower may lose its credentials.

    ``succeeded``, ``unusable`` and ``lost`` count those that have ended, by their result.
    """

    def __init__(self, stop: StopSignal) -> None:
        self._stop = stop
        self.under_way = self.succeeded = self.unusable = self.lost = 0
        self._waiting = deque[asyncio.Future[None]]()
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def may_start(self) -> bool:
        """Whether one more grower may lose the old credentials now."""
        limit = FIRST if not self.succeeded else FEW if self.succeeded < ENOUGH else MANY
        return self.under_way < limit

    @property
    def reason_to_stop(self) -> str | None:
        """Why no more credentials may be deleted; None to go on."""
        if self.lost:
            return "a grower's old credentials were deleted, and the new ones were not stored"
        if self.unusable >= UNUSABLE and not self.succeeded:
            return f"Leaf cannot use the new credentials of the first {self.unusable} growers (wrong app?)"
        return None

    @property
    def has_room(self) -> bool:
        """Whether a new row may begin."""
        return self._has_room.is_set()

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
        self.under_way -= 1
        self.succeeded += result is Replaced.SUCCEEDED
        self.unusable += result is Replaced.UNUSABLE
        self.lost += result is Replaced.LOST
        if reason := self.reason_to_stop:
            self._stop.drain(f"{reason}; no more credentials are replaced")
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self.may_start and not self._stop.draining:
            self.under_way += 1
            self._waiting.popleft().set_result(None)
        if len(self._waiting) < MOST_WAITING or self._stop.draining:
            self._has_room.set()
        else:
            self._has_room.clear()
