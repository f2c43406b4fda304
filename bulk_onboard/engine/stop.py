"""What stops a run: a signal that everything listens to, a lost lock, a missing confirmation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from bulk_onboard.domain.run_events import About
from bulk_onboard.errors import BulkOnboardError, ExitCode

# Whether a person agrees to what is about to be written to Leaf.
Confirm = Callable[[About], bool]

# Seconds between two looks at a lock that is in doubt.
LOOK = 0.5
# Seconds from the moment when a lock is lost to the last request that may still go out, with a margin.
OVERLAP = 5.0


class StopSignal:
    """Asked to stop: `drain` lets rows in flight finish, for ``grace`` seconds at most; `abort` does not.

    Not for several threads; the first reason given is the one that counts. ``in_flight``: rows begun and
    not finished, as `work_through` counts them.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code: ExitCode | None = None
        self.grace = 30.0
        self.in_flight = 0
        self.on_drain: Callable[[str], None] = lambda _reason: None
        self._draining = asyncio.Event()
        self._aborting = asyncio.Event()
        self._going = asyncio.Event()
        self._going.set()
        self._deadline = float("inf")

    @property
    def draining(self) -> bool:
        """Whether no new row may start."""
        return self._draining.is_set()

    def drain(self, reason: str, exit_code: ExitCode = ExitCode.STOPPED) -> None:
        """Start no new row; finish those in flight."""
        if not self.draining:
            self.reason, self.exit_code = reason, exit_code
            loop = asyncio.get_running_loop()
            self._deadline = loop.time() + self.grace
            loop.call_later(self.grace, self._aborting.set)
            self._draining.set()
            self._going.set()
            self.on_drain(reason)

    def abort(self) -> None:
        """Stop at once. Safe: what is in flight is asked about by the next run."""
        self._going.set()
        self._draining.set()
        self._aborting.set()

    @property
    def suspended(self) -> bool:
        """Whether no new row may start for the time being."""
        return not self._going.is_set()

    def suspend(self) -> None:
        """Start no new row until `resume`; rows in flight finish. Not after `drain` or `abort`."""
        if not self.draining:
            self._going.clear()

    def resume(self) -> None:
        """Start new rows again."""
        self._going.set()

    async def resumed(self) -> None:
        """Return when new rows may start, or when none may start any more."""
        await self._going.wait()

    @property
    def hurrying(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self._aborting.is_set()

    async def drained(self) -> None:
        """Return when no new row may start."""
        await self._draining.wait()

    async def aborted(self) -> None:
        """Return when the run has to end at once."""
        await self._aborting.wait()

    async def cut_short(self, work: Coroutine[None, None, None], *, at_once: bool = False) -> None:
        """Return when the work is done, or cancelled because no new row may start. Raises what it raises.

        ``at_once``: it is cancelled only when the run has to end at once.
        """
        working = asyncio.ensure_future(work)
        drained = asyncio.ensure_future(self.aborted() if at_once else self.drained())
        try:
            await asyncio.wait({working, drained}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            drained.cancel()
            working.cancel()
            await asyncio.wait({working})
        if not working.cancelled():
            working.result()

    async def pause(self, seconds: float) -> bool:
        """Wait, unless a drain leaves no time for it: then return False, without waiting it out."""
        clock = asyncio.get_running_loop().time
        until = clock() + seconds
        if not self.draining:
            try:
                await asyncio.wait_for(self._draining.wait(), seconds)
            except TimeoutError:
                return True
        if until > self._deadline:
            return False
        await asyncio.sleep(max(0.0, until - clock()))
        return True


class Lock(Protocol):
    """What holds the ledger for this process."""

    @property
    def lost(self) -> BulkOnboardError | None:
        """The error that ended the lock; None while it is held."""

    def is_sure(self) -> bool:
        """Return whether the lock was confirmed a moment ago. Raises the error if it is lost."""
        ...


@asynccontextmanager
async def stop_when_lost(lock: Lock, stop: StopSignal) -> AsyncIterator[None]:
    """Context manager: inside it, the run stops when its lock is lost."""
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


async def is_confirmed(confirm: Confirm, about: About, stop: StopSignal) -> bool:
    """Return the answer. A signal to stop does not wait for it, and means no."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def take(agreed: bool) -> None:
        if not answer.done():
            answer.set_result(agreed)

    def ask() -> None:
        agreed = confirm(about)
        with suppress(RuntimeError):  # the run has ended meanwhile
            loop.call_soon_threadsafe(take, agreed)

    # Not of a pool: the end of the process must not wait for a key to be pressed.
    threading.Thread(target=ask, daemon=True).start()
    while not answer.done() and not stop.draining:
        await asyncio.wait([answer], timeout=0.2)
    return answer.done() and answer.result()
