"""Tokens: given out at login, good until they expire or are revoked."""

from __future__ import annotations

import base64
import json
import uuid

from bulk_onboard.sandbox.behaviour import Account

PRACTICE = "practice"
_REMEMBERED = 30 * 86400.0
_FORGOTTEN = 86400.0


class Logins:
    """Who may call. Tokens that begin with ``practice`` need no login."""

    def __init__(self, account: Account | None, lifetime: float | None) -> None:
        self._account = account
        self._lifetime = lifetime
        self._expiry: dict[str, float] = {}
        self._revoked: set[str] = set()

    def login(self, username: str, password: str, remember: bool, now: float) -> str | None:
        """A new token, None for a wrong user name or password."""
        wanted = self._account
        if wanted and (username, password) != (wanted.username, wanted.password.reveal()):
            return None
        token = _token(username)
        self._expiry[token] = now + (self._lifetime or (_REMEMBERED if remember else _FORGOTTEN))
        return token

    def accept(self, token: str, now: float) -> bool:
        """Whether the token is good."""
        if token in self._revoked:
            return False
        return token.startswith(PRACTICE) or now < self._expiry.get(token, 0.0)

    def revoke(self, token: str) -> None:
        """Make the token bad for good."""
        self._revoked.add(token)


def _token(username: str) -> str:
    """Shaped like a JWT (RFC 7519) that names its owner, as Leaf's are."""
    parts: list[object] = [{"alg": "none"}, {"sub": username}]
    shown = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*shown, uuid.uuid4().hex])
