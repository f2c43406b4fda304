"""When to stop: the signal that everything listens to, and the watch that gives it for safety's sake."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from typing import NamedTuple

from bulk_onboard.errors import ExitCode
from bulk_onboard.facts import RowFinished
from bulk_onboard.model import Status
from bulk_onboard.settings import Safety

ALIKE = 20

# Ends of rows that say: Leaf, or the way to it, is out of order. Nothing is wrong with the row.
OUT_OF_ORDER = frozenset(
    {
        "connection-refused", "connect-timeout", "dns-failure", "tls-failure", "leaf-unavailable",
        "server-error", "no-answer", "connection-lost", "throttled-too-long",
    }
)  # fmt: skip


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
            self.on_drain(reason)

    def abort(self) -> None:
        """Stop at once. Safe: what is in flight is asked about by the next run."""
        self._draining.set()
        self._aborting.set()

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

    async def cut_short(self, work: Coroutine[None, None, None]) -> None:
        """Return when the work is done, or cancelled because no new row may start. Raises what it raises."""
        working = asyncio.ensure_future(work)
        drained = asyncio.ensure_future(self.drained())
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


class End(NamedTuple):
    """How a row ended, as far as the watch is concerned."""

    status: Status
    code: str


class Watch:
    """Looks at every outcome and says when going on would do harm or is pointless.

    ``harmless``: nothing is changed, so only a Leaf that is out of order is a reason. ``tried``: the rows
    that an earlier run attempted with the same content, which only count for that. ``to_do``: all rows to do.
    """

    def __init__(
        self, safety: Safety, to_do: int, *, harmless: bool = False, tried: Collection[int] = ()
    ) -> None:
        self._safety, self._harmless = safety, harmless
        self._tried = frozenset(tried)
        self._to_do = to_do - len(self._tried)
        self._ends: Counter[End] = Counter()
        self._finished = 0
        self._failures = 0
        self._out_of_order = 0

    def reason_to_stop(self, fact: RowFinished) -> str | None:
        """Why to stop after this row; None to go on."""
        bad = fact.status.needs_attention
        self._out_of_order = self._out_of_order + 1 if bad and fact.code in OUT_OF_ORDER else 0
        if self._harmless or fact.row in self._tried:
            return self._leaf_is_down(fact)
        self._finished += 1
        self._failures += bad
        if self._finished <= ALIKE:
            self._ends[End(fact.status, fact.code)] += 1
        return self._all_alike(fact) or self._leaf_is_down(fact) or self._too_many(fact)

    def _all_alike(self, fact: RowFinished) -> str | None:
        if self._finished != ALIKE or len(self._ends) != 1 or not fact.status.needs_attention:
            return None
        return f"the first {ALIKE} rows all ended {fact.status} for the same reason ({fact.code})"

    def _leaf_is_down(self, fact: RowFinished) -> str | None:
        if self._out_of_order < ALIKE:
            return None
        return f"Leaf has been unavailable for {ALIKE} consecutive rows ({fact.code})"

    def _too_many(self, fact: RowFinished) -> str | None:
        limit = self._safety.max_failures
        if limit is None or not limit.passed(self._failures, self._to_do):
            return None
        rows = "1 row" if self._failures == 1 else f"{self._failures} rows"
        latest = f"row {fact.row}, {fact.status}{f' ({fact.code})' if fact.code else ''}"
        return f"{rows} did not succeed, more than --max-failures allows; the latest: {latest}"
