"""The composition root: this module alone connects the parts of a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bulk_onboard.domain.entry import Entry, RecordedEvent
from bulk_onboard.domain.input_description import require_decision
from bulk_onboard.domain.model import Recorded, Requests
from bulk_onboard.domain.run_events import (
    About,
    FileChecked,
    InputDescribed,
    Note,
    Observer,
    Paused,
    RunKind,
    RunStarted,
    Slowed,
)
from bulk_onboard.engine.checked_file import CheckedFile, Reading, Source, reading_of
from bulk_onboard.engine.closing import RunResult, checked_again, ended, write
from bulk_onboard.engine.create_users import UserSources
from bulk_onboard.engine.dry_run import dry_run
from bulk_onboard.engine.first_pass import Comparison, FirstPass, read_and_compare, statuses_of, store_input
from bulk_onboard.engine.input_checks import check_input, tokens_of_others
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import (
    LedgerWait,
    Opened,
    begin_run,
    find_run,
    open_ledger,
    plan_in,
    providers_of,
    reopen_run,
    report_left_without,
    scopes_of,
)
from bulk_onboard.engine.phases import Phases, Workers
from bulk_onboard.engine.plan import Plan, restricted
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.results import results_of
from bulk_onboard.engine.row_choice import attempted, within_limit
from bulk_onboard.engine.session import connected, policy_of
from bulk_onboard.engine.stop import Confirm, StopSignal, is_confirmed
from bulk_onboard.errors import ExitCode, InputError
from bulk_onboard.ledger import Journal
from bulk_onboard.ledger.users import LedgerUsers
from bulk_onboard.pace import Pace
from bulk_onboard.policy.dry_run import asking
from bulk_onboard.policy.plan import PlanRule
from bulk_onboard.reports import results
from bulk_onboard.reports.saved_events import REPLACED_EVENTS, SavedEvents
from bulk_onboard.settings import Settings
from bulk_onboard.threads import in_thread
from bulk_onboard.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from bulk_onboard.leaf.client import LeafClient

__all__ = ["RunResult", "StopSignal", "check_events", "onboard"]

# The work to do with a connection to Leaf.
Work = Callable[[Phases], Awaitable[None]]
# Starts other processes that share the work of a run.
OpenWorkers = Callable[[Opened, StoppingObserver], AbstractAsyncContextManager[Workers]]


async def onboard(
    source: Source,
    settings: Settings,
    observer: Observer,
    stop: StopSignal | None = None,
    reading: Reading | None = None,
    *,
    confirm: Confirm | None = None,
    open_workers: OpenWorkers | None = None,
) -> RunResult:
    """Onboard every row of the source that is not onboarded yet, check events, write the report.

    Or only find out what that would do, or do only what was found out, as the settings say.
    ``reading``: what `reading_of` says of both, if that is known already. ``confirm`` is asked in a thread,
    before anything is written to Leaf; if it says no, nothing is. ``open_workers`` starts other processes
    that share the work.
    Raises InputError if the file cannot be used, LedgerBusy if another run holds the ledger, LedgerError,
    OutputError. A refused login or an early stop raises nothing; the result's exit code shows it.
    """
    require_decision(source.description)
    if reading is None:
        reading = await asyncio.to_thread(reading_of, source, settings)
    plan = await asyncio.to_thread(plan_in, settings)
    kind = RunKind.DRY_RUN if settings.dry_run else RunKind.RUN
    waiting = LedgerWait(observer, stop)
    async with begin_run(source.name, settings, kind, reading.providers, waiting) as opened:
        run = _Run(settings, opened, observer, stop)
        with run.workspace:
            async with open_workers(opened, run.facts) if open_workers else nullcontext() as run.workers:
                file, first_pass = await run.first_pass(source, reading, plan)
                phases = run.through(file, first_pass) if run.has_questions(first_pass) else None
                if confirm and len(first_pass.wanted) and not settings.dry_run:
                    await run.require(confirm, len(first_pass.wanted))
                await run.work(phases, len(first_pass.wanted))
            return await run.report()


async def check_events(
    what: str | Source, settings: Settings, observer: Observer, stop: StopSignal | None = None
) -> RunResult:
    """Check events only: of an earlier run (by its id) or of a file.

    Raises UsageError if there is no such run, and what `onboard` raises.
    """
    waiting = LedgerWait(observer, stop)
    if isinstance(what, str):
        async with reopen_run(what, settings, waiting) as opened:
            run = _Run(settings, opened, observer, stop)
            with run.workspace:
                run.load_input()
                await run.work(Phases.check_connected, 0)
                return await run.report()
    reading = await asyncio.to_thread(reading_of, what, settings)
    async with begin_run(what.name, settings, RunKind.EVENTS, reading.providers, waiting) as opened:
        run = _Run(settings, opened, observer, stop)
        with run.workspace:
            file, first_pass = await run.first_pass(what, reading)
            await run.work(lambda phases: phases.check_file(file, first_pass), 0)
            return await run.report()


def table(settings: Settings, result: RunResult) -> pd.DataFrame:
    """Return a run's results.csv as a DataFrame, from the ledger."""
    with open_ledger(settings) as ledger:
        run_no, info = find_run(ledger, result.info.run_id)
        with results_of(ledger, run_no, info, again=True) as workspace:
            return workspace.read(lambda db: results.table(db, info.kept))


