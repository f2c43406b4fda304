"""One request, as middlewares and handlers share it, and how replies are made."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from bulk_onboard.sandbox.settings import Area, Fault

Handler = Callable[[web.Request], Awaitable[web.Response]]

LOGIN = "/api/authenticate"
BASE = "/services/usermanagement/api"
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


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
    posted: object = None
    fingerprint: str = ""
    stored: bool = False


# The request that is being handled: every task handles one at a time.
CURRENT_CALL: ContextVar[Call] = ContextVar("call")


def area_of(request: web.Request) -> Area | None:
    """Return the area of the route; None if there is no such call."""
    resource = request.match_info.route.resource
    return Area(resource.name.partition(".")[0]) if resource and resource.name else None


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


def body_of(response: web.Response) -> bytes:
    """Return the body of a reply; b"" without one."""
    return response.body if isinstance(response.body, bytes) else b""


def json_reply(
    status: int,
    data: object,
    headers: Mapping[str, str] = NO_HEADERS,
    content_type: str = "application/json",
) -> web.Response:
    """Return a reply with a JSON body."""
    return web.Response(
        body=json.dumps(data).encode(), status=status, headers=headers, content_type=content_type
    )
