"""``/sandbox/…``: what the sandbox received and holds. Without login, never at fault, never recorded."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from bulk_onboard.sandbox.calls import json_reply
from bulk_onboard.sandbox.state import State
from bulk_onboard.sandbox.views import timestamp

PREFIX = "/sandbox/"


class Admin:
    """Handlers that show and reset the state."""

    def __init__(self, state: State, reset: Callable[[], None]) -> None:
        self._state = state
        self._reset = reset

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of this module."""
        router.add_route("GET", f"{PREFIX}requests", self._get_requests)
        router.add_route("GET", f"{PREFIX}state", self._get_state)
        router.add_route("POST", f"{PREFIX}reset", self._post_reset)
        router.add_route("*", f"{PREFIX}{{rest:.*}}", self._not_found)

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """Return the requests seen, from that index on."""
        seen = self._state.requests(since)
        return [{**request, "at": timestamp(float(str(request["at"])))} for request in seen]

    def state(self) -> dict[str, object]:
        """Return which sandbox this is, every grower with credentials or POSTs, and named users."""
        users = [
            {
                "leafUserId": user.id,
                "externalId": user.external_id,
                "email": user.email,
                "name": user.name,
                "posted": user.created > 0,
            }
            for user in self._state.named_users()
        ]
        return {"identity": self._state.identity, "growers": self._state.growers(), "users": users}

    async def _get_requests(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "")
        return json_reply(200, self.requests(int(since) if since.isdecimal() else 0))

    async def _get_state(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return json_reply(200, self.state())

    async def _post_reset(self, request: web.Request) -> web.Response:  # noqa: ARG002
        self._reset()
        return json_reply(200, {"identity": self._state.identity})

    async def _not_found(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(status=404, text="GET requests, GET state or POST reset\n")
