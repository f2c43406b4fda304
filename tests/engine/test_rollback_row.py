"""Rollbacks that die at any moment: what was ours goes, what is others' stays, the last word is the truth."""

from __future__ import annotations

import asyncio
import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_onboard.domain.entry import Entry
from bulk_onboard.domain.model import RollbackStatus
from bulk_onboard.domain.run_events import ignore
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.rollback_row import RollingBack
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.errors import BulkOnboardError
from bulk_onboard.policy.credentials import BARE_LOOKS
from bulk_onboard.policy.retry import Policy
from bulk_onboard.policy.rollback import Removal, rollback_policy
from bulk_onboard.threads import Slots
from tests.support.fakes import TOKEN, FakeJournal, FakeKeeper, FakeLeaf, Fault
from tests.support.properties import scaled
from tests.support.virtual_time import BEGINNING, now, warp

GROWER = "g-1"
delete_faults = st.lists(st.sampled_from([f for f in Fault if f is not Fault.BARE]), max_size=6)
get_faults = st.lists(st.sampled_from(list(Fault)), max_size=6)
get_faults = get_faults.filter(lambda faults: faults.count(Fault.BARE) < BARE_LOOKS)
moments = st.one_of(st.floats(0.0, 0.4), st.floats(0.0, 3.0), st.floats(0.0, 60.0))
deaths = st.lists(st.tuples(st.sampled_from(["kill", "abort", "drain"]), moments, moments), max_size=3)


class Story:
    """A Leaf, a disk, and rollbacks of one grower whose credentials were stored with the id ``ours``."""

    def __init__(self, leaf: FakeLeaf, ours: str, draw: random.Random) -> None:
        self.leaf, self.ours, self.draw = leaf, ours, draw
        self.keeper = FakeKeeper(leaf.log)
        self.disk: dict[str, Entry] = {}

    def removal(self) -> Removal | None:
        known = self.disk.get(GROWER)
        if known and known.status == RollbackStatus.DELETED:
            return None
        begun = known is not None and known.status in {None, RollbackStatus.UNRESOLVED}
        return Removal(2, "raven", GROWER, self.ours, begun)

    async def run(self, how: str, seconds: float) -> None:
        if (removal := self.removal()) is None:
            return
        stop, journal = StopSignal(), FakeJournal(log=self.leaf.log, disk=self.disk)
        policy, slots = rollback_policy(Policy()), Slots(1)
        context = RowContext(journal, policy, stop, ignore, slots, self.draw.random, now)
        removing = RollingBack(context, self.leaf, self.keeper)
        running = asyncio.ensure_future(removing.remove(removal))
        if how != "end":
            await asyncio.wait([running], timeout=seconds)
            journal.dead = how == "kill"
            running.cancel() if how != "drain" else stop.drain("enough")
        for ended in await asyncio.gather(running, return_exceptions=True):
            assert ended is None or isinstance(ended, BulkOnboardError | asyncio.CancelledError), ended
        if not journal.dead:
            await journal.flush()
        journal.dead = True


async def _live(story: Story, played: list[tuple[str, float, float]]) -> None:
    for how, seconds, pause in played:
        await story.run(how, seconds)
        await asyncio.sleep(pause)
    story.leaf.deletes, story.leaf.gets, story.leaf.looks = iter(()), iter(()), iter(())
    await story.run("end", 0)
    await asyncio.sleep(100)


@example(([Fault.SLOW_LATE], [], []), [("kill", 0.2, 0.0)], "ours", 0)
@settings(max_examples=scaled(150))
@given(
    st.tuples(delete_faults, get_faults, get_faults),
    deaths,
    st.sampled_from(["ours", "others", "none"]),
    st.integers(0, 99),
)
def test_killed_rollbacks_delete_only_credentials_of_the_run(
    faults: tuple[list[Fault], list[Fault], list[Fault]],
    played: list[tuple[str, float, float]],
    there: str,
    seed: int,
) -> None:
    deletes, gets, looks = map(iter, faults)
    leaf = FakeLeaf(iter(()), gets, deletes, looks, held=None if there == "none" else TOKEN)
    leaf.created = BEGINNING
    story = Story(leaf, "c-1" if there == "ours" else "c-0", random.Random(seed))
    warp(_live(story, played))
    last = story.disk.get(GROWER)
    assert leaf.blind == 0
    assert "POST" not in leaf.log
    match there:
        case "ours":
            assert leaf.held is None
            assert leaf.deleted == [TOKEN]
            assert last is not None
            assert last.status == RollbackStatus.DELETED or (last.status == RollbackStatus.GONE and played)
            assert story.keeper.kept, "the events were not kept"
        case "others":
            assert (leaf.held, leaf.deleted) == (TOKEN, [])
            assert last is not None
            assert last.status == RollbackStatus.CHANGED
        case _:
            assert last is not None
            assert last.status == RollbackStatus.GONE


def test_events_and_intent_are_saved_before_the_delete() -> None:
    leaf = FakeLeaf(held=TOKEN, created=BEGINNING)
    story = Story(leaf, "c-1", random.Random(0))
    warp(_live(story, []))
    assert leaf.log == ["GET", "LOG", "kept", "intend", "on disk", "DELETE", "settle"]
