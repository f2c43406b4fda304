"""A run on several workers, from the side of the process that was started: what is to be done, and when."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from bulk_onboard.cluster import door
from bulk_onboard.cluster.fleet import fleet
from bulk_onboard.cluster.job import Counted, Done, Errand, Job, Judged, Looked, errands
from bulk_onboard.cluster.marks import marks_of
from bulk_onboard.cluster.speaking import Speaking
from bulk_onboard.domain.input_description import InputDescription, require_decision
from bulk_onboard.domain.providers import Provider
from bulk_onboard.engine.closing import RunResult, ended, write
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import Opened, Waiting, begun, providers_of, report_left_without, scopes_of
from bulk_onboard.engine.phases import policy_of
from bulk_onboard.engine.scan import content_of
from bulk_onboard.engine.stop import Confirm, LockedTurns, StopSignal, is_confirmed
from bulk_onboard.engine.surprises import surprises
from bulk_onboard.engine.survey import entries_of
from bulk_onboard.entry import Entry
from bulk_onboard.errors import (
    BulkOnboardError,
    ExitCode,
    InputError,
    Interrupted,
    NoRows,
    StoppedForSafety,
)
from bulk_onboard.facts import (
    About,
    Begun,
    InputDescribed,
    Kind,
    Note,
    Observer,
    PhaseStarted,
    Scanned,
    Trouble,
)
from bulk_onboard.facts import Reading as ReadSoFar
from bulk_onboard.model import Health, Status
from bulk_onboard.pace import Pace
from bulk_onboard.policy.stop_rules import canary_reason
from bulk_onboard.readers.parts import Part
from bulk_onboard.repeats import findings_of
from bulk_onboard.settings import Cluster, Settings
from bulk_onboard.threads import in_thread

# So many rows may meet in one bucket: what a worker holds of them are some 100 bytes each.
BUCKET = 2_000_000
# Seconds for which workers that were told to stop at once are waited for.
PARTING = 6.0


@dataclass(frozen=True, slots=True)
class Input:
    """What is to be onboarded: how it is read, its parts, and the providers that its rows go to.

    ``note``: what is worth knowing of it, "" for nothing.
    """

    description: InputDescription
    parts: Sequence[Part]
    providers: Sequence[Provider]
    note: str = ""

    @property
    def name(self) -> str:
        """The input's name for people."""
        return self.description.name


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the settings came from, so that workers can find them too: ``given`` are the options."""

    given: Mapping[str, Any]
    config: str | None = None


async def onboard(
    source: Input,
    settings: Settings,
    surroundings: Surroundings,
    observer: Observer,
    stop: StopSignal | None = None,
    *,
    confirm: Confirm | None = None,
) -> RunResult:
    """Onboard every row that is not onboarded yet, on the workers that the settings name.

    Raises as `engine.run.onboard` does, and UsageError for a cluster that is not there.
    """
    assert settings.cluster is not None  # noqa: S101  (narrows the type)
    require_decision(source.description)
    waiting = Waiting(observer, stop)
    async with begun(source.name, settings, Kind.RUN, source.providers, waiting) as opened:
        run = _Led(
            settings, opened, StoppingObserver(observer, stop or StopSignal(), policy_of(settings).patience)
        )
        async with run.led(settings.cluster, surroundings):
            await run.survey(source)
            await run.begin(confirm)
            await run.work()
        return await run.report()


class _Led:
    """One run on the ledger, from the survey to the report."""

    def __init__(self, settings: Settings, opened: Opened, facts: StoppingObserver) -> None:
        self._settings, self._opened, self._facts = settings, opened, facts
        self._ledger, self._run_no, self._info = opened.ledger, opened.run_no, opened.info
        self._stop = facts.stop
        self._stop.grace = settings.leaf.timeout
        self._scopes = scopes_of(self._ledger, self._info)
        self._scope = self._ledger.scope(self._info.leaf, self._info.owner, self._info.provider)
        self._speaking = Speaking(opened, settings.pace.rate, facts)
        self._errands: list[Errand] = []
        self._seen: dict[int, tuple[bytes, ...]] = {}
        self._first: tuple[int, ...] = ()
        self._to_do: dict[int, int] = {}
        self._to_check: dict[int, int] = {}
        self._content = ""
        self._facts(Begun(self._info.run_id))
        report_left_without(self._ledger, self._info, self._facts)

    @asynccontextmanager
    async def led(self, where: Cluster, surroundings: Surroundings) -> AsyncIterator[None]:
        """With the workers, and on speaking terms with them. A run that came to nothing is forgotten."""
        try:
            async with fleet(where) as self._fleet, self._speaking:
                self._job = self._job_of(surroundings)
                yield
                self._info = replace(
                    self._info,
                    requests=self._info.requests + self._speaking.requests,
                    traffic=self._speaking.traffic(),
                )
        except BaseException:
            if not self._info.rows:
                await in_thread(partial(self._ledger.discard, self._run_no))
            raise

    def _job_of(self, surroundings: Surroundings) -> Job:
        info, place, ledger = self._info, self._opened.place, self._ledger
        where = self._settings.output.ledger_place
        providers = providers_of(info, self._settings.providers)
        return Job(
            run_id=info.run_id,
            run_no=self._run_no,
            epoch=ledger.epoch or "",
            ledger=str(where.absolute()) if isinstance(where, Path) else None,
            given=surroundings.given,
            config=surroundings.config,
            base_url=place.leaf.base_url,
            identity=place.identity,
            owner=info.owner,
            providers=tuple(provider.name for provider in providers),
            marks=marks_of(self._settings, providers, ledger.key, place.owner),
        )

    # --- before anything is sent --------------------------------------------------------------------

    async def survey(self, source: Input) -> None:
        """Have every part read and checked. Raises InputError, StoppedForSafety; nothing was sent then."""
        name = source.name
        self._errands = list(errands(source.parts, self._settings.input.limit))
        looked = await self._looked()
        lines = chain.from_iterable(each.skipped for each in looked)
        self._description = source.description.with_skipped(lines)
        rows = sum(each.rows for each in looked)
        if not rows:
            raise NoRows(f"{name} has a header but no rows")
        counted = await self._counted()
        statuses: Counter[Status] = Counter()
        for each in counted:
            statuses.update({Status(word): number for word, number in each.statuses.items()})
        if self._settings.input.strict and (invalid := statuses[Status.INVALID]):
            raise InputError(
                f"{name}: {invalid} of {rows} rows are invalid, and --strict allows none;"
                " `bulk-onboard validate` shows them"
            )
        self._content = content_of(digest for each in looked for digest in each.seen)
        notes = await in_thread(partial(self._surprises, name, rows, sum(each.new for each in counted)))
        self._remember(looked, counted)
        warnings = sum((Counter(each.warnings) for each in looked), Counter())
        to_do = sum(self._to_do.values())
        self._facts.watch(self._settings.safety, to_do)
        self._facts(InputDescribed(self._description))
        self._facts(Scanned(name, rows, statuses, to_do, warnings))
        for note in filter(None, [source.note, *notes]):
            self._facts(Note(note))

    async def _looked(self) -> list[Looked]:
        """Every part read through; what only the whole shows is in the ledger after this."""
        submit, job = self._fleet.submit, self._job
        looks = [submit(door.look, job, each, name=f"look-{each.number:05}") for each in self._errands]
        sums = [submit(door.summed_up, look, name=f"sums-{i:05}") for i, look in enumerate(looks)]
        found: list[Looked] = []
        async for each in self._before_sending(sums):
            found.append(each)
            self._facts(ReadSoFar(sum(one.rows for one in found)))
        await self._judge(looks, sum(each.rows for each in found))
        return sorted(found, key=lambda each: each.number)

    async def _judge(self, looks: Sequence[Any], rows: int) -> None:
        submit, many = self._fleet.submit, math.ceil(rows / BUCKET)
        allowed = self._settings.input.allow_shared_tokens
        tasks = []
        for bucket in range(many):
            shares = [
                submit(door.share, look, bucket, many, name=f"share-{bucket}-{i:05}")
                for i, look in enumerate(looks)
            ]
            tasks.append(submit(door.judge, shares, allowed, name=f"judge-{bucket}"))
        found: list[Judged] = [each async for each in self._before_sending(tasks)]
        told = findings_of(findings for each in found for findings in each.findings)
        await in_thread(partial(self._ledger.write, self._run_no, self._scope, [], entries_of(told)))

    async def _counted(self) -> list[Counted]:
        submit, job, safety = self._fleet.submit, self._job, self._settings.safety
        told = (safety.canary, safety.max_new is not None)
        tasks = [
            submit(door.count, job, each, *told, name=f"count-{each.number:05}") for each in self._errands
        ]
        found: list[Counted] = [each async for each in self._before_sending(tasks)]
        return sorted(found, key=lambda each: each.number)

    async def _before_sending(self, tasks: Sequence[Any]) -> AsyncIterator[Any]:
        async for found in self._fleet.each(tasks):
            if self._stop.exit_code is ExitCode.INTERRUPTED:
                raise Interrupted("interrupted while the file was being read; nothing was sent")
            if self._stop.draining:
                raise StoppedForSafety(f"{self._stop.reason}; nothing was sent")
            yield found

    def _surprises(self, name: str, rows: int, new: int) -> list[str]:
        return surprises(
            self._ledger,
            self._run_no,
            self._scopes,
            name=name,
            rows=rows,
            new=lambda: new,
            content=self._content,
            safety=self._settings.safety,
        )

    def _remember(self, looked: Sequence[Looked], counted: Sequence[Counted]) -> None:
        environments: Counter[str] = sum((Counter(each.environments) for each in looked), Counter())
        self._seen = {each.number: each.seen for each in looked}
        self._to_do = {each.number: each.to_do for each in counted}
        self._to_check = {each.number: each.to_check for each in counted}
        first = [row for each in counted for row in each.first]
        self._first = tuple(first[: self._settings.safety.canary])
        rows = sum(each.rows for each in looked)
        self._info = replace(
            self._info,
            rows=rows,
            kept=looked[0].kept,
            environments=environments,
            description=self._description,
        )
        self._ledger.amend(self._info)

    # --- the work -----------------------------------------------------------------------------------

    async def begin(self, confirm: Confirm | None) -> None:
        """Have a person agree, then contact Leaf: a refused login would else be noticed by each worker.

        What is against it stops the run.
        """
        about = self._about()
        if confirm and about.to_do and not await is_confirmed(confirm, about, self._stop):
            self._stop.drain("not confirmed; nothing was sent", ExitCode.INTERRUPTED)
        self._facts(about)
        if self._stop.draining:
            return
        from bulk_onboard.leaf.client import LeafClient  # noqa: PLC0415  (not before the input is known to be good)

        rate = self._settings.pace.rate
        turns = LockedTurns(Pace(rate), self._opened.hold)
        async with LeafClient(self._opened.place.leaf, [], turns, on_trouble=self._trouble) as client:
            try:
                await self._stop.cut_short(client.contact())
            except BulkOnboardError as error:
                self._stop.drain(str(error), error.exit_code)
            self._info = replace(self._info, requests=self._info.requests + client.requests)
        # What the workers send is under a ceiling of its own: let no second hold requests of both.
        await self._stop.pause(max(1.0, client.requests.total / rate) if rate else 0.0)

    def _trouble(self, message: str) -> None:
        self._facts(Trouble(message))

    async def work(self) -> None:
        """Onboard what is to do and check events. What stops it ends up in the run's info."""
        if self._stop.draining:
            return
        try:
            if self._first:
                await self._send_canary()
            await self._onboard()
            if self._settings.events.check:
                await self._check()
        except BulkOnboardError as error:
            self._stop.drain(str(error), error.exit_code)
        await self._speaking.until_quiet(PARTING if self._stop.draining else 0.0)

    def _about(self) -> About:
        info = self._info
        return About(
            info.run_id,
            self._opened.place.shown,
            info.owner,
            info.provider,
            sum(self._to_do.values()),
            self._settings.pace.rate,
            info.environments,
        )

    async def _onboard(self, only: tuple[int, ...] = ()) -> None:
        """Have all rows to do onboarded, or ``only`` these."""
        mine = [each for each in self._errands if self._to_do[each.number]]
        if self._stop.draining or not mine:
            return
        self._facts(PhaseStarted("onboard", len(only) or sum(self._to_do.values())))
        await self._through(
            [self._submitted(door.onboard, each, self._seen[each.number], only) for each in mine]
        )

    async def _check(self, only: tuple[int, ...] = ()) -> None:
        """Have the events of all connected rows checked, or of ``only`` these."""
        mine = [each for each in self._errands if self._to_check[each.number]]
        if self._stop.draining or not mine:
            return
        self._facts(PhaseStarted("events", len(only) or sum(self._to_check.values())))
        await self._through([self._submitted(door.check, each, only) for each in mine])

    def _submitted(self, function: Any, errand: Errand, *more: Any) -> Any:
        name = f"{function.__name__}{'-canary' if more[-1] else ''}-{errand.number:05}"
        return self._fleet.submit(function, self._job, errand, *more, name=name)

    async def _through(self, tasks: Sequence[Any]) -> None:
        """Return when all are done and heard of, or the run has to end at once."""

        async def all_done() -> None:
            told: dict[str, int] = {}
            async for done in self._fleet.each(tasks):
                self._note(done)
                told[done.worker] = max(told.get(done.worker, 0), done.told)
            await self._speaking.heard_out(told)

        everything = asyncio.ensure_future(all_done())
        aborted = asyncio.ensure_future(self._stop.aborted())
        try:
            await asyncio.wait({everything, aborted}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({everything}, timeout=PARTING)
        finally:
            aborted.cancel()
            everything.cancel()
        if everything.done() and not everything.cancelled():
            everything.result()

    def _note(self, done: Done) -> None:
        self._to_check[done.number] = max(self._to_check[done.number], done.to_check)

    async def _send_canary(self) -> None:
        rows = self._first
        await self._onboard(rows)
        await self._check(rows)
        entries = await in_thread(partial(self._ledger.entries, self._run_no, rows[0], rows[-1]))
        known = {entry.row: entry for entry in entries}
        sent = [known.get(row, Entry(row, Status.NOT_ATTEMPTED.value)) for row in rows]
        if sick := [entry for entry in sent if entry.health != Health.HEALTHY]:
            self._stop.drain(canary_reason(len(rows), sick))

    # --- the end ------------------------------------------------------------------------------------

    async def report(self) -> RunResult:
        """Record how the run ended, and write its files."""
        self._info = ended(self._info, self._stop)
        for scope in self._scopes.values():
            await in_thread(partial(self._ledger.remember, scope))
        await in_thread(self._ledger.prune)
        run = (self._ledger, self._run_no, self._info, self._settings.output)
        return await in_thread(partial(write, *run, content=self._content, fail_on=self._settings.fail_on))
