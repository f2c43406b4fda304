"""The composition root: everything is wired here, and only here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from bulk_onboard import manifest
from bulk_onboard.engine.observe import Observing
from bulk_onboard.engine.onboard import utc_now
from bulk_onboard.engine.phases import Phases, policy_of
from bulk_onboard.engine.scan import Reading, Scan, Source
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.survey import Survey, survey
from bulk_onboard.errors import BulkOnboardError, ExitCode, InputError, UsageError
from bulk_onboard.facts import About, Held, Observer, RunInfo, Scanned, Trouble
from bulk_onboard.leaf.auth import owner
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.leaf.sockets import sockets
from bulk_onboard.ledger import Journal, Ledger, hold
from bulk_onboard.ledger.lock import me
from bulk_onboard.model import Requests
from bulk_onboard.pace import Pace
from bulk_onboard.providers import PROVIDERS, Provider
from bulk_onboard.report.files import write_json, write_results
from bulk_onboard.report.rows import merge
from bulk_onboard.report.summary import summary, words
from bulk_onboard.report.tally import Tally, exit_code
from bulk_onboard.settings import LeafSettings, OutputSettings, Settings

__all__ = ["RunResult", "StopSignal", "check_events", "onboard", "write_again"]

NO_CEILING_IN_FLIGHT = 128
MOST_IN_FLIGHT = 8192
SANDBOX_EVENT_DELAY = 0.3  # seconds; Leaf takes longer, but who practises should not wait


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to.

    ``summary`` is what summary.json holds, ``words`` gives the closing text for people, so many columns wide.
    ``code`` is how this command ended: a later check of a run's events ends in its own way.
    """

    info: RunInfo
    summary: dict[str, Any]
    words: Callable[[int], str]
    files: tuple[Path, ...]
    folder: Path
    code: ExitCode

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        return int(self.code)


async def onboard(
    source: Source, settings: Settings, observer: Observer, stop: StopSignal | None = None
) -> RunResult:
    """Onboard every row of the source that is not onboarded yet, check events, write the report.

    Raises InputError if the file cannot be used, LedgerBusy if another run holds the ledger, LedgerError,
    OutputError. A refused login or an early stop is no exception but the result's exit code.
    """
    async with _begun(source.name, settings, observer, stop or StopSignal()) as run:
        scan, found = await run.survey(source)
        await run.work(lambda phases: phases.onboard(scan, found), len(found.wanted))
        return await run.report()


async def check_events(
    what: str | Source, settings: Settings, observer: Observer, stop: StopSignal | None = None
) -> RunResult:
    """The events check alone: of a run that was (its id), or of a file.

    Raises UsageError if there is no such run, and what `onboard` raises.
    """
    if isinstance(what, str):
        async with _reopened(what, settings, observer, stop or StopSignal()) as run:
            await run.work(lambda phases: phases.check_connected(), 0)
            return await run.report()
    async with _begun(what.name, settings, observer, stop or StopSignal()) as run:
        scan, found = await run.survey(what)
        await run.work(lambda phases: phases.check_file(scan, found), 0)
        return await run.report()


def write_again(run_id: str | None, settings: Settings) -> RunResult:
    """Write a run's files again from the ledger: the latest run's if ``run_id`` is None.

    Raises UsageError if there is no such run, LedgerError, OutputError.
    """
    with Ledger(settings.output.ledger_path) as ledger:
        run_no, info = _find(ledger, run_id)
        _require_blocks(ledger, run_no, info)
        return _write(ledger, run_no, info, settings.output)


def table(settings: Settings, result: RunResult) -> pd.DataFrame:
    """A run's results.csv as a DataFrame, from the ledger."""
    with Ledger(settings.output.ledger_path) as ledger:
        run_no, info = _find(ledger, result.info.run_id)
        pages = list(_pages(ledger, run_no, info.provider))
    return pd.concat(pages, ignore_index=True) if pages else pd.DataFrame()


