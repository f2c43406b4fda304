"""The workers, as dask knows them: here or elsewhere, and what they are asked to do."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from bulk_onboard import __version__
from bulk_onboard.cluster import door
from bulk_onboard.cluster.job import Failed
from bulk_onboard.errors import BulkOnboardError, StoppedForSafety, UsageError
from bulk_onboard.settings import Cluster, Local, Remote

# Seconds.
CONNECT = 10.0
FIRST_WORKER = 60.0
# A task is at hand while another one waits for Leaf or for the ledger.
TASKS_AT_A_TIME = 2
_CONFIG = {
    # A task whose worker died is not to blame for that, and doing it again is safe.
    "distributed.scheduler.allowed-failures": 1_000,
    "distributed.scheduler.work-stealing": True,
    "distributed.worker.daemon": True,
}


class Fleet:
    """The workers of one run. Whatever travels through here holds no secret."""

    def __init__(self, client: Any, place: str) -> None:
        self._client, self._place = client, place
        self._token = uuid.uuid4().hex[:8]

    def submit(self, function: Callable[..., Any], *arguments: Any, name: str) -> Any:
        """Ask for something to be done. What comes of it stays with the workers until it is gathered.

        ``name`` is shown to people. Other tasks among the arguments are done before.
        """
        return self._client.submit(function, *arguments, key=f"{name}-{self._token}", pure=False)

    async def each(self, tasks: Sequence[Any]) -> AsyncIterator[Any]:
        """What comes of them, as it comes.

        Raises what a worker says it failed for, StoppedForSafety if the workers or the scheduler are gone.
        """
        from distributed import as_completed  # noqa: PLC0415  (only with --cluster)

        async for task in as_completed(tasks):
            yield await self._result(task)

    async def _result(self, task: Any) -> Any:
        if task.status != "finished":
            raise StoppedForSafety(await self._why(task))
        found = await task
        if isinstance(found, Failed):
            raise _error(found)
        return found

    async def _why(self, task: Any) -> str:
        if task.status == "error":
            error = await task.exception()
            return f"the workers of {self._place} failed ({type(error).__name__})"
        return f"the scheduler of {self._place} is gone. Run the same command again when it is back"


def _error(failed: Failed) -> BulkOnboardError:
    """A worker's failure, as if it had happened here."""
    error = BulkOnboardError(failed.message)
    error.exit_code = failed.exit_code
    return error


@asynccontextmanager
async def fleet(where: Cluster) -> AsyncIterator[Fleet]:
    """Connect to the workers, or start them here. Raises UsageError if that cannot be done."""
    _require_dask()
    import dask  # noqa: PLC0415

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes on is ours to tell
    async with AsyncExitStack() as stack:
        stack.enter_context(dask.config.set(_CONFIG))
        match where:
            case Local(workers):
                client, place = await _here(workers, stack), "this machine"
            case Remote(address):
                client, place = await _there(address, stack), address
        await _require_same_version(client, place)
        yield Fleet(client, place)


async def _here(workers: int, stack: AsyncExitStack) -> Any:
    from distributed import Client, LocalCluster  # noqa: PLC0415

    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=TASKS_AT_A_TIME,
        processes=True,
        # Even without a dashboard there are pages, and the usual port may be taken by another run.
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        # Who else is on this machine must not be able to give work to processes that know our secrets.
        security=True,
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )
    await stack.enter_async_context(cluster)
    client = await stack.enter_async_context(Client(cluster, asynchronous=True))
    await client.wait_for_workers(workers, timeout=FIRST_WORKER)
    return client


async def _there(address: str, stack: AsyncExitStack) -> Any:
    from distributed import Client  # noqa: PLC0415

    try:
        client = await stack.enter_async_context(Client(address, asynchronous=True, timeout=CONNECT))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"no scheduler answers at {address} ({type(error).__name__})") from None
    try:
        await client.wait_for_workers(1, timeout=FIRST_WORKER)
    except TimeoutError:
        raise UsageError(
            f"the scheduler at {address} has no workers; start some, then run this again"
        ) from None
    return client


def _require_dask() -> None:
    try:
        import distributed  # noqa: F401, PLC0415
    except ImportError:
        raise UsageError("--cluster needs dask: pip install 'bulk-onboard[dask]'") from None


async def _require_same_version(client: Any, place: str) -> None:
    """Raises UsageError if a worker runs another bulk-onboard, or none."""
    try:
        found = await client.run(door.version, on_error="return")
    except Exception as error:  # whatever goes wrong over there, the work cannot be done
        raise UsageError(f"the workers of {place} cannot be asked ({type(error).__name__})") from None
    others = sorted({each if isinstance(each, str) else "none" for each in found.values()} - {__version__})
    if others:
        raise UsageError(
            f"workers of {place} have bulk-onboard {', '.join(others)}, but this is {__version__}:"
            f" install the same everywhere (pip install 'bulk-onboard[dask]=={__version__}')"
        )
