"""The leader's side of the talk: reports and facts in, orders out, a few times a second."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Self

from bulk_onboard.cluster.talk import Order, Stopped, Told, facts_of, told_of
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import Opened
from bulk_onboard.errors import ExitCode, LedgerError
from bulk_onboard.facts import Held, Slowed, Trouble
from bulk_onboard.ledger.crew import Crew, Member
from bulk_onboard.model import Requests, Traffic
from bulk_onboard.orders import Report
from bulk_onboard.pace.leader import Leader

# Seconds between two rounds, and between two looks whether there is reason for one.
SPOKEN = 0.25
LOOKED = 0.1
# For so many seconds the last facts of a worker are waited for.
FAREWELL = 5.0
# Seconds without any worker that are worth a word.
SILENCE = 20.0


class Speaking:
    """While it is open, workers hear of the leader. ``rate``: requests per second of all, 0: no ceiling."""

    def __init__(self, opened: Opened, rate: float, facts: StoppingObserver) -> None:
        self._crew, self._hold, self._facts = Crew(opened.ledger, opened.run_no), opened.hold, facts
        self._leader = Leader(
            rate,
            on_hold=lambda seconds: facts(Held(seconds)),
            on_slower=lambda slower: facts(Slowed(slower)),
        )
        self._told: dict[str, Told] = {}
        self._heard: dict[str, int] = {}
        self._left, self._seen_at = 0.0, asyncio.get_running_loop().time()
        self._round = asyncio.Event()
        self._last = float("-inf")
        self._handed_in: dict[str, float] = {}
        # Of its own: nothing else may keep the leader from being heard of.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lead")

    async def __aenter__(self) -> Self:
        await self._speak()
        self._speaking = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._speaking.cancel()
        with suppress(asyncio.CancelledError):
            await self._speaking
        with suppress(LedgerError):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._crew.disband)
        self._thread.shutdown()

    @property
    def requests(self) -> Requests:
        """How many requests all workers have sent, as far as they have told."""
        return sum((told.requests for told in self._told.values()), Requests())

    def traffic(self) -> Traffic:
        """The same over time."""
        return self._leader.traffic(asyncio.get_running_loop().time())

    async def heard_out(self, told: Mapping[str, int] | None = None) -> None:
        """Return when whatever workers had told by now has been heard, and so many facts of each of these.

        Who has died does not tell the rest, so this ends after some seconds; the ledger knows it anyway.
        """
        for _ in range(2):  # the round under way may have asked already
            await self._next_round()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                while any(self._heard.get(worker, 0) < count for worker, count in (told or {}).items()):
                    await self._next_round()

    async def _next_round(self) -> None:
        self._round.clear()
        await self._round.wait()

    async def until_quiet(self, seconds: float) -> None:
        """Return when no worker may be sending any more, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.heard_out()
                while self._left > 0:
                    await self.heard_out()

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(LOOKED)
            if not await self._is_time():
                continue
            if self._hold.lost:
                self._facts.stop.drain(str(self._hold.lost), self._hold.lost.exit_code)
            elif self._hold.is_sure():  # else leases run out, before another run can begin
                try:
                    await self._speak()
                except LedgerError as error:
                    self._facts.stop.drain(str(error), error.exit_code)
            self._round.set()

    async def _is_time(self) -> bool:
        """Whether a round is due, or somebody has handed in something, which others may wait for."""
        loop = asyncio.get_running_loop()
        if self._hold.lost or loop.time() - self._last >= SPOKEN:
            return True
        try:
            heard = await loop.run_in_executor(self._thread, self._crew.heard)
        except LedgerError:
            return True  # the round will say so
        before, self._handed_in = self._handed_in, heard
        return heard != before

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        members = await loop.run_in_executor(self._thread, self._crew.lead, self._orders(loop.time()))
        for member in members:
            self._hear(member, loop.time())
        self._left = max((member.left for member in members), default=0.0)
        self._complain(loop.time())

    def _complain(self, now: float) -> None:
        """Say so when nobody has been working for long: tasks wait for as long as it takes."""
        if self._left > 0:
            self._seen_at = now
        elif now - self._seen_at > SILENCE:
            self._facts(Trouble("no worker has responded for a while; waiting for one"))

    def _hear(self, member: Member, now: float) -> None:
        worker, told = member.worker, told_of(member.told)
        self._told[worker] = told
        for fact in facts_of(told, self._heard.get(worker, 0)):
            self._facts(fact)
        self._heard[worker] = max(self._heard.get(worker, 0), told.first + len(told.facts))
        if told.pace:
            self._leader.hear(Report(**told.pace), now)
        if told.stopped:
            self._facts.stop.drain(told.stopped.reason, ExitCode(told.stopped.exit_code))

    def _orders(self, now: float) -> dict[str, str]:
        stop = self._facts.stop
        told = Stopped(stop.reason or "", int(stop.exit_code or 0), stop.hurrying) if stop.draining else None
        paces = self._leader.orders(now)
        return {
            worker: Order(heard, asdict(paces[worker]) if worker in paces else None, told).text()
            for worker, heard in self._heard.items()
        }