class _Run:
    """One run on the ledger, from the first pass to the report."""

    def __init__(
        self, settings: Settings, opened: Opened, observer: Observer, stop: StopSignal | None
    ) -> None:
        self._settings, self._opened, self._place = settings, opened, opened.place
        self.facts = StoppingObserver(observer, stop or StopSignal(), policy_of(settings).patience)
        self._ledger, self._run_no, self._info = opened.ledger, opened.run_no, opened.info
        self._before = opened.info if opened.info.finished_at else None
        if self._before:
            self._info = checked_again(opened.info)
        self._providers = providers_of(self._info, settings.providers)
        owner = (self._info.leaf, self._info.owner)
        self._scope = self._ledger.scope(*owner, self._info.provider)
        self._scopes = scopes_of(self._ledger, self._info)
        self._users = LedgerUsers(self._ledger, *owner) if settings.input.create_users else None
        self._stop = self.facts.stop
        self._stop.grace = settings.leaf.timeout
        self._content: str | None = None
        self.workspace = Workspace(providers=self._info.provider.split(","))
        self._comparison = Comparison(
            self._ledger, self._scopes, settings.if_exists, settings.input.allow_shared_tokens
        )
        self.facts(RunStarted(self._info.run_id))
        report_left_without(self._ledger, self._info, self.facts)
        self._replaces: Mapping[int, Recorded] = {}
        self.workers: Workers | None = None

    def load_input(self) -> None:
        """Fill the workspace with what the ledger stores of the input of an earlier run."""
        self.workspace.keep(self._info.kept)
        self.workspace.load_blocks(data for _, _, data in self._ledger.blocks(self._run_no))

    async def first_pass(
        self, source: Source, reading: Reading, plan: Plan | None = None
    ) -> tuple[CheckedFile, FirstPass]:
        """Read and check the whole file. Raises InputError, UsageError; then the run is discarded."""
        try:
            if plan is not None:
                plan.require(self._info.leaf, self._info.owner)
            file, first_pass = await in_thread(partial(self._first_pass, source, reading), self._stop.abort)
            if self._settings.input.strict and first_pass.invalid:
                raise InputError(
                    f"{source.name}: {first_pass.invalid} of {first_pass.rows} rows are invalid, and --strict"
                    " allows none; `bulk-onboard validate` shows them"
                )
            self._content = file.content()
            notes = await in_thread(partial(self._check_input, source.name, first_pass))
            first_pass = await in_thread(partial(self._chosen, file, first_pass, plan))
        except BaseException:
            self._ledger.discard(self._run_no)
            raise
        self._info = replace(
            self._info,
            rows=first_pass.rows,
            kept=self.workspace.kept,
            left_out=first_pass.left_out,
            environments=first_pass.environments,
            plan=plan.name if plan else None,
            description=file.description,
        )
        self._ledger.amend(self._info)
        tried, dry = attempted(first_pass).tolist(), self._settings.dry_run
        self.facts.watch(self._settings.safety, len(first_pass.wanted), read_only=dry, tried=tried)
        self.facts(InputDescribed(file.description))
        self.facts(
            FileChecked(
                source.name, first_pass.rows, first_pass.statuses, len(first_pass.wanted), first_pass.warnings
            )
        )
        for note in filter(None, [source.row_ranges(), *notes, tokens_of_others(first_pass)]):
            self.facts(Note(note))
        return file, first_pass

    def _first_pass(self, source: Source, reading: Reading) -> tuple[CheckedFile, FirstPass]:
        file = CheckedFile(source, reading, self._ledger.key)
        self.workspace.keep([name for name, _ in file.columns.keep])
        first_pass = read_and_compare(
            file,
            self.workspace,
            self._comparison,
            known_users=self._users.known if self._users else None,
            observer=self.facts,
            stopped=lambda: self._stop.draining,
        )
        return file, first_pass

    def _check_input(self, name: str, first_pass: FirstPass) -> list[str]:
        return check_input(
            self._ledger,
            self._run_no,
            self._scopes,
            name=name,
            first_pass=first_pass,
            content=self._content or "",
            safety=self._settings.safety,
        )

    def _chosen(self, file: CheckedFile, first_pass: FirstPass, plan: Plan | None) -> FirstPass:
        """Return the rows to do within the plan and the limit. The input is stored up to the last of them."""
        if plan is not None:
            first_pass, self._replaces = restricted(first_pass, plan, checked=self._settings.events.check)
        if self._settings.limit is not None:
            first_pass = self._limited(file, first_pass, self._settings.limit)
        store_input(self.workspace, self._ledger, self._run_no)
        return first_pass

    def _limited(self, file: CheckedFile, first_pass: FirstPass, limit: int) -> FirstPass:
        wanted = within_limit(first_pass, limit)
        if not (left_out := len(first_pass.wanted) - len(wanted)):
            return first_pass
        self.workspace.remove_rows_after(int(wanted[-1]))
        return replace(
            first_pass,
            rows=self.workspace.count("SELECT count(*) FROM rows"),
            wanted=wanted,
            statuses=statuses_of(self.workspace),
            environments=self.workspace.environments(file.environment_marks()),
            left_out=left_out,
        )

    def through(self, file: CheckedFile, first_pass: FirstPass) -> Work:
        """Return the work on the rows to do: a dry run, a plan or the usual phases, as the settings say."""

        async def go(phases: Phases) -> None:
            if self._settings.dry_run:
                forecast = await dry_run(phases, file, first_pass)
                self._info = replace(self._info, forecast=forecast)
            elif self._settings.plan:
                await self._keeping_to_plan(phases).onboard(file, first_pass)
            else:
                await phases.onboard(file, first_pass)

        return go

    def _keeping_to_plan(self, phases: Phases) -> Phases:
        """Return phases that ask Leaf again in every mode: it may have changed since the plan was made."""
        mode, replaces = self._settings.if_exists, self._replaces
        return replace(
            phases,
            context=replace(phases.context, policy=asking(phases.context.policy)),
            plan=PlanRule(replaces, mode),
        )

    def has_questions(self, first_pass: FirstPass) -> bool:
        """Return whether any row needs a request to Leaf."""
        settings = self._settings
        checks = settings.events.check and (first_pass.unhealthy or settings.events.recheck)
        return bool(len(first_pass.wanted) or checks or settings.dry_run or settings.plan)

    def _about(self, to_do: int) -> About:
        info = self._info
        return About(
            info.run_id,
            self._place.shown,
            info.owner,
            info.provider,
            to_do,
            self._settings.pace.rate,
            info.environments,
            self._settings.dry_run,
        )

    async def require(self, confirm: Confirm, to_do: int) -> None:
        """Stop the run unless a person confirms it."""
        if not await is_confirmed(confirm, self._about(to_do), self._stop):
            self._stop.drain("not confirmed; nothing was sent", ExitCode.INTERRUPTED)

    async def work(self, phases: Work | None, to_do: int) -> None:
        """Contact Leaf, then go through the phases. What stops them ends up in the run's info.

        ``phases`` None: there is nothing to do, but a login that is refused would be noticed too late.
        """
        info = self._info
        self.facts(self._about(to_do))
        if self._stop.draining:
            return
        changes = (lambda s: self.facts(Paused(s)), lambda rate: self.facts(Slowed(rate)))
        pace = self.workers.pace if self.workers else Pace(self._settings.pace.rate, *changes)
        policy, run = policy_of(self._settings), (self._opened, self._settings, self._providers, self.facts)
        async with (
            connected(*run, policy=policy, turns=pace) as session,
            self._user_sources(session.client) as user_sources,
        ):
            ready = Phases(
                settings=self._settings,
                run_no=self._run_no,
                workspace=self.workspace,
                memory=self._ledger,
                leaf=session.client,
                context=session.context,
                brake=ReplacementBrake(self._stop),
                keeper=SavedEvents(self._settings.output.folder / info.run_id / REPLACED_EVENTS),
                users=session.client,
                user_sources=user_sources,
                recall=self._recorded_event,
                workers=self.workers,
            )
            await self._stop.cut_short(session.client.contact())
            if phases is not None and not self._stop.draining:
                await phases(ready)
        sent = session.client.requests + (self.workers.requests if self.workers else Requests())
        self._info = replace(self._info, requests=info.requests + sent, traffic=pace.traffic())

    def _recorded_event(self, entry: Entry) -> RecordedEvent | None:
        return self._ledger.recorded_event(self._scopes.get(entry.provider, self._scope), entry.leaf_user_id)

    @asynccontextmanager
    async def _user_sources(self, client: LeafClient) -> AsyncIterator[UserSources | None]:
        """Context manager: where users are looked up and created, None if the settings forbid it."""
        if self._users is None:
            yield None
        elif self._settings.dry_run:
            yield UserSources(client, None, (), self._comparison)
        else:
            async with Journal(self._users, self._run_no, self._scope) as users:
                open_keys = await in_thread(self._users.open_keys)
                yield UserSources(client, users, open_keys, self._comparison)

    # --- the end ------------------------------------------------------------------------------------

    async def report(self) -> RunResult:
        """Record how the run ended, and write its files."""
        self._info = ended(self._info, self._stop)
        if self._users:
            await in_thread(partial(self._users.forget_lost, self._run_no))
        await in_thread(self._ledger.prune)
        run = (self._ledger, self._run_no, self._info, self._settings.output, self._before)
        writing = partial(
            write,
            *run,
            content=self._content,
            fail_on=self._settings.fail_on,
            workspace=self.workspace,
        )
        return await in_thread(writing)
