"""What a worker does with a part of the rows: read them again, take them to their outcomes.

All that travels to a worker or back is free of secrets, for dask shows it on pages and keeps it on disk.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from distributed import get_worker

from bulk_onboard.cluster.heartbeat import heartbeat
from bulk_onboard.domain.model import Intent, Status
from bulk_onboard.domain.run_events import Fact, RowFinished, RunInfo, Trouble
from bulk_onboard.domain.timestamps import from_text
from bulk_onboard.engine.checked_file import CheckedFile, reading_for
from bulk_onboard.engine.first_pass import KnownRows, rows_to_do
from bulk_onboard.engine.onboard_row import Onboarding
from bulk_onboard.engine.opening import find_run, marks_of, providers_of, scopes_of
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.session import context_of, in_flight_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, ExitCode, LedgerBusy, LedgerError, UsageError, place_of
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.ledger.leases import Beat, Leases
from bulk_onboard.ledger.ledger import Fence
from bulk_onboard.ledger.lock import Lock, clock, process_name
from bulk_onboard.pace.shared import SharedPace
from bulk_onboard.policy.plan import PlanRule
from bulk_onboard.policy.retry import Policy
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.reports.saved_events import REPLACED_EVENTS, SavedEvents
from bulk_onboard.settings.load import load

LEDGER = "BULK_ONBOARD_LEDGER"
# Seconds until a part of which another worker has the lease is tried again.
AGAIN = 0.5


class Command(NamedTuple):
    """What the command line says: the input, the options and the settings file, to load the settings by."""

    file: str
    given: Mapping[str, Any]
    config: Path | None


@dataclass(frozen=True, slots=True)
class Job:
    """One run. ``ledger`` is the file, None for a database, the address of which workers know.

    ``epoch`` is the run's. ``marks``: see `marks_of`.
    """

    command: Command
    info: RunInfo
    run_no: int
    epoch: str
    ledger: Path | None
    base_url: str
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows to do, ascending, what is known of them, and how the input was read.

    ``rate``: the share of the ceiling that comes with it, in requests per second, 0 for no ceiling.
    """

    number: int
    rate: float
    rows: np.ndarray
    known: KnownRows
    policy: Policy
    plan: PlanRule | None
    limit: int | None
    seen: tuple[bytes, ...] = field(repr=False)


class Done(NamedTuple):
    """A part is done. ``reason``, ``exit_code``: why it is not, and what the run ends with for that."""

    reason: str = ""
    exit_code: ExitCode = ExitCode.OK


def onboard(job: Job, part: Part) -> Done:
    """Take the rows of a part to their outcomes. An exception would travel with its frames: raises none."""
    gc.freeze()  # what has been imported stays: going through it again and again would take long
    try:
        return asyncio.run(_Task(job, part).work())
    except BulkOnboardError as error:
        return Done(str(error), ExitCode(error.exit_code))
    except Exception as error:
        # Not its message: that of another package's exception may quote a row.
        what = f"{type(error).__name__} at {place_of(error)}"
        return Done(f"a bug in bulk-onboard: {what}. Please report this line", ExitCode.BUG)


