"""Workers under one ceiling, in simulated time: the real leader and leases, everything else imagined.

Imagined are Leaf (a hidden limit, answers with a long tail), the table between workers and leader, and the
ledger. Rows come in partitions. A worker that dies leaves one behind, which another takes over once the
leader has given up the dead one's lease; there a row that was begun and has no outcome is asked about before
it is posted.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

import simpy

from bulk_onboard.orders import RENEWAL, Orders, Report
from bulk_onboard.pace import Leader
from bulk_onboard.pace.lease import Lease

# Between two looks at the table, however urgent; one look takes about so long, at times much longer.
LEAST, LOOK = 0.05, 0.02
# Seconds from a POST to its first event, as the rows see it, and to the next worker after a death.
EVENT, REPLACED = 1.0, 10.0

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is simulated. ``rate``: requests per second of all, 0 for no ceiling; ``limit``: what Leaf allows
    in any second, 0 for everything. ``latency``: median seconds of an answer, lognormal with ``tail`` as the
    deviation of its logarithm. ``deaths``: workers that die per minute, each replaced after `REPLACED`.
    ``ahead``: whether a worker takes its next partition before the last answers of this one have come.
    """

    workers: int
    rate: float
    rows: int
    limit: int = 0
    latency: float = 0.15
    tail: float = 0.8
    after: float | None = None
    deaths: float = 0.0
    ahead: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it. ``reached``: share of the rate, or of the limit where that is lower, while there was
    enough to do; ``fullest``: requests of the fullest second. ``looks``: at the table, per second.
    """

    seconds: float
    requests: int
    reached: float
    fullest: int
    throttled: float
    died: int
    asked: int
    twice: int
    lost: int
    looks: float


@dataclass(eq=False)
class Row:
    """One row, and what the ledger and Leaf know of it."""

    intended: bool = False
    stored: int = 0
    done: bool = False
    attempts: int = 0
    next: str = "post"


@dataclass
class World:
    """Everything that all of them see."""

    scene: Scene
    env: simpy.Environment = field(default_factory=simpy.Environment)
    partitions: deque[list[Row]] = field(default_factory=deque)
    table: dict[str, Report] = field(default_factory=dict)
    orders: dict[str, Orders] = field(default_factory=dict)
    sent: list[float] = field(default_factory=list)
    window: deque[float] = field(default_factory=deque)
    workers: dict[str, Worker] = field(default_factory=dict)
    throttled: int = 0
    asked: int = 0
    looks: int = 0
    died: int = 0

    def __post_init__(self) -> None:
        scene = self.scene
        self.draw = Random(scene.seed)
        self.names = (f"w{number}" for number in count())
        self.leader = Leader(scene.rate)
        self.rows = [Row() for _ in range(scene.rows)]
        size = max(1, math.ceil(scene.rows / (4 * scene.workers)))
        self.partitions.extend(self.rows[at : at + size] for at in range(0, scene.rows, size))
        self.left, self.good = scene.rows, list[float]()
        self.over = self.env.event()
        # When the first partition was asked for and there was none left: from here on some have less to do.
        self.emptied: float | None = None

    def joins(self) -> None:
        worker = Worker(self, next(self.names))
        self.workers[worker.lease.worker] = worker

    def serves(self) -> bool:
        """Whether Leaf takes a request that comes now."""
        now, window = self.env.now, self.window
        self.sent.append(now)
        while window and window[0] <= now - 1:
            window.popleft()
        if self.scene.limit and len(window) >= self.scene.limit:
            self.throttled += 1
            return False
        window.append(now)
        self.good.append(now)
        return True

    def leads(self) -> Process:
        while True:
            for report in list(self.table.values()):
                self.leader.hear(report, self.env.now)
            self.orders = self.leader.orders(self.env.now)
            for name in [each for each in self.workers if each not in self.orders and each in self.table]:
                self.gives_up(self.workers.pop(name))
            self.looks += 1
            yield self.env.timeout(RENEWAL)

    def gives_up(self, worker: Worker) -> None:
        """What it had is for others, who ask about what it had begun."""
        worker.dies()
        left = [row for row in worker.part if not row.done]
        for row in left:
            row.next = "ask" if row.intended else "post"
        if left:
            self.partitions.append(left)
            for each in self.workers.values():
                each.wakes()

    def kills(self) -> Process:
        while self.scene.deaths:
            yield self.env.timeout(self.draw.expovariate(self.scene.deaths / 60))
            alive = [each for each in self.workers.values() if each.alive]
            if alive and self.left:
                self.draw.choice(alive).dies()
                self.died += 1
                self.env.process(self.replaces())

    def replaces(self) -> Process:
        yield self.env.timeout(REPLACED)
        self.joins()

    def ends(self, row: Row) -> None:
        row.done = True
        self.left -= 1
        if not self.left and not self.over.triggered:
            self.over.succeed()


class Worker:
    """A lease, a line of requests, and a partition of the rows."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.env = world, world.env
        self.lease = Lease(name)
        self.alive = True
        self.part: list[Row] = []
        self._fresh: deque[Row] = deque()
        self._ready: deque[Row] = deque()
        self._underway = 0
        self._last = -math.inf
        self._held_until = 0.0
        self._woken = self.env.event()
        self._hurry = self.env.event()
        self.env.process(self._talks())
        self.env.process(self._sends())

    def dies(self) -> None:
        self.alive = False

    def wakes(self) -> None:
        if not self._woken.triggered:
            self._woken.succeed()

    # --- with the leader

    def _hurries(self) -> None:
        if not self._hurry.triggered:
            self._hurry.succeed()

    def _look(self) -> simpy.Event:
        self.world.looks += 1
        return self.env.timeout(self.world.draw.lognormvariate(math.log(LOOK), 1.0))

    def _talks(self) -> Process:
        while self.alive:
            self._hurry = self.env.event()
            report = self.lease.report(self.env.now)
            yield self._look()
            if not self.alive:
                return
            self.world.table[self.lease.worker] = report
            if orders := self.world.orders.get(self.lease.worker):
                self._obeys(orders)
            yield self.env.timeout(LEAST)
            yield self.env.any_of([self._hurry, self.env.timeout(RENEWAL - LEAST)])

    def _obeys(self, orders: Orders) -> None:
        before = self.lease.orders.number
        if not self.lease.obey(orders):
            return
        if orders.pause:
            self._held_until = max(self._held_until, self.env.now + orders.pause)
            self.lease.held(self.env.now, self._held_until)
        if orders.number != before:
            self._hurries()
        self.wakes()

    # --- with Leaf

    def _takes(self) -> Row | None:
        """The next row to send something about; None if there is nothing to do now."""
        if self._ready:
            return self._ready.popleft()
        if not self._fresh and (self.world.scene.ahead or not self._underway):
            if not self.world.partitions:
                if self.world.emptied is None:
                    self.world.emptied = self.env.now
                return None
            part = self.world.partitions.popleft()
            self.part = [row for row in self.part if not row.done] + part
            self._fresh.extend(part)
        return self._fresh.popleft() if self._fresh else None

    def _sends(self) -> Process:
        while self.alive:
            row = self._takes()
            if row is None:
                self._woken = self.env.event()
                yield self._woken
                continue
            self.lease.wanted(self.env.now, 1)
            yield from self._turn()
            self.lease.wanted(self.env.now, -1)
            if self.alive:
                self._send(row)

    def _turn(self) -> Process:
        """The same as `SharedPace.turn`, with a ceiling that is never late."""
        while self.alive:
            if not self.lease.allows(self.env.now):
                self._woken = self.env.event()
                yield self._woken
                continue
            share = self.lease.orders.share
            due = max(self._last + 1 / share, self._held_until)
            if due <= self.env.now:
                self._last = self.env.now
                return
            yield self.env.timeout(due - self.env.now)

    def _send(self, row: Row) -> None:
        now, world = self.env.now, self.world
        self.lease.sent(now)
        if row.next == "post":
            row.intended = True
        world.asked += row.next == "ask"
        good = world.serves()
        if good and row.next == "post":
            row.stored += 1
        self._underway += 1
        scene = world.scene
        answer = self.env.timeout(world.draw.lognormvariate(math.log(scene.latency), scene.tail))
        assert answer.callbacks is not None
        answer.callbacks.append(lambda _event: self._answered(row, now, good))

    def _answered(self, row: Row, turn: float, good: bool) -> None:
        if not self.alive:
            return
        if good:
            self.lease.passed(turn)
            self._goes_on(row)
            return
        after = self.world.scene.after
        self.lease.throttled(turn)
        if after:
            self._held_until = max(self._held_until, self.env.now + after)
            self.lease.asked_to_wait(self.env.now, self._held_until)
        self._hurries()
        row.attempts += 1
        self._later(row, after or self.world.draw.random() * min(30.0, 0.5 * 2**row.attempts))

    def _goes_on(self, row: Row) -> None:
        match row.next:
            case "ask":
                row.next = "events" if row.stored else "post"
                self._later(row, 0.0)
            case "post":
                row.next = "events"
                self._later(row, EVENT)
            case _:
                self._underway -= 1
                self.world.ends(row)
                self.wakes()

    def _later(self, row: Row, seconds: float) -> None:
        self._underway -= 1
        waiting = self.env.timeout(seconds)
        assert waiting.callbacks is not None
        waiting.callbacks.append(lambda _event: self._is_ready(row))
        self._underway += 1

    def _is_ready(self, row: Row) -> None:
        self._underway -= 1
        self._ready.append(row)
        self.wakes()


