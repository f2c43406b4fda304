"""Replacing credentials: few growers are without at a time, and when it goes wrong no more lose theirs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat

import pytest

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import Credential, Echo, IfExists, Status
from bulk_onboard.engine.replacement_brake import Replaced, ReplacementBrake, result_of
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.pace import Pace
from bulk_onboard.policy.progress import LEFT_WITHOUT, Action, Finish, Progress
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.engine.support import Life, PacedWorld
from tests.support.fakes import FakeLeaf, FakeWorld, Fault, row
from tests.support.virtual_time import BEGINNING, warp

F = Fault


@dataclass
class Replacing:
    """A run that replaces many growers' credentials. ``stops_at``: seconds until it is asked to stop."""

    posts: Callable[[int], Iterator[Fault]] = lambda _number: iter(())
    rate: float = 300.0
    slots: int = 1000
    rows: int = 300
    stops_at: float | None = None

    def run(self) -> tuple[FakeWorld, list[Entry], StopSignal]:
        return warp(self._run())

    async def _run(self) -> tuple[FakeWorld, list[Entry], StopSignal]:
        world = FakeWorld(make=self._grower)
        life, stop = Life(policy=Policy(if_exists=IfExists.REPLACE)), StopSignal()
        stop.grace = 1e6
        if self.stops_at is not None:
            asyncio.get_running_loop().call_later(self.stops_at, stop.drain, "Ctrl-C")
        shared = life.shared(stop, Slots(self.slots), PacedWorld(Pace(self.rate), world))
        rows = (row(number, grower=f"g-{number}") for number in range(2, 2 + self.rows))
        await work_through(rows, shared.onboard, stop, starts=3 + int(self.rate / 10), in_hand=10_000)
        return world, life.journal.outcomes, stop

    def _grower(self, name: str) -> FakeLeaf:
        posts = self.posts(int(name.removeprefix("g-")))
        return FakeLeaf(posts, held="an-old-token", created=BEGINNING)


@pytest.mark.parametrize("rate", [0.0, 0.1, 10.0, 500.0])
def test_if_all_posts_are_refused_one_grower_loses_credentials(rate: float) -> None:
    world, outcomes, stop = Replacing(lambda _: repeat(F.REFUSED), rate).run()
    assert sum(leaf.held is None for leaf in world.growers.values()) == 1
    assert Counter(kind for kind, _ in world.log)["DELETE"] == 1
    assert stop.reason
    assert "the new ones were not stored" in stop.reason
    statuses = Counter((entry.status, entry.code) for entry in outcomes)
    assert statuses.pop(("rejected", LEFT_WITHOUT)) == 1
    assert set(statuses) <= {("not_attempted", "interrupted")}


def test_the_first_goes_alone_then_three_at_a_time_then_ten() -> None:
    replacing = Replacing(rate=0.0)
    world, outcomes, _ = replacing.run()
    assert {entry.status for entry in outcomes} == {"created"}
    changes = [kind for kind, _ in world.log if kind in {"DELETE", "POST"}]
    without = [0]
    for kind in changes:
        without.append(without[-1] + (1 if kind == "DELETE" else -1))
    assert max(without[:3]) == 1
    assert max(without[:22]) == 3
    assert max(without) == 10


def test_a_refused_post_stops_new_replacements_and_the_others_finish_theirs() -> None:
    world, outcomes, stop = Replacing(lambda n: repeat(F.REFUSED) if n == 40 else iter(()), rate=0.0).run()
    without = [name for name, leaf in world.growers.items() if leaf.held is None]
    assert without == ["g-40"]
    deletes = Counter(kind for kind, _ in world.log)["DELETE"]
    assert 38 < deletes <= 38 + 10 + 10
    assert Counter(entry.status for entry in outcomes)["created"] == deletes - 1
    assert stop.draining


@pytest.mark.parametrize("rate", [0.0, 0.1, 10.0, 300.0])
@pytest.mark.parametrize("stops_at", [0.5, 2.0, 55.0])
def test_after_a_stop_no_grower_is_left_between_old_and_new_credentials(rate: float, stops_at: float) -> None:
    replacing = Replacing(rate=rate, stops_at=stops_at)
    world, outcomes, _ = replacing.run()
    assert not [name for name, leaf in world.growers.items() if leaf.held is None]
    assert {entry.status for entry in outcomes} <= {"created", "not_attempted"}


def test_waiting_rows_do_not_block_a_single_slot() -> None:
    replacing = Replacing(lambda n: iter([F.THROTTLED] if n % 3 else [F.LOST_BEFORE]), slots=1, rows=12)
    world, outcomes, _ = replacing.run()
    assert Counter(entry.status for entry in outcomes) == {"created": 12}
    assert len(world.growers) == 12


# --- the decision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("succeeded", "under_way", "more"),
    [(0, 0, True), (0, 1, False), (1, 2, True), (1, 3, False), (9, 3, False), (10, 9, True), (10, 10, False)],
)
def test_how_many_may_be_under_way(succeeded: int, under_way: int, more: bool) -> None:
    brake = ReplacementBrake(StopSignal())
    brake.under_way, brake.succeeded = under_way, succeeded
    assert brake.may_start is more


@pytest.mark.parametrize(
    ("succeeded", "unusable", "lost", "stops"),
    [(200, 0, 1, True), (0, 2, 0, False), (0, 3, 0, True), (1, 30, 0, False)],
)
def test_when_no_more_may_be_deleted(succeeded: int, unusable: int, lost: int, stops: bool) -> None:
    brake = ReplacementBrake(StopSignal())
    brake.succeeded, brake.unusable, brake.lost = succeeded, unusable, lost
    assert bool(brake.reason_to_stop) is stops


@pytest.mark.parametrize(
    ("finish", "deletes", "result"),
    [
        (Finish(Status.CREATED, "replaced"), 1, Replaced.SUCCEEDED),
        (
            Finish(Status.CREATED, credential=Credential("c", "UNAUTHENTICATED", None, Echo.SAME)),
            1,
            Replaced.UNUSABLE,
        ),
        (Finish(Status.REJECTED, LEFT_WITHOUT), 1, Replaced.LOST),
        (Finish(Status.UNRESOLVED, "no-answer"), 1, Replaced.LOST),
        (Finish(Status.UNRESOLVED, "no-answer"), 0, Replaced.NOTHING_DELETED),
        (Finish(Status.EXISTING), 1, Replaced.NOTHING_DELETED),
        (Finish(Status.NOT_ATTEMPTED, "interrupted"), 0, Replaced.NOTHING_DELETED),
    ],
)
def test_what_came_of_a_replacement(finish: Finish, deletes: int, result: Replaced) -> None:
    assert result_of(Progress(Action.POST, deletes=deletes), finish) is result
