"""The phases of a run: the canary, the POSTs, the events check. All they need is passed to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

import numpy as np

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Health, IfExists, Requests, Status, Traffic
from bulk_onboard.domain.run_events import Note, Phase, PhaseStarted
from bulk_onboard.domain.timestamps import utc_now
from bulk_onboard.domain.turns import Turns
from bulk_onboard.engine.check_events import EventsCheck, Recall
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.create_users import UserSources, create_users
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.first_pass import FirstPass, Memory, rows_to_do, store_input
from bulk_onboard.engine.onboard_row import Onboarding, no_hint
from bulk_onboard.engine.plan import rows_planned
from bulk_onboard.engine.ports import Connection, Keeper, Users
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.row_choice import both, canary_of, in_order, without
from bulk_onboard.engine.rows_to_check import rows_to_check, rows_unknown
from bulk_onboard.engine.user_list import Grower, ListedUsers, ListReader
from bulk_onboard.engine.worker_pool import Work
from bulk_onboard.policy.checks import Check
from bulk_onboard.policy.plan import PlanRule
from bulk_onboard.policy.stop_rules import canary_reason
from bulk_onboard.policy.user_list import FEWEST, due_before
from bulk_onboard.settings import Settings
from bulk_onboard.threads import in_thread
from bulk_onboard.workspace import Workspace

T = TypeVar("T")


class MeteredTurns(Turns, Protocol):
    """Turns that count their requests over time."""

    def traffic(self) -> Traffic:
        """Return the requests so far."""
        ...


class Workers(Protocol):
    """Other processes that take rows of this run to their outcomes, under one ceiling with this one."""

    @property
    def fewest(self) -> int:
        """How many rows are worth it."""
        ...

    @property
    def pace(self) -> MeteredTurns:
        """The pace of this process."""
        ...

    @property
    def requests(self) -> Requests:
        """What the other processes have sent."""
        ...

    async def post(self, phases: Phases, file: CheckedFile, first_pass: FirstPass, rows: np.ndarray) -> None:
        """Return when all of these rows have their outcomes, or no process works on one of them any more."""


@dataclass(frozen=True, slots=True)
class Phases:
    """The values that the phases of one run share.

    ``workspace`` has the rows of the run. ``users``: the calls for the list of users; ``listed``: that list,
    if it was read; ``plan``: what the rows are kept to. ``user_sources``: where users are found
    and created, None if rows need a leafUserId. ``recall``: the newest event that an earlier run saw.
    ``workers``: the processes that post, if this one does not alone.
    """

    settings: Settings
    run_no: int
    workspace: Workspace
    memory: Memory
    leaf: Connection
    context: RowContext
    keeper: Keeper
    brake: ReplacementBrake
    users: Users | None = None
    listed: ListedUsers | None = None
    user_sources: UserSources | None = None
    plan: PlanRule | None = None
    recall: Recall = lambda _entry: None
    workers: Workers | None = None

    async def onboard(self, file: CheckedFile, first_pass: FirstPass) -> None:
        """Post what is to do, the canary first, then check what is connected.

        Before all others those that an earlier run left without credentials: each minute counts for them.
        Last those that failed before with the same content; the canary has none that was attempted before.
        """
        urgent = first_pass.left_without
        if len(urgent):
            await self.post(file, first_pass, urgent)
        rest = replace(first_pass, wanted=without(first_pass.wanted, urgent))
        canary = canary_of(rest, self.settings.safety.canary)
        rest = await self.with_users(file, rest, canary if len(canary) else rest.wanted)
        await (await self.with_user_list(rest))._onboard(file, rest, canary)

    async def with_users(self, file: CheckedFile, first_pass: FirstPass, rows: np.ndarray) -> FirstPass:
        """Return the first pass when Leaf users of these rows' growers have been found or created."""
        if self.user_sources is None or self.context.stop.draining or not len(first_pass.unresolved):
            return first_pass
        first_pass = await create_users(self.user_sources, self.context, file, first_pass, rows)
        await in_thread(partial(store_input, self.workspace, self.memory, self.run_no))
        return first_pass

    async def _onboard(self, file: CheckedFile, first_pass: FirstPass, canary: np.ndarray) -> None:
        if len(canary):
            await self._send_canary(file, first_pass, canary)
            first_pass = replace(first_pass, wanted=without(first_pass.wanted, canary))
            first_pass = await self.with_users(file, first_pass, first_pass.wanted)
        for rows in in_order(first_pass):
            await self.post(file, first_pass, rows)
        if self.settings.events.check:
            began, due = utc_now(), await asyncio.to_thread(self._due)
            connected = partial(self.connected, every=False, began=began, checked_before=due)
            phases = self
            if due and self.listed is None:
                phases = await self._with_list(lambda: _growers(c for c in connected() if c.again))
            await phases._check(lambda: chain(connected(), rows_planned(file, first_pass)))
            await self._onboard_denied(file, first_pass)

    def _due(self) -> datetime | None:
        """Return the time before which a check of a connected grower is too old; None for no limit."""
        age, now = self.settings.events.recheck, utc_now()
        if age is None or self.context.stop.draining:
            return None
        return due_before(now, age, self.workspace.count_due(now - age))

    async def check_new(self, only: Sequence[int] | None = None) -> None:
        """Check what this run connected, or ``only`` these rows of it, and what was not healthy before."""
        began = utc_now()
        await self._check(lambda: self.connected(every=False, only=only, began=began))

    async def check_connected(self) -> None:
        """Check the connected rows of an earlier run."""
        await self._check_all(lambda: self.connected(every=True))

    async def check_file(self, file: CheckedFile, first_pass: FirstPass) -> None:
        """Check every valid row of the file, whether or not the ledger knows its grower."""
        unknown = replace(first_pass, wanted=without(first_pass.wanted, first_pass.unresolved))
        await self._check_all(lambda: chain(self.connected(every=True), rows_unknown(file, unknown)))

    async def _check_all(self, checks: Callable[[], Iterator[Check]]) -> None:
        phases = await self._with_list(lambda: _growers(checks()))
        await phases._check(checks)

    async def with_user_list(self, first_pass: FirstPass) -> Phases:
        """Return the same phases with Leaf's list of users, if the rows to do are to be asked about."""
        if self.context.policy.if_exists is IfExists.OVERWRITE or self.users is None or self.workers:
            return self
        # A list proves nothing about a POST that may have been stored.
        rows = without(without(first_pass.wanted, first_pass.known.intents.keys()), first_pass.unresolved)
        rows = np.sort(np.concatenate([rows, first_pass.connected]))
        if len(rows) < FEWEST:
            return self
        return await self._with_list(partial(self.workspace.growers, rows))

    async def _with_list(self, growers: Callable[[], Iterator[Grower]]) -> Phases:
        """Return the same with the list of users, if reading it takes fewer requests than single ones."""
        if self.users is None:
            return self
        reader = ListReader(self.context, self.leaf, self.users, seed=self.run_no)
        count = await in_thread(lambda: sum(1 for _ in growers()))
        return replace(self, listed=await reader.read(count, growers))

    async def _onboard_denied(self, file: CheckedFile, first_pass: FirstPass) -> None:
        """Onboard the rows that are not connected, though the list says so."""
        if self.listed and self.listed.denied:
            rows = sorted(self.listed.denied)
            self.listed.denied.clear()
            await self.post(file, first_pass, np.array(rows, np.int64))
            await self.check_new(rows)

    async def _send_canary(self, file: CheckedFile, first_pass: FirstPass, canary: np.ndarray) -> None:
        wanted = both(first_pass.wanted, canary)
        await self.post(file, first_pass, wanted)
        rows = canary.tolist()
        await self.check_new(rows)
        await self._onboard_denied(file, first_pass)
        entries = {e.row: e for e in self.memory.entries(self.run_no, rows[0], rows[-1])}
        unsent = Entry(0, Status.NOT_ATTEMPTED.value)
        sent = [entries.get(row, unsent._replace(row=row)) for row in wanted.tolist()]
        # The grower of a row was connected already under another name, so the row was not sent.
        lost = [entries[row] for row in rows if row in entries and _is_lost(entries[row], wanted)]
        if sick := [entry for entry in (*sent, *lost) if entry.health != Health.HEALTHY]:
            self.context.stop.drain(canary_reason(len(rows), sick))

    async def post(self, file: CheckedFile, first_pass: FirstPass, wanted: np.ndarray) -> None:
        """Take these rows to their outcomes."""
        if self.workers and len(wanted) >= self.workers.fewest and not self.context.stop.draining:
            self.context.observer(PhaseStarted("onboard", len(wanted)))
            await self.workers.post(self, file, first_pass, wanted)
            return
        hint = self.listed.hint_of if self.listed else no_hint
        work = Onboarding(self.context, self.leaf, self.keeper, self.brake, hint, self.plan)
        await self.work(rows_to_do(file, first_pass.known, wanted), work.onboard, "onboard", len(wanted))

    async def work(self, items: Iterator[T], work: Work[T], phase: Phase, count: int) -> None:
        """Work on ``count`` items, and return when what came of them is on disk."""
        context = self.context
        if not count or context.stop.draining:
            return
        context.observer(PhaseStarted(phase, count))
        await context.work_through(items, work)

    def connected(
        self,
        *,
        every: bool,
        only: Sequence[int] | None = None,
        began: datetime | None = None,
        checked_before: datetime | None = None,
    ) -> Iterator[Check]:
        """Yield the connected rows, see `rows_to_check`."""
        return rows_to_check(
            self.workspace,
            self.memory,
            self.run_no,
            every=every,
            only=only,
            began=began,
            checked_before=checked_before,
        )

    async def _check(self, checks: Callable[[], Iterator[Check]]) -> None:
        wait = self.settings.events.wait
        work = EventsCheck(self.context, self.leaf, wait, self.listed, self.recall)
        count = await in_thread(lambda: sum(1 for _ in checks()))
        await self.work(checks(), work.check, "events", count)
        for provider in work.logs.lacking:
            note = f"Leaf keeps no event log for {provider}, so no connection could be confirmed"
            self.context.observer(Note(note))


def _growers(checks: Iterable[Check]) -> Iterator[Grower]:
    return ((check.entry.provider, check.entry.leaf_user_id) for check in checks)


def _is_lost(entry: Entry, wanted: np.ndarray) -> bool:
    """Return whether a row ended because its grower has no Leaf user."""
    status = Status(entry.status) if entry.status else Status.UNRESOLVED
    return entry.row not in wanted and status.needs_attention
