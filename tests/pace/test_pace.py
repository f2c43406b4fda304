"""The pace against servers whose limit nobody told it, in a time that passes by itself."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest

from bulk_onboard.pace import Pace
from tests.pace.test_ceiling import clock, fullest
from tests.support.properties import THOROUGH
from tests.support.virtual_time import warp

LATENCY = 0.05
Limit = Callable[[float], float]


@dataclass
class Server:
    """Allows so many requests in any second, by the time since the first; refuses a share at random.

    What it takes is answered after ``work`` seconds, a refusal at once.
    """

    limit: Limit
    work: float = 0.0
    random_share: float = 0.0
    after: float | None = None
    draw: Random = field(default_factory=lambda: Random(3))
    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    window: deque[float] = field(default_factory=deque)

    def allows(self, now: float) -> bool:
        first = min((*self.passed[:1], *self.refused[:1]), default=now)
        while self.window and self.window[0] <= now - 1:
            self.window.popleft()
        good = len(self.window) < self.limit(now - first) and self.draw.random() >= self.random_share
        (self.passed if good else self.refused).append(now)
        if good:
            self.window.append(now)
        return good


@dataclass
class Bucket(Server):
    """Allows as many on average as `Server`, and at first, or after a pause, a second's worth at once."""

    tokens: float = math.inf
    at: float = 0.0

    def allows(self, now: float) -> bool:
        limit = self.limit(0.0)
        self.tokens, self.at = min(limit, self.tokens + (now - self.at) * limit), now
        good = self.tokens >= 1
        self.tokens -= good
        (self.passed if good else self.refused).append(now)
        return good


class Way:
    """To the server: some milliseconds, and now and then a stall that makes a crowd of all that come in it.

    ``stalls`` in a second, none longer than ``longest`` seconds.
    """

    def __init__(self, stalls: float = 0.0, longest: float = 0.0, late: float = 0.0) -> None:
        self._draw, self._stalls, self._longest, self._late = Random(5), stalls, longest, late
        self._since = self._until = 0.0

    async def __call__(self) -> None:
        now = clock()
        at = now + LATENCY / 2 + (self._draw.expovariate(1 / self._late) if self._late else 0.0)
        while self._stalls and self._until < at:
            self._since = max(self._until, at - 10) + self._draw.expovariate(self._stalls)
            self._until = self._since + self._draw.random() * self._longest
        await asyncio.sleep((self._until if self._since <= at <= self._until else at) - now)


async def send(pace: Pace, server: Server, rows: int, way: Way) -> None:
    """So many rows, each sent until it passes."""

    async def one() -> None:
        for attempt in range(1000):
            turn = await pace.turn()
            await way()
            good = server.allows(clock())
            await asyncio.sleep(LATENCY / 2 + good * server.work)
            if good:
                pace.passed(turn)
                starts.release()
                return
            pace.throttled(turn, server.after)
            await asyncio.sleep(server.after or server.draw.random() * min(30, 0.5 * 2**attempt))

    starts = asyncio.Semaphore(500)
    async with asyncio.TaskGroup() as group:
        for _ in range(rows):
            await starts.acquire()
            group.create_task(one())


def ran(rate: float, server: Server, rows: int, **way: float) -> float:
    """Seconds that it took."""

    async def main() -> float:
        began = clock()
        await send(Pace(rate), server, rows, Way(**way))
        return clock() - began

    return warp(main())


@pytest.mark.parametrize("limit", [5, 100])
@pytest.mark.parametrize("after", [None, 1.0])
def test_the_rate_settles_just_below_an_unknown_limit(limit: int, after: float | None) -> None:
    server = Server(lambda _at: limit, after=after)
    # Trying one more per second is a fifth too much where five are allowed.
    assert ran(5 * limit, server, 30 * limit) <= (1.15 if limit > 5 else 1.3) * 30
    assert len(server.refused) <= 0.03 * 30 * limit + 3


@pytest.mark.parametrize(("limit", "longest", "most"), [(20, 0.03, 1.12), (100, 0.1, 1.25)])
def test_pauses_are_few_with_bursty_arrivals(limit: int, longest: float, most: float) -> None:
    server = Server(lambda _at: limit, after=1.0)
    assert ran(5 * limit, server, 60 * limit, stalls=1.5, longest=longest, late=0.003) <= most * 60
    assert len(server.refused) <= 0.03 * 60 * limit


@pytest.mark.parametrize("after", [None, 1.0])
def test_fast_refusals_and_slow_replies_do_not_lower_the_rate(
    after: float | None,
) -> None:
    server = Server(lambda _at: 100, work=0.8, after=after)
    assert ran(500, server, 30 * 100) <= 1.15 * 30
    assert len(server.refused) <= 0.03 * 30 * 100


def test_a_falling_limit_is_followed() -> None:
    server = Server(lambda at: 200 if at < 10 else 140 if at < 40 else 50, after=1.0)
    ran(500, server, 200 * 10 + 140 * 30 + 50 * 30)
    first = server.passed[0]
    assert len([at for at in server.passed if 20 <= at - first < 40]) >= 0.85 * 20 * 140
    assert len([at for at in server.passed if 50 <= at - first < 70]) >= 0.85 * 20 * 50
    assert len(server.refused) <= 0.03 * (len(server.passed) + len(server.refused))


