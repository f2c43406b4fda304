"""The phases of a run: the canary, the POSTs, the events check. Everything they need is handed in."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import numpy as np

from bulk_onboard.decide import Policy
from bulk_onboard.engine.follow import Check, Following
from bulk_onboard.engine.observe import Observing
from bulk_onboard.engine.onboard import Onboarding, utc_now
from bulk_onboard.engine.pool import work_through
from bulk_onboard.engine.ports import Connection, Journal
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.survey import Memory, Survey, rows_to_check, rows_to_do, rows_unknown
from bulk_onboard.facts import PhaseStarted
from bulk_onboard.model import Health, Status
from bulk_onboard.settings import Settings

# Rows that wait (for a backoff, for an event) hold no slot, but a little memory.
OPEN_ROWS = 10_000
# Seconds for which rows are begun ahead of their first request: an intent has to be on disk by then.
AHEAD = 0.1


def policy_of(settings: Settings) -> Policy:
    """How patient rows are: a request that timed out may be at work as long again."""
    timeout = settings.leaf.timeout
    return Policy(if_exists=settings.if_exists, settle=min(1.0, timeout), settle_slow=timeout)


@dataclass(frozen=True, slots=True)
class Phases:
    """What the phases of one run work with.

    ``provider`` is that of rows which the ledger tells none of; ``in_flight`` bounds the rows between an
    intent and an answer.
    """

    settings: Settings
    run_no: int
    provider: str
    memory: Memory
    leaf: Connection
    journal: Journal
    in_flight: int
    stop: StopSignal
    facts: Observing
    policy: Policy

    async def onboard(self, scan: Scan, found: Survey) -> None:
        """Post what is to do, the canary first, then check what is connected."""
        wanted, canary = found.wanted, self.settings.safety.canary
        if canary and len(wanted):
            await self._send_canary(scan, found, wanted[:canary])
            wanted = wanted[canary:]
        await self._post(scan, found, wanted)
        if self.settings.events.check:
            await self.check_connected(every=False)

    async def check_connected(self, *, every: bool = True) -> None:
        """Check connected rows: those of this run, and of earlier ones those that were not well, or all."""
        began = utc_now()
        await self._check(lambda: self._connected(every=every, began=began))

    async def check_file(self, scan: Scan, found: Survey) -> None:
        """Check every valid row of the file, whether or not the ledger knows its grower."""
        known = self._connected(every=True)
        total = len(found.wanted) + found.statuses.get(Status.EXISTING, 0)
        await self._check(lambda: chain(known, rows_unknown(scan, found)), total)

    async def _send_canary(self, scan: Scan, found: Survey, wanted: np.ndarray) -> None:
        await self._post(scan, found, wanted)
        rows = wanted.tolist()
        await self._check(lambda: self._connected(every=False, only=rows))
        entries = self.memory.entries(self.run_no, rows[0], rows[-1])
        healthy = sum(entry.health == Health.HEALTHY for entry in entries if entry.row in rows)
        if healthy < len(rows):
            self.stop.drain(f"only {healthy} of the first {len(rows)} rows (--canary) are healthy")

    async def _post(self, scan: Scan, found: Survey, wanted: np.ndarray) -> None:
        if not len(wanted) or self.stop.draining:
            return
        self.facts(PhaseStarted("onboard", len(wanted)))
        work = Onboarding(
            leaf=self.leaf,
            journal=self.journal,
            policy=self.policy,
            stop=self.stop,
            observer=self.facts,
            slots=asyncio.Semaphore(self.in_flight),
            draw=random.random,
        )
        rows = rows_to_do(scan, wanted, found.intents)
        await work_through(rows, work.onboard, self.stop, starts=self._starts(), in_hand=OPEN_ROWS)
        await self.journal.flush()

    def _starts(self) -> int:
        """How many rows may be begun and wait for their first request."""
        rate = self.settings.pace.rate
        return min(self.in_flight, 2 + math.ceil(rate * AHEAD)) if rate else self.in_flight

    def _connected(
        self, *, every: bool, only: Sequence[int] | None = None, began: datetime | None = None
    ) -> Iterator[Check]:
        """The connected rows, as `rows_to_check` tells."""
        return rows_to_check(self.memory, self.run_no, self.provider, every=every, only=only, began=began)

    async def _check(self, checks: Callable[[], Iterator[Check]], total: int | None = None) -> None:
        if total is None:
            total = await asyncio.to_thread(lambda: sum(1 for _ in checks()))
        if not total or self.stop.draining:
            return
        self.facts(PhaseStarted("events", total))
        work = Following(
            leaf=self.leaf,
            journal=self.journal,
            policy=self.policy,
            stop=self.stop,
            observer=self.facts,
            slots=asyncio.Semaphore(self.in_flight),
            draw=random.random,
            wait=self.settings.events.wait,
        )
        await work_through(checks(), work.check, self.stop, starts=self._starts(), in_hand=OPEN_ROWS)
        await self.journal.flush()