def simulate(scene: Scene, most: float = 36_000.0) -> Seen:
    """Let it happen, until all rows are done or for so many seconds."""
    world = World(scene)
    for _ in range(scene.workers):
        world.joins()
    world.env.process(world.leads())
    world.env.process(world.kills())
    world.env.run(until=world.env.any_of([world.over, world.env.timeout(most)]))
    return _seen(world)


def _seen(world: World) -> Seen:
    scene, sent = world.scene, world.sent
    aim = min(each for each in (scene.rate, scene.limit) if each)
    # From when all have their share until the first has nothing to do, in whole seconds.
    begin = sent[0] + 5
    end = begin + math.floor((world.emptied or sent[-1]) - begin)
    good = bisect_left(world.good, end) - bisect_left(world.good, begin)
    return Seen(
        seconds=round(world.env.now, 1),
        requests=len(sent),
        reached=round(good / (end - begin) / aim, 3),
        fullest=max(at - bisect_left(sent, now - 1 + 1e-6) + 1 for at, now in enumerate(sent)),
        throttled=round(world.throttled / len(sent), 4),
        died=world.died,
        asked=world.asked,
        twice=sum(row.stored > 1 for row in world.rows),
        lost=sum(not row.done for row in world.rows),
        looks=round(world.looks / world.env.now, 1),
    )
