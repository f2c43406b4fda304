"""One login for all."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from bulk_onboard.domain.entry import is_known_owner, may_be_same_owner
from bulk_onboard.domain.model import Secret
from bulk_onboard.errors import LoginRefused, StoppedForSafety, UsageError
from bulk_onboard.leaf.auth import Auth, Bearer, owner_of
from bulk_onboard.settings import Login
from tests.support.virtual_time import in_virtual_time

PASSWORD = Login(username="me", password=Secret("planted-password"))
BOTH = Login(Secret("planted-old"), "me", Secret("planted-password"))
ONLY_TOKEN = Login(Secret("planted-old"))


class Desk:
    """Gives out numbered tokens, or raises, after a second."""

    def __init__(self, error: Exception | None = None) -> None:
        self.logins = 0
        self._error = error

    async def __call__(self) -> Secret:
        self.logins += 1
        number = self.logins
        await asyncio.sleep(1)
        if self._error:
            raise self._error
        return Secret(f"token-{number}")


async def nobody_asks(_token: Secret) -> bool | None:
    """Whether Leaf serves others is not to be asked here."""
    raise AssertionError


async def refuses_all(_token: Secret) -> bool | None:
    """Leaf serves no request with the token."""
    return False


def refusing(serves: bool | None) -> tuple[Auth, Desk, list[str]]:
    """A login that was accepted before, and who was asked about after a refusal."""
    desk, asked = Desk(), list[str]()

    async def ask(token: Secret) -> bool | None:
        asked.append(token.reveal())
        await asyncio.sleep(1)
        return serves

    auth = Auth(BOTH, desk, ask)
    auth.accept(Bearer(Secret("planted-old"), 0))
    return auth, desk, asked


@pytest.mark.parametrize(
    ("serves", "means", "logins"),
    [(True, "login-forbidden", 0), (False, None, 1), (None, "leaf-unavailable", 0)],
)
@in_virtual_time
async def test_a_401_concerns_the_row_if_the_token_is_still_accepted(
    serves: bool | None, means: str | None, logins: int
) -> None:
    auth, desk, asked = refusing(serves)
    verdict = await auth.after_refusal(await auth.bearer())
    assert (verdict.code if verdict else None) == means
    assert (desk.logins, asked) == (logins, ["planted-old"])


@in_virtual_time
async def test_simultaneous_refusals_share_one_check() -> None:
    auth, desk, asked = refusing(serves=True)
    bearer = await auth.bearer()
    found = await asyncio.gather(*(auth.after_refusal(bearer) for _ in range(50)))
    assert {verdict.code for verdict in found if verdict} == {"login-forbidden"}
    assert None not in found
    assert 1 <= len(asked) <= 2
    await auth.after_refusal(bearer)
    assert len(asked) <= 3
    assert desk.logins == 0


@in_virtual_time
async def test_a_thousand_requests_at_the_start_log_in_once() -> None:
    desk = Desk()
    auth = Auth(PASSWORD, desk, nobody_asks)
    bearers = await asyncio.gather(*(auth.bearer() for _ in range(1000)))
    assert {b.token.reveal() for b in bearers} == {"token-1"}
    assert desk.logins == 1


@in_virtual_time
async def test_a_token_is_used_without_a_login() -> None:
    desk = Desk()
    assert (await Auth(BOTH, desk, nobody_asks).bearer()).token.reveal() == "planted-old"
    assert desk.logins == 0


@in_virtual_time
async def test_refusals_of_one_token_share_one_renewal() -> None:
    desk = Desk()
    auth = Auth(BOTH, desk, nobody_asks)
    old = await auth.bearer()
    await asyncio.gather(*(auth.after_refusal(old) for _ in range(100)))
    await auth.after_refusal(old)  # a straggler
    assert desk.logins == 1
    assert (await auth.bearer()).token.reveal() == "token-1"


@in_virtual_time
async def test_a_second_refusal_without_an_acceptance_in_between_stops() -> None:
    auth = Auth(PASSWORD, Desk(), nobody_asks)
    await auth.after_refusal(await auth.bearer())
    with pytest.raises(LoginRefused, match="after a new login"):
        await auth.after_refusal(await auth.bearer())


@in_virtual_time
async def test_an_expired_token_is_renewed_each_time() -> None:
    desk = Desk()
    auth = Auth(PASSWORD, desk, refuses_all)
    for _ in range(5):
        bearer = await auth.bearer()
        auth.accept(bearer)
        await auth.after_refusal(bearer)
    assert desk.logins == 6


@in_virtual_time
async def test_a_token_without_a_password_cannot_be_renewed() -> None:
    desk = Desk()
    auth = Auth(ONLY_TOKEN, desk, nobody_asks)
    with pytest.raises(LoginRefused, match="LEAF_TOKEN") as told:
        await auth.after_refusal(await auth.bearer())
    assert "planted" not in str(told.value)
    assert desk.logins == 0


@pytest.mark.parametrize("error", [LoginRefused("wrong password"), StoppedForSafety("no answer")])
@in_virtual_time
async def test_a_failed_login_is_not_repeated_by_all_waiters(error: Exception) -> None:
    desk = Desk(error)
    auth = Auth(BOTH, desk, nobody_asks)
    old = await auth.bearer()
    ends = await asyncio.gather(*(auth.after_refusal(old) for _ in range(100)), return_exceptions=True)
    assert {type(end) for end in ends} == {type(error)}
    assert desk.logins == 1


@in_virtual_time
async def test_a_cancelled_login_is_repeated_by_the_next() -> None:
    desk = Desk()
    auth = Auth(PASSWORD, desk, nobody_asks)
    first = asyncio.create_task(auth.bearer())
    await asyncio.sleep(0.5)
    first.cancel()
    assert (await auth.bearer()).token.reveal() == "token-2"


def jwt(claims: object) -> Secret:
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return Secret(f"e30.{middle}.sig")


@pytest.mark.parametrize(
    ("login", "name"),
    [
        (PASSWORD, "me"),
        (Login(jwt({"sub": "boss"})), "boss"),
        (Login(jwt({"sub": "\x1b[2Jboss"})), "[2Jboss"),
        (Login(jwt({"sub": "Boss@example.com"}), "boss@example.com"), "boss@example.com"),
        (Login(jwt({"sub": "a-number"}), "Boss@example.com"), "boss@example.com"),
    ],
)
def test_the_owner_is_the_user_name_or_the_subject_of_the_token(login: Login, name: str) -> None:
    assert owner_of(login, b"key") == name
    assert is_known_owner(name)


SILENT = [Login(jwt({"sub": 5})), Login(jwt([])), *(Login(Secret(t)) for t in ("a.b", "a.?.c", "a.é.c"))]


def test_a_token_without_subject_is_its_own_owner() -> None:
    owners = [owner_of(login, b"key") for login in SILENT]
    assert len(set(owners)) == len(SILENT)
    assert not any(is_known_owner(owner) for owner in owners)
    assert owners[0] == owner_of(SILENT[0], b"key") != owner_of(SILENT[0], b"other key")
    assert may_be_same_owner(owners[0], "boss@example.com")
    assert may_be_same_owner(owners[0], owners[1])
    assert not may_be_same_owner("me@example.com", "boss@example.com")


def test_a_token_and_a_user_name_of_two_owners_are_refused() -> None:
    with pytest.raises(UsageError, match=r"belongs to a@example.com, but LEAF_USERNAME is b@example.com"):
        owner_of(Login(jwt({"sub": "a@example.com"}), "b@example.com"), b"key")
