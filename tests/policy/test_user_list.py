"""Pages or single requests: the cheaper way, and what a list is worth."""

from __future__ import annotations

import math
from uuid import UUID

import pytest
from fakes import row
from hypothesis import given
from hypothesis import strategies as st
from warp import BEGINNING

from bulk_onboard.listing import Collecting, ListedCredential, ListedUser, Listing, Page, words
from bulk_onboard.model import (
    Absent,
    Ambiguous,
    Credential,
    Echo,
    Exists,
    IfExists,
    Intent,
    Status,
    Throttled,
    Verdict,
)
from bulk_onboard.policy.progress import Finish, first
from bulk_onboard.policy.retry import Next, Policy
from bulk_onboard.policy.user_list import (
    SAMPLE,
    End,
    Size,
    Spot,
    begin,
    pays,
    sized,
    spots,
)


def page(users: int, total: int | None = None) -> Page:
    return Page(tuple(ListedUser(str(UUID(int=n)), {}) for n in range(users)), total)


@pytest.mark.parametrize(
    ("start", "size"),
    [
        (page(100, 10_000), Size(10_000, 100)),
        (page(50, 10_000), Size(10_000, 50)),  # Leaf shows fewer at a time than were asked for
        (page(7, 7), Size(7, 100)),
        (page(0, 10_000), Size(0, 100)),
        (page(100, 3), Size(None, 100)),  # no total can be less than what is there
        (page(100), Size(None, 100)),
        (page(30), Size(None, 30)),
    ],
)
def test_the_first_page_tells_how_long_the_list_is(start: Page, size: Size) -> None:
    assert sized(start) == size


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1, 100))
def test_pages_are_read_only_where_they_can_save_requests(rows: int, users: int, page: int) -> None:
    size = Size(users, page)
    if pays(rows, size):
        assert math.ceil(users / page) + 2 * SAMPLE <= min(rows, users) / 4


def test_a_hundred_thousand_growers_are_worth_a_thousand_pages() -> None:
    assert pays(100_000, Size(100_000, 100))
    assert not pays(1_000, Size(100_000, 100))


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_the_end_of_a_list_is_found_in_few_looks_or_is_too_far(pages: int, most: int) -> None:
    end, looks = End(), 0
    while (number := end.probe(most)) is not None:
        assert 0 < number <= most
        end = end.seen(number, empty=number >= pages)
        looks += 1
    assert looks <= 2 + 2 * math.log2(most + 1)
    if end.empty is None:
        assert pages > most
    else:
        assert (end.full, end.empty) == (pages - 1, pages)


# --- the sample -----------------------------------------------------------------------------------------


def listing(connected: int, unconnected: int) -> Listing:
    """The first so many growers are connected, the next not."""
    shown = {"raven": ListedCredential("c-1", "OK", (0,))}
    collecting = Collecting({"raven": 1})
    users = [
        ListedUser(str(UUID(int=n)), shown if n < connected else {}) for n in range(connected + unconnected)
    ]
    collecting.add(Page(tuple(users), None))
    return collecting.listing()


def ids(start: int, end: int) -> dict[str, object]:
    return {"raven": words([str(UUID(int=n)) for n in range(start, end)])}


def counted(found: list[Spot]) -> tuple[int, int]:
    connected = sum(spot.connected for spot in found)
    return connected, len(found) - connected


def test_the_sample_goes_in_both_directions_and_is_of_the_file() -> None:
    found = spots(listing(300, 300), ids(200, 400), seed=1)
    assert counted(found) == (SAMPLE, SAMPLE)
    assert all((200 <= UUID(s.leaf_user_id).int < 300) is s.connected for s in found)
    assert all(200 <= UUID(s.leaf_user_id).int < 400 for s in found)
    assert found == spots(listing(300, 300), ids(200, 400), seed=1)
    assert found != spots(listing(300, 300), ids(200, 400), seed=2)


def test_where_nobody_of_the_file_is_listed_as_connected_others_show_whether_the_list_shows_it() -> None:
    found = spots(listing(300, 300), ids(300, 600), seed=1)
    assert counted(found) == (SAMPLE, SAMPLE)


@pytest.mark.parametrize(
    ("verdict", "if_connected"),
    [
        (Exists(None), True),
        (Absent(), False),
        (Absent(bare=True), False),
        (Absent(bare=True, usual=False), None),
        (Ambiguous("no-answer"), None),
        (Throttled(), None),
    ],
)
def test_an_answer_agrees_with_the_list_or_not_or_says_nothing(
    verdict: Verdict, if_connected: bool | None
) -> None:
    assert Spot("raven", "g", connected=True).agrees(verdict) is if_connected
    opposite = None if if_connected is None else not if_connected
    assert Spot("raven", "g", connected=False).agrees(verdict) is opposite


# --- what the list means for a row ----------------------------------------------------------------------

HINTS = st.sampled_from([None, Absent(), *(Exists(Credential("c-1", "OK", None, echo)) for echo in Echo)])
POLICIES = st.sampled_from([Policy(if_exists=each) for each in IfExists])


@given(HINTS, POLICIES)
def test_a_row_whose_post_may_have_been_stored_is_asked_for_whatever_is_listed(
    hint: Exists | Absent | None, policy: Policy
) -> None:
    intent = Intent(BEGINNING)
    assert begin(row(intent=intent), hint, policy) == Next(first(policy, intent))


@given(HINTS, POLICIES)
def test_a_hint_ends_a_row_or_nothing_is_done_on_its_word(
    hint: Exists | Absent | None, policy: Policy
) -> None:
    match begin(row(), hint, policy):
        case Finish(status):
            assert isinstance(hint, Exists)
            assert status in {Status.EXISTING, Status.REJECTED}
        case Next(progress, after):
            assert after == 0.0
            assert progress == first(policy, None)


@pytest.mark.parametrize(
    ("echo", "code"), [(Echo.SAME, "already-connected"), (Echo.DIFFERENT, "token-changed")]
)
def test_a_grower_who_is_listed_as_connected_is_existing(echo: Echo, code: str) -> None:
    step = begin(row(), Exists(Credential("c-1", "OK", None, echo)), Policy())
    assert isinstance(step, Finish)
    assert (step.status, step.code, step.message) == (Status.EXISTING, code, "as Leaf's list of users shows")
