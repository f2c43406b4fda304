"""What Leaf's answers about single users mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bulk_onboard.domain.model import Ambiguous, Refused, Throttled, Unauthorised
from bulk_onboard.domain.users import LeafUser, UserCreated, UserExists, UsersPage
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.leaf.user_replies import after_create_user, after_look_up

ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
USER = {"id": ID, "name": "Ada", "email": "ada@example.com", "externalId": "G-1", "phone": None}
TOLD = {"externalId": "G-1", "email": "ada@example.com", "name": "Ada Ackermann"}


def reply(status: int, data: object = None, body: bytes | None = None, **headers: str) -> Reply:
    content = body if body is not None else json.dumps(data).encode()
    return Reply(status, headers, content, datetime(2026, 11, 23, tzinfo=UTC))


def test_a_list_of_users_is_read_in_both_forms() -> None:
    seen = LeafUser(ID, "G-1", "ada@example.com")
    assert after_look_up(reply(200, [USER])) == UsersPage((seen,))
    assert after_look_up(reply(200, {"content": [USER], "totalElements": 7})) == UsersPage((seen,), 7)
    assert after_look_up(reply(200, [], **{"X-Total-Count": "0"})) == UsersPage((), 0)


def test_what_a_user_does_not_show_is_empty_and_a_number_is_a_text() -> None:
    assert after_look_up(reply(200, [{"id": ID, "externalId": 7}])) == UsersPage((LeafUser(ID, "7", ""),))


@pytest.mark.parametrize(
    "answer",
    [
        reply(204, body=b""),
        reply(200, body=b""),
        reply(200, None),
        reply(200, {}),
        reply(200, [{"id": "no uuid"}]),
        reply(200, [USER, "something else"]),
        reply(404, {"status": 404}),
        reply(404, body=b"<html>not found</html>"),
        reply(500),
        reply(302),
    ],
)
def test_other_replies_prove_no_absence(answer: Reply) -> None:
    assert isinstance(after_look_up(answer), Ambiguous)


def test_refused_and_throttled_lookups() -> None:
    assert isinstance(after_look_up(reply(400, {"errorKey": "badfilter"})), Refused)
    assert after_look_up(reply(429, **{"Retry-After": "3"})) == Throttled(3.0)
    assert after_look_up(reply(401)) == Unauthorised()


@pytest.mark.parametrize("status", [200, 201])
def test_a_created_user_has_an_id(status: int) -> None:
    assert after_create_user(reply(status, USER), TOLD) == UserCreated(ID)
    assert after_create_user(reply(status, {"id": ID.upper()}), TOLD) == UserCreated(ID)


@pytest.mark.parametrize(
    "answer",
    [
        reply(201, body=b""),
        reply(201, {}),
        reply(201, [USER]),
        reply(201, {**USER, "email": "somebody@else.com"}),
        reply(201, body=b'{"id": "' + ID[:20].encode()),
        reply(404, body=b"<html></html>"),
        reply(503),
        reply(504),
    ],
)
def test_a_reply_without_the_user_is_ambiguous(answer: Reply) -> None:
    assert isinstance(after_create_user(answer, TOLD), Ambiguous)


@pytest.mark.parametrize(
    "answer",
    [
        reply(409, {"title": "Conflict"}),
        reply(400, {"errorKey": "userexists", "title": "Email is already in use"}),
    ],
)
def test_an_existing_user_is_not_a_plain_refusal(answer: Reply) -> None:
    assert isinstance(after_create_user(answer, TOLD), UserExists)


def test_a_refusal_does_not_repeat_the_user() -> None:
    told = after_create_user(reply(400, {"title": "bad", "message": "no phone for ada@example.com"}), TOLD)
    assert isinstance(told, Refused)
    assert "phone" in told.message
    assert "ada@example.com" not in told.message
