"""What a page of users tells, and that no secret comes along."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_onboard.domain.model import Absent, Ambiguous, Exists, Refused, Throttled, Unauthorised, Verdict
from bulk_onboard.domain.providers import PROVIDERS
from bulk_onboard.domain.users import ListedCredential, Page, PageVerdict, Prints
from bulk_onboard.leaf.replies import Reply
from bulk_onboard.leaf.user_replies import after_page, after_user

ID = "6e4b3f0c-9d4e-4c5b-8a6f-1d2c3b4a5f60"
RAVEN = [PROVIDERS["raven"], PROVIDERS["raven-slingshot"]]
PRINTS = Prints(b"key")
TOKEN = "planted-token-4711"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def reply(data: object, status: int = 200, **headers: str) -> Reply:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, NOW)


def parsed(data: object, status: int = 200, **headers: str) -> PageVerdict:
    return after_page(reply(data, status, **headers), RAVEN, PRINTS)


def one(**shown: Any) -> ListedCredential | None:
    """What is made of the one user's Raven credentials."""
    verdict = parsed([{"id": ID, "name": "Ann", **shown}])
    assert isinstance(verdict, Page)
    return verdict.users[0].shown.get("raven")


def test_listed_users_have_the_credentials_of_known_providers() -> None:
    credential = {"id": "c-1", "status": "OK", "refreshToken": TOKEN, "clientSecret": "s", "createdTime": "x"}
    verdict = parsed([{"id": ID.upper(), "ravenCredentials": credential, "other": {"id": "o"}}])
    assert isinstance(verdict, Page)
    (user,) = verdict.users
    assert user.leaf_user_id == ID
    assert user.shown == {"raven": ListedCredential("c-1", "OK", (0, PRINTS.of("s"), PRINTS.of(TOKEN)))}
    assert TOKEN not in repr(verdict)


def test_secrets_are_not_taken_for_ids() -> None:
    shown = one(ravenCredentials={"id": TOKEN, "status": f"bad {TOKEN}", "refreshToken": TOKEN})
    assert shown is not None
    assert TOKEN not in shown.id + shown.status


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_nothing_shown_is_no_credentials(nothing: object) -> None:
    assert one(ravenCredentials=nothing) is None


@pytest.mark.parametrize("odd", ["yes", 3, True, [1, 2], {"status": "OK"}, {"id": ""}, {"id": True}])
def test_unreadable_credentials_decide_nothing(odd: object) -> None:
    assert one(ravenCredentials=odd) == ListedCredential("", "", ())


def test_a_single_object_in_a_list_is_that_object() -> None:
    assert one(ravenCredentials=[{"id": 17, "status": None}]) == ListedCredential("17", "", (0, 0, 0))


@pytest.mark.parametrize("masked", ["***", "rt-1****", "", None, 5])
def test_masked_secrets_have_no_print(masked: object) -> None:
    assert one(ravenCredentials={"id": "c", "refreshToken": masked}) == ListedCredential("c", "", (0, 0, 0))


@pytest.mark.parametrize(
    ("data", "header", "total"),
    [
        ([], {"X_Total_Count": "10000"}, 10000),
        ([], {}, None),
        ([], {"X_Total_Count": "many"}, None),
        ([], {"X_Total_Count": "-1"}, None),
        ({"content": [], "totalElements": 12}, {}, 12),
        ({"content": []}, {}, None),
    ],
)
def test_the_total_comes_from_the_reply(data: object, header: dict[str, str], total: int | None) -> None:
    assert parsed(data, **header) == Page((), total)


def test_users_without_an_id_are_skipped() -> None:
    verdict = parsed([{"id": ID}, {"id": "me"}, {"name": "x"}, 7, None])
    assert isinstance(verdict, Page)
    assert [user.leaf_user_id for user in verdict.users] == [ID]


@pytest.mark.parametrize(
    ("data", "status", "verdict"),
    [
        (b"<html>hello</html>", 200, Ambiguous),
        ({"id": ID}, 200, Ambiguous),
        ([1, 2, 3], 200, Ambiguous),
        (b"[" * 100_000, 200, Ambiguous),
        (b"", 204, Page),
        ({"title": "no"}, 403, Refused),
        ({"title": "no"}, 404, Refused),
        (b"<html>404</html>", 404, Ambiguous),
        (b"", 429, Throttled),
        (b"", 503, Ambiguous),
        (b"", 401, Unauthorised),
    ],
)
def test_other_replies_are_not_a_list(data: object, status: int, verdict: type) -> None:
    assert isinstance(parsed(data, status), verdict)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([ID, TOKEN]),
    lambda each: (
        st.lists(each, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "status", "ravenCredentials", "refreshToken", "content", "totalElements"]),
            each,
        )
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from([200, 204, 400, 404, 500]))
def test_any_reply_has_a_verdict_without_a_secret_in_it(data: object, status: int) -> None:
    assert "planted-token" not in repr(parsed(data, status)) or status >= 400


@pytest.mark.parametrize(
    ("data", "status", "verdict"),
    [
        ({"id": ID}, 200, Exists(None)),
        ({"title": "Not found"}, 404, Absent()),
        ({"errorKey": "usernotfound", "title": "Bad"}, 400, Absent()),
        ({"errorKey": "invalid", "title": "Bad"}, 400, Refused("leaf:invalid", "HTTP 400 · Bad")),
        (b"<html>", 404, Ambiguous("server-error", "HTTP 404 with a page that is not Leaf's")),
        ([], 200, Ambiguous("unreadable-reply", "not a user")),
    ],
)
def test_a_single_user_exists_or_not(data: object, status: int, verdict: Verdict) -> None:
    assert after_user(reply(data, status)) == verdict
