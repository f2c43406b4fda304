"""Several workers against a server whose limit nobody told, in a time that passes by itself."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from warp import warp

from bulk_onboard.orders import UNLIMITED, Report
from bulk_onboard.pace.governor import GATHER, Governor
from tests.pace.cluster import cluster
from tests.pace.test_ceiling import clock, fullest
from tests.pace.test_pace import Server


def ran(rate: float, server: Server, rows: int, workers: int = 3, tick: float = 0.5) -> float:
    """Seconds that it took them together."""

    async def main() -> float:
        async with cluster(rate, tick) as found:
            began, left = clock(), list(range(rows))
            await asyncio.gather(*(found.joins(0.05).sends(server, left) for _ in range(workers)))
            return clock() - began

    return warp(main())


@pytest.mark.parametrize("limit", [100, 400])
@pytest.mark.parametrize("after", [None, 1.0])
def test_the_sum_settles_just_below_a_limit_that_nobody_told(limit: int, after: float | None) -> None:
    server = Server(lambda _at: limit, after=after)
    # Of a pause of a second each makes two: the others hear of it later.
    assert ran(5 * limit, server, 30 * limit) <= (1.25 if after else 1.12) * 30
    assert len(server.refused) <= 0.03 * 30 * limit


def test_the_sum_follows_a_limit_that_rises_and_one_that_falls() -> None:
    server = Server(lambda at: 200 if 20 <= at < 50 else 50)
    ran(500, server, 50 * 20 + 200 * 25 + 50 * 20)
    first = server.passed[0]
    assert len([at for at in server.passed if 37 <= at - first < 50]) >= 0.85 * 13 * 200
    assert len([at for at in server.passed if 56 <= at - first < 66]) >= 0.85 * 10 * 50
    assert len(server.refused) <= 0.08 * (len(server.passed) + len(server.refused))


@pytest.mark.parametrize("share", [0.05, 0.2, 0.3])
def test_refusals_that_have_nothing_to_do_with_the_rate_do_not_starve_the_run(share: float) -> None:
    took = []
    for seed in range(3):  # now and then chance puts several refusals in a row, which look like a limit
        server = Server(lambda _at: 1e9, random_share=share, draw=Random(seed))
        ran(100, server, 2000)
        took.append(server.passed[1800] - server.passed[0])
        assert fullest(sorted(server.passed + server.refused), 1.0) <= 105  # they travel at different speeds
    assert sorted(took)[1] <= 1800 / 100 / (1 - share) * 1.3


def test_a_leaf_that_refuses_everything_for_a_while_is_not_hammered() -> None:
    server = Server(lambda at: 0 if 5 <= at < 35 else 1000)
    ran(100, server, 2000)
    assert len(server.refused) <= 0.1 * 30 * 100


def test_without_a_ceiling_a_refusal_makes_one_for_all() -> None:
    server = Server(lambda _at: 100)
    assert ran(0, server, 3000) <= 1.3 * 30
    assert len(server.refused) <= 500


def test_one_refusal_is_weighed_when_all_have_reported_or_after_a_while() -> None:
    def told(worker: str, number: int, refused: int = 0) -> Report:
        return Report(worker, number, taken=50, age=9.0, rate=500, refused=refused, answered=50)

    def governed() -> Governor:
        governor = Governor(500)
        for worker in "abc":
            governor.hear(told(worker, 1), 10.0)
        governor.tick(10.0)
        governor.hear(told("a", 2, refused=1), 10.5)
        governor.tick(10.5)
        assert (governor.rate, governor.weighing) == (500, True)
        return governor

    governor = governed()
    governor.hear(told("b", 2), 10.6)
    governor.hear(told("c", 2), 10.7)
    governor.tick(10.7)
    assert governor.rate == pytest.approx(0.97 * 150)
    assert (governor.epoch, governor.weighing) == (1, False)
    governor.hear(told("a", 3, refused=2), 11.0)  # of the old rate
    assert not governor.weighing
    governor.tick(13.0)
    assert governor.epoch == 1

    silent = governed()
    silent.tick(10.5 + GATHER)
    assert silent.rate == pytest.approx(0.97 * 150)


def test_who_has_gone_silent_or_is_forgotten_counts_as_taking_nothing() -> None:
    governor = Governor(500)
    governor.hear(Report("gone", 1, taken=80, age=9), 10.0)
    governor.hear(Report("dead", 1, taken=80, age=9), 15.0)
    governor.forget("dead")
    governor.hear(Report("a", 1, wants=UNLIMITED, taken=50, age=9, rate=500, refused=1, answered=50), 15.0)
    governor.tick(15.1)
    assert governor.rate == pytest.approx(0.97 * 50)


def test_pauses_and_slower_rates_are_told_once() -> None:
    held: list[float] = []
    slower: list[float] = []
    governor = Governor(100, held.append, slower.append)
    governor.hear(Report("a", 1, pauses=1, pause=30.0), 0.0)
    governor.hear(Report("b", 1, pauses=1, pause=5.0), 0.0)
    governor.hear(Report("a", 2, pauses=1, pause=29.5, refused=3, in_a_row=3, rate=100, taken=20), 1.0)
    governor.tick(1.1)
    governor.tick(2.2)
    assert held == [30.0]
    assert governor.held_until == 30.0
    assert slower == [pytest.approx(0.97 * 20)]
