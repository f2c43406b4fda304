"""Logins and tokens. Tokens that begin with ``practice`` need no login."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.calls import CURRENT_CALL, LOGIN, Handler, json_reply
from bulk_onboard.sandbox.settings import Behaviour
from bulk_onboard.sandbox.state import State
from bulk_onboard.sandbox.views import Views

_PRACTICE = "practice"
_REMEMBERED = 30 * 86400.0
_NOT_REMEMBERED = 86400.0


@dataclass(frozen=True)
class Auth:
    """The login call, and the middleware that refuses calls without a valid token."""

    state: State
    views: Views
    behaviour: Behaviour
    now: Callable[[], float]

    async def login(self, request: web.Request) -> web.Response:
        """POST /api/authenticate."""
        posted = CURRENT_CALL.get().posted
        data = posted if isinstance(posted, dict) else {}
        username, password = data.get("username"), data.get("password")
        if not (isinstance(username, str) and isinstance(password, str)):
            return self.views.problem(
                request, 400, "invalidbody", "username and password are expected, as JSON"
            )
        if not self._is_accepted(username, password):
            return self.views.problem(request, 401)
        remember = str(data.get("rememberMe", "")).lower() == "true"
        token = _new_token(username)
        lifetime = self.behaviour.token_lifetime or (_REMEMBERED if remember else _NOT_REMEMBERED)
        self.state.execute("REPLACE INTO logins VALUES (?, ?)", (token, self.now() + lifetime))
        return json_reply(200, {"id_token": token})

    def _is_accepted(self, username: str, password: str) -> bool:
        account = self.behaviour.account
        if account is None:
            return True
        return username == (account.username or username) and password == account.password.get_secret_value()

    async def authenticate(self, request: web.Request, handler: Handler) -> web.Response:
        """Refuse a call without a valid token; turn unknown paths and methods into problems."""
        if request.path != LOGIN and not self._is_valid(_bearer(request)):
            return self.views.problem(request, 401)
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return self.views.problem(request, 404)
        except web.HTTPMethodNotAllowed:
            return self.views.problem(request, 405)

    def _is_valid(self, token: str) -> bool:
        row = self.state.execute("SELECT expires FROM logins WHERE token = ?", (token,)).fetchone()
        return bool(self.now() < row[0]) if row else token.startswith(_PRACTICE)

    def revoke(self, request: web.Request) -> None:
        """Make the token of a request invalid for good."""
        self.state.execute("REPLACE INTO logins VALUES (?, 0)", (_bearer(request),))


def _bearer(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _new_token(username: str) -> str:
    """Return a text in the form of a JWT (RFC 7519) that names its owner, as Leaf's tokens are."""
    parts: list[object] = [{"alg": "none"}, {"sub": username}]
    shown = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return ".".join([*shown, uuid.uuid4().hex])
