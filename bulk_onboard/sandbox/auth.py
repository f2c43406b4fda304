"""Logins and tokens. Tokens that begin with ``practice`` need no login."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.calls import CURRENT_CALL, LOGIN, Handler
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

    async def login(self, request: web.Request) -> web.Response:
        """POST /api/authenticate."""
        posted, behaviour = CURRENT_CALL.get().posted, self.views.behaviour
        data = posted if isinstance(posted, dict) else {}
        username, password = data.get("username"), data.get("password")
        if not (isinstance(username, str) and isinstance(password, str)):
            return self.views.problem(
                request, 400, "invalidbody", "username and password are expected, as JSON"
            )
        if behaviour.account and not behaviour.account.accepts(username, password):
            return self.views.problem(request, 401)
        is_remembered = str(data.get("rememberMe", "")).lower() == "true"
        lifetime = behaviour.token_lifetime or (_REMEMBERED if is_remembered else _NOT_REMEMBERED)
        token = _new_token(username)
        self.state.execute("REPLACE INTO logins VALUES (?, ?)", (token, self.views.now() + lifetime))
        return web.json_response({"id_token": token})

    async def authenticate(self, request: web.Request, handler: Handler) -> web.Response:
        """Refuse a call without a valid token; turn unknown paths and methods into problems."""
        if request.path != LOGIN and not self._is_valid(_bearer(request)):
            return self.views.problem(request, 401)
        try:
            return await handler(request)
        except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
            return self.views.problem(request, error.status)

    def _is_valid(self, token: str) -> bool:
        row = self.state.execute("SELECT expires FROM logins WHERE token = ?", (token,)).fetchone()
        return bool(self.views.now() < row[0]) if row else token.startswith(_PRACTICE)

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
