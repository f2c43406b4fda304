"""One login, shared by all requests, renewed once when Leaf says 401."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b

from bulk_onboard.domain.api_owner import unknown_owner
from bulk_onboard.errors import BulkOnboardError, LoginRefused, UsageError
from bulk_onboard.leaf.scrub import scrub
from bulk_onboard.model import Secret
from bulk_onboard.settings import Login

Authenticate = Callable[[], Awaitable[Secret]]


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token and how many logins came before it."""

    token: Secret
    generation: int


class Auth:
    """Hands out the current token. ``authenticate`` asks Leaf for a new one and raises LoginRefused."""

    def __init__(self, login: Login, authenticate: Authenticate) -> None:
        self._login = login
        self._authenticate = authenticate
        self._bearer = Bearer(login.token, 0) if login.token else None
        self._accepted = -1
        self._failure: BulkOnboardError | None = None
        self._lock = asyncio.Lock()

    async def bearer(self) -> Bearer:
        """The current token; logs in first if there is none yet. Raises LoginRefused."""
        if self._failure:
            raise self._failure
        if self._bearer is None:
            async with self._lock:
                if self._bearer is None:
                    self._bearer = Bearer(await self._log_in(), 0)
        return self._bearer

    def accept(self, bearer: Bearer) -> None:
        """Leaf took this token: a later 401 means that it ran out, which a login mends."""
        self._accepted = max(self._accepted, bearer.generation)

    async def renew(self, refused: Bearer) -> None:
        """After a 401: log in again, once for all that were refused with the same token.

        Raises LoginRefused when there is no password to do it with, or when a token fresh from a renewal
        was refused before it was ever accepted.
        """
        async with self._lock:
            if self._bearer is not None and self._bearer.generation > refused.generation:
                return
            # Remembered, so that whoever waits for a turn now does not send what will be refused.
            if not (self._login.username and self._login.password):
                self._failure = LoginRefused(
                    "Leaf refused LEAF_TOKEN (HTTP 401): it is wrong or has expired. Set a new one, or set"
                    " LEAF_USERNAME and LEAF_PASSWORD, then run the same command again"
                )
                raise self._failure
            if refused.generation > 0 and self._accepted < refused.generation:
                self._failure = LoginRefused("Leaf refuses every request (HTTP 401), also after a new login")
                raise self._failure
            self._bearer = Bearer(await self._log_in(), refused.generation + 1)

    async def _log_in(self) -> Secret:
        """A login that failed is not tried again by everyone who waited for it: that locks accounts."""
        if self._failure:
            raise self._failure
        try:
            return await self._authenticate()
        except BulkOnboardError as error:
            self._failure = error
            raise


def owner_of(login: Login, key: bytes) -> str:
    """Return the name of the API owner: the user name, else the subject that the token states (unverified).

    A token that states none is a scope of its own: a keyed digest (``key`` is the ledger's) stands for it.
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
