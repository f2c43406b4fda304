"""Users created by runs that die at any moment, at a Leaf that fails in any way and lists users late."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Ambiguous, Answer, Refused, Status, Throttled, Transient
from bulk_onboard.domain.run_events import Fact, UserKnown
from bulk_onboard.domain.users import (
    CreateUserVerdict,
    LeafUser,
    LookUpVerdict,
    UnresolvedGrower,
    UserCreated,
    UserExists,
    UserKey,
    UserRecord,
    UsersPage,
)
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.ports import Sent
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.user_row import UserCreation
from bulk_onboard.engine.worker_pool import work_through
from bulk_onboard.errors import LedgerError
from bulk_onboard.policy.retry import Policy
from bulk_onboard.threads import Slots
from tests.support.fakes import FakeJournal, Fault, unheard
from tests.support.virtual_time import now, warp

POLICY = Policy()
FAULTS = [
    Fault.NONE, Fault.THROTTLED, Fault.TRANSIENT, Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.LOST_LATE,
    Fault.SLOW_LATE,
]  # fmt: skip
# Seconds until Leaf has stored the user.
ARRIVES = {Fault.NONE: 0.02, Fault.LOST_AFTER: 0.02, Fault.LOST_LATE: 0.5, Fault.SLOW_LATE: 20.0}


def make_grower(number: int, *, open_intent: bool = False) -> UnresolvedGrower:
    fields = {"externalId": f"G-{number}", "email": f"{number}@example.com", "name": "Ada"}
    return UnresolvedGrower((number,), (b"external%d" % number, b"email%d" % number), fields, open_intent)


@dataclass
class FakeUserCalls:
    """Leaf's users. ``lag``: seconds until a new one is listed; ``refuses``: no user is stored twice."""

    posts: Iterator[Fault] = field(default_factory=lambda: iter(()))
    looks: Iterator[Fault] = field(default_factory=lambda: iter(()))
    lag: float = 0.0
    refuses: bool = False
    users: list[tuple[LeafUser, float]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def _arrive(self, fields: Mapping[str, str], answer: asyncio.Future[LeafUser | None]) -> None:
        taken = self.refuses and any(user.external_id == fields["externalId"] for user, _ in self.users)
        made = LeafUser(str(UUID(int=len(self.users) + 1)), fields["externalId"], fields["email"])
        if not taken:
            self.users.append((made, asyncio.get_running_loop().time() + self.lag))
        if not answer.done():
            answer.set_result(None if taken else made)

    async def look_up(
        self, by: UserKey, value: str, page: int, sent: Sent = unheard
    ) -> Answer[LookUpVerdict]:
        self.log.append("GET")
        sent()
        fault, at = next(self.looks, Fault.NONE), asyncio.get_running_loop().time()
        await asyncio.sleep(0.05)
        if (failed := _failed(fault)) is not None:
            return Answer(failed)
        seen = [user for user, listed in self.users if listed <= at]
        found = [user for user in seen if value in (user.email if by is UserKey.EMAIL else user.external_id)]
        return Answer(UsersPage(tuple(found)), 200)

    async def create_user(self, fields: Mapping[str, str], sent: Sent = unheard) -> Answer[CreateUserVerdict]:
        self.log.append("POST")
        sent()
        fault, loop = next(self.posts, Fault.NONE), asyncio.get_running_loop()
        answer: asyncio.Future[LeafUser | None] = loop.create_future()
        if fault in ARRIVES:
            loop.call_later(ARRIVES[fault], self._arrive, fields, answer)
        await asyncio.sleep(0.05)
        if (failed := _failed(fault)) is not None:
            return Answer(failed)
        made = await answer
        return (
            Answer(UserCreated(made.leaf_user_id), 201)
            if made
            else Answer(UserExists("leaf:userexists"), 409)
        )


def _failed(fault: Fault) -> Ambiguous | Throttled | Transient | Refused | None:
    match fault:
        case Fault.THROTTLED:
            return Throttled(2.0)
        case Fault.TRANSIENT:
            return Transient("connection-refused")
        case Fault.REFUSED:
            return Refused("leaf:no")
        case Fault.LOST_BEFORE | Fault.LOST_AFTER | Fault.LOST_LATE:
            return Ambiguous("connection-lost")
        case Fault.SLOW_LATE:
            return Ambiguous("no-answer")
        case _:
            return None


@dataclass
class FakeUserJournal:
    """A disk that takes a moment. ``disk`` outlives it; ``dead``: nothing more is written."""

    disk: dict[bytes, UserRecord]
    log: list[str] = field(default_factory=list)
    broken: bool = False
    dead: bool = False

    async def intend(self, intent: UserRecord) -> None:
        await asyncio.sleep(0.01)
        if self.broken:
            raise LedgerError("disk full")
        if self.dead:
            await asyncio.Event().wait()
        self._put(intent)
        self.log.append("on disk")

    def settle(self, outcome: UserRecord) -> None:
        asyncio.get_running_loop().call_later(0.02, self._put, outcome)

    def _put(self, each: UserRecord) -> None:
        if not self.dead:
            self.disk.update(dict.fromkeys(each.keys, each))

    async def flush(self) -> None:
        await asyncio.sleep(0.05)


@dataclass
class Story:
    """One Leaf, one disk, and several runs."""

    leaf: FakeUserCalls
    count: int
    disk: dict[bytes, UserRecord] = field(default_factory=dict)
    journal: FakeJournal = field(default_factory=FakeJournal)
    facts: list[Fact] = field(default_factory=list)

    def to_do(self) -> Iterator[UnresolvedGrower]:
        for number in range(self.count):
            known = self.disk.get(make_grower(number).keys[0])
            if not (known and known.leaf_user_id):
                yield make_grower(number, open_intent=bool(known and known.intended_at))

    async def run(
        self,
        how: str = "end",
        seconds: float = 0.0,
        *,
        users_journal: FakeUserJournal | None = None,
        dry: bool = False,
    ) -> UserCreation:
        stop, users_journal = StopSignal(), users_journal or FakeUserJournal(self.disk, self.leaf.log)
        self.journal = FakeJournal()
        shared = UserCreation(
            context=RowContext(
                self.journal,
                POLICY,
                stop,
                self.facts.append,
                Slots(3),
                random.Random(1).random,
                now,
            ),
            calls=self.leaf,
            journal=None if dry else users_journal,
            known={},
            ended={},
        )
        work = asyncio.ensure_future(work_through(self.to_do(), shared.resolve, stop, starts=3, in_hand=100))
        if how != "end":
            await asyncio.sleep(seconds)
            if how == "kill":
                users_journal.dead = self.journal.dead = True
                work.cancel()
            else:
                (stop.abort if how == "abort" else lambda: stop.drain("requested"))()
        await asyncio.gather(work, return_exceptions=True)
        await users_journal.flush()
        return shared


def stored_twice(leaf: FakeUserCalls) -> dict[str, int]:
    found = Counter(user.external_id for user, _ in leaf.users)
    return {name: times for name, times in found.items() if times > 1}


moments = st.one_of(st.floats(0.0, 0.4), st.floats(0.0, 3.0), st.floats(0.0, 60.0))
runs = st.lists(
    st.tuples(st.sampled_from(["kill", "kill", "abort", "drain", "end"]), moments, moments), max_size=4
)
faults = st.lists(st.sampled_from(FAULTS), max_size=12)


@given(st.integers(1, 5), runs, st.tuples(faults, faults), st.floats(0, 29), st.booleans())
def test_a_grower_gets_exactly_one_user(
    count: int,
    history: list[tuple[str, float, float]],
    wrong: tuple[list[Fault], list[Fault]],
    lag: float,
    refuses: bool,
) -> None:
    posts, looks = map(iter, wrong)
    leaf = FakeUserCalls(posts, looks, lag, refuses)
    story = Story(leaf, count)

    async def live() -> None:
        for how, seconds, pause in history:
            await story.run(how, seconds)
            assert not stored_twice(leaf)
            await asyncio.sleep(pause)
        for _ in range(4):
            await story.run()
        assert not stored_twice(leaf)

    warp(live())
    assert not list(story.to_do())
    ids = {user.external_id: user.leaf_user_id for user, _ in leaf.users}
    assert len(ids) == count
    assert all(
        story.disk[key].leaf_user_id == ids[f"G-{n}"] for n in range(count) for key in make_grower(n).keys
    )


def test_the_intent_is_committed_before_a_user_is_posted() -> None:
    story = Story(FakeUserCalls(), 1)
    shared = warp(story.run())
    assert story.leaf.log == ["GET", "GET", "on disk", "POST"]
    assert shared.known == {(0,): str(UUID(int=1))}
    assert story.facts == [UserKnown(0, created=True)]


def test_no_user_is_posted_without_a_committed_intent() -> None:
    story = Story(FakeUserCalls(), 1)
    warp(story.run(users_journal=FakeUserJournal({}, broken=True)))
    assert story.leaf.log == ["GET", "GET"]


def test_a_dry_run_only_looks_users_up() -> None:
    story = Story(FakeUserCalls(), 2)
    shared = warp(story.run(dry=True))
    assert set(story.leaf.log) == {"GET"}
    assert [(each.status, each.code) for each in story.journal.outcomes] == [
        (Status.WOULD_CREATE.value, "user-would-be-created")
    ] * 2
    assert (shared.would_create, shared.ended.keys(), story.disk) == (2, {(0,), (1,)}, {})


def test_a_refused_user_leaves_an_outcome_for_each_row_and_no_open_intent() -> None:
    story = Story(FakeUserCalls(posts=iter([Fault.REFUSED])), 1)
    shared = warp(story.run())
    (outcome,) = story.journal.outcomes
    assert (outcome.status, outcome.code, outcome.leaf_user_id) == ("rejected", "leaf:no", "")
    assert shared.ended.keys() == {(0,)}
    assert not any(each.intended_at for each in story.disk.values())


def test_an_aborted_post_of_a_user_is_unresolved() -> None:
    story = Story(FakeUserCalls(posts=iter([Fault.SLOW_LATE])), 1)
    warp(story.run("abort", 5.0))
    (outcome,) = story.journal.outcomes
    assert (outcome.status, outcome.code) == ("unresolved", "interrupted")
    assert all(each.intended_at for each in story.disk.values())


@pytest.mark.parametrize("seconds", [0.11, 0.13, 0.16])
def test_the_next_run_finds_the_user_of_a_killed_post(seconds: float) -> None:
    story = Story(FakeUserCalls(lag=10.0), 1)

    async def live() -> None:
        await story.run("kill", seconds)
        await story.run()

    warp(live())
    assert len(story.leaf.users) == 1
    assert not list(story.to_do())
