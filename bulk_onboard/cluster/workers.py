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
from bulk_onboard.cluster.heartbeat import Heartbeat
from bulk_onboard.engine.observer import StoppingObserver
from bulk_onboard.engine.opening import Opened, providers_of
from bulk_onboard.engine.phases import Phases
from bulk_onboard.engine.scan import Scan
from bulk_onboard.engine.survey import Survey
from bulk_onboard.errors import ExitCode, LedgerError, StoppedForSafety, UsageError
from bulk_onboard.facts import Held, RowFinished, Slowed, Trouble
from bulk_onboard.ledger.leases import LEASE, Ask, Beat, Leases, Stop
from bulk_onboard.model import Requests, Status
from bulk_onboard.pace.slots import SlotPace
from bulk_onboard.settings import Cluster, Local, PostgresUrl, Settings

try:
    import dask
    from distributed import Client, Future, KilledWorker, LocalCluster, as_completed

    from bulk_onboard.cluster.task import LEDGER, Command, Done, Job, Part, applications, onboard, topic
except ImportError:
    raise UsageError("--cluster needs dask: pip install 'bulk-onboard[dask]'") from None

__all__ = ["Command", "Workers", "workers"]

# Seconds.
CONNECT = 10.0
FIRST_WORKER = 60.0
# So many parts for each worker, so that one that is slow or dies delays little, of so many rows at least.
PARTS, SMALLEST = 3, 20
# Seconds until a part is given to a worker again when one has lost it.
AGAIN = 1.0
# Options that workers have no use for: these may lead to secrets, or are the leader's business.
_OF_LEADER = {"notify", "ping", "metrics", "notify_when", "cluster", "ledger", "sandbox_reset"}
_CONFIG = {
    # The task whose worker died is not to blame for that, and doing it again is safe.
    "distributed.scheduler.allowed-failures": 1_000,
    "distributed.worker.daemon": True,
}


