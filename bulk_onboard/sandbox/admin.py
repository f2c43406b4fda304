"""``/sandbox/…``: what the sandbox received and holds. Without login, never at fault, never recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bulk_onboard.sandbox.calls import json_reply
from bulk_onboard.sandbox.state import State
from bulk_onboard.sandbox.views import timestamp

PREFIX = "/sandbox/"
_GROWERS = """
SELECT leaf_user_id, provider, c.id, c.fingerprint, coalesce(sum(p.seen), 0), coalesce(sum(p.stored), 0),
    json_group_object(p.fingerprint, p.seen) FILTER (WHERE p.fingerprint IS NOT NULL),
    json_group_object(p.fingerprint, p.stored) FILTER (WHERE p.fingerprint IS NOT NULL)
FROM (SELECT leaf_user_id, provider FROM credentials UNION SELECT leaf_user_id, provider FROM posts)
LEFT JOIN credentials AS c USING (leaf_user_id, provider)
LEFT JOIN posts AS p USING (leaf_user_id, provider)
GROUP BY leaf_user_id, provider
"""
_NAMED_USERS = """
SELECT id, external_id, email, name, created > 0 FROM users WHERE external_id || email != '' ORDER BY rowid
"""


@dataclass(frozen=True)
class Admin:
    """Handlers that show and reset the state."""

    state: State
    restart_faults: Callable[[], None]

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of this module."""
        router.add_route("GET", f"{PREFIX}requests", self._get_requests)
        router.add_route("GET", f"{PREFIX}state", self._get_state)
        router.add_route("POST", f"{PREFIX}reset", self._post_reset)
        router.add_route("*", f"{PREFIX}{{rest:.*}}", self._not_found)

    def show_requests(self, since: int = 0) -> list[dict[str, object]]:
        """Return the requests seen, from that index on, in the order in which they were answered."""
        rows = self.state.execute('SELECT * FROM requests WHERE "index" >= ? ORDER BY "index"', (since,))
        names = [column[0] for column in rows.description]
        seen = (dict(zip(names, row, strict=True)) for row in rows)
        return [{**each, "at": timestamp(each["at"]), "stored": bool(each["stored"])} for each in seen]

    def show_state(self) -> dict[str, object]:
        """Return which sandbox this is, every grower with credentials or POSTs, and named users."""
        names = ("leafUserId", "provider", "credentialId", "fingerprint", "posts", "postsStored")
        growers = [
            dict(zip(names, row[:6], strict=True))
            | {"postsByFingerprint": json.loads(row[6]), "storedByFingerprint": json.loads(row[7])}
            for row in self.state.execute(_GROWERS)
        ]
        columns = ("leafUserId", "externalId", "email", "name", "posted")
        users = [
            {**dict(zip(columns, row, strict=True)), "posted": bool(row[-1])}
            for row in self.state.execute(_NAMED_USERS)
        ]
        return {"identity": self.state.identity, "growers": growers, "users": users}

    async def _get_requests(self, request: web.Request) -> web.Response:
        since = request.query.get("since", "")
        return json_reply(200, self.show_requests(int(since) if since.isdecimal() else 0))

    async def _get_state(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return json_reply(200, self.show_state())

    async def _post_reset(self, request: web.Request) -> web.Response:  # noqa: ARG002
        self.state.reset()
        self.restart_faults()
        return json_reply(200, {"identity": self.state.identity})

    async def _not_found(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return web.Response(status=404, text="GET requests, GET state or POST reset\n")
