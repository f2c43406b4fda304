"""Several processes under one ceiling, in a time that passes by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

import pytest

from bulk_onboard.domain.turns import Urgency
from bulk_onboard.pace.slots import LATE, SlotPace
from tests.pace.test_ceiling import clock, fullest
from tests.support.virtual_time import warp


class Database:
    """Hands out slots; its clock is not that of the processes."""

    AHEAD = 1e9

    def __init__(self, rate: float) -> None:
        self.interval = 1 / rate if rate else 0.0
        self.next_slot = self.paused_until = self.AHEAD

    def beat(self, count: int, pause: float) -> tuple[int, float, float, float]:
        now = clock() + self.AHEAD
        if pause:
            self.paused_until = max(self.paused_until, now + pause)
        first = max(self.next_slot, self.paused_until, now)
        self.next_slot = first + count * self.interval
        return count, now, first, self.paused_until


class Process:
    """One of them: ``rows`` requests stand in line at any time. A beat takes up to ``slow`` seconds."""

    def __init__(self, database: Database, rate: float, rows: int, slow: Callable[[], float]) -> None:
        self.database, self.slow = database, slow
        self.pace = SlotPace(rate)
        self.sent: list[float] = []
        self.tasks = [asyncio.create_task(self._send()) for _ in range(rows)]
        self.tasks.append(asyncio.create_task(self._beats()))

    async def _beats(self) -> None:
        while True:
            ask = await self.pace.next_ask(0.25)
            await asyncio.sleep(self.slow())
            answer = self.database.beat(*ask)
            await asyncio.sleep(self.slow())
            self.pace.take(*answer)

    async def _send(self) -> None:
        while True:
            turn = await self.pace.turn()
            assert turn is not None
            self.sent.append(turn)

    def stop(self) -> None:
        for task in self.tasks:
            task.cancel()


def together(
    rate: float, counts: list[int], seconds: float, late: Callable[[], float] = lambda: 0.001
) -> list[list[float]]:
    draw = Random(3)

    async def main() -> list[list[float]]:
        database = Database(rate)
        found = [Process(database, rate, rows, lambda: draw.random() * 0.02) for rows in counts]
        await asyncio.sleep(seconds)
        for each in found:
            each.stop()
        return [each.sent for each in found]

    return warp(main(), late)


@pytest.mark.parametrize("rate", [2.0, 5.0, 50.0, 500.0, 2000.0])
def test_three_processes_keep_one_ceiling_and_use_it_up(rate: float) -> None:
    seconds = max(10.0, 40 / rate)
    waiting = 2 + int(rate * 0.1)
    sent = together(rate, [waiting] * 3, seconds)
    every = sorted(time for each in sent for time in each)
    assert fullest(every, max(1.0, 1 / rate)) <= rate * 1.05 + 1
    assert len(every) >= 0.97 * rate * (seconds - 1)
    assert all(len(each) >= 0.8 * len(every) / 3 for each in sent)


@pytest.mark.parametrize("rate", [50.0, 500.0])
def test_processes_that_stall_again_and_again_keep_the_ceiling_all_the_same(rate: float) -> None:
    stalls = Random(7)

    def late() -> float:
        return stalls.uniform(0.03, 0.12) if stalls.random() < 5 / rate / 3 else stalls.random() * 0.002

    sent = together(rate, [2 + int(rate * 0.4)] * 3, 20.0, late)
    every = sorted(time for each in sent for time in each)
    assert fullest(every, 1.0) <= rate * (1 + LATE) + 1
    assert len(every) >= 0.8 * rate * 19


def test_a_process_with_little_to_send_leaves_the_rest_to_the_others() -> None:
    sent = together(100.0, [1, 30], 10.0)
    assert sum(map(len, sent)) >= 0.97 * 100 * 9


def test_a_stalled_process_forfeits_its_slots() -> None:
    async def main() -> None:
        database, pace = Database(100.0), SlotPace(100.0)
        turns = [asyncio.create_task(pace.turn()) for _ in range(30)]
        await asyncio.sleep(0)
        asked, _ = await pace.next_ask(0.0)
        pace.take(*database.beat(asked, 0.0))
        loop = asyncio.get_running_loop()
        loop._seconds += 0.1  # type: ignore[attr-defined]
        now = clock()
        await asyncio.sleep(0.5)
        used = [await turn or 0.0 for turn in turns if turn.done()]
        assert asked == 20
        assert 0 <= asked - len(used) - round((0.1 - LATE) * 100) <= 1
        assert min(used) >= now
        for turn in turns:
            turn.cancel()

    warp(main())


def test_a_pause_that_one_is_asked_for_holds_for_all() -> None:
    async def main() -> None:
        database = Database(50.0)
        first, second = (Process(database, 50.0, 5, lambda: 0.005) for _ in range(2))
        await asyncio.sleep(2)
        now = clock()
        first.pace.throttled(first.sent[-1], 3.0)
        await asyncio.sleep(5)
        for each in (first, second):
            assert not [turn for turn in each.sent if now + 0.35 < turn < now + 2.99]
            assert [turn for turn in each.sent if turn > now + 3]
            each.stop()

    warp(main())


def test_without_a_ceiling_pauses_are_shared_all_the_same() -> None:
    async def main() -> None:
        database = Database(0.0)
        first, second = SlotPace(0.0), SlotPace(0.0)
        first.throttled(await first.turn() or 0.0, 3.0)
        now = clock()
        for each in (first, second):
            each.take(*database.beat(*await each.next_ask(0.0)))
        for each in (first, second):
            assert (await each.turn() or 0.0) >= now + 3 - 1e-3

    warp(main())


def test_without_a_ceiling_a_rate_that_was_learned_needs_no_slots() -> None:
    async def main() -> None:
        pace = SlotPace(0.0)
        pace._slots.change(20.0)
        async with asyncio.timeout(5):
            for _ in range(40):
                assert await pace.turn() is not None

    warp(main())


def test_the_most_urgent_request_gets_the_next_slot() -> None:
    async def main() -> None:
        database, pace = Database(10.0), SlotPace(10.0)
        order: list[str] = []

        async def want(name: str, urgency: Urgency) -> None:
            await pace.turn(urgency=urgency)
            order.append(name)

        tasks = [
            asyncio.create_task(want(urgency.name, urgency))
            for urgency in (Urgency.BEGIN, Urgency.CONTINUE, Urgency.COMPLETE)
        ]
        await asyncio.sleep(0.01)
        pace.take(*database.beat(3, 0.0))
        await asyncio.gather(*tasks)
        assert order == ["COMPLETE", "CONTINUE", "BEGIN"]

    warp(main())