class _Run:
    """One run on the ledger, from the survey to the report."""

    def __init__(self, settings: Settings, place: Place, entry: Opened, facts: Observing) -> None:
        self._settings, self._place, self._facts = settings, place, facts
        self._ledger, self._run_no, self._info = entry.ledger, entry.run_no, entry.info
        self._before = entry.info if entry.info.finished_at else None
        if self._before:
            self._info = _looked_at_again(entry.info)
        self._provider = provider_named(self._info.provider)
        self._scope = self._ledger.scope(self._info.leaf, self._info.provider)
        self._stop = facts.stop
        self._stop.grace = settings.leaf.timeout

    async def survey(self, source: Source) -> tuple[Scan, Survey]:
        """Read and check the whole file. Raises InputError; then nothing is kept of the run."""
        try:
            scan = Scan(source, self._reading(), self._ledger.key)
            found = await asyncio.to_thread(self._surveyed, scan)
            if self._settings.input.strict and found.invalid:
                raise InputError(
                    f"{source.name}: {found.invalid} of {found.rows} rows are invalid, and --strict allows"
                    " none; `bulk-onboard validate` shows them"
                )
        except BaseException:
            self._ledger.discard(self._run_no)
            raise
        kept = tuple(name for name, _ in scan.columns.keep)
        self._info = replace(self._info, rows=found.rows, kept=kept)
        self._ledger.amend(self._info)
        self._facts.watch(self._settings.safety, len(found.wanted))
        self._facts(Scanned(source.name, found.rows, found.statuses, len(found.wanted), found.warnings))
        return scan, found

    def _reading(self) -> Reading:
        told = self._settings.input
        return Reading(
            provider=self._provider,
            app=self._settings.app,
            mapping=told.mapping,
            keep=told.keep,
            limit=told.limit,
            allow_shared_tokens=told.allow_shared_tokens,
        )

    def _surveyed(self, scan: Scan) -> Survey:
        return survey(
            scan,
            self._ledger,
            self._run_no,
            self._scope,
            if_exists=self._settings.if_exists,
            observer=self._facts,
            stopped=lambda: self._stop.draining,
        )

    async def work(self, phases: Callable[[Phases], Awaitable[None]], to_do: int) -> None:
        """Connect to Leaf and go through the phases. What stops them ends up in the run's info."""
        pace = Pace(self._settings.pace.rate, on_hold=lambda seconds: self._facts(Held(seconds)))
        in_flight = _in_flight(self._settings)
        leaf, info = self._place.leaf, self._info
        self._facts(
            About(info.run_id, self._place.shown, info.owner, info.provider, to_do, self._settings.pace.rate)
        )
        client = LeafClient(
            leaf,
            self._provider,
            pace,
            connections=in_flight,
            on_trouble=lambda words: self._facts(Trouble(words)),
        )
        async with client:
            async with Journal(self._ledger, self._run_no, self._scope) as journal:
                ready = Phases(
                    settings=self._settings,
                    run_no=self._run_no,
                    memory=self._ledger,
                    leaf=client,
                    journal=journal,
                    in_flight=in_flight,
                    stop=self._stop,
                    facts=self._facts,
                    policy=policy_of(self._settings),
                )
                try:
                    if to_do:
                        await client.login()
                    await phases(ready)
                except BulkOnboardError as error:
                    self._stop.drain(str(error), error.exit_code)
            self._info = replace(info, requests=info.requests + client.requests)

    # --- the end ------------------------------------------------------------------------------------

    async def report(self) -> RunResult:
        """Record how the run ended, and write its files."""
        stop = self._stop
        interrupted = stop.exit_code is ExitCode.INTERRUPTED
        self._info = replace(
            self._info,
            finished_at=utc_now(),
            stop_reason=stop.reason,
            interrupted=interrupted,
            exit_code=int(stop.exit_code) if stop.exit_code and not interrupted else None,
        )
        await asyncio.to_thread(self._ledger.remember, self._scope)
        await asyncio.to_thread(self._ledger.prune)
        return await asyncio.to_thread(
            _write, self._ledger, self._run_no, self._info, self._settings.output, self._before
        )


def _looked_at_again(info: RunInfo) -> RunInfo:
    """A run that has ended, for the time of a check: that has a beginning, requests and an end of its own."""
    return replace(
        info,
        started_at=utc_now(),
        finished_at=None,
        requests=Requests(),
        stop_reason=None,
        interrupted=False,
        exit_code=None,
    )


def provider_named(name: str) -> Provider:
    """Raises UsageError that lists the ones there are."""
    if name not in PROVIDERS:
        raise UsageError(f"unknown provider {name!r}; there are: {', '.join(sorted(PROVIDERS))}")
    return PROVIDERS[name]


# --- opening a run ----------------------------------------------------------------------------------


class Place(NamedTuple):
    """Where to send, and which Leaf that is for the ledger: practice and real Leaf never share rows."""

    leaf: LeafSettings
    identity: str
    owner: str
    shown: str


class Opened(NamedTuple):
    """A run on the ledger."""

    ledger: Ledger
    run_no: int
    info: RunInfo


@asynccontextmanager
async def _begun(name: str, settings: Settings, observer: Observer, stop: StopSignal) -> AsyncIterator[_Run]:
    """A new run on the ledger, which nobody else can use meanwhile."""
    provider_named(settings.provider)
    async with AsyncExitStack() as stack:
        ledger = _held(settings, stack)
        place = await _place(settings, stack)
        info = RunInfo(
            run_id=_new_run_id(ledger, name),
            provider=settings.provider,
            input=name,
            leaf=place.identity,
            owner=place.owner,
            started_at=utc_now(),
            ceiling=settings.pace.rate,
        )
        run_no = ledger.begin(info, ledger.scope(place.identity, info.provider), me())
        yield _Run(settings, place, Opened(ledger, run_no, info), _observing(settings, observer, stop))