class _Task:
    """One attempt at a part; another worker's attempt may follow."""

    def __init__(self, job: Job, part: Part) -> None:
        self._job, self._part = job, part
        settings = load(job.command.given, job.command.config, is_command_line=False)
        self._settings = replace(settings, pace=replace(settings.pace, rate=part.rate))
        self._stop = StopSignal()
        self._stop.grace = settings.leaf.timeout
        self._facts: list[Fact] = []

    async def work(self) -> Done:
        job, settings, stop = self._job, self._settings, self._stop
        with self._opened_ledger() as ledger:
            leases, lease = Leases(ledger, job.run_no), Lock(clock())
            while not (mine := await asyncio.to_thread(leases.claim, self._part.number)):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN)
            pace = SharedPace(self._part.rate)
            client = LeafClient(
                replace(settings.leaf, base_url=job.base_url),
                providers_of(job.info, settings.providers),
                pace,
                is_sure=lease.is_sure,
                connections=in_flight_of(settings)[0],
                on_trouble=lambda message: self._facts.append(Trouble(message)),
            )

            def beat(pause: float) -> Beat:
                return leases.renew(mine, pause, mine.requests + client.requests)

            try:
                async with heartbeat(beat, lease, pace, stop, self._on_beat), client:
                    await self._onboard(ledger, client, partial(leases.require, mine=mine))
            finally:
                self._publish()
                with suppress(LedgerBusy, LedgerError):
                    await asyncio.to_thread(leases.release, mine, mine.requests + client.requests)
        return Done(stop.reason or "", stop.exit_code or ExitCode.OK)

    def _opened_ledger(self) -> Ledger:
        """The run's ledger. Raises UsageError if this worker has another one, or other settings."""
        job, settings = self._job, self._settings
        me = f"the worker ({process_name()})"
        try:
            ledger = Ledger(job.ledger or settings.output.ledger_place, make=False, epoch=job.epoch)
            find_run(ledger, job.info.run_id)
        except UsageError as error:
            raise UsageError(f"{me}: {error}; give it the ledger of the command ({LEDGER})") from None
        ledger.require_same_fingerprints()
        ours = marks_of(settings, job.info, ledger.key)
        if names := [name for name, mark in job.marks.items() if ours.get(name) != mark]:
            raise UsageError(f"{me} is set up differently ({', '.join(names)}): give it the same environment")
        return ledger

    async def _onboard(self, ledger: Ledger, client: LeafClient, fence: Fence) -> None:
        info, part, settings, stop = self._job.info, self._part, self._settings, self._stop
        scope, scopes = ledger.scope(info.leaf, info.owner, info.provider), scopes_of(ledger, info)
        with open_source(self._job.command.file, settings.input.reading) as source:
            reading = reading_for(settings, providers_of(info, settings.providers))
            file = CheckedFile(source, replace(reading, limit=part.limit), ledger.key, part.seen)
            async with Journal(ledger, self._job.run_no, scope, scopes, fence) as journal:
                context = context_of(settings, journal, part.policy, stop, self._facts.append)
                work = Onboarding(
                    context=context,
                    leaf=client,
                    keeper=SavedEvents(settings.output.folder / info.run_id / REPLACED_EVENTS),
                    brake=ReplacementBrake(stop),
                    plan=part.plan,
                )
                await context.work_through(rows_to_do(file, *self._remaining(ledger)), work.onboard)

    def _remaining(self, ledger: Ledger) -> tuple[KnownRows, np.ndarray]:
        """The rows without an outcome. What an earlier attempt has left open is an intent: Leaf is asked."""
        known, rows = self._part.known, self._part.rows
        mine, done, intents = set(rows.tolist()), list[int](), dict(known.intents)
        for entry in ledger.entries(self._job.run_no, int(rows[0]), int(rows[-1])):
            if entry.row in mine and entry.status is None:
                at = from_text(entry.intended_at)
                intents[entry.row] = Intent(at, True, entry.deleting, entry.deleting_created, entry.app)
            elif entry.row in mine and entry.status:
                done.append(entry.row)
                self._facts.append(RowFinished(entry.row, Status(entry.status), entry.code))
        return replace(known, intents=intents), rows[~np.isin(rows, done)]

    def _on_beat(self, beat: Beat) -> None:
        self._publish()
        if beat.stop:
            self._stop.drain(beat.stop.reason, ExitCode(beat.stop.exit_code))
            if beat.stop.at_once:
                self._stop.abort()

    def _publish(self) -> None:
        """Let the leader hear of what has happened; the run's id is the topic."""
        messages = [
            (fact.row, fact.status.value, fact.code) if isinstance(fact, RowFinished) else (fact.message,)
            for fact in self._facts
            if isinstance(fact, RowFinished | Trouble)
        ]
        self._facts.clear()
        if messages:
            get_worker().log_event(self._job.info.run_id, messages)
