"""Group commits: whatever workers hand in while one commit is on its way goes into the next.

So durability costs one flush to disk per group, not per row, and the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

from bulk_onboard.errors import BulkOnboardError, LedgerError
from bulk_onboard.ledger.ledger import Fence, no_fence

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)

# Outcomes are not awaited, so they are not committed one by one when traffic is light.
LINGER = 0.02  # seconds


class Writing(Protocol[Item_contra]):
    """Where intents and outcomes are written, as `Ledger.write` does."""

    def write(
        self,
        run_no: int,
        scope: int,
        intents: Sequence[Item_contra],
        outcomes: Sequence[Item_contra],
        scopes: Mapping[str, int],
        *,
        fence: Fence,
    ) -> None:
        """Commit them in one transaction. Raises LedgerError, LedgerBusy."""


class Journal(Generic[Item]):
    """The asynchronous face of one run's entries. Use as ``async with``; leaving commits what is left."""

    def __init__(
        self,
        ledger: Writing[Item],
        run_no: int,
        scope: int,
        scopes: Mapping[str, int] | None = None,
        fence: Fence = no_fence,
    ) -> None:
        """``scopes``: by name, the scopes of providers with rows that do not belong to ``scope``.

        ``fence``: called in each transaction, before anything is written.
        """
        self._fence = fence
        self._ledger, self._run_no, self._scope, self._scopes = ledger, run_no, scope, scopes or {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        self._intents: list[Item] = []
        self._outcomes: list[Item] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._wanted = asyncio.Event()
        self._closing = False
        self._failure: BulkOnboardError | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._committer = self._loop.create_task(self._commit_groups())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._wake.set()
        self._wanted.set()
        try:
            await asyncio.shield(self._committer)
        finally:
            self._thread.shutdown()
        if self._failure and error is None:
            raise self._failure

    async def intend(self, intent: Item) -> None:
        """Return when the intent is on disk. Raises LedgerError, LedgerBusy: then nothing may be sent."""
        self._intents.append(intent)
        await self._commit_to_come()

    def settle(self, outcome: Item) -> None:
        """Hand in an outcome; it is committed with the next group.

        The caller does not wait: if the process dies first, the open intent makes the next run ask Leaf.
        """
        self._outcomes.append(outcome)
        self._wake.set()

    async def flush(self) -> None:
        """Return when all that was handed in is on disk. Raises LedgerError."""
        await self._commit_to_come()

    def _commit_to_come(self) -> asyncio.Future[None]:
        """Done when all that was handed in by now is on disk."""
        if self._failure:
            raise self._failure
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(done)
        self._wake.set()
        self._wanted.set()
        return done

    async def _commit_groups(self) -> None:
        while not (self._closing and not self._outcomes and not self._waiting) and not self._failure:
            await self._wake.wait()
            if not self._waiting and not self._closing:
                await self._linger()
            self._wake.clear()
            self._wanted.clear()
            await self._commit()

    async def _linger(self) -> None:
        """Wait for more outcomes, but not longer than until an intent comes."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted.wait(), LINGER)

    async def _commit(self) -> None:
        intents, outcomes, waiting = self._intents, self._outcomes, self._waiting
        self._intents, self._outcomes, self._waiting = [], [], []
        if intents or outcomes:
            write = partial(
                self._ledger.write,
                self._run_no,
                self._scope,
                intents,
                outcomes,
                self._scopes,
                fence=self._fence,
            )
            try:
                await self._loop.run_in_executor(self._thread, write)
            except BulkOnboardError as error:
                self._failure = error
            except Exception as error:  # without this, those that wait would wait for ever
                self._failure = LedgerError(f"the ledger cannot be written: {type(error).__name__}")
        for done in waiting + (self._waiting if self._failure else []):
            _resolve(done, self._failure)


def _resolve(done: asyncio.Future[None], failure: BulkOnboardError | None) -> None:
    if done.done():
        return
    if failure:
        done.set_exception(failure)
    else:
        done.set_result(None)
