"""Pages or single requests: the cheaper way, and what a list is worth."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import (
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
from bulk_onboard.domain.users import ListedUser, Page
from bulk_onboard.policy.progress import Finish, first
from bulk_onboard.policy.retry import Next, Policy
from bulk_onboard.policy.user_list import (
    FEWEST,
    SAMPLE,
    Size,
    Spot,
    begin,
    due_before,
    page_is_enough,
    pays,
    sized,
)
from tests.support.fakes import row
from tests.support.virtual_time import BEGINNING


def page(users: int, total: int | None = None) -> Page:
    return Page(tuple(ListedUser(str(UUID(int=n)), {}) for n in range(users)), total)


@pytest.mark.parametrize(
    ("start", "size"),
    [
        (page(100, 10_000), Size(10_000, 100)),
        (page(50, 10_000), Size(10_000, 50)),  # Leaf shows fewer at a time than were asked for
        (page(7, 7), Size(7, 100)),
        (page(0, 10_000), Size(0, 100)),
        (page(100, 3), None),  # no total can be less than what is there
        (page(100), None),
    ],
)
def test_the_first_page_shows_how_long_the_list_is(start: Page, size: Size | None) -> None:
    assert sized(start) == size


@given(st.integers(0, 10**6), st.integers(0, 10**7), st.integers(1, 100))
def test_pages_are_read_only_where_they_can_save_requests(rows: int, users: int, page: int) -> None:
    size = Size(users, page)
    if pays(rows, size):
        assert math.ceil(users / page) + 2 * SAMPLE <= min(rows, users) / 4


def test_100000_growers_are_worth_1000_pages() -> None:
    assert pays(100_000, Size(100_000, 100))
    assert not pays(1_000, Size(100_000, 100))


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
    assert begin(row(intent=intent), first(policy, intent), hint, policy) == Next(first(policy, intent))


@given(HINTS, POLICIES)
def test_a_hint_ends_a_row_or_nothing_is_done_on_its_word(
    hint: Exists | Absent | None, policy: Policy
) -> None:
    match begin(row(), first(policy, None), hint, policy):
        case Finish(status):
            assert isinstance(hint, Exists)
            assert status in {Status.EXISTING, Status.REJECTED}
        case Next(progress, after):
            assert after == 0.0
            # The single GET that confirms what the list shows of a grower is enough.
            assert progress._replace(seen="") == first(policy, None)


@pytest.mark.parametrize(
    ("echo", "code"), [(Echo.SAME, "already-connected"), (Echo.DIFFERENT, "token-changed")]
)
def test_a_grower_listed_as_connected_is_existing(echo: Echo, code: str) -> None:
    step = begin(row(), first(Policy(), None), Exists(Credential("c-1", "OK", None, echo)), Policy())
    assert isinstance(step, Finish)
    assert (step.status, step.code, step.message) == (Status.EXISTING, code, "as Leaf's list of users shows")


# --- growers that are checked again

NOW, WEEK = datetime(2026, 11, 30, tzinfo=UTC), timedelta(days=7)


@pytest.mark.parametrize(("growers", "age"), [(0, WEEK), (FEWEST - 1, WEEK), (FEWEST, WEEK / 2)])
def test_pages_are_read_for_what_is_due_soon_too(growers: int, age: timedelta) -> None:
    assert due_before(NOW, WEEK, growers) == NOW - age


@pytest.mark.parametrize(
    ("health", "recorded", "listed", "status", "enough"),
    [
        ("healthy", "c-1", "c-1", "OK", True),
        ("healthy", "c-1", "c-1", "ok", True),
        ("healthy", "", "c-1", "OK", True),
        ("healthy", "c-1", "c-2", "OK", False),
        ("healthy", "c-1", "", "OK", False),
        ("healthy", "c-1", "c-1", "", False),  # no status means nothing
        ("healthy", "c-1", "c-1", "UNAUTHENTICATED", False),
        ("pending", "c-1", "c-1", "OK", False),  # a page shows no event
        ("", "c-1", "c-1", "OK", False),
    ],
)
def test_pages_suffice_only_for_unchanged_healthy_credentials(
    health: str, recorded: str, listed: str, status: str, enough: bool
) -> None:
    assert page_is_enough(health, recorded, listed, status) is enough
