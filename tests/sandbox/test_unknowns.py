"""Every answer that the documentation leaves open can be practised."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from email.utils import parsedate_to_datetime
from typing import get_args, get_type_hints

import pytest

from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.errors import UsageError
from bulk_onboard.sandbox import Behaviour, Unknowns, User, with_answers
from tests.sandbox.support import (
    BASE,
    GROWER,
    OTHER,
    RAVEN,
    THIRD,
    FakeClock,
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
async def test_a_second_post_does_what_is_chosen(answer: str, status: int, stored: str, same_id: bool):
    async with serve_sandbox(unknown(post_existing=answer)) as leaf:
        first = await leaf.post(body("old"))
        again = await leaf.post(body("new"))
        found = await leaf.get()
    assert again.status == status
    assert found.json["refreshToken"] == stored
    assert (found.json["id"] == first.json["id"]) is same_id
    if status < 300:
        assert again.json == found.json


async def test_only_a_vague_refusal_hides_that_there_are_credentials():
    is_shown = {}
    for answer in ("refuse", "vague"):
        async with serve_sandbox(unknown(post_existing=answer)) as leaf:
            await leaf.post()
            is_shown[answer] = "exist" in (await leaf.post()).text
    assert is_shown == {"refuse": True, "vague": False}


async def test_a_post_that_stored_is_200_or_201():
    for status in ("200", "201"):
        async with serve_sandbox(unknown(post_status=status)) as leaf:
            assert (await leaf.post()).status == int(status)


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
async def test_a_get_of_none_answers_what_is_chosen(answer: str, status: int, text: str | None):
    async with serve_sandbox(unknown(get_absent=answer)) as leaf:
        got = await leaf.get()
    assert got.status == status
    assert text is None or got.text == text


async def test_a_delete_of_none_answers_what_is_chosen():
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
async def test_the_reply_about_a_missing_user_is_as_chosen(answer: str):
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


async def test_where_any_uuid_is_a_user_other_texts_are_not():
    async with serve_sandbox() as leaf:
        assert (await leaf.get(f"{BASE}/users/{OTHER}")).status == 200
        assert (await leaf.post(path=raven("not-a-uuid"))).status == 404


async def test_a_page_is_never_larger_than_chosen():
    users = tuple(User(f"0b5e7f0a-6a5c-4a53-9f6e-0d5a3b1c2d{n:02}") for n in range(5))
    async with serve_sandbox(Behaviour(unknowns=Unknowns(page_size=2), users=users)) as leaf:
        assert [len((await leaf.get(f"{BASE}/users?page={n}&size=100")).json) for n in range(3)] == [2, 2, 1]


async def test_the_total_count_is_shown_or_not():
    for answer in ("shown", "hidden"):
        async with serve_sandbox(unknown(total_count=answer)) as leaf:
            got = await leaf.get(f"{BASE}/users")
            assert ("X-Total-Count" in got.headers) is (answer == "shown")


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


@pytest.mark.parametrize(("drift", "seen"), [("none", "012345"), ("gone", "0134"), ("come", "011223")])
async def test_a_list_moves_under_its_reader_as_chosen(drift: str, seen: str):
    moving = Behaviour(unknowns=Unknowns(page_size=2, list_drift=drift), users=_numbered(6))
    async with serve_sandbox(moving) as leaf:
        pages = [(await leaf.get(f"{BASE}/users?page={n}&size=2")).json for n in range(3)]
    assert "".join(user["id"][-1] for page in pages for user in page) == seen


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
async def test_users_show_their_credentials_where_chosen(answers: dict, in_list: bool, in_one: bool):
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


async def test_timestamps_are_shown_or_left_out():
    for answer in ("shown", "hidden"):
        settings = Behaviour(unknowns=Unknowns(timestamps=answer), event_delay=0)
        async with serve_sandbox(settings) as leaf:
            assert ("createdTime" in (await leaf.post()).json) is (answer == "shown")
            [event] = (await leaf.get(f"{RAVEN}/events")).json
            assert ("createdDate" in event) is (answer == "shown")


async def test_no_more_than_the_limit_is_served_in_any_second():
    clock = FakeClock()
    async with serve_sandbox(unknown(rate_limit=3), clock=clock) as leaf:
        statuses = []
        for later in (0, 0.4, 0.4, 0.1, 0.05, 0.1, 0.3):
            clock.time += later
            statuses.append((await leaf.get()).status)
    assert statuses == [404, 404, 404, 429, 429, 404, 429]


@pytest.mark.parametrize("form", ["seconds", "date", "bare", "plain"])
async def test_a_429_says_when_to_come_back_in_the_chosen_form(form: str):
    clock = FakeClock()
    settings = unknown(rate_limit=1, throttle_form=form, throttle_seconds=7)
    async with serve_sandbox(settings, clock=clock) as leaf:
        await leaf.post()
        got = await leaf.post(body("other"))
        assert got.status == 429
        is_problem = got.headers["Content-Type"].startswith("application/problem+json")
        assert is_problem != (form == "plain" and got.headers["Content-Type"].startswith("text/plain"))
        after = got.headers.get("Retry-After")
        state = await leaf.state()
    assert (state["posts"], state["postsStored"]) == (2, 1)
    match form:
        case "seconds":
            assert after == "7"
        case "date":
            assert parsedate_to_datetime(after).timestamp() == clock.time + 7
        case _:
            assert after is None


async def test_a_repeated_idempotency_key_is_ignored_or_gets_the_first_answer():
    statuses = {}
    for answer in ("ignored", "honoured"):
        async with serve_sandbox(unknown(idempotency_keys=answer)) as leaf:
            key = {"Idempotency-Key": "k1"}
            replies = [await leaf.ask("POST", RAVEN, body(), **key) for _ in range(2)]
            statuses[answer] = [reply.status for reply in replies]
            assert (await leaf.state())["postsStored"] == 1
    assert statuses == {"ignored": [201, 400], "honoured": [201, 201]}


async def test_a_clock_that_is_ahead_shows_in_the_date_and_the_timestamps():
    clock = FakeClock()
    async with serve_sandbox(unknown(clock_skew=3600.0), clock=clock) as leaf:
        got = await leaf.post()
    assert parsedate_to_datetime(got.headers["Date"]).timestamp() == clock.time + 3600
    assert got.json["createdTime"] == "2027-01-15T09:00:00.000000Z"


def test_every_unknown_can_be_given_as_text():
    hints = get_type_hints(Unknowns)
    for field in fields(Unknowns):
        choices = get_args(hints[field.name]) if isinstance(field.default, str) else ("1",)
        for choice in choices:
            given = with_answers(Unknowns(), {field.name.replace("_", "-"): choice})
            assert getattr(given, field.name) in (choice, 1, (choice,))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("colour", "red", "post_existing"),
        ("get_absent", "403", "null"),
        ("rate_limit", "-1", "greater than or equal to 0"),
        ("page_size", "0", "greater than or equal to 1"),
        ("page_size", "many", "a valid integer"),
    ],
)
def test_the_message_about_a_wrong_answer_lists_what_is_possible(name: str, value: str, message: str):
    with pytest.raises(UsageError, match=message):
        with_answers(Unknowns(), {name: value})


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


async def test_new_credentials_may_be_shown_late():
    async with serve_sandbox(unknown(credential_lag=60)) as leaf:
        assert (await leaf.post()).status == 201
        assert (await leaf.get()).status == 404


async def test_a_rate_limit_can_hold_for_an_hour():
    clock = FakeClock()
    async with serve_sandbox(unknown(rate_limit=1, rate_window=3600), clock=clock) as leaf:
        statuses = []
        for later in (0, 3599, 1):
            clock.time += later
            statuses.append((await leaf.get()).status)
    assert statuses == [404, 429, 404]


@pytest.mark.parametrize(
    ("order", "codes"), [("single", [200]), ("newest-first", [200, 401]), ("oldest-first", [401, 200])]
)
async def test_events_come_in_the_chosen_order(order: str, codes: list[int]):
    async with serve_sandbox(replace(unknown(events_order=order), event_delay=0), clock=FakeClock()) as leaf:
        await leaf.post()
        leaf.clock.time += 1
        events = (await leaf.get(f"{RAVEN}/events")).json
    assert [event["statusCode"] for event in events] == codes
    assert max(events, key=lambda event: event["createdDate"])["statusCode"] == 200


async def test_a_provider_can_be_without_events():
    async with serve_sandbox(unknown(no_events=("raven",))) as leaf:
        await leaf.post()
        assert (await leaf.get(f"{RAVEN}/events")).status == 404


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({}, "FAILED"),
        ({"failed_status": "UNAUTHENTICATED"}, "UNAUTHENTICATED"),
        ({"failed_status": "TEMPORARILY_UNAVAILABLE"}, "TEMPORARILY_UNAVAILABLE"),
        ({"status": "hidden"}, None),
    ],
)
async def test_refused_credentials_show_the_chosen_status(answers: dict, status: str | None):
    async with serve_sandbox(replace(unknown(**answers), event_delay=0)) as leaf:
        await leaf.post(body("expired-1"))
        assert (await leaf.get()).json.get("status") == status


@pytest.mark.parametrize(
    ("answer", "names"), [("honoured", ["a", "b", "c"]), ("ignored", ["b", "c", "a"]), ("refused", None)]
)
async def test_lists_are_sorted_as_chosen(answer: str, names: list[str] | None):
    users = tuple(User(id_, name=name) for id_, name in zip((GROWER, OTHER, THIRD), "bca", strict=True))
    async with serve_sandbox(replace(unknown(user_sort=answer), users=users)) as leaf:
        got = await leaf.get(f"{BASE}/users?sort=name,asc")
        assert (await leaf.get(f"{BASE}/users")).status == 200
    assert (got.status, got.status == 200 and [user["name"] for user in got.json]) == (
        (200, names) if names else (400, False)
    )


async def test_a_list_links_to_its_other_pages():
    async with serve_sandbox(Behaviour(users=_numbered(5))) as leaf:
        links = (await leaf.get(f"{BASE}/users?page=1&size=2")).headers["Link"]
    pages = re.findall(r'page=(\d+)&size=2>; rel="(\w+)"', links)
    assert pages == [("2", "next"), ("0", "prev"), ("2", "last"), ("0", "first")]


@pytest.mark.parametrize(
    ("provider", "hidden", "added"),
    [
        ("raven", set(), {"tokenMetadata"}),
        ("sentera", {"password"}, set()),
        ("raven-slingshot", {"sharedSecret"}, set()),
        ("agvance", set(), {"sessionId"}),
    ],
)
async def test_secrets_are_shown_as_documented(provider: str, hidden: set[str], added: set[str]):
    table = PROVIDERS[provider]
    posted = {field.name: (field.allowed or ("x",))[0] for field in table.fields}
    async with serve_sandbox(unknown(secrets="documented")) as leaf:
        shown = (await leaf.post(posted, f"{BASE}/users/{GROWER}/{table.path}")).json
    assert set(shown) - {"id", "status", "createdTime", "accessToken"} == set(posted) - hidden | added


async def test_the_path_in_an_error_can_be_an_internal_one():
    paths = {}
    for answer in ("request", "internal"):
        async with serve_sandbox(unknown(problem_path=answer)) as leaf:
            paths[answer] = (await leaf.get()).json["path"]
    assert paths == {"request": RAVEN, "internal": f"/api/users/{GROWER}/raven-credentials"}
