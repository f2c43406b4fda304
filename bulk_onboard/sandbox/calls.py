"""One request, as the handlers and everything around them share it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.settings import Area, Fault

Handler = Callable[[web.Request], Awaitable[web.Response]]

LOGIN = "/api/authenticate"
BASE = "/services/usermanagement/api"


@dataclass(slots=True)
class Call:
    """What is known about a request. Times are seconds; ``posted`` is its JSON, None for anything else.

    ``fault``: what goes wrong with it; ``is_admitted``: False if the rate limit turns it away; ``stored``:
    its handler changed the stored credentials.
    """

    at: float
    monotonic: float
    fault: Fault | None
    is_admitted: bool
    posted: object
    fingerprint: str = ""
    stored: bool = False


# The request that is being handled: every task handles one at a time.
CURRENT_CALL: ContextVar[Call] = ContextVar("call")


def area_of(request: web.Request) -> Area | None:
    """Return the group that a call belongs to; None if there is no such call."""
    if request.match_info.http_exception is not None:
        return None
    if request.path == LOGIN:
        return Area.LOGIN
    if "path" not in request.match_info:
        return Area.USERS
    return Area.EVENTS if request.path.endswith("/events") else Area.CREDENTIALS


def user_id_of(request: web.Request) -> str:
    """Return the leafUserId in the path: a UUID in its usual form, other text as it is, "" without one."""
    text = request.match_info.get("user_id", "")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text


async def posted_json(request: web.Request) -> object:
    """Return the JSON of a body that is declared as JSON; None for any other body."""
    body = await request.read()
    if not body or request.content_type != "application/json":
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
