"""Runs that die at any moment, and a Leaf that fails in any way: to run again is safe, and it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import IfExists, Intent, Row, Status
from bulk_onboard.domain.run_events import ignore
from bulk_onboard.domain.timestamps import from_text
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.onboard_row import Onboarding
from bulk_onboard.engine.replacement_brake import ReplacementBrake
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.errors import BulkOnboardError
from bulk_onboard.policy.credentials import BARE_LOOKS
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.support.fakes import TOKEN, FakeJournal, FakeKeeper, FakeLeaf, FakeWorld, Fault, row
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING, now, warp

OTHER = "planted-other-token"
DONE = {Status.CREATED.value, Status.EXISTING.value}

post_faults = st.lists(st.sampled_from([f for f in Fault if f is not Fault.BARE]), max_size=6)
get_faults = st.lists(st.sampled_from(list(Fault)), max_size=6)
get_faults = get_faults.filter(lambda faults: faults.count(Fault.BARE) < BARE_LOOKS)


@dataclass(frozen=True)
class Grower:
    """What a grower's Leaf does, and whether it held other credentials from the start."""

    posts: list[Fault]
    gets: list[Fault]
    held: bool = False
    shows: bool = True
    deletes: tuple[Fault, ...] = ()

    def leaf(self) -> FakeLeaf:
        held = OTHER if self.held else None
        leaf = FakeLeaf(iter(self.posts), iter(self.gets), iter(self.deletes), held=held, shows=self.shows)
        leaf.created = BEGINNING.replace(year=2020) if held else None
        return leaf


@dataclass(frozen=True)
class Run:
    """How a run ends: killed, aborted or drained after ``seconds``, or left alone. Then a pause."""

    how: str
    seconds: float
    pause: float


growers = st.lists(
    st.builds(
        Grower,
        post_faults,
        get_faults,
        st.sampled_from([False, False, False, True]),
        st.sampled_from([True, True, False]),
        post_faults.map(tuple),
    ),
    min_size=1,
    max_size=6,
)
# Most of a row's life is in its first half second; some of it takes half a minute.
moments = st.one_of(st.floats(0.0, 0.4), st.floats(0.0, 3.0), st.floats(0.0, 60.0))
pauses = st.one_of(moments, moments, st.floats(500.0, 700.0), st.just(100_000.0))
runs = st.lists(
    st.builds(Run, st.sampled_from(["kill", "kill", "abort", "drain", "end"]), moments, pauses), max_size=4
)


@dataclass
class Story:
    """One Leaf and one disk, and the runs that come and go."""

    world: FakeWorld
    rows: list[str]
    policy: Policy
    disk: dict[str, Entry] = field(default_factory=dict)
    hindsight: list[dict[str, str | None]] = field(default_factory=list)

    def to_do(self) -> list[Row]:
        """As the first pass has it: what is done is left alone, what may have been sent is asked about."""
        return [
            row(number, self._intent(grower), token=_token(grower), grower=grower)
            for number, grower in enumerate(self.rows, 2)
            if grower not in self.disk or self.disk[grower].status not in DONE
        ]

    def _intent(self, grower: str) -> Intent | None:
        known = self.disk.get(grower)
        if known is None:
            return None
        is_open = known.status in {None, Status.UNRESOLVED.value}
        at = from_text(known.intended_at) if is_open else None
        same = known.fingerprint == row(token=_token(grower)).fingerprint
        return Intent(at, same, known.deleting, known.deleting_created) if is_open or known.deleting else None

    async def run(self, told: Run, draw: Callable[[], float]) -> None:
        stop = StopSignal()
        journal = FakeJournal(disk=self.disk)
        shared = Onboarding(
            RowContext(journal, self.policy, stop, ignore, Slots(3), draw, now),
            leaf=self.world,
            keeper=FakeKeeper(),
            brake=ReplacementBrake(stop),
        )
        work = work_through(iter(self.to_do()), shared.onboard, stop, starts=4, in_hand=100)
        running = asyncio.ensure_future(work)
        if told.how != "end":
            await asyncio.wait([running], timeout=told.seconds)
            if told.how == "kill":
                journal.dead = True
                running.cancel()
            elif told.how == "abort":
                stop.abort()
            else:
                stop.drain("enough")
        for ended in await asyncio.gather(running, return_exceptions=True):
            assert ended is None or isinstance(ended, BulkOnboardError | asyncio.CancelledError), ended
        if not journal.dead:
            await journal.flush()
        journal.dead = True


