"""Processes that share a ceiling and a ledger on a real server, and what they do without either."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

import pytest

from bulk_onboard.cluster.heartbeat import heartbeat
from bulk_onboard.domain.model import Requests
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError, LedgerBusy, LedgerError
from bulk_onboard.ledger import Ledger
from bulk_onboard.ledger.leases import LEASE, Beat, Claim, Leases
from bulk_onboard.ledger.lock import Lock, clock
from bulk_onboard.pace.shared import SharedPace, shares
from tests.ledger.support import begin
from tests.pace.test_ceiling import fullest
from tests.support.postgres import Server
from tests.support.virtual_time import warp

pytest.importorskip("distributed", reason="needs distributed: pip install -e '.[integration]'")

RATE, SECONDS = 99.0, 3.0


async def send(pace: SharedPace, lease: Lock, sent: list[float]) -> None:
    """Send like a client: at a turn, while the lease is certain."""
    while (turn := await pace.turn()) is not None:
        if lease.is_sure():
            sent.append(turn)
        else:
            await asyncio.sleep(0.5)


async def _together(ledger: Ledger, run_no: int, seconds: float, leader: float = 1e9) -> list[float]:
    """When three workers send that always could; the leader is heard of for so many seconds."""
    leases, sent = Leases(ledger, run_no), list[float]()
    leases.open()
    leases.lead(0.0, None)
    loop, stop = asyncio.get_running_loop(), StopSignal()
    ends = loop.time() + leader
    async with AsyncExitStack() as stack:
        for number in range(3):
            mine = leases.claim(number)
            assert mine is not None
            pace, lease = SharedPace(RATE / 3), Lock(clock())
            renew = partial(_renewed, Leases(ledger, run_no), mine)
            beats = heartbeat(renew, lease, pace, stop, lambda _beat: None)
            await stack.enter_async_context(beats)
            for _ in range(12):
                task = asyncio.create_task(send(pace, lease, sent))
                stack.callback(task.cancel)
        began = loop.time()
        while loop.time() < began + seconds:
            await asyncio.sleep(0.25)
            if loop.time() < ends:
                await asyncio.to_thread(leases.lead, 0.0, None)
        return [turn - began for turn in sent]


def _renewed(leases: Leases, mine: Claim, pause: float) -> Beat:
    return leases.renew(mine, pause, Requests())


@pytest.mark.soak(5)
def test_three_workers_keep_and_use_up_one_ceiling_on_a_real_server(postgres: Server) -> None:
    with Ledger(postgres.place()) as ledger:
        sent = sorted(asyncio.run(_together(ledger, begin(ledger)[0], SECONDS)))
    assert fullest(sent, 1.0) <= RATE * 1.05
    steady = [turn for turn in sent if turn >= 0.5]
    assert (len(steady) - 1) / (steady[-1] - steady[0]) >= 0.97 * RATE


@pytest.mark.soak(8)
def test_workers_send_nothing_more_when_the_leader_is_not_heard_of(postgres: Server) -> None:
    with Ledger(postgres.place()) as ledger:
        sent = asyncio.run(_together(ledger, begin(ledger)[0], LEASE + 2.5, leader=0.0))
    assert max(sent) <= LEASE
    assert len(sent) > RATE


@pytest.mark.parametrize(("taken", "error"), [("part", LedgerBusy), ("ledger", LedgerError)])
def test_a_worker_stops_at_once_when_its_part_or_its_ledger_is_anothers(
    postgres: Server, taken: str, error: type[BulkOnboardError]
) -> None:
    async def work(ledger: Ledger) -> StopSignal:
        leases, stop, pace, lease = (
            Leases(ledger, begin(ledger)[0]),
            StopSignal(),
            SharedPace(0.0),
            Lock(clock()),
        )
        leases.open()
        leases.lead(0.0, None)
        mine = leases.claim(0)
        assert mine is not None
        async with heartbeat(partial(_renewed, leases, mine), lease, pace, stop, lambda _beat: None):
            assert lease.is_sure()
            if taken == "part":
                leases.release(mine, Requests())
                assert leases.claim(0) is not None
            else:
                with Ledger(ledger_place) as other:
                    begin(other, "r-2")
            await asyncio.wait_for(stop.aborted(), 3)
            with pytest.raises(error):
                lease.is_sure()
        return stop

    ledger_place = postgres.place()
    with Ledger(ledger_place) as ledger:
        stop = asyncio.run(work(ledger))
    assert stop.exit_code is error.exit_code


def test_a_pause_that_one_process_is_asked_for_holds_for_another() -> None:
    async def main() -> None:
        first, second = SharedPace(50.0), SharedPace(0.0)
        first.throttled(await first.turn() or 0.0, 3.0)
        assert first.is_urgent.is_set()
        pause, asked = first.take_pause(), clock()
        assert (pause, first.take_pause()) == (3.0, 0.0)
        second.obey(pause)
        second.obey(pause + 0.01)  # the same, by an answer that took longer
        first.obey(pause)
        assert second.held_for <= 3.0
        assert not second.is_urgent.is_set()
        for pace in (first, second):
            assert (await pace.turn() or 0.0) >= virtual_clock() - 1e-3
        assert clock() - asked < 1

    virtual_clock = lambda: asyncio.get_running_loop().time()  # noqa: E731
    warp(main())


@pytest.mark.parametrize(
    ("ceiling", "most", "many"), [(300.0, 3, 3), (50.0, 3, 3), (10.0, 3, 2), (4.0, 3, 2), (0.5, 9, 1)]
)
def test_no_more_processes_share_a_ceiling_than_can_keep_it(ceiling: float, most: int, many: int) -> None:
    assert shares(ceiling, most) == many
