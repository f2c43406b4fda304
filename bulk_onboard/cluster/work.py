"""What a worker does with a part of the input: read it through, count it, onboard it, check its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from bulk_onboard.ascending import ascending, both
from bulk_onboard.cluster.job import Counted, Done, Errand, Looked
from bulk_onboard.cluster.kept import KeptInLedger
from bulk_onboard.cluster.station import Hand, Station, connections_of
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.left import left_to_do
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import provider_named
from bulk_onboard.engine.phases import Phases, policy_of
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.rows_to_check import rows_to_check
from bulk_onboard.engine.scan import Scan, reading_for
from bulk_onboard.engine.surprises import new_growers
from bulk_onboard.engine.survey import Survey, read_through
from bulk_onboard.entry import Entry
from bulk_onboard.errors import BulkOnboardError, ExitCode, NoRows
from bulk_onboard.facts import ignore
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.readers.parts import open_part
from bulk_onboard.settings import Safety


class PartMemory:
    """The ledger, as far as it is about one part of the input."""

    def __init__(self, ledger: Ledger, errand: Errand) -> None:
        self._blocks, self._seqs = ledger.blocks, errand.seqs
        self.growers, self.known, self.stored = ledger.growers, ledger.known, ledger.stored
        self.add_block, self.replace_block = ledger.add_block, ledger.replace_block
        self.entries, self.write = ledger.entries, ledger.write

    def blocks(self, run_no: int) -> Iterator[tuple[int, int, bytes]]:
        """First row, last row and content of each chunk of the part, in input order."""
        return self._blocks(run_no, *self._seqs)


async def look(station: Station, errand: Errand) -> Looked:
    """Read a part through and put what it holds into the ledger. Raises InputError."""
    return await asyncio.to_thread(_look, station, errand)


def _look(station: Station, errand: Errand) -> Looked:
    ledger, job, scopes = station.ledger, station.job, station.scopes
    with open_part(errand.part) as source:
        scan = _scan(station, errand, source)
        kept = tuple(name for name, _ in scan.columns.keep)
        looked = partial(Looked, errand.number, kept=kept)
        try:
            sums = read_through(
                scan,
                PartMemory(ledger, errand),
                job.run_no,
                station.scope,
                if_exists=station.settings.if_exists,
                observer=ignore,
                stopped=lambda: station.stop.draining,
                scopes=scopes,
                first_seq=errand.seqs[0],
                part=True,
            )
        except NoRows:
            return looked(
                rows=0, warnings={}, environments={}, seen=(), skipped=tuple(scan.skipped), sightings={}
            )
        return looked(
            rows=sums.rows,
            warnings=dict(sums.warnings),
            environments=dict(scan.environments),
            seen=scan.seen,
            skipped=tuple(scan.skipped),
            sightings=scan.sightings(),
        )


async def count(station: Station, errand: Errand, first: int, new: bool) -> Counted:
    """Count a part's rows, and name the first so many of those that are to be done.

    ``new``: also count the growers that the ledger has never met.
    """
    return await asyncio.to_thread(_count, station, errand, first, new)


def _count(station: Station, errand: Errand, first: int, new: bool) -> Counted:
    found, memory, run_no = _left(station, errand), PartMemory(station.ledger, errand), station.job.run_no
    checks = rows_to_check(memory, run_no, ",".join(station.job.providers), every=False)
    return Counted(
        errand.number,
        found.rows,
        to_do=len(found.wanted),
        to_check=sum(1 for _ in checks),
        new=new_growers(memory, run_no, station.scopes, found.wanted) if new else 0,
        statuses={status.value: number for status, number in found.statuses.items()},
        first=tuple(found.wanted[:first].tolist()),
    )


async def onboard(station: Station, errand: Errand, seen: tuple[bytes, ...], only: tuple[int, ...]) -> Done:
    """Take the part's rows to their outcomes, or ``only`` these. Raises InputError, LedgerError."""
    async with _in_hand(station, errand) as phases:
        if phases is None:
            return _done(station, errand)
        found = await asyncio.to_thread(_left, station, errand)
        if only:
            found = replace(found, wanted=both(found.wanted, ascending(only)))
        if len(found.wanted):
            with open_part(errand.part) as source:
                await phases.onboard(_scan(station, errand, source, seen), found)
        to_check = await asyncio.to_thread(lambda: sum(1 for _ in phases.connected(every=False)))
        return _done(station, errand, to_check)


async def check(station: Station, errand: Errand, only: tuple[int, ...]) -> Done:
    """Check the events of the part's connected rows, or of ``only`` these. Raises LedgerError."""
    async with _in_hand(station, errand) as phases:
        if phases:
            await phases.check_new(only or None)
    return _done(station, errand)


def _done(station: Station, errand: Errand, to_check: int = 0) -> Done:
    return Done(errand.number, station.name, station.told, to_check)


def _scan(station: Station, errand: Errand, source: Any, seen: tuple[bytes, ...] = ()) -> Scan:
    providers = [provider_named(name, station.settings.providers) for name in station.job.providers]
    reading = replace(reading_for(station.settings, providers), limit=errand.limit)
    return Scan(source, reading, station.ledger.key, seen)


def _left(station: Station, errand: Errand) -> Survey:
    return left_to_do(
        PartMemory(station.ledger, errand),
        station.job.run_no,
        station.scope,
        if_exists=station.settings.if_exists,
        scopes=station.scopes,
    )


@asynccontextmanager
async def _in_hand(station: Station, errand: Errand) -> AsyncIterator[Phases | None]:
    """The part is nobody else's meanwhile. None: the run stops before that can be.

    An error that ends the run stops the station, and with it the leader and all others.
    """
    hand = await station.take(errand.number)
    if hand is None:
        yield None
        return
    try:
        async with _journal(station, errand) as journal:
            yield _phases(station, errand, journal, hand)
    except BulkOnboardError as error:
        hand.stop.drain(str(error), error.exit_code)
    finally:
        await station.let_go(errand.number)
    # Who has lost the part to another worker has no reason to stop.
    if hand.stop.reason and hand.stop.exit_code is not ExitCode.BUSY:
        station.stop.drain(hand.stop.reason, hand.stop.exit_code or ExitCode.STOPPED)


def _journal(station: Station, errand: Errand) -> Journal[Entry]:
    fence = partial(station.crew.require, part=errand.number, worker=station.name)
    return Journal(station.ledger, station.job.run_no, station.scope, station.scopes, fence)


def _phases(station: Station, errand: Errand, journal: Journal[Entry], hand: Hand) -> Phases:
    """The phases of a run without what concerns the whole: the canary, the events, the census."""
    settings = replace(
        station.settings, safety=Safety(), events=replace(station.settings.events, check=False)
    )
    policy = policy_of(settings)
    return Phases(
        settings=settings,
        run_no=station.job.run_no,
        provider=",".join(station.job.providers),
        memory=PartMemory(station.ledger, errand),
        leaf=station.client,
        context=RowContext(
            journal,
            policy,
            hand.stop,
            StoppingObserver(station.facts, hand.stop, policy.patience),
            asyncio.Semaphore(connections_of(settings)),
        ),
        in_flight=connections_of(settings),
        brake=ReplacementBrake(hand.stop),
        keeper=KeptInLedger(station.ledger, station.job.run_no),
    )
