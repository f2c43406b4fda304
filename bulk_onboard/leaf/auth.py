"""One login, shared by all requests, renewed once when Leaf says 401."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bulk_onboard.errors import BulkOnboardError, LoginRefused
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


def owner(login: Login) -> str:
    """The API owner's name for people: the user name, else what the token says of itself (unverified)."""
    return (
        login.username or (_subject(login.token) if login.token else "") or "unknown (the token does not say)"
    )


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
