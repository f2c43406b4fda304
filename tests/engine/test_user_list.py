"""The list of users is read, compared with single answers, and believed only if they agree."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import repeat
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import (
    Absent,
    Ambiguous,
    Answer,
    Exists,
    Payload,
    Refused,
    Throttled,
    Verdict,
)
from bulk_onboard.domain.providers import PROVIDERS, Field
from bulk_onboard.domain.run_events import Fact, LookupChosen, Trouble
from bulk_onboard.domain.users import ListedCredential, ListedUser, Page, PageVerdict, Prints
from bulk_onboard.engine.driver import RowContext
from bulk_onboard.engine.ports import Sent
from bulk_onboard.engine.stop import StopSignal
from bulk_onboard.engine.user_list import ATTEMPTS, ListedUsers, ListReader, UserList
from bulk_onboard.errors import ExitCode, LoginRefused
from bulk_onboard.policy.retry import Policy
from bulk_onboard.policy.user_list import SAMPLE, Spot
from bulk_onboard.threads import Slots
from tests.support.fakes import FakeJournal, FakeLeaf, FakeWorld, row, unheard
from tests.support.virtual_time import warp

TOKEN = "planted-token"


def grower(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


@dataclass
class FakeUsers:
    """A list of so many users. ``connected``: who is, in truth and in the list, but for those it ``lies`` of.

    ``first``: what the first requests are answered instead.
    """

    count: int = 1000
    connected: Callable[[int], bool] = lambda n: n % 3 == 0
    lies: frozenset[int] = frozenset()
    total: bool = True
    most: int = 100
    first: Iterator[PageVerdict | Exception] = field(default_factory=lambda: iter(()))
    pages: list[tuple[int, int]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def listed_fields(self) -> Mapping[str, tuple[Field, ...]]:
        return {"raven": PROVIDERS["raven"].fields}

    async def users(self, page: int, size: int, prints: Prints) -> Answer[PageVerdict]:
        self.pages.append((page, size))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.1)
        self.at_once -= 1
        match next(self.first, None):
            case None:
                return Answer(self._page(page, min(size, self.most), prints))
            case Exception() as error:
                raise error
            case verdict:
                return Answer(verdict)

    def _page(self, page: int, size: int, prints: Prints) -> Page:
        shown = {"raven": ListedCredential("c-1", "OK", (0, 0, prints.of(TOKEN)))}
        numbers = range(page * size, min((page + 1) * size, self.count))
        users = (
            ListedUser(grower(n), shown if self.connected(n) ^ (n in self.lies) else {}) for n in numbers
        )
        return Page(tuple(users), self.count if self.total else None)

    async def user(self, leaf_user_id: str, sent: Sent = unheard) -> Answer[Verdict]:
        raise NotImplementedError


@dataclass
class Took:
    listed: ListedUsers | None
    facts: list[Fact]
    world: FakeWorld
    stop: StopSignal

    @property
    def ways(self) -> list[str]:
        return [fact.way for fact in self.facts if isinstance(fact, LookupChosen)]


def take(users: FakeUsers, rows: int = 900, make: Callable[[str], FakeLeaf] | None = None) -> Took:
    """A census of the first so many growers."""

    def truth(leaf_user_id: str) -> FakeLeaf:
        return FakeLeaf(held=TOKEN if users.connected(int(leaf_user_id[-12:])) else None)

    async def main() -> Took:
        stop, facts, world = StopSignal(), list[Fact](), FakeWorld(make=make or truth)
        stop.grace = 0.5
        context = RowContext(FakeJournal(), Policy(), stop, facts.append, Slots(64), draw=lambda: 0.5)
        reader = ListReader(context, world, users, seed=1)
        listed = await reader.read(rows, lambda: [("raven", grower(n)) for n in range(rows)])
        return Took(listed, facts, world, stop)

    return warp(main())


def test_pages_are_read_several_at_a_time_and_each_once() -> None:
    users = FakeUsers()
    took = take(users)
    assert sorted(users.pages) == [(n, 100) for n in range(10)]
    assert users.most_at_once > 4
    assert took.ways == ["pages"]
    assert len(took.world.log) == 40
    assert took.listed is not None
    ours = Payload({"refreshToken": TOKEN})
    assert isinstance(took.listed.hint("raven", grower(3), ours), Exists)
    assert isinstance(took.listed.hint("raven", grower(4), ours), Absent)
    assert took.listed.hint("raven", grower(5000), ours) is None
    assert (took.listed.lists(grower(4)), took.listed.lists(grower(5000))) == (True, False)


def test_few_rows_need_no_list() -> None:
    users = FakeUsers()
    took = take(users, rows=99)
    assert (took.listed, users.pages, took.facts) == (None, [], [])


def test_a_list_that_is_longer_than_the_file_is_left_after_its_first_page() -> None:
    users = FakeUsers(count=100_000)
    took = take(users)
    assert (took.listed, users.pages, took.ways) == (None, [(0, 100)], ["single"])


def test_a_list_without_a_total_is_left_after_its_first_page() -> None:
    users = FakeUsers(total=False)
    took = take(users)
    assert (took.listed, users.pages, took.ways) == (None, [(0, 100)], ["single"])


def test_smaller_pages_are_accepted() -> None:
    users = FakeUsers(most=40)
    took = take(users)
    assert took.listed is not None
    assert len(took.listed.users) == 1000
    assert users.pages[1:] == [(n, 40) for n in range(1, 25)]


def test_a_failed_page_is_requested_again() -> None:
    lost: list[PageVerdict | Exception] = [Throttled(3.0), Ambiguous("no-answer")]
    took = take(users := FakeUsers(first=iter(lost)))
    assert took.listed is not None
    assert len(users.pages) == 12


@pytest.mark.parametrize("verdict", [Refused("no"), Ambiguous("unreadable-reply"), Throttled()])
def test_no_list_means_single_requests(verdict: PageVerdict) -> None:
    took = take(users := FakeUsers(first=repeat(verdict)))
    assert (took.listed, took.ways) == (None, ["single"])
    assert len(users.pages) <= ATTEMPTS


def test_an_interrupted_list_means_single_requests() -> None:
    broken = FakeUsers(count=10_000)
    broken.first = iter([broken._page(0, 100, Prints(b"key")), *repeat(Ambiguous("unreadable-reply"), 1000)])
    took = take(broken, rows=9000)
    assert (took.listed, took.ways) == (None, ["pages", "single"])
    assert len(broken.pages) <= 1 + 16 * ATTEMPTS


@pytest.mark.parametrize("lies", [range(0, 1000, 3), [n for n in range(1000) if n % 3]])
def test_a_contradiction_means_single_requests(lies: range | list[int]) -> None:
    took = take(FakeUsers(lies=frozenset(lies)))
    assert took.listed is None
    (trouble,) = [fact for fact in took.facts if isinstance(fact, Trouble)]
    assert "Leaf's list of users is wrong" in trouble.message
    assert "one by one" in trouble.message


def test_an_unreadable_sample_means_single_requests() -> None:
    def silent(_grower: str) -> FakeLeaf:
        from tests.support.fakes import Fault

        return FakeLeaf(gets=repeat(Fault.LOST_BEFORE))

    took = take(FakeUsers(), make=silent)
    assert (took.listed, took.ways) == (None, ["pages", "single"])


def test_a_refused_login_stops_the_run() -> None:
    broken = FakeUsers(count=10_000)
    broken.first = iter([broken._page(0, 100, Prints(b"key")), LoginRefused("no")])
    took = take(broken, rows=9000)
    assert took.listed is None
    assert took.stop.exit_code is ExitCode.LOGIN


# --- what comes later -------------------------------------------------------------------------------------


@pytest.fixture
def listed() -> ListedUsers:
    took = take(FakeUsers())
    assert took.listed is not None
    return took.listed


def test_a_contradiction_ends_all_hints(listed: ListedUsers) -> None:
    assert isinstance(listed.hint("raven", grower(3), Payload({})), Exists)
    listed.deny(5, grower(3))
    assert listed.denied == [5]
    assert listed.hint("raven", grower(3), Payload({})) is None
    assert listed.hint_of(row(grower=grower(3))) is None


# --- what is kept of the pages ----------------------------------------------------------------------------

IDS = st.integers(0, 2**128 - 1).map(lambda n: str(UUID(int=n)))
CREDENTIALS = st.builds(
    ListedCredential,
    st.sampled_from(["", "c-1", str(UUID(int=5))]),
    st.sampled_from(["OK", "FAILED", "", "größer"]),
    st.tuples(*[st.integers(0, 2**64 - 1)] * 3),
)


def listing(connected: range, unconnected: range) -> UserList:
    found = UserList({"raven": PROVIDERS["raven"].fields})
    shown = {"raven": ListedCredential("c-1", "OK", (0, 0, 0))}
    users = [ListedUser(grower(n), shown) for n in connected]
    found.add(Page((*users, *(ListedUser(grower(n), {}) for n in unconnected)), None))
    return found


@given(st.dictionaries(IDS, st.none() | CREDENTIALS, max_size=30), IDS, st.integers(1, 9))
def test_users_are_found_as_listed(
    known: dict[str, ListedCredential | None], other: str, per_page: int
) -> None:
    users = [ListedUser(each, {"raven": shown} if shown else {}) for each, shown in known.items()]
    found = UserList({"raven": PROVIDERS["raven"].fields})
    for start in range(0, len(users), per_page):
        found.add(Page(tuple(users[start : start + per_page]), None))
    assert len(found) == len(known)
    for each, shown in known.items():
        assert found.credential("raven", each) == shown
        assert found.is_connected("raven", each) is (False if shown is None else True if shown.id else None)
    assert found.lists(other) is (other in known)


def counted(spots: list[Spot]) -> tuple[int, int]:
    connected = sum(spot.connected for spot in spots)
    return connected, len(spots) - connected


def test_the_sample_has_growers_of_the_file_with_and_without_credentials() -> None:
    growers = [("raven", grower(n)) for n in range(200, 400)]
    found = listing(range(300), range(300, 600)).sample(growers, seed=1)
    assert counted(found) == (SAMPLE, SAMPLE)
    assert all((200 <= int(s.leaf_user_id[-12:]) < 300) is s.connected for s in found)
    assert all(200 <= int(s.leaf_user_id[-12:]) < 400 for s in found)
    assert found == listing(range(300), range(300, 600)).sample(growers, seed=1)
    assert found != listing(range(300), range(300, 600)).sample(growers, seed=2)


def test_without_connected_growers_the_sample_has_other_users() -> None:
    growers = [("raven", grower(n)) for n in range(300, 600)]
    found = listing(range(300), range(300, 600)).sample(growers, seed=1)
    assert counted(found) == (SAMPLE, SAMPLE)
