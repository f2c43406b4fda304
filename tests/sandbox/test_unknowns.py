"""Every answer that the documentation leaves open can be practised."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import get_args, get_type_hints

import pytest

from bulk_onboard.sandbox import Behaviour, Unknowns, User, with_answers
from tests.sandbox.support import (
    BASE,
    GROWER,
    OTHER,
    RAVEN,
    body,
    raven,
    serve_sandbox,
    unknown,
)


@pytest.mark.parametrize(
    ("answer", "status", "stored", "same_id"),
    [
        ("refuse", 400, "old", True),
        ("vague", 400, "old", True),
        ("conflict", 409, "old", True),
        ("overwrite", 201, "new", False),
        ("update", 201, "new", True),
        ("keep", 201, "old", True),
    ],
)
async def test_a_second_post_follows_the_setting(answer: str, status: int, stored: str, same_id: bool):
    async with serve_sandbox(unknown(post_existing=answer)) as leaf:
        first = await leaf.post(body("old"))
        again = await leaf.post(body("new"))
        found = await leaf.get()
    assert again.status == status
    assert found.json["refreshToken"] == stored
    assert (found.json["id"] == first.json["id"]) is same_id
    if status < 300:
        assert again.json == found.json


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ("404", 404, None),
        ("204", 204, ""),
        ("empty", 200, ""),
        ("null", 200, "null"),
        ("object", 200, "{}"),
        ("list", 200, "[]"),
    ],
)
async def test_a_get_without_credentials_follows_the_setting(answer: str, status: int, text: str | None):
    async with serve_sandbox(unknown(get_absent=answer)) as leaf:
        got = await leaf.get()
    assert got.status == status
    assert text is None or got.text == text


async def test_a_delete_without_credentials_follows_the_setting():
    for answer in ("404", "204"):
        async with serve_sandbox(unknown(delete_absent=answer)) as leaf:
            assert (await leaf.delete()).status == int(answer)


async def test_events_of_none_are_404_or_an_empty_list():
    for answer, status in (("404", 404), ("list", 200)):
        async with serve_sandbox(unknown(events_absent=answer)) as leaf:
            got = await leaf.get(f"{RAVEN}/events")
            assert got.status == status
            assert status == 404 or got.json == []


@pytest.mark.parametrize("answer", ["404", "400"])
async def test_the_reply_about_a_missing_user_follows_the_setting(answer: str):
    async with serve_sandbox(unknown(user_absent=answer, users="listed")) as leaf:
        assert (await leaf.get()).status == int(answer)
        assert (await leaf.get(f"{RAVEN}/events")).status == int(answer)
        assert (await leaf.post()).status == int(answer)
        assert (await leaf.delete()).status == int(answer)
        assert (await leaf.get(f"{BASE}/users/{GROWER}")).status == int(answer)


async def test_only_listed_users_exist_where_users_are_listed():
    listed = Behaviour(unknowns=Unknowns(users="listed"), users=(User(GROWER),))
    async with serve_sandbox(listed) as leaf:
        assert (await leaf.post()).status == 201
        assert (await leaf.post(path=raven(OTHER))).status == 404


def _numbered(count: int) -> tuple[User, ...]:
    return tuple(User(f"0b5e7f0a-6a5c-4a53-9f6e-0d5a3b1c2d{n:02}") for n in range(count))


async def test_a_list_lies_for_as_many_users_as_chosen_and_a_single_user_never_does():
    lying = Behaviour(unknowns=Unknowns(list_lies=2, users="listed"), users=_numbered(6))
    async with serve_sandbox(lying) as leaf:
        for user in lying.users[:4]:
            await leaf.post(path=raven(user.id))
        listed = (await leaf.get(f"{BASE}/users")).json
        one = (await leaf.get(f"{BASE}/users/{lying.users[0].id}")).json
    shown = ["ravenCredentials" in user for user in listed]
    assert shown == [False, True, True, False, False, False]
    assert "ravenCredentials" in one


@pytest.mark.parametrize(
    ("answers", "in_list", "in_one"),
    [
        ({"embedded": "all"}, True, True),
        ({"embedded": "single"}, False, True),
        ({"embedded": "none"}, False, False),
        ({"not_embedded": ("raven",)}, False, False),
        ({"not_embedded": ("raven-slingshot",)}, True, True),
    ],
)
async def test_users_show_credentials_on_request(answers: dict, in_list: bool, in_one: bool):
    async with serve_sandbox(unknown(**answers)) as leaf:
        await leaf.post()
        listed = (await leaf.get(f"{BASE}/users")).json[0]
        one = (await leaf.get(f"{BASE}/users/{GROWER}")).json
    assert ("ravenCredentials" in listed, "ravenCredentials" in one) == (in_list, in_one)


async def test_secrets_are_echoed_masked_or_left_out():
    shown = {}
    for answer in ("echoed", "masked", "omitted"):
        async with serve_sandbox(unknown(secrets=answer)) as leaf:
            got = (await leaf.post()).json
            assert got["clientId"] == "cid"
            shown[answer] = [got.get(name) for name in ("clientSecret", "refreshToken")]
            assert ("accessToken" in got) is (answer != "omitted")
    assert shown == {
        "echoed": ["app-secret", "rt-secret-1"],
        "masked": ["***", "***"],
        "omitted": [None, None],
    }


def test_every_unknown_can_be_given_as_text():
    hints = get_type_hints(Unknowns)
    for field in fields(Unknowns):
        choices = get_args(hints[field.name]) if isinstance(field.default, str) else ("1",)
        for choice in choices:
            given = with_answers(Unknowns(), {field.name.replace("_", "-"): choice})
            assert getattr(given, field.name) in (choice, 1, (choice,))


@pytest.mark.parametrize(
    ("rotation", "answered", "held"),
    [("never", "a", "a"), ("before", "renewed", "renewed"), ("later", "a", "renewed")],
)
async def test_a_refresh_token_is_exchanged_and_used_up_by_that(rotation: str, answered: str, held: str):
    chosen = replace(unknown(rotation=rotation, post_existing="overwrite"), event_delay=0)
    async with serve_sandbox(chosen) as leaf:
        posted, found = await leaf.post(body("a")), await leaf.get()
        assert posted.json["refreshToken"].startswith(answered)
        assert found.json["refreshToken"].startswith(held)
        again = await leaf.post(body("a"))
        other = await leaf.post(body("b"))
    assert (again.json["status"] == "OK") is (rotation == "never")
    assert other.json["status"] == "OK"
