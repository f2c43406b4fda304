"""Group commits: an intent is on disk before it is believed, and nothing handed in is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.errors import LedgerError
from bulk_onboard.ledger import Journal, Ledger
from bulk_onboard.ledger.journal import LINGER
from bulk_onboard.ledger.ledger import Fence, no_fence
from bulk_onboard.settings import LedgerPlace
from tests.ledger.support import address, begin, g, intent, outcome
from tests.support.virtual_time import warp


@dataclass
class Slow:
    """A ledger whose disk takes its time: a write is done when ``go`` is set, or is refused."""

    ledger: Ledger
    go: threading.Event = field(default_factory=threading.Event)
    groups: list[tuple[list[Entry], list[Entry]]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    error: Exception | None = None

    def write(
        self,
        run_no: int,
        scope: int,
        intents: Iterable[Entry],
        outcomes: Iterable[Entry],
        _scopes: Mapping[str, int],
        fence: Fence = no_fence,
    ) -> None:
        assert self.go.wait(10)
        self.threads.add(threading.current_thread().name)
        if self.error:
            raise self.error
        self.groups.append((list(intents), list(outcomes)))
        self.ledger.write(run_no, scope, intents, outcomes)


@dataclass
class Desk:
    """A journal on a real ledger, and the run it writes."""

    journal: Journal
    ledger: Ledger
    disk: Slow
    run: int

    def entries(self) -> dict[int, str | None]:
        return {entry.row: entry.status for entry in self.ledger.entries(self.run)}


@asynccontextmanager
async def _desk(place: LedgerPlace, *, slow: bool = False) -> AsyncIterator[Desk]:
    with Ledger(place) as ledger:
        run, scope = begin(ledger)
        disk = Slow(ledger)
        if not slow:
            disk.go.set()
        try:
            async with Journal(disk, run, scope) as journal:  # type: ignore[arg-type]
                yield Desk(journal, ledger, disk, run)
        finally:
            disk.go.set()


async def _turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_waiting_for_an_intent_ends_with_its_commit(
    place: LedgerPlace,
) -> None:
    async with _desk(place, slow=True) as desk:
        waiting = asyncio.ensure_future(desk.journal.intend(intent(2, g(1))))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert desk.entries() == {}
        desk.disk.go.set()
        await waiting
        assert desk.entries() == {2: None}


async def test_many_waiters_share_few_commits(place: LedgerPlace) -> None:
    async with _desk(place, slow=True) as desk:
        first = asyncio.ensure_future(desk.journal.intend(intent(0, g(0))))
        await asyncio.sleep(0.02)
        rest = [asyncio.ensure_future(desk.journal.intend(intent(i, g(i)))) for i in range(1, 200)]
        await _turns()
        desk.disk.go.set()
        await asyncio.gather(first, *rest)
        assert [len(intents) for intents, _ in desk.disk.groups] == [1, 199]
        assert len(desk.entries()) == 200


def test_intents_do_not_wait_for_outcomes(place: LedgerPlace) -> None:
    async def waited() -> float:
        async with _desk(place) as desk:
            desk.journal.settle(outcome(2, g(1)))
            await _turns()
            before = asyncio.get_running_loop().time()
            await desk.journal.intend(intent(3, g(2)))
            return asyncio.get_running_loop().time() - before

    assert warp(waited()) < LINGER / 10


async def test_outcomes_are_committed_together_soon(place: LedgerPlace) -> None:
    async with _desk(place) as desk:
        for row in range(50):
            desk.journal.settle(outcome(row, g(row)))
            if row == 0:
                await asyncio.sleep(0)  # now it is waited for more
        async with asyncio.timeout(5):
            while len(desk.entries()) < 50:
                await asyncio.sleep(0.005)
        assert len(desk.disk.groups) == 1


async def test_the_loop_goes_on_while_the_disk_is_slow(place: LedgerPlace) -> None:
    async with _desk(place, slow=True) as desk:
        waiting = asyncio.ensure_future(desk.journal.intend(intent(2, g(1))))
        async with asyncio.timeout(1):
            await _turns(100)
        desk.disk.go.set()
        await waiting
        assert all(name.startswith("ledger") for name in desk.disk.threads)


async def test_a_cancelled_wait_loses_no_intent(
    place: LedgerPlace,
) -> None:
    async with _desk(place, slow=True) as desk:
        gone = asyncio.ensure_future(desk.journal.intend(intent(2, g(1))))
        stays = asyncio.ensure_future(desk.journal.intend(intent(3, g(2))))
        await _turns()
        gone.cancel()
        await _turns()
        desk.journal.settle(outcome(2, g(1), "failed"))
        desk.disk.go.set()
        await stays
        assert gone.cancelled()
        await desk.journal.flush()
        assert desk.entries() == {2: "failed", 3: None}


async def test_closing_commits_the_rest(place: LedgerPlace) -> None:
    async def failing_run() -> None:
        async with _desk(place) as desk:
            desk.journal.settle(outcome(2, g(1)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing_run()
    with Ledger(place) as ledger:
        assert [entry.status for entry in ledger.entries(1)] == ["created"]


async def test_a_flush_waits_for_earlier_entries(place: LedgerPlace) -> None:
    async with _desk(place) as desk:
        await desk.journal.flush()
        desk.journal.settle(outcome(2, g(1)))
        await desk.journal.flush()
        assert desk.entries() == {2: "created"}


@pytest.mark.parametrize("error", [LedgerError("disk full"), RuntimeError("bug"), ValueError("planted-x")])
async def test_a_full_disk_fails_all_waiters(place: LedgerPlace, error: Exception) -> None:
    async def run() -> None:
        async with _desk(place, slow=True) as desk:
            desk.disk.error = error
            waiting = [asyncio.ensure_future(desk.journal.intend(intent(i, g(i)))) for i in range(3)]
            await asyncio.sleep(0.01)
            waiting += [asyncio.ensure_future(desk.journal.intend(intent(9, g(9))))]
            await _turns()
            desk.disk.go.set()
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(one) for one in found] == [LedgerError] * 4
            with pytest.raises(LedgerError):
                await desk.journal.intend(intent(10, g(10)))
            with pytest.raises(LedgerError):
                await desk.journal.flush()
            assert desk.entries() == {}

    with pytest.raises(LedgerError) as ended:
        await run()
    assert "planted" not in str(ended.value)


# --- kill -9 ----------------------------------------------------------------------------------------

KILLED = """
import asyncio, os, signal, sys
from bulk_onboard.settings import parse
from bulk_onboard.ledger.journal import LINGER
from tests.ledger.support import begin, g, intent, outcome
from tests.support.virtual_time import warp
from bulk_onboard.ledger import Journal, Ledger

async def main():
    ledger = Ledger(parse.ledger(sys.argv[1]))
    async with Journal(ledger, *begin(ledger)) as journal:
        await asyncio.gather(*(journal.intend(intent(row, g(row))) for row in range(20)))
        journal.settle(outcome(0, g(0)))
        await journal.flush()
        journal.settle(outcome(1, g(1)))
        print("sent", flush=True)  # what a POST would be
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_committed_intents_survive_a_kill(
    place: LedgerPlace,
) -> None:
    here = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r})\n{KILLED}", address(place)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "sent\n"), killed.stderr
    with Ledger(place) as ledger:
        _, scope = begin(ledger, "r-2")
        known = ledger.known(scope, [g(row) for row in range(20)])
    assert [known[g(row)].status for row in range(20)] == ["created"] + [None] * 19
