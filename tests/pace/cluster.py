"""Workers, a leader and what lies between them: a table that each of them reads and writes now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from bulk_onboard.orders import RENEWAL, Orders, Report
from bulk_onboard.pace import Leader, SharedPace
from tests.pace.test_ceiling import clock
from tests.pace.test_pace import LATENCY, Server

# No two looks at the table within less than this, however urgent.
LEAST = 0.05


@dataclass
class Worker:
    """One of them. ``cut_until``: when it reaches the table again; ``slow``: how late it may be."""

    name: str
    cluster: Cluster
    slow: float = 0.0
    cut_until: float = 0.0
    sent: list[float] = field(default_factory=list)
    pace: SharedPace = field(init=False)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pace = SharedPace(self.name, self.hurry.set)
        self.tasks.append(asyncio.create_task(self._talk()))

    async def _talk(self) -> None:
        table, draw = self.cluster, self.cluster.draw
        while True:
            self.hurry.clear()
            report = self.pace.report()
            await asyncio.sleep(draw.random() * self.slow)
            if clock() >= self.cut_until:
                table.reports[self.name] = report
                orders = table.orders.get(self.name)
                await asyncio.sleep(draw.random() * self.slow)
                if orders:
                    self.pace.obey(orders)
            await asyncio.sleep(LEAST)
            try:
                await asyncio.wait_for(self.hurry.wait(), RENEWAL - LEAST)
            except TimeoutError:
                continue

    async def turn(self) -> float:
        turn = await self.pace.turn()
        assert turn is not None
        self.sent.append(turn)
        return turn

    def always_wants(self, many: int = 30) -> None:
        """From now on so many requests of it stand in line at any time."""

        async def want() -> None:
            while True:
                await self.turn()

        self.tasks += [asyncio.create_task(want()) for _ in range(many)]

    def sends(self, server: Server, rows: list[int], many: int = 150) -> asyncio.Task[None]:
        """Take rows off the list, each of them sent until it passes."""

        async def one() -> None:
            while rows:
                rows.pop()
                for attempt in range(1000):
                    turn = await self.turn()
                    await asyncio.sleep(LATENCY / 2)
                    good = server.allows(clock())
                    await asyncio.sleep(LATENCY / 2)
                    if good:
                        self.pace.passed(turn)
                        break
                    self.pace.throttled(turn, server.after)
                    await asyncio.sleep(server.after or server.draw.random() * min(30, 0.5 * 2**attempt))

        async def all_() -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(many):
                    group.create_task(one())

        self.tasks.append(asyncio.create_task(all_()))
        return self.tasks[-1]

    def dies(self) -> None:
        for task in self.tasks:
            task.cancel()


@dataclass
class Cluster:
    """Workers under one ceiling. The leader looks at the table every ``tick`` seconds."""

    leader: Leader
    tick: float = RENEWAL
    draw: Random = field(default_factory=lambda: Random(5))
    reports: dict[str, Report] = field(default_factory=dict)
    orders: dict[str, Orders] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    stalled_until: float = 0.0

    def joins(self, slow: float = 0.0) -> Worker:
        self.workers.append(Worker(f"w{len(self.workers)}", self, slow))
        return self.workers[-1]

    def sent(self) -> list[float]:
        return sorted(turn for each in self.workers for turn in each.sent)

    async def lead(self) -> None:
        while True:
            if clock() >= self.stalled_until:
                for report in list(self.reports.values()):
                    self.leader.hear(report, clock())
                self.orders = self.leader.orders(clock())
            await asyncio.sleep(self.tick)


@asynccontextmanager
async def cluster(rate: float, tick: float = RENEWAL) -> AsyncIterator[Cluster]:
    found = Cluster(Leader(rate), tick)
    leading = asyncio.create_task(found.lead())
    try:
        yield found
    finally:
        leading.cancel()
        for worker in found.workers:
            worker.dies()
