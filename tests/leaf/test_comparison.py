"""Replies that show what another request has posted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.leaf.comparison import Fields, RecentPosts

FIELDS = Fields(("refreshToken",), (), ("clientId",))
ANN, BOB = "/users/ann/raven-credentials", "/users/bob/raven-credentials"
TIME = "2026-11-23T12:00:00.000000Z"


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
    posts = RecentPosts()
    posts.add(ANN, FIELDS, body("planted-ann"))
    posts.add(BOB, FIELDS, body("planted-bob"))
    assert not posts.is_stray(BOB, FIELDS, body("planted-bob"), {"id": "c-bob", "createdTime": TIME})
    assert posts.is_stray(ANN, FIELDS, body("planted-ann"), shown) is stray


def test_growers_who_share_a_token_are_not_taken_for_each_other() -> None:
    posts = RecentPosts()
    for target in (ANN, BOB):
        posts.add(target, FIELDS, body("planted-shared"))
    assert not posts.is_stray(ANN, FIELDS, body("planted-shared"), body("planted-shared"))


@given(st.integers(1, 9), st.integers(0, 40))
def test_no_more_is_kept_than_the_latest(size: int, count: int) -> None:
    posts = RecentPosts(size)
    for number in range(count):
        posts.add(f"/{number}", FIELDS, body(f"planted-{number}"))
    assert len(posts._targets) == min(size, count)
