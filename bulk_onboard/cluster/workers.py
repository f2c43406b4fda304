"""The workers of a run, from the side of its leader: dask runs a task for each part of the rows to do."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import astuple
from itertools import count
from operator import sub
from pathlib import Path
from typing import Any

import numpy as np

from bulk_onboard import __version__
from bulk_onboard.cluster.heartbeat import heartbeat
from bulk_onboard.domain.model import Requests, Status
from bulk_onboard.domain.run_events import Paused, RowFinished, Slowed, Trouble
from bulk_onboard.engine.checked_file import CheckedFile
from bulk_onboard.engine.first_pass import FirstPass, KnownRows
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import Opened, marks_of
from bulk_onboard.engine.phases import Phases
from bulk_onboard.errors import ExitCode, UsageError
from bulk_onboard.ledger.leases import LEASE, Beat, Leases, Stop
from bulk_onboard.ledger.lock import Lock, clock
from bulk_onboard.pace.shared import SharedPace, shares
from bulk_onboard.settings import Cluster, Local, PostgresUrl, Settings

try:
    import dask
    from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

    from bulk_onboard.cluster.task import AGAIN, LEDGER, Command, Done, Job, Part, onboard
except ImportError:
    raise UsageError("--cluster needs dask: pip install 'bulk-onboard[dask]'") from None

# Seconds for a connection, and for workers to start.
CONNECT, FIRST_WORKER = 10.0, 60.0
# A part has SMALLEST rows or more. Without a ceiling there are PARTS for each worker, so that a slow or dead
# one delays little.
PARTS, SMALLEST = 3, 20
# The share of the ceiling that is used, for requests of several processes may be late at the same time.
BELOW = 0.99
# Seconds in which requests of one process count against the ceiling of those that come after it.
WINDOW = 1.0
# Options that workers have no use for: these may lead to secrets, or are the leader's business.
_OF_LEADER = {"notify", "ping", "metrics", "notify_when", "cluster", "ledger", "sandbox_reset"}


class Workers:
    """Send under one ceiling with the leader; ``pace`` is the leader's, ``requests`` are those of workers."""

    fewest = SMALLEST

    def __init__(self, client: Client, many: int, job: Job, leases: Leases, facts: StoppingObserver) -> None:
        self._client, self._many, self._job, self._leases = client, many, job, leases
        self._facts, self._stop = facts, facts.stop
        rate = job.info.ceiling
        self.pace = SharedPace(rate, lambda s: facts(Paused(s)), lambda rate: facts(Slowed(rate)))
        self.requests = self._latest = Requests()
        self._numbers, self._heard = count(), set[int]()

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[Workers]:
        """Context manager: workers may send inside the block."""
        await asyncio.to_thread(self._leases.open)
        self._client.subscribe_topic(self._job.info.run_id, self._hear)
        async with heartbeat(self._beat, Lock(clock()), self.pace, self._stop, self._add_requests):
            yield self
        await asyncio.to_thread(self._leases.close)

    async def post(self, phases: Phases, file: CheckedFile, first_pass: FirstPass, rows: np.ndarray) -> None:
        """Take these rows to their outcomes; return when no worker sends any more."""
        parts = list(self._parts(phases, file, first_pass.known, rows))
        await self._stop.pause(WINDOW)
        try:
            await self._stop.cut_short(self._work(parts), at_once=True)
        finally:
            await self._quiet()

    def _parts(self, phases: Phases, file: CheckedFile, known: KnownRows, rows: np.ndarray) -> Iterator[Part]:
        most, ceiling = max(1, len(rows) // SMALLEST), self._job.info.ceiling
        many = shares(ceiling, min(self._many, most)) if ceiling else min(PARTS * self._many, most)
        rate, policy, plan = BELOW * ceiling / many, phases.context.policy, phases.plan
        for own in np.array_split(rows, many):
            known_of = known.among(own.tolist())
            yield Part(next(self._numbers), rate, own, known_of, policy, plan, file.limit, file.seen)

    async def _work(self, parts: Sequence[Part]) -> None:
        """Return when all parts are done, or left undone because the run stops."""
        tasks = {} if self._stop.draining else {self._submit(part): part for part in parts}
        futures = as_completed(list(tasks))
        async for task in futures:
            part, done = tasks.pop(task), await _result(task)
            if done.exit_code is ExitCode.BUSY:  # its worker has died, or has lost the part
                await self._stop.pause(AGAIN)
                if not self._stop.draining:
                    tasks[again := self._submit(part)] = part
                    futures.add(again)
            elif done.exit_code is not ExitCode.OK:
                self._stop.drain(done.reason, done.exit_code)

    def _submit(self, part: Part) -> Future[Done]:
        key = f"onboard-{self._job.info.run_id}-{part.number}-{next(self._numbers)}"
        return self._client.submit(onboard, self._job, part, key=key, pure=False)

    async def _quiet(self) -> None:
        """Return when no worker has a lease any more: at once, but for those that died or are to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE + self._stop.grace):
                while await asyncio.to_thread(self._leases.left):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        self._latest = await asyncio.to_thread(self._leases.requests)
        self._add_requests()
        await self._stop.pause(WINDOW)

    def _beat(self, pause: float) -> Beat:
        stop = self._stop
        order = Stop(stop.reason or "interrupted", int(stop.exit_code or ExitCode.INTERRUPTED), stop.hurrying)
        beat = self._leases.lead(pause, order if stop.draining else None)
        self._latest = self._leases.requests()
        return beat

    def _add_requests(self, _beat: Beat | None = None) -> None:
        """Take in what workers have sent since this was called last."""
        self.pace.add_traffic(Requests(*map(sub, astuple(self._latest), astuple(self.requests))))
        self.requests = self._latest

    def _hear(self, event: tuple[float, Sequence[Sequence[Any]]]) -> None:
        """Pass on the facts of a worker. Rows of an earlier attempt may be known already."""
        for fact in event[1]:
            match fact:
                case [row, status, code] if row not in self._heard:
                    self._heard.add(row)
                    self._facts(RowFinished(row, Status(status), code))
                case [message]:
                    self._facts(Trouble(message))


async def _result(task: Future[Done]) -> Done:
    """Return the result of a task, also if its workers died."""
    if task.status == "finished":
        done: Done = await task
        return done
    error = await task.exception() if task.status == "error" else None
    if isinstance(error, KilledWorker):
        return Done(exit_code=ExitCode.BUSY)
    reason = f"its workers fail ({type(error).__name__})" if error else "its scheduler is gone"
    return Done(f"the cluster does not work: {reason}. Run the same command again", ExitCode.STOPPED)


@asynccontextmanager
async def workers(
    command: Command, settings: Settings, opened: Opened, facts: StoppingObserver
) -> AsyncIterator[Workers]:
    """Start workers, or connect to them. Raises UsageError; then nothing is kept of the run."""
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is worth a message, we say ourselves
    place = settings.output.ledger_place
    if isinstance(place, PostgresUrl):
        os.environ[LEDGER] = place.address.reveal()  # for workers that are started here
    given = {name: v for name, v in command.given.items() if v is not None and name not in _OF_LEADER}
    job = Job(
        command=command._replace(given=given),
        info=opened.info,
        run_no=opened.run_no,
        epoch=opened.ledger.epoch or "",
        ledger=place.absolute() if isinstance(place, Path) else None,
        base_url=opened.place.leaf.base_url,
        marks=marks_of(settings, opened.info, opened.ledger.key),
    )
    async with AsyncExitStack() as stack:
        try:
            client, many = await _connect(settings.cluster or Local(1), stack)
        except UsageError:
            opened.ledger.discard(opened.run_no)
            raise
        leases = Leases(opened.ledger, opened.run_no)
        yield await stack.enter_async_context(Workers(client, many, job, leases, facts).leading())


async def _connect(where: Cluster, stack: AsyncExitStack) -> tuple[Client, int]:
    """Connect to a scheduler that has workers: how many. Raises UsageError."""
    # If a worker dies, its task is not to blame, and doing it again is safe. No worker has a task in reserve.
    scheduler = {"allowed-failures": 1_000, "worker-saturation": 1.0}
    options = {f"distributed.scheduler.{name}": value for name, value in scheduler.items()}
    stack.enter_context(dask.config.set(options))
    if isinstance(where, Local):
        cluster = LocalCluster(
            n_workers=where.workers,
            threads_per_worker=1,
            # Even without a dashboard there are pages, and the usual port may be taken by another run.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            # Other users of this machine must not be able to give work to processes with our secrets.
            security=True,
            silence_logs=logging.CRITICAL,
            asynchronous=True,
        )
        address, many = await stack.enter_async_context(cluster), where.workers
    else:
        address, many = where.address, 1
    try:
        client = await stack.enter_async_context(Client(address, asynchronous=True, timeout=CONNECT))
        await client.wait_for_workers(many, timeout=FIRST_WORKER)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"no scheduler with workers answers at {address} ({type(error).__name__})") from None
    versions: Any = await client.get_versions(packages=["bulk_onboard"])
    installed = [str(worker["packages"].get("bulk_onboard")) for worker in versions["workers"].values()]
    if others := set(installed) - {__version__}:
        raise UsageError(
            f"workers have bulk-onboard {', '.join(sorted(others))}, but this is {__version__}:"
            f" install the same version everywhere (pip install 'bulk-onboard[dask]=={__version__}')"
        )
    return client, len(installed)