def test_the_rate_follows_a_changing_limit() -> None:
    server = Server(lambda at: 200 if 20 <= at < 50 else 50)
    ran(500, server, 50 * 20 + 200 * 25 + 50 * 20)
    first = server.passed[0]
    assert len([at for at in server.passed if 35 <= at - first < 50]) >= 0.85 * 15 * 200
    assert len([at for at in server.passed if 55 <= at - first < 65]) >= 0.85 * 10 * 50
    assert len(server.refused) <= 0.04 * (len(server.passed) + len(server.refused))


@pytest.mark.parametrize("after", [None, 1.0])
@pytest.mark.parametrize(("limit", "times"), [(20, 2), (100, 5)])
def test_a_token_bucket_is_recognised_as_a_limit(limit: int, times: int, after: float | None) -> None:
    server = Bucket(lambda _at: limit, after=after)
    assert ran(times * limit, server, 60 * limit) <= 1.15 * 60
    assert len(server.refused) <= 0.05 * 60 * limit


@pytest.mark.parametrize("seed", range(3 if THOROUGH else 1))
@pytest.mark.parametrize("share", [0.05, 0.25])
@pytest.mark.parametrize(("rate", "most"), [(10, 1.7), (100, 1.3)])
def test_random_refusals_do_not_starve_the_run(rate: float, most: float, share: float, seed: int) -> None:
    server = Server(lambda _at: 1e9, random_share=share, draw=Random(seed))
    ran(rate, server, 30 * rate)
    # Not the last ones: they have waited longer and longer, as unlucky rows do.
    assert server.passed[27 * rate] - server.passed[0] <= 27 / (1 - share) * most


@pytest.mark.parametrize("rate", [10, 100])
@pytest.mark.parametrize("share", [0.005, 0.02])
def test_random_refusals_cost_only_their_pauses(rate: float, share: float) -> None:
    server = Server(lambda _at: 1e9, random_share=share, after=1.0)
    ran(rate, server, 2000)
    assert server.passed[1800] - server.passed[0] <= 1800 * (1 / rate + share) * 1.3


@pytest.mark.parametrize("seed", range(5 if THOROUGH else 1))
@pytest.mark.parametrize("share", [0.1, 0.25])
@pytest.mark.parametrize(("rate", "latency", "most"), [(500, 0.05, 10), (500, 0.002, 15), (10, 0.01, 60)])
def test_random_pauses_do_not_hold_all_rows(
    rate: float, latency: float, most: float, share: float, seed: int
) -> None:
    rows = 900 if rate > 10 else 200
    server = Server(lambda _at: 1e9, random_share=share, after=1.0, draw=Random(seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "LATENCY", latency)
        ran(rate, server, rows)
    assert server.passed[int(0.96 * rows)] - server.passed[0] <= most


def test_a_limit_among_random_refusals_is_found() -> None:
    server = Server(lambda at: 1e9 if at < 5 else 50, random_share=0.1, after=1.0)
    ran(300, server, 300 * 5 + 50 * 30)
    late = [at for at in server.refused if at - server.passed[0] >= 10]
    assert len(late) <= 0.5 * len([at for at in server.passed if at - server.passed[0] >= 10])


def test_a_limit_per_hour_that_names_no_pause_is_obeyed() -> None:
    server = Server(lambda at: 0 if 10 <= at < 900 else 1e9)
    ran(50, server, 1000)
    assert len(server.refused) <= 0.6 * 890 + 30


def test_an_outage_of_429s_is_not_hammered() -> None:
    server = Server(lambda at: 0 if 5 <= at < 35 else 1000)
    ran(100, server, 2000)
    assert len(server.refused) <= 0.1 * 30 * 100


def test_without_a_ceiling_a_refusal_makes_one() -> None:
    # Five hundred go out at once, so the first guess is far off, and it takes some seconds to mend.
    server = Server(lambda _at: 100)
    assert ran(0, server, 3000) <= 1.6 * 30
    assert len(server.refused) <= 500


def test_the_ceiling_is_never_exceeded_whatever_is_refused() -> None:
    server = Server(lambda at: 60 if at < 5 else 1000, random_share=0.02)
    ran(80, server, 2000)
    assert fullest(sorted(server.passed + server.refused), 1.0) <= 80


def test_a_pause_is_reported_once() -> None:
    async def main() -> list[float]:
        told: list[float] = []
        pace = Pace(10, told.append)
        turns = [await pace.turn() for _ in range(3)]
        for turn in turns:
            pace.throttled(turn, 30.0)
        pace.throttled(turns[0], 5.0)
        return told

    assert warp(main()) == [30.0]


def test_the_rate_may_change_while_others_wait_for_their_turn() -> None:
    async def main() -> int:
        pace, draw, done = Pace(0), Random(3), 0

        async def one() -> None:
            nonlocal done
            for _ in range(60):
                turn = await pace.turn()
                await asyncio.sleep(0.005)
                if draw.random() < 0.25:
                    pace.throttled(turn, None)
                else:
                    pace.passed(turn)
                done += 1

        await asyncio.gather(*(one() for _ in range(40)))
        return done

    assert warp(main()) == 2400