@asynccontextmanager
async def _reopened(
    run_id: str, settings: Settings, observer: Observer, stop: StopSignal
) -> AsyncIterator[_Run]:
    """A run that was, to look at its rows again. Raises UsageError if it was made at another Leaf."""
    async with AsyncExitStack() as stack:
        ledger = _held(settings, stack)
        run_no, info = _find(ledger, run_id)
        _require_blocks(ledger, run_no, info)
        place = await _place(settings, stack)
        if place.identity != info.leaf:
            raise UsageError(f"run {run_id} was made at {info.leaf}, but the settings say {place.identity}")
        ledger.forget(ledger.scope(info.leaf, info.provider))
        yield _Run(settings, place, Opened(ledger, run_no, info), _observing(settings, observer, stop))


def _held(settings: Settings, stack: AsyncExitStack) -> Ledger:
    path = settings.output.ledger_path
    stack.enter_context(hold(path))
    return stack.enter_context(Ledger(path))


def _observing(settings: Settings, observer: Observer, stop: StopSignal) -> Observing:
    return Observing(observer, stop, policy_of(settings).patience)


async def _place(settings: Settings, stack: AsyncExitStack) -> Place:
    """The real Leaf, or the sandbox, which lives as long as the stack."""
    if settings.sandbox is None:
        url = settings.leaf.base_url
        return Place(settings.leaf, url, owner(settings.leaf.login), url)
    from bulk_onboard.sandbox import Sandbox, behaviour  # noqa: PLC0415  (a real run has no use for it)

    store = settings.output.folder / "sandbox.sqlite3"
    if settings.sandbox.reset:
        Sandbox.reset(store)
    practice = replace(behaviour(settings.sandbox.faults), event_delay=SANDBOX_EVENT_DELAY)
    sandbox = Sandbox(behaviour=practice, store=store)
    url = await stack.enter_async_context(sandbox.serve())
    return Place(replace(settings.leaf, base_url=url), sandbox.identity, "practice", f"the sandbox at {url}")


def _find(ledger: Ledger, run_id: str | None) -> tuple[int, RunInfo]:
    found = ledger.find(run_id)
    if found is None:
        raise UsageError(
            f"there is no run {run_id} in this ledger" if run_id else "there is no run in this ledger yet"
        )
    return found


def _require_blocks(ledger: Ledger, run_no: int, info: RunInfo) -> None:
    """Raises UsageError if what the run's input held has been forgotten for its age."""
    if info.rows and next(ledger.blocks(run_no), None) is None:
        raise UsageError(
            f"run {info.run_id} is too old: the ledger keeps what the input held for the latest runs only;"
            " what was done with its rows is still known"
        )


def _new_run_id(ledger: Ledger, name: str) -> str:
    """E.g. ``20261123T154500Z-growers``; counted up if there is one in this second already."""
    stem = re.sub(r"[^A-Za-z0-9]+", "-", name.split(".", maxsplit=1)[0]).strip("-").lower()[:40] or "input"
    wanted = f"{utc_now():%Y%m%dT%H%M%SZ}-{stem}"
    run_id, count = wanted, 1
    while ledger.find(run_id):
        count += 1
        run_id = f"{wanted}-{count}"
    return run_id


def _in_flight(settings: Settings) -> int:
    """How many rows may be between an intent and an answer.

    Under a ceiling as many as the rate and Leaf's latency make of themselves, as long as there are sockets.
    """
    pace = settings.pace
    if pace.max_in_flight:
        return pace.max_in_flight
    return min(MOST_IN_FLIGHT, sockets()) if pace.rate else NO_CEILING_IN_FLIGHT


# --- closing it -------------------------------------------------------------------------------------


def _write(
    ledger: Ledger, run_no: int, info: RunInfo, output: OutputSettings, before: RunInfo | None = None
) -> RunResult:
    """The run's files, as a function of the ledger alone.

    ``before``: how the run had ended before this look at it, which is what stays on record.
    """
    folder, tally = output.folder / info.run_id, Tally()

    def counted() -> Iterator[pd.DataFrame]:
        for page in _pages(ledger, run_no, info.provider):
            tally.add(page)
            yield page

    files = list(write_results(folder, output.formats, counted()))
    code, kept = exit_code(tally, info), before or info
    kept = replace(kept, exit_code=int(exit_code(tally, kept)))
    content = summary(kept, tally)
    files.append(write_json(folder / "summary.json", content))
    ledger.amend(kept)
    return RunResult(kept, content, partial(words, info, tally, files), tuple(files), folder, code)


def _pages(ledger: Ledger, run_no: int, provider: str) -> Iterator[pd.DataFrame]:
    """The run's rows in input order, a chunk at a time."""
    for first_row, last_row, data in ledger.blocks(run_no):
        yield merge(manifest.unpack(data), ledger.entries(run_no, first_row, last_row), provider)
