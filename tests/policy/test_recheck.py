"""When connected growers are checked again, and what a page of the list of users is worth for that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bulk_onboard.policy.recheck import FEWEST, due_before, page_is_enough

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
def test_a_page_is_enough_only_for_the_same_healthy_credentials(
    health: str, recorded: str, listed: str, status: str, enough: bool
) -> None:
    assert page_is_enough(health, recorded, listed, status) is enough
