"""Replies that show what another request has posted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.leaf.comparison import Fields, RecentSecrets

FIELDS = Fields(("refreshToken",), (), ("clientId",))
ANN, BOB = "/users/ann/raven-credentials", "/users/bob/raven-credentials"
TIME, LONG_AGO = "2026-11-23T12:00:00.000000Z", "2026-01-15T12:00:00.000000Z"
NOW = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC)


def body(token: str) -> dict[str, str]:
    return {"clientId": "app", "refreshToken": token}


@pytest.mark.parametrize(
    ("shown", "stray"),
    [
        (body("planted-ann"), False),
        (body("planted-bob"), True),
        (body("planted-renewed"), False),  # Leaf refreshes tokens itself
        ({"id": "c-bob", "createdTime": TIME}, True),
        ({"id": "c-bob"}, False),  # an id alone proves nothing
        ({"id": "c-bob", "createdTime": TIME, "refreshToken": "planted-ann"}, False),
        ({"id": "c-ann", "createdTime": TIME}, False),
        ({"refreshToken": 5}, False),
        ([], False),
        (None, False),
    ],
)
def test_a_reply_of_another_post_is_recognised_by_its_token_or_by_id_and_time(
    shown: Any, stray: bool
) -> None:
    posts = RecentSecrets()
    posts.add(ANN, FIELDS, body("planted-ann"))
    posts.add(BOB, FIELDS, body("planted-bob"))
    assert not posts.is_stray(BOB, FIELDS, body("planted-bob"), {"id": "c-bob", "createdTime": TIME}, NOW)
    assert posts.is_stray(ANN, FIELDS, body("planted-ann"), shown, NOW) is stray


def test_growers_that_share_a_token_are_not_confused() -> None:
    posts = RecentSecrets()
    for target in (ANN, BOB):
        posts.add(target, FIELDS, body("planted-shared"))
    assert not posts.is_stray(ANN, FIELDS, body("planted-shared"), body("planted-shared"), NOW)


@given(st.integers(1, 9), st.integers(0, 40))
def test_only_the_latest_posts_are_remembered(size: int, count: int) -> None:
    posts = RecentSecrets(size)
    for number in range(count):
        posts.add(f"/{number}", FIELDS, body(f"planted-{number}"))
    assert len(posts._targets) == min(size, count)


@pytest.mark.parametrize("time", [LONG_AGO, "no time", None, 5])
def test_equal_ids_of_all_growers_are_ignored(time: object) -> None:
    posts, shown = RecentSecrets(), {"id": "c-1", "createdTime": time}
    for target in (ANN, BOB):
        assert not posts.is_stray(target, FIELDS, body(f"planted-{target}"), shown, NOW)
