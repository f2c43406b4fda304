"""What a worker does with a part of the rows: read them again, take them to their outcomes.

All that travels to a worker or back is free of secrets, for dask shows it on pages and keeps it on disk.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from distributed import get_worker

from bulk_onboard.cluster.heartbeat import Heartbeat
from bulk_onboard.domain.providers import ENVIRONMENT, Provider
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.in_flight import in_flight_of
from bulk_onboard.engine.onboard_row import Guide, Onboarding
from bulk_onboard.engine.opening import provider_named
from bulk_onboard.engine.phases import OPEN_ROWS, starts_of
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.scan import Scan, reading_for
from bulk_onboard.engine.stop import LockedTurns, StopSignal
from bulk_onboard.engine.survey import KnownRows, rows_to_do
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.errors import BulkOnboardError, ExitCode, LedgerBusy, UsageError, place_of
from bulk_onboard.facts import Fact, RowFinished, Trouble
from bulk_onboard.leaf.auth import owner_of
from bulk_onboard.leaf.client import LeafClient
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.ledger.leases import Ask, Beat, Claim, Leases
from bulk_onboard.model import Intent, Requests, Status
from bulk_onboard.pace.slots import SlotPace
from bulk_onboard.policy.retry import Policy
from bulk_onboard.readers.inputs import open_source
from bulk_onboard.report.kept import REPLACED_EVENTS, Kept
from bulk_onboard.settings import Settings
from bulk_onboard.settings.load import load
from bulk_onboard.stamp import from_text
from bulk_onboard.validation.fingerprints import Fingerprints

LEDGER = "BULK_ONBOARD_LEDGER"
# Seconds until a part is claimed again of which another worker has the lease.
AGAIN = 0.5


class Command(NamedTuple):
    """What the command line says: the input, the options and the settings file, to load the settings by."""

    file: str
    given: Mapping[str, Any]
    config: Path | None


@dataclass(frozen=True, slots=True)
class Job:
    """One run, for all of its workers.

    ``epoch`` is the run's on the ledger; ``ledger``: its file, None for a database, the address of which
    workers know. ``base_url``, ``identity``, ``owner``: of Leaf. ``applications``: see `applications`.
    """

    run_id: str
    run_no: int
    epoch: str
    ledger: Path | None
    command: Command
    applications: Mapping[str, int]
    base_url: str
    identity: str
    owner: str
    rate: float
    providers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the rows to do, ascending, and what the leader knows of them (see `Scan` and `KnownRows`)."""

    number: int
    rows: np.ndarray
    known: KnownRows
    policy: Policy
    guide: Guide
    limit: int | None
    seen: tuple[bytes, ...] = field(repr=False)


class Done(NamedTuple):
    """A part is done. ``reason``, ``exit_code``: why it is not, and what the run ends with for that."""

    reason: str = ""
    exit_code: ExitCode = ExitCode.OK


def topic(run_id: str) -> str:
    """Where workers publish the facts of a run."""
    return f"bulk-onboard-{run_id}"