class Workers:
    """Take rows of a run to their outcomes, under one ceiling with the leader.

    ``pace`` is the leader's own; ``requests``: what the workers have sent.
    """

    fewest = SMALLEST

    def __init__(
        self, client: Client, workers: int, job: Job, leases: Leases, facts: StoppingObserver
    ) -> None:
        self._client, self._workers, self._job, self._leases = client, workers, job, leases
        self._facts, self._stop = facts, facts.stop
        self.pace = SlotPace(job.rate, lambda s: facts(Held(s)), lambda slower: facts(Slowed(slower)))
        self.requests = self._latest = Requests()
        self._numbers, self._heard = count(), set[int]()

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[Workers]:
        """As long as the block lasts, workers may send."""
        await asyncio.to_thread(self._leases.open)
        self._client.subscribe_topic(topic(self._job.run_id), self._hear)
        try:
            async with Heartbeat(self._beat, self.pace, self._stop, self._add_requests):
                yield self
        finally:
            with suppress(LedgerError):
                await asyncio.to_thread(self._leases.close)

    async def post(self, phases: Phases, scan: Scan, found: Survey, wanted: np.ndarray) -> None:
        """Take these rows to their outcomes; return when no worker sends any more.

        Raises StoppedForSafety if the scheduler is gone, or no worker can do its work.
        """
        working = asyncio.ensure_future(self._work(list(self._parts(phases, scan, found, wanted))))
        aborted = asyncio.ensure_future(self._stop.aborted())
        try:
            await asyncio.wait({working, aborted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            aborted.cancel()
            working.cancel()
            await asyncio.wait({working})
            await self._quiet()
        if not working.cancelled():
            working.result()

    def _parts(self, phases: Phases, scan: Scan, found: Survey, wanted: np.ndarray) -> Iterator[Part]:
        many = max(1, min(PARTS * self._workers, len(wanted) // SMALLEST))
        for rows in np.array_split(wanted, many):
            yield Part(
                number=next(self._numbers),
                rows=rows,
                known=found.known.among(rows.tolist()),
                policy=phases.context.policy,
                guide=phases.guided(None),
                limit=scan.limit,
                seen=scan.seen,
            )

    async def _work(self, parts: Sequence[Part]) -> None:
        """Return when all parts are done, or left undone because the run stops."""
        tasks = {self._submit(part): part for part in parts}
        futures = as_completed(list(tasks))
        try:
            async for task in futures:
                part, done = tasks.pop(task), await _result(task)
                if done is None or done.exit_code is ExitCode.BUSY:  # its worker died, or has lost the part
                    if await self._stop.pause(AGAIN) and not self._stop.draining:
                        again = self._submit(part)
                        tasks[again] = part
                        futures.add(again)
                elif done.exit_code is not ExitCode.OK:
                    self._stop.drain(done.reason, done.exit_code)
        except StoppedForSafety as error:
            self._stop.drain(str(error), error.exit_code)

    def _submit(self, part: Part) -> Future[Done]:
        key = f"onboard-{self._job.run_id}-{part.number}-{next(self._numbers)}"
        return self._client.submit(onboard, self._job, part, key=key, pure=False)

    async def _quiet(self) -> None:
        """Return when no worker has a lease any more: at once, but for those that died or are to stop."""
        patience = LEASE + (0 if self._stop.hurrying or not self._stop.draining else self._stop.grace)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while await asyncio.to_thread(self._leases.left):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        self._latest = await asyncio.to_thread(self._leases.requests)
        self._add_requests()

    def _beat(self, ask: Ask) -> Beat:
        stop = self._stop
        order = Stop(stop.reason or "interrupted", int(stop.exit_code or ExitCode.INTERRUPTED), stop.hurrying)
        beat = self._leases.lead(ask, order if stop.draining else None)
        self._latest = self._leases.requests()
        return beat

    def _add_requests(self, _beat: Beat | None = None) -> None:
        """Take in what workers have sent since this was called last."""
        before, now = astuple(self.requests), astuple(self._latest)
        self.pace.add_traffic(Requests(*map(sub, now, before)))
        self.requests = self._latest

    def _hear(self, event: tuple[float, Sequence[Sequence[Any]]]) -> None:
        """Pass on the facts of a worker. Rows of an earlier attempt may be known already."""
        for fact in event[1]:
            match fact:
                case [row, status, code]:
                    if row not in self._heard:
                        self._heard.add(row)
                        self._facts(RowFinished(row, Status(status), code))
                case [message]:
                    self._facts(Trouble(message))


async def _result(task: Future[Done]) -> Done | None:
    """What comes of a task, None if its workers died. Raises StoppedForSafety if there is no hope."""
    if task.status == "finished":
        done: Done = await task
        return done
    error = await task.exception() if task.status == "error" else None
    if isinstance(error, KilledWorker):
        return None
    reason = f"its workers fail ({type(error).__name__})" if error else "its scheduler is gone"
    raise StoppedForSafety(f"the cluster does not work: {reason}. Run the same command again")


@asynccontextmanager
async def workers(
    command: Command, settings: Settings, opened: Opened, facts: StoppingObserver
) -> AsyncIterator[Workers]:
    """Start the workers that the settings name, or connect to them. Raises UsageError."""
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what is worth a message, we say ourselves
    place = settings.output.ledger_place
    if isinstance(place, PostgresUrl):
        os.environ[LEDGER] = place.address.reveal()  # for workers that are started here
    given = {k: v for k, v in command.given.items() if v is not None and k not in _OF_LEADER}
    info, providers = opened.info, providers_of(opened.info, settings.providers)
    job = Job(
        run_id=info.run_id,
        run_no=opened.run_no,
        epoch=opened.ledger.epoch or "",
        ledger=place.absolute() if isinstance(place, Path) else None,
        command=command._replace(given=given),
        applications=applications(settings, providers, opened.ledger.key),
        base_url=opened.place.leaf.base_url,
        identity=info.leaf,
        owner=info.owner,
        rate=info.ceiling,
        providers=tuple(provider.name for provider in providers),
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(dask.config.set(_CONFIG))
        try:
            client = await stack.enter_async_context(_client(settings.cluster))
            group = Workers(
                client, await _count(client), job, Leases(opened.ledger, job.run_no, job.rate), facts
            )
        except UsageError:
            opened.ledger.discard(job.run_no)
            raise
        yield await stack.enter_async_context(group.leading())


@asynccontextmanager
async def _client(where: Cluster | None) -> AsyncIterator[Client]:
    """Connected to a scheduler that has workers. Raises UsageError."""
    async with AsyncExitStack() as stack:
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
            address = await stack.enter_async_context(cluster)
        else:
            address = where.address if where else ""
        many = where.workers if isinstance(where, Local) else 1
        try:
            client = await stack.enter_async_context(Client(address, asynchronous=True, timeout=CONNECT))
            await client.wait_for_workers(many, timeout=FIRST_WORKER)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"no scheduler with workers answers at {address} ({type(error).__name__})"
            ) from None
        yield client


async def _count(client: Client) -> int:
    """How many workers there are. Raises UsageError if one of them has another version of this package."""
    found: Any = await client.get_versions(packages=["bulk_onboard"])  # type: ignore[misc]
    found = found["workers"].values()
    if others := {str(each["packages"].get("bulk_onboard")) for each in found} - {__version__}:
        raise UsageError(
            f"workers have bulk-onboard {', '.join(sorted(others))}, but this is {__version__}:"
            f" install the same version everywhere (pip install 'bulk-onboard[dask]=={__version__}')"
        )
    return len(found)