def _token(grower: str) -> str:
    return f"{TOKEN}-of-{grower}"


async def _live(story: Story, played: list[Run], draw: Callable[[], float]) -> None:
    for told in played:
        await story.run(told, draw)
        await asyncio.sleep(told.pause)
    # Leaf comes to its senses, and the same command is run again.
    for leaf in story.world.growers.values():
        leaf.posts, leaf.gets, leaf.deletes = iter(()), iter(()), iter(())
    await story.run(Run("end", 0, 0), draw)
    await asyncio.sleep(100)


# Killed while a second POST was on its way, after the first had been given up for lost.
@example(
    [Grower([Fault.THROTTLED, Fault.LOST_LATE], [])],
    [Run("kill", 0.25, 0), Run("drain", 0.25, 0)],
    IfExists.SKIP,
    0,
)
# Killed between the DELETE and the POST of a replacement, and while the DELETE is still on its way.
@example([Grower([], [], held=True)], [Run("kill", 0.25, 0)], IfExists.REPLACE, 0)
@example(
    [Grower([], [], held=True, deletes=(Fault.SLOW_LATE,))],
    [Run("kill", 0.25, 0), Run("kill", 19.0, 0)],
    IfExists.REPLACE,
    0,
)
@example(
    [Grower([Fault.LOST_AFTER], [], held=True, shows=False, deletes=(Fault.LOST_LATE,))],
    [Run("kill", 1.4, 0)],
    IfExists.REPLACE,
    0,
)
# The same, when the first POST was of a run long ago.
@example(
    [Grower([Fault.LOST_BEFORE, Fault.SLOW_LATE], [])],
    [Run("kill", 0.12, 100_000), Run("kill", 0.12, 0)],
    IfExists.SKIP,
    0,
)
@settings(max_examples=scaled(150))
@given(growers, runs, st.sampled_from(IfExists), st.integers(0, 1000))
def test_killed_runs_store_nothing_twice_and_report_the_truth(
    told: list[Grower], played: list[Run], if_exists: IfExists, seed: int
) -> None:
    names = count(1)
    leaves = {f"g-{next(names)}": grower.leaf() for grower in told}
    story = Story(FakeWorld(leaves), list(leaves), Policy(if_exists=if_exists))
    warp(_live(story, played, random.Random(seed).random))
    for (grower, leaf), about in zip(leaves.items(), told, strict=True):
        _assert_safe(grower, leaf)
        _assert_true(story.disk[grower], leaf, _token(grower), if_exists)
        _assert_replaced(story.disk[grower], leaf, if_exists, denied=Fault.BARE in about.gets)


def _assert_safe(grower: str, leaf: FakeLeaf) -> None:
    assert leaf.dangerous == 0, f"{grower}: a token was sent that had been stored, or still might be"
    assert leaf.blind == 0, f"{grower}: credentials were deleted that nobody had looked at"
    assert len(leaf.stored) <= 1


def _assert_true(last: Entry, leaf: FakeLeaf, token: str, if_exists: IfExists) -> None:
    ours, there = bool(leaf.stored), leaf.held is not None
    assert there, "Leaf could be asked, and took what it was sent"
    assert leaf.held in {token, OTHER}
    assert if_exists is IfExists.REPLACE or not leaf.deleted
    assert token not in leaf.deleted, "what was stored for the row was deleted again"
    if last.status == "created":
        # A Leaf that says "none" of what it holds, and does not show whose it is, deceives everybody.
        assert ours or not leaf.shows
    else:
        # Only where Leaf does not show what it holds, a POST of a run that died may go unclaimed.
        rejected = if_exists is IfExists.FAIL and last.code == "already-exists"
        unclear = if_exists is IfExists.FAIL and last.code == "ownership-unclear"
        assert last.status == "existing" or rejected or unclear, last
        assert not ours or not leaf.shows, last


def _assert_replaced(last: Entry, leaf: FakeLeaf, if_exists: IfExists, *, denied: bool) -> None:
    """What was there could be replaced, so it has been; unless Leaf denied it first: then somebody might have
    stored it meanwhile."""
    if if_exists is IfExists.REPLACE and leaf.shows and not denied:
        assert last.status == "created", last