def onboard(job: Job, part: Part) -> Done:
    """Take the rows of a part to their outcomes. An exception would travel with its frames: raises none."""
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
        settings = load(job.command.given, job.command.config, warn=lambda _text: None)
        self._settings = replace(settings, pace=replace(settings.pace, rate=job.rate))
        self._providers = [provider_named(name, settings.providers) for name in job.providers]
        self._stop = StopSignal()
        self._stop.grace = settings.leaf.timeout
        self._facts: list[tuple[Any, ...]] = []
        self._client: LeafClient | None = None

    async def work(self) -> Done:
        with self._opened_ledger() as ledger:
            leases = Leases(ledger, self._job.run_no, self._job.rate)
            while not (mine := await asyncio.to_thread(leases.claim, self._part.number)):  # noqa: ASYNC110
                await asyncio.sleep(AGAIN)
            try:
                await self._onboard(ledger, leases, mine)
            finally:
                self._publish()
                with suppress(LedgerBusy):
                    await asyncio.to_thread(leases.release, mine, mine.requests + self._sent())
        return Done(self._stop.reason or "", self._stop.exit_code or ExitCode.OK)

    def _opened_ledger(self) -> Ledger:
        """The run's ledger. Raises UsageError if there is none here, another one, or other settings."""
        me, job = f"the worker on {socket.gethostname()} (process {os.getpid()})", self._job
        place = job.ledger or self._settings.output.ledger_place
        try:
            ledger = Ledger(place, make=False, epoch=job.epoch)
        except UsageError as error:
            raise UsageError(f"{me}: {error}; workers take its address from {LEDGER}") from None
        found = ledger.find(job.run_id)
        if found is None or found[0] != job.run_no:
            raise UsageError(f"{me} has another ledger ({place}); give it the same {LEDGER}")
        ledger.require_same_fingerprints()
        if names := list(_differences(job, self._settings, self._providers, ledger.key)):
            raise UsageError(
                f"{me} is set up differently: check {', '.join(names)}."
                " Give the workers the same environment as the command"
            )
        return ledger

    async def _onboard(self, ledger: Ledger, leases: Leases, mine: Claim) -> None:
        job, part, settings, stop = self._job, self._part, self._settings, self._stop
        pace = SlotPace(job.rate)
        connections, in_flight = in_flight_of(settings)
        scopes = {name: ledger.scope(job.identity, job.owner, name) for name in job.providers}
        scope = ledger.scope(job.identity, job.owner, ",".join(job.providers))

        def beat(ask: Ask) -> Beat:
            return leases.renew(mine, ask, mine.requests + self._sent())

        async with AsyncExitStack() as stack:
            lease = await stack.enter_async_context(Heartbeat(beat, pace, stop, self._on_beat))
            client = self._client = LeafClient(
                replace(settings.leaf, base_url=job.base_url),
                self._providers,
                LockedTurns(pace, lease),
                connections=connections,
                on_trouble=lambda message: self._add(Trouble(message)),
            )
            await stack.enter_async_context(client)
            fence = partial(leases.require, mine=mine)
            journal = await stack.enter_async_context(Journal(ledger, job.run_no, scope, scopes, fence))
            work = Onboarding(
                context=RowContext(journal, part.policy, stop, self._add, asyncio.Semaphore(in_flight)),
                leaf=client,
                keeper=Kept(settings.output.folder / job.run_id / REPLACED_EVENTS),
                brake=ReplacementBrake(stop),
                guide=part.guide,
            )
            with open_source(job.command.file, settings.input.reading) as source:
                reading = replace(reading_for(settings, self._providers), limit=part.limit)
                scan = Scan(source, reading, ledger.key, part.seen)
                known, wanted = await asyncio.to_thread(self._remaining, ledger)
                rows, starts = rows_to_do(scan, known, wanted), starts_of(job.rate, in_flight, connections)
                await work_through(rows, work.onboard, stop, starts=starts, in_hand=OPEN_ROWS)

    def _remaining(self, ledger: Ledger) -> tuple[KnownRows, np.ndarray]:
        """The rows without an outcome. What an earlier attempt has left open is an intent: Leaf is asked."""
        part, rows = self._part, self._part.rows
        mine, done, intents = set(rows.tolist()), list[int](), dict(part.known.intents)
        for entry in ledger.entries(self._job.run_no, int(rows[0]), int(rows[-1])):
            if entry.row in mine and entry.status is None:
                at = from_text(entry.intended_at)
                intents[entry.row] = Intent(at, True, entry.deleting, entry.deleting_created, entry.app)
            elif entry.row in mine and entry.status:
                done.append(entry.row)
                self._add(RowFinished(entry.row, Status(entry.status), entry.code))
        return replace(part.known, intents=intents), rows[~np.isin(rows, done)]

    def _sent(self) -> Requests:
        return self._client.requests if self._client else Requests()

    def _on_beat(self, beat: Beat) -> None:
        self._publish()
        if beat.stop:
            self._stop.drain(beat.stop.reason, ExitCode(beat.stop.exit_code))
            if beat.stop.at_once:
                self._stop.abort()

    def _add(self, fact: Fact) -> None:
        match fact:
            case RowFinished(row, status, code):
                self._facts.append((row, status.value, code))
            case Trouble(message):
                self._facts.append((message,))

    def _publish(self) -> None:
        """Let the leader hear of what has happened."""
        facts, self._facts = self._facts, []
        if facts:
            get_worker().log_event(topic(self._job.run_id), facts)


def applications(settings: Settings, providers: Iterable[Provider], key: bytes) -> dict[str, int]:
    """The mark of the application that the settings have for each provider. ``key`` is the ledger's."""
    prints, apps = Fingerprints(key), {each.name: settings.app_of(each.name) for each in providers}
    return {
        name: prints.of_app({field: secret.reveal() for field, secret in app.items()}, ENVIRONMENT)
        for name, app in apps.items()
    }


def _differences(job: Job, settings: Settings, providers: Iterable[Provider], key: bytes) -> Iterator[str]:
    """The names of settings that differ from the leader's. The sandbox has none that matter."""
    if settings.sandbox is not None:
        return
    if settings.leaf.base_url != job.base_url:
        yield "LEAF_BASE_URL"
    if owner_of(settings.leaf.login, key) != job.owner:
        yield "the login (LEAF_USERNAME or LEAF_TOKEN)"
    ours = applications(settings, providers, key)
    for provider in providers:
        if ours[provider.name] != job.applications[provider.name]:
            yield from (provider.setting(field) for field in provider.app_fields)
