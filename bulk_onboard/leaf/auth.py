"""One login for all requests, and what a 401 means: the login has ended, or one grower is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from time import monotonic

from bulk_onboard.domain.entry import unknown_owner
from bulk_onboard.domain.model import Refused, Secret, Transient
from bulk_onboard.errors import BulkOnboardError, LoginRefused, UsageError
from bulk_onboard.leaf.scrub import scrub
from bulk_onboard.settings import Login

Authenticate = Callable[[], Awaitable[Secret]]
# Whether Leaf serves a small request with this token; None if that cannot be seen.
Serves = Callable[[Secret], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token and how many logins came before it."""

    token: Secret
    generation: int


_OF_THE_ROW = Refused("login-forbidden", "HTTP 401, though Leaf serves other requests with the same login")


class Auth:
    """Hands out the current token.

    ``authenticate`` asks Leaf for a new one and raises LoginRefused. ``serves`` is asked after a 401.
    """

    def __init__(self, login: Login, authenticate: Authenticate, serves: Serves) -> None:
        self._login = login
        self._authenticate = authenticate
        self._serves = serves
        self._served: tuple[int, float] = (-1, 0.0)  # by which generation, and when that was asked
        self._bearer = Bearer(login.token, 0) if login.token else None
        self._accepted = -1
        self._failure: BulkOnboardError | None = None
        self._lock = asyncio.Lock()

    @property
    def current(self) -> Bearer | None:
        """The token that requests go out with now; None if there is none, or it is in doubt."""
        return None if self._failure or self._lock.locked() else self._bearer

    async def bearer(self) -> Bearer:
        """The current token; logs in first if there is none yet. Raises LoginRefused."""
        if self._bearer is None or self._lock.locked():  # nothing goes out with a token that is in doubt
            async with self._lock:
                if self._bearer is None:
                    self._bearer = Bearer(await self._log_in(), 0)
        if self._failure:
            raise self._failure
        return self._bearer

    def is_current(self, bearer: Bearer) -> bool:
        """Whether the token is neither replaced nor given up, and no answer is awaited that may do either."""
        return self.current is bearer

    def accept(self, bearer: Bearer) -> None:
        """Record that Leaf accepted this token: a later 401 means that it expired, and a new login helps."""
        self._accepted = max(self._accepted, bearer.generation)

    async def after_refusal(self, refused: Bearer) -> Refused | Transient | None:
        """Return what a 401 means for the request that got it; None if there is another token now.

        Whether other requests are served shows only a request that is sent after the refusal: an earlier one
        may have been served just before the token ended. Otherwise logs in again, once for all that were
        refused with the same token. Raises LoginRefused if there is no password, or if a token fresh from a
        login is refused before it was ever accepted.
        """
        at = monotonic()
        async with self._lock:
            if self._bearer is not None and self._bearer.generation > refused.generation:
                return None
            if self._served[0] == refused.generation and self._served[1] > at:
                return _OF_THE_ROW
            if refused.generation <= self._accepted and not self._failure:
                asked_at = monotonic()
                served = await self._serves(refused.token)
                if served is None:
                    return Transient("leaf-unavailable", "HTTP 401")
                if served:
                    self._served = refused.generation, asked_at
                    return _OF_THE_ROW
            await self._renew(refused)
            return None

    async def _renew(self, refused: Bearer) -> None:
        """Log in again. Raises LoginRefused if that cannot help."""
        # Recorded, so that requests that wait for a turn now are not sent only to be refused.
        if not (self._login.username and self._login.password):
            self._failure = LoginRefused(
                "Leaf refused LEAF_TOKEN (HTTP 401): it is wrong or has expired. Set a new one, or set"
                " LEAF_USERNAME and LEAF_PASSWORD, then run the same command again"
            )
            raise self._failure
        if refused.generation > 0 and self._accepted < refused.generation:
            self._failure = LoginRefused("Leaf refuses every request (HTTP 401), even after a new login")
            raise self._failure
        self._bearer = Bearer(await self._log_in(), refused.generation + 1)

    async def _log_in(self) -> Secret:
        """Return a new token. A failed login is not repeated for waiting requests: that locks accounts."""
        if self._failure:
            raise self._failure
        try:
            return await self._authenticate()
        except BulkOnboardError as error:
            self._failure = error
            raise


def owner_of(login: Login, key: bytes) -> str:
    """Return the name of the API owner: the user name, else the subject that the token states (unverified).

    A token that states none is a scope of its own: its name is then a keyed digest (``key`` is the ledger's).
    Raises UsageError if the token and the user name are of different owners.
    """
    subject = _subject(login.token) if login.token else ""
    both_show = "@" in subject and "@" in login.username
    if both_show and subject.casefold() != login.username.casefold():
        raise UsageError(
            f"LEAF_TOKEN belongs to {subject}, but LEAF_USERNAME is {login.username}: unset one of them"
        )
    if name := login.username or subject:
        return name.casefold() if "@" in name else name
    token = login.token.reveal() if login.token else ""
    return unknown_owner(blake2b(token.encode(), key=key, digest_size=4).hexdigest())


def _subject(token: Secret) -> str:
    """The ``sub`` claim of a JWT (RFC 7519 §4.1.2), "" if the token is none."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return ""
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return scrub(subject)[:100] if isinstance(subject, str) else ""
