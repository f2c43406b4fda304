"""Rows that share one pace: a row that has begun goes on before others begin, so nothing is asked twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bulk_onboard.domain.model import IfExists
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.pace import Pace
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.engine.support import Life, PacedWorld
from tests.support.fakes import FakeLeaf, FakeWorld, row
from tests.support.virtual_time import BEGINNING, warp


def onboarded(
    rows: int, rate: float, mode: IfExists, *, seconds: float = 0.05, pause: float = 0.0
) -> Counter[str]:
    """The requests that so many rows take. ``seconds``: Leaf's latency; ``pause``: asked for midway."""
    held = "an-old-token" if mode is IfExists.REPLACE else None

    async def main() -> Counter[str]:
        world = FakeWorld(make=lambda _: FakeLeaf(held=held, created=BEGINNING, seconds=seconds))
        paced, life, stop = PacedWorld(Pace(rate), world), Life(policy=Policy(if_exists=mode)), StopSignal()
        work = life.shared(stop, Slots(1000), paced)
        if pause:
            asyncio.get_running_loop().call_later(rows / rate, paced.pace.hold, pause)
        growers = (row(number, grower=f"g-{number}") for number in range(2, 2 + rows))
        await work_through(growers, work.onboard, stop, starts=3 + int(rate / 10), in_hand=10_000)
        assert {outcome.status for outcome in life.journal.outcomes} == {"created"}
        assert len(life.journal.outcomes) == rows
        return Counter(kind for kind, _ in world.log)

    return warp(main())


@pytest.mark.parametrize(
    ("rate", "seconds"), [(0.1, 0.05), (0.1, 8.0), (1.0, 0.05), (10.0, 0.3), (10.0, 3.0), (300.0, 0.05)]
)
def test_a_post_follows_its_check_closely(rate: float, seconds: float) -> None:
    rows = max(12, min(300, round(20 * rate)))
    assert onboarded(rows, rate, IfExists.SKIP, seconds=seconds) == {"GET": rows, "POST": rows}


def test_a_replacement_costs_at_most_one_more_check() -> None:
    requests = onboarded(12, 0.1, IfExists.REPLACE)
    assert (requests["DELETE"], requests["POST"]) == (12, 12)
    assert requests["GET"] <= 24


def test_after_a_pause_only_delayed_rows_are_checked_again() -> None:
    requests = onboarded(300, 20.0, IfExists.SKIP, seconds=1.0, pause=30.0)
    assert requests["POST"] == 300
    assert 300 < requests["GET"] <= 300 + 20  # those in flight when it began
